// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turning IOMMUs off, with units that answer late or never, and complain when a step comes before
 * one that has to be first.
 */
#include "host/host_test.h"

#include "runtime/base/platform.h"
#include "runtime/base/random.h"
#include "runtime/kernel/iommu_registers.h"
#include "runtime/kernel/iommu_units.h"

#define ROUNDS   3000
#define ONE_SHOT (1u << 30 | 1u << 29 | 1u << 27 | 1u << 24)

/* A change of a status arrives after so many reads of it. */
struct late {
	uint64_t value, wanted;
	unsigned reads;
};

static struct unit {
	struct random random;
	bool is_there;
	uint64_t stuck; /* bits of the status that stay set */
	/* Intel */
	uint64_t capabilities;
	struct late status, protection;
	uint64_t head, tail;
	/* AMD */
	uint64_t control, control_stuck;
	struct late amd_status;
	unsigned writes;
} unit;

static uint64_t late_read(struct late *late)
{
	if (late->reads > 0 && --late->reads == 0)
		late->value = late->wanted;
	return late->value;
}

static void late_write(struct late *late, uint64_t wanted)
{
	late->wanted = wanted;
	late->reads = 1 + (unsigned)random_below(&unit.random, 4);
}

static uint64_t unit_read(void *context, uint32_t offset, unsigned bytes)
{
	ck_assert_ptr_eq(context, &unit);
	if (!unit.is_there)
		return bytes == 4 ? UINT32_MAX : UINT64_MAX;
	switch (offset) {
	case INTEL_VERSION:
		return 0x10;
	case INTEL_CAPABILITIES:
		return unit.capabilities;
	case INTEL_STATUS:
		return late_read(&unit.status);
	case INTEL_PROTECTED_MEMORY:
		ck_assert_uint_ne(unit.capabilities, 0);
		return late_read(&unit.protection);
	case INTEL_QUEUE_HEAD:
		if (unit.head != unit.tail && !(unit.stuck & 1))
			unit.head = (unit.head + 0x10) % 0x1000; /* 256 entries */
		return unit.head;
	case INTEL_QUEUE_TAIL:
		return unit.tail;
	default:
		ck_abort_msg("read of 0x%x", offset);
	}
}

static void unit_write(void *context, uint32_t offset, unsigned bytes, uint64_t value)
{
	const uint64_t now = unit.status.value & ~(uint64_t)ONE_SHOT;

	ck_assert_ptr_eq(context, &unit);
	ck_assert_uint_eq(bytes, 4);
	unit.writes++;
	if (offset == INTEL_PROTECTED_MEMORY) {
		ck_assert_uint_eq(now & INTEL_TRANSLATION & ~unit.stuck, 0);
		late_write(&unit.protection, unit.stuck & 2 ? 1 : value);
		return;
	}
	ck_assert_uint_eq(offset, INTEL_COMMAND);
	ck_assert_uint_eq(value & ONE_SHOT, 0);
	ck_assert_uint_eq(__builtin_popcountll(value ^ now), 1); /* one thing at a time, and nothing on */
	ck_assert_uint_eq(value & ~now, 0);
	if ((value ^ now) & INTEL_QUEUED) {
		ck_assert_uint_eq(now & INTEL_REMAPPING & ~unit.stuck, 0);
		ck_assert(unit.head == unit.tail || unit.stuck & 1);
	}
	late_write(&unit.status, value | (unit.stuck & (now ^ value)) | (unit.status.value & ONE_SHOT));
}

static const struct iommu_registers intel = { unit_read, unit_write, &unit };

static void intel_begin(uint64_t seed)
{
	unit = (struct unit){ .is_there = true };
	random_seed(&unit.random, seed);
	unit.status.value = random_next(&unit.random) & (INTEL_TRANSLATION | INTEL_QUEUED | INTEL_REMAPPING | ONE_SHOT);
	unit.capabilities = random_below(&unit.random, 4) * INTEL_CAPABILITY_LOW;
	unit.protection.value = unit.capabilities && random_below(&unit.random, 2) ? INTEL_PROTECTION_ENABLE | 1 : 0;
	unit.head = random_below(&unit.random, 256) << 4;
	unit.tail = random_below(&unit.random, 256) << 4;
}

static unsigned intel_works(void)
{
	unsigned works = 0;

	works |= unit.status.value & INTEL_TRANSLATION ? IOMMU_TRANSLATION : 0;
	works |= unit.protection.value & 1 ? IOMMU_PROTECTED_MEMORY : 0;
	works |= unit.status.value & INTEL_REMAPPING ? IOMMU_INTERRUPT_REMAPPING : 0;
	works |= unit.status.value & INTEL_QUEUED ? IOMMU_QUEUE : 0;
	return works;
}

START_TEST(intel_goes_off_in_order)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned was_on, still_on, expected;

		intel_begin(round);
		expected = intel_works();
		ck_assert(iommu_unit_turn_off(IOMMU_INTEL, &intel, &was_on, &still_on));
		ck_assert_uint_eq(was_on, expected);
		ck_assert_uint_eq(still_on, 0);
		ck_assert_uint_eq(intel_works(), 0);
		ck_assert_uint_eq(unit.writes, __builtin_popcount(expected));
	}
}
END_TEST

START_TEST(intel_that_hangs_costs_little_and_is_told)
{
	static const struct {
		uint64_t stuck;
		unsigned still_on;
	} cases[] = {
		{ INTEL_TRANSLATION, IOMMU_TRANSLATION },
		{ INTEL_REMAPPING, IOMMU_INTERRUPT_REMAPPING },
		{ INTEL_QUEUED, IOMMU_QUEUE },
		{ 2, IOMMU_PROTECTED_MEMORY },
		{ 1, 0 }, /* the queue never empties, and goes off all the same */
		{ INTEL_TRANSLATION | INTEL_REMAPPING | INTEL_QUEUED | 3,
		  IOMMU_TRANSLATION | IOMMU_PROTECTED_MEMORY | IOMMU_INTERRUPT_REMAPPING | IOMMU_QUEUE },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		const uint64_t start_ns = platform_now_ns();
		unsigned was_on, still_on;

		intel_begin(i);
		unit.status.value = INTEL_TRANSLATION | INTEL_QUEUED | INTEL_REMAPPING;
		unit.capabilities = INTEL_CAPABILITY_LOW;
		unit.protection.value = INTEL_PROTECTION_ENABLE | 1;
		unit.head = 0x10;
		unit.tail = 0x40;
		unit.stuck = cases[i].stuck;
		ck_assert(iommu_unit_turn_off(IOMMU_INTEL, &intel, &was_on, &still_on));
		ck_assert_uint_eq(still_on, cases[i].still_on);
		ck_assert_uint_ge(platform_now_ns() - start_ns, IOMMU_WAIT_NS);
	}
}
END_TEST

/* AMD ------------------------------------------------------------------------------------------ */

static uint64_t amd_read(void *context, uint32_t offset, unsigned bytes)
{
	ck_assert_ptr_eq(context, &unit);
	ck_assert_uint_eq(bytes, 8);
	if (!unit.is_there)
		return UINT64_MAX;
	ck_assert(offset == AMD_CONTROL || offset == AMD_STATUS);
	return offset == AMD_CONTROL ? unit.control : late_read(&unit.amd_status);
}

static uint64_t amd_runs(uint64_t control)
{
	uint64_t runs = 0;

	runs |= control & AMD_CONTROL_EVENT_LOG ? AMD_STATUS_EVENT_RUNS : 0;
	runs |= control & AMD_CONTROL_COMMANDS ? AMD_STATUS_COMMANDS_RUN : 0;
	runs |= control & AMD_CONTROL_PPR_LOG ? AMD_STATUS_PPR_RUNS : 0;
	runs |= control & AMD_CONTROL_GUEST_LOG ? AMD_STATUS_GUEST_RUNS : 0;
	return runs;
}

static void amd_write(void *context, uint32_t offset, unsigned bytes, uint64_t value)
{
	ck_assert_ptr_eq(context, &unit);
	ck_assert_uint_eq(bytes, 8);
	ck_assert_uint_eq(offset, AMD_CONTROL);
	ck_assert_uint_eq(value & ~unit.control, 0);
	if (!(value & AMD_CONTROL_UNIT)) /* the unit is last */
		ck_assert_uint_eq(amd_runs(unit.control) | (unit.amd_status.value & ~unit.stuck), 0);
	unit.control = value | unit.control_stuck;
	late_write(&unit.amd_status, amd_runs(value) | (unit.stuck & unit.amd_status.value));
}

static const struct iommu_registers amd = { amd_read, amd_write, &unit };

START_TEST(amd_goes_off_in_order)
{
	const uint64_t kept = 1ull << 1 | 1ull << 8 | 1ull << 10 | 7ull << 5; /* how, not what it does */

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned was_on, still_on;
		uint64_t before;

		unit = (struct unit){ .is_there = true };
		random_seed(&unit.random, round);
		before = unit.control = (random_next(&unit.random) & (kept | 0x3000f01dull)) | AMD_CONTROL_UNIT;
		unit.amd_status.value = amd_runs(unit.control);
		ck_assert(iommu_unit_turn_off(IOMMU_AMD, &amd, &was_on, &still_on));
		ck_assert_uint_eq(unit.control, before & kept);
		ck_assert_uint_eq(still_on, 0);
		ck_assert_uint_eq(was_on & (IOMMU_TRANSLATION | IOMMU_INTERRUPT_REMAPPING),
				  IOMMU_TRANSLATION | IOMMU_INTERRUPT_REMAPPING);
		ck_assert_uint_eq(!(was_on & IOMMU_QUEUE), !(before & (AMD_CONTROL_COMMANDS | AMD_CONTROL_WAIT_INT)));
	}
	unit = (struct unit){ .is_there = true, .stuck = AMD_STATUS_COMMANDS_RUN };
	random_seed(&unit.random, 1);
	unit.control = AMD_CONTROL_UNIT | AMD_CONTROL_COMMANDS;
	unit.amd_status.value = AMD_STATUS_COMMANDS_RUN;
	unsigned was_on, still_on;
	ck_assert(iommu_unit_turn_off(IOMMU_AMD, &amd, &was_on, &still_on));
	ck_assert_uint_eq(still_on, IOMMU_QUEUE);
	ck_assert_uint_eq(unit.control, 0);
}
END_TEST

/* Bits that stay, or that were set a moment ago. */
START_TEST(bits_that_do_not_follow_are_told)
{
	unsigned was_on, still_on;

	unit = (struct unit){ .is_there = true, .control_stuck = AMD_CONTROL_EVENT_INT };
	random_seed(&unit.random, 1);
	unit.control = AMD_CONTROL_UNIT | AMD_CONTROL_EVENT_INT;
	ck_assert(iommu_unit_turn_off(IOMMU_AMD, &amd, &was_on, &still_on));
	ck_assert_uint_eq(still_on, IOMMU_LOG);
	ck_assert_uint_eq(unit.control, AMD_CONTROL_EVENT_INT);
	unit = (struct unit){ .is_there = true, .capabilities = INTEL_CAPABILITY_LOW };
	unit.protection.value = INTEL_PROTECTION_ENABLE; /* not in effect yet */
	ck_assert(iommu_unit_turn_off(IOMMU_INTEL, &intel, &was_on, &still_on));
	ck_assert_uint_eq(was_on, IOMMU_PROTECTED_MEMORY);
	ck_assert_uint_eq(still_on, 0);
	ck_assert_uint_eq(unit.writes, 1);
}
END_TEST

START_TEST(a_unit_that_is_not_there_is_left_alone)
{
	unsigned was_on = 1, still_on = 1;

	unit = (struct unit){ .is_there = false };
	ck_assert(!iommu_unit_turn_off(IOMMU_INTEL, &intel, &was_on, &still_on));
	ck_assert(!iommu_unit_turn_off(IOMMU_AMD, &amd, &was_on, &still_on));
	ck_assert_uint_eq(was_on | still_on | unit.writes, 0);
}
END_TEST

HOST_TEST_MAIN("iommu_off", intel_goes_off_in_order, intel_that_hangs_costs_little_and_is_told, amd_goes_off_in_order,
	       bits_that_do_not_follow_are_told, a_unit_that_is_not_there_is_left_alone)
