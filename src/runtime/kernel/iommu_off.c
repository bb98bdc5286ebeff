// SPDX-License-Identifier: BSD-2-Clause
/*
 * The order in which an IOMMU is turned off. Intel: translation, which drains what devices have
 * under way; protected memory, which holds without it; interrupt remapping, and last the queue of
 * invalidations, which remapping would need. AMD: command buffer and logs, which have to stand
 * before the unit goes off, and with it all that it does.
 */
#include "iommu_registers.h"
#include "iommu_units.h"
#include "runtime/base/platform.h"

#define LOOKS_MIN 1000 /* however late it is: an emulator may have stopped this CPU for a while */

struct turning {
	const struct iommu_registers *registers;
	unsigned was_on;
	unsigned still_on;
};

static uint64_t register_read(const struct turning *turning, uint32_t offset, unsigned bytes)
{
	return turning->registers->read(turning->registers->context, offset, bytes);
}

static void register_write(const struct turning *turning, uint32_t offset, unsigned bytes, uint64_t value)
{
	turning->registers->write(turning->registers->context, offset, bytes, value);
}

struct patience {
	uint64_t end_ns;
	unsigned looks;
};

static struct patience patience_begin(void)
{
	return (struct patience){ .end_ns = platform_now_ns() + IOMMU_WAIT_NS };
}

/* After a look that found the unit busy: whether to look again. */
static bool patience_lasts(struct patience *patience)
{
	platform_cpu_relax();
	return ++patience->looks < LOOKS_MIN || platform_now_ns() < patience->end_ns;
}

/* Whether the bits became 0 in time. */
static bool bits_wait(const struct turning *turning, uint32_t offset, unsigned bytes, uint64_t bits)
{
	struct patience patience = patience_begin();

	while (register_read(turning, offset, bytes) & bits) {
		if (!patience_lasts(&patience))
			return false;
	}
	return true;
}

/* Intel ---------------------------------------------------------------------------------------- */

static void intel_command_off(struct turning *turning, uint32_t bit, enum iommu_work work)
{
	const uint32_t status = (uint32_t)register_read(turning, INTEL_STATUS, 4);

	if (!(status & bit))
		return;
	turning->was_on |= work;
	register_write(turning, INTEL_COMMAND, 4, status & INTEL_LASTING & ~bit);
	if (!bits_wait(turning, INTEL_STATUS, 4, bit))
		turning->still_on |= work;
}

static void intel_protection_off(struct turning *turning)
{
	const uint64_t capabilities = register_read(turning, INTEL_CAPABILITIES, 8);

	if (!(capabilities & (INTEL_CAPABILITY_LOW | INTEL_CAPABILITY_HIGH)))
		return;
	if (!(register_read(turning, INTEL_PROTECTED_MEMORY, 4) & (INTEL_PROTECTION_ENABLE | INTEL_PROTECTION_STATUS)))
		return;
	turning->was_on |= IOMMU_PROTECTED_MEMORY;
	register_write(turning, INTEL_PROTECTED_MEMORY, 4, 0);
	if (!bits_wait(turning, INTEL_PROTECTED_MEMORY, 4, INTEL_PROTECTION_STATUS))
		turning->still_on |= IOMMU_PROTECTED_MEMORY;
}

/* A queue is turned off when it is empty, if it ever is: one that stands after an error is not. */
static void intel_queue_drain(const struct turning *turning)
{
	struct patience patience = patience_begin();
	uint64_t left;

	if (!(register_read(turning, INTEL_STATUS, 4) & INTEL_QUEUED))
		return;
	do
		left = register_read(turning, INTEL_QUEUE_HEAD, 8) ^ register_read(turning, INTEL_QUEUE_TAIL, 8);
	while ((left & INTEL_QUEUE_POSITION) && patience_lasts(&patience));
}

static bool intel_turn_off(struct turning *turning)
{
	if (register_read(turning, INTEL_VERSION, 4) == UINT32_MAX)
		return false;
	intel_command_off(turning, INTEL_TRANSLATION, IOMMU_TRANSLATION);
	intel_protection_off(turning);
	intel_command_off(turning, INTEL_REMAPPING, IOMMU_INTERRUPT_REMAPPING);
	intel_queue_drain(turning);
	intel_command_off(turning, INTEL_QUEUED, IOMMU_QUEUE);
	return true;
}

/* AMD ------------------------------------------------------------------------------------------ */

/* `status`: what has to be 0 then. */
static void amd_control_off(struct turning *turning, uint64_t bits, uint64_t status, enum iommu_work work)
{
	const uint64_t control = register_read(turning, AMD_CONTROL, 8);

	if (!(control & bits))
		return;
	turning->was_on |= work;
	register_write(turning, AMD_CONTROL, 8, control & ~bits);
	if (!bits_wait(turning, AMD_CONTROL, 8, bits) || !bits_wait(turning, AMD_STATUS, 8, status))
		turning->still_on |= work;
}

static bool amd_turn_off(struct turning *turning)
{
	if (register_read(turning, AMD_CONTROL, 8) == UINT64_MAX)
		return false;
	amd_control_off(turning, AMD_CONTROL_COMMANDS | AMD_CONTROL_WAIT_INT, AMD_STATUS_COMMANDS_RUN, IOMMU_QUEUE);
	amd_control_off(turning,
			AMD_CONTROL_EVENT_LOG | AMD_CONTROL_EVENT_INT | AMD_CONTROL_PPR_LOG | AMD_CONTROL_PPR_INT |
				AMD_CONTROL_PPR | AMD_CONTROL_GUEST_LOG | AMD_CONTROL_GUEST_INT,
			AMD_STATUS_EVENT_RUNS | AMD_STATUS_PPR_RUNS | AMD_STATUS_GUEST_RUNS, IOMMU_LOG);
	/* Both are by the device table, and go together. */
	amd_control_off(turning, AMD_CONTROL_UNIT, 0, IOMMU_TRANSLATION | IOMMU_INTERRUPT_REMAPPING);
	return true;
}

bool iommu_unit_turn_off(enum iommu_kind kind, const struct iommu_registers *registers, unsigned *was_on, unsigned *still_on)
{
	struct turning turning = { .registers = registers };
	const bool is_there = kind == IOMMU_INTEL ? intel_turn_off(&turning) : amd_turn_off(&turning);

	*was_on = turning.was_on;
	*still_on = turning.still_on;
	return is_there;
}
