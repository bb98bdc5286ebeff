// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC over fake registers, in memory and as MSRs: both modes do the same, each access
 * goes the way of its mode, and modes change only as the CPU allows.
 */
#include "host/host_test.h"

#include "fake/fake_msr.h"
#include "runtime/base/random.h"
#include "runtime/x86_64/apic.h"

#define BASE_X2      (1ull << 10)
#define BASE_ENABLED (1ull << 11)
#define BASE_REST    0xfee00100ull /* the address, and "the CPU that boots" */

static uint64_t base;
static uint64_t msrs[0x40];        /* of the x2APIC */
static uint32_t memory[0x400 / 4]; /* of the xAPIC */
static uint32_t features;          /* CPUID 1, ECX */
static uint64_t command_msr;

/* Intel SDM volume 3, section 11.12.1: from x2APIC mode only to off, and not straight back. */
static void base_write(uint64_t value)
{
	const bool was_on = base & BASE_ENABLED, was_x2 = base & BASE_X2, on = value & BASE_ENABLED, x2 = value & BASE_X2;

	ck_assert(!x2 || on);
	ck_assert(!was_x2 || x2 || !on);
	ck_assert(!x2 || was_on);
	ck_assert(!x2 || features & (1u << 21));
	ck_assert_uint_eq((value ^ base) & BASE_REST, 0);
	base = value;
}

uint64_t fake_msr_read(uint32_t msr)
{
	if (msr == MSR_APIC_BASE)
		return base;
	ck_assert_uint_eq(base & (BASE_ENABLED | BASE_X2), BASE_ENABLED | BASE_X2);
	ck_assert_uint_lt(msr - MSR_X2APIC_BASE, ARRAY_LENGTH(msrs));
	return msrs[msr - MSR_X2APIC_BASE];
}

void fake_msr_write(uint32_t msr, uint64_t value)
{
	if (msr == MSR_APIC_BASE) {
		base_write(value);
		return;
	}
	ck_assert_uint_eq(base & (BASE_ENABLED | BASE_X2), BASE_ENABLED | BASE_X2);
	ck_assert_uint_lt(msr - MSR_X2APIC_BASE, ARRAY_LENGTH(msrs));
	ck_assert_uint_ne(msr, MSR_X2APIC_BASE + 0x2);  /* the id, */
	ck_assert_uint_ne(msr, MSR_X2APIC_BASE + 0x31); /* and the upper half of the command, do not take it */
	if (msr == MSR_X2APIC_BASE + 0x30)
		command_msr = value;
	else
		ck_assert_uint_eq(value >> 32, 0);
	msrs[msr - MSR_X2APIC_BASE] = value;
}

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
	ck_assert_uint_le(leaf, 1); /* 0: a vendor without errata */
	ck_assert_uint_eq(subleaf, 0);
	return (struct cpuid){ .ecx = leaf == 1 ? features : 0 };
}

static const struct apic_vectors vectors = { .timer = 0xf0, .error = 0xfe, .spurious = 0xff };

static void machine_begin(bool on, bool is_x2, bool has_x2)
{
	base = BASE_REST | (on ? BASE_ENABLED : 0) | (is_x2 ? BASE_X2 : 0);
	features = has_x2 ? 1u << 21 : 0;
	memset(msrs, 0, sizeof(msrs));
	memset(memory, 0, sizeof(memory));
}

START_TEST(both_modes_write_the_same)
{
	for (unsigned wire = 0; wire < 2; wire++) {
		uint32_t in_memory[ARRAY_LENGTH(msrs)];

		machine_begin(true, false, true);
		apic_init(memory);
		apic_init_cpu(&vectors, wire);
		for (unsigned i = 0; i < ARRAY_LENGTH(msrs); i++) {
			in_memory[i] = memory[i * 4];
			ck_assert_uint_eq(msrs[i], 0);
		}
		machine_begin(true, true, true);
		apic_init(NULL);
		apic_init_cpu(&vectors, wire);
		for (unsigned i = 0; i < ARRAY_LENGTH(msrs); i++)
			ck_assert_uint_eq(msrs[i], in_memory[i]);
		ck_assert_uint_eq(in_memory[0xf], 0x1ff); /* enabled, with the spurious vector */
	}
}
END_TEST

/* Also where firmware left all bits set. Intel SDM volume 3, sections 11.5.1 and 11.8.3.1. */
START_TEST(a_cpu_takes_what_it_is_to_take)
{
	for (unsigned wire = 0; wire < 2; wire++) {
		machine_begin(true, false, true);
		memset(memory, 0xff, sizeof(memory));
		apic_init(memory);
		apic_init_cpu(&vectors, wire);
		ck_assert_uint_eq(memory[0x80 / 4], 0); /* no interrupt is too unimportant */
		ck_assert_uint_eq(memory[0x320 / 4], 0xf0);
		ck_assert_uint_eq(memory[0x350 / 4], wire ? 0x700 : 0x10700); /* the 8259 pair, on one CPU */
		ck_assert_uint_eq(memory[0x360 / 4], 0x400);                  /* NMI */
		ck_assert_uint_eq(memory[0x370 / 4], 0xfe);
		ck_assert_uint_eq(memory[0x380 / 4], 0);
		ck_assert_uint_eq(memory[0x3e0 / 4], 0xb);
	}
}
END_TEST

/* The messages that start and stop CPUs. Intel SDM volume 3, section 11.6.1. */
START_TEST(messages_to_cpus)
{
	for (unsigned is_x2 = 0; is_x2 < 2; is_x2++) {
		const volatile uint32_t *command = is_x2 ? (uint32_t *)&command_msr : &memory[0x300 / 4];

		machine_begin(true, is_x2, true);
		apic_init(memory);
		apic_send_init(7);
		ck_assert_uint_eq(*command, 0x4500);
		apic_send_startup(7, (struct phys_addr){ 0x9f000 });
		ck_assert_uint_eq(*command, 0x469f);
		apic_send_nmi(7);
		ck_assert_uint_eq(*command, 0x4400);
		ck_assert_uint_eq(is_x2 ? command_msr >> 32 : memory[0x310 / 4] >> 24, 7);
		apic_send_self(0x31);
		ck_assert_uint_eq(is_x2 ? (uint32_t)msrs[0x3f] : memory[0x300 / 4], is_x2 ? 0x31 : 0x44031);
	}
}
END_TEST

START_TEST(ids_and_messages_have_the_width_of_the_mode)
{
	struct random random;

	random_seed(&random, 1);
	for (unsigned i = 0; i < 1000; i++) {
		const uint32_t id = (uint32_t)random_next(&random), small = id & 0xff;
		const uint8_t vector = (uint8_t)random_next(&random);

		machine_begin(true, false, true);
		apic_init(memory);
		memory[0x20 / 4] = small << 24;
		ck_assert_uint_eq(apic_id(), small);
		apic_send(small, vector);
		ck_assert_uint_eq(memory[0x310 / 4], small << 24);
		ck_assert_uint_eq(memory[0x300 / 4], 0x4000u | vector);
		machine_begin(true, true, true);
		apic_init(NULL);
		msrs[2] = id;
		ck_assert_uint_eq(apic_id(), id);
		apic_send(id, vector);
		ck_assert_uint_eq(command_msr, (uint64_t)id << 32 | 0x4000u | vector);
	}
	ck_assert_uint_eq(apic_id_max(), UINT32_MAX - 1);
	machine_begin(true, false, false);
	apic_init(memory);
	ck_assert_uint_eq(apic_id_max(), 254);
}
END_TEST

START_TEST(a_cpu_comes_into_the_first_ones_mode_from_any)
{
	static const struct {
		bool on, x2;
	} states[] = { { false, false }, { true, false }, { true, true } };

	for (unsigned first_x2 = 0; first_x2 < 2; first_x2++) {
		for (unsigned i = 0; i < ARRAY_LENGTH(states); i++) {
			machine_begin(true, first_x2, true);
			apic_init(memory);
			machine_begin(states[i].on, states[i].x2, true);
			apic_init_cpu(&vectors, false);
			ck_assert(apic_is_on());
			ck_assert_int_eq(apic_is_x2(), first_x2);
		}
	}
}
END_TEST

HOST_TEST_MAIN("apic", both_modes_write_the_same, a_cpu_takes_what_it_is_to_take, messages_to_cpus,
	       ids_and_messages_have_the_width_of_the_mode, a_cpu_comes_into_the_first_ones_mode_from_any)
