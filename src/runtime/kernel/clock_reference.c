// SPDX-License-Identifier: BSD-2-Clause
/*
 * Three clocks of known rate, the best one first: HPET, ACPI PM timer, PIT. Each has a function
 * that starts it and one that reads it.
 */
#include "clock_reference.h"

#include "acpi.h"
#include "mmio.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/port.h"

/* HPET: IA-PC HPET specification 1.0a, sections 2.3 and 3.2.4. */
#define HPET_TABLE_BYTES   56
#define HPET_TABLE_ADDRESS 40
#define HPET_BYTES         1024
#define HPET_CAPABILITIES  0x00
#define HPET_CONFIGURATION 0x10
#define HPET_COUNTER       0xf0
#define HPET_ENABLE        1ull
#define HPET_PERIOD_MAX_FS 100000000ull
#define FS_PER_S           1000000000000000ull

#define PM_TIMER_HZ 3579545ull

/* PIT: Intel 8254; channel 2, whose gate is in port 0x61. */
#define PIT_HZ           1193182ull
#define PIT_CHANNEL      0x42
#define PIT_COMMAND      0x43
#define PIT_LATCH        0x80
#define PIT_LOAD         0xb4 /* channel 2, low and high byte, rate generator */
#define PIT_GATE         0x61
#define PIT_GATE_ON      0x01
#define PIT_GATE_SPEAKER 0x02

static volatile uint8_t *hpet;
static uint16_t pm_timer_port;

static uint64_t hpet_read(uint32_t offset)
{
	return *(volatile uint64_t *)(hpet + offset);
}

static bool all_stand_still(void)
{
	return INJECTED("no-clock");
}

/* The low half only: the upper one is missing in some, and reading both at once not promised. */
static uint64_t hpet_counter(void)
{
	return INJECTED("no-hpet") || all_stand_still() ? 0 : *(volatile uint32_t *)(hpet + HPET_COUNTER);
}

static bool hpet_start(struct clock_reference *reference)
{
	const struct acpi_header *table = acpi_find_table("HPET", 0, HPET_TABLE_BYTES);
	struct acpi_address address;
	uint64_t period_fs;

	if (!table)
		return false;
	address = acpi_read_address(table, HPET_TABLE_ADDRESS);
	if (address.space != ACPI_SPACE_MEMORY || address.address % 8 != 0)
		return false;
	hpet = mmio_map((struct phys_addr){ address.address }, HPET_BYTES);
	if (!hpet)
		return false;
	period_fs = hpet_read(HPET_CAPABILITIES) >> 32;
	if (period_fs == 0 || period_fs > HPET_PERIOD_MAX_FS) {
		log_warn("clock: the HPET has a period of %llu fs; ignored", (unsigned long long)period_fs);
		return false;
	}
	*(volatile uint64_t *)(hpet + HPET_CONFIGURATION) = hpet_read(HPET_CONFIGURATION) | HPET_ENABLE;
	*reference = (struct clock_reference){ "HPET", FS_PER_S / period_fs, UINT32_MAX, hpet_counter };
	return true;
}

static uint64_t pm_timer_read(void)
{
	return INJECTED("no-pm-timer") || all_stand_still() ? 0 : port_read32(pm_timer_port);
}

static bool pm_timer_start(struct clock_reference *reference)
{
	const struct acpi_power *power = acpi_power();

	if (!power->pm_timer)
		return false;
	pm_timer_port = power->pm_timer;
	*reference = (struct clock_reference){ "ACPI PM timer", PM_TIMER_HZ, 0xffffff, pm_timer_read };
	return true;
}

static uint64_t pit_read(void)
{
	uint16_t value;

	port_write8(PIT_COMMAND, PIT_LATCH);
	value = port_read8(PIT_CHANNEL);
	value |= (uint16_t)(port_read8(PIT_CHANNEL) << 8);
	return INJECTED("no-pit") || all_stand_still() ? 0 : -(uint64_t)value; /* it counts down */
}

static bool pit_start(struct clock_reference *reference)
{
	uint8_t gate = port_read8(PIT_GATE);

	port_write8(PIT_GATE, (uint8_t)((gate & ~PIT_GATE_SPEAKER) | PIT_GATE_ON));
	port_write8(PIT_COMMAND, PIT_LOAD);
	port_write8(PIT_CHANNEL, 0); /* 0: 65536 */
	port_write8(PIT_CHANNEL, 0);
	*reference = (struct clock_reference){ "PIT", PIT_HZ, 0xffff, pit_read };
	return true;
}

bool clock_reference_start(unsigned index, struct clock_reference *reference)
{
	static const struct {
		const char *name;
		bool (*start)(struct clock_reference *reference);
	} references[CLOCK_REFERENCES] = {
		{ "HPET", hpet_start },
		{ "ACPI PM timer", pm_timer_start },
		{ "PIT", pit_start },
	};

	reference->name = references[index].name;
	return references[index].start(reference);
}
