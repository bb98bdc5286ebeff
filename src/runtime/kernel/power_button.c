// SPDX-License-Identifier: BSD-2-Clause
/*
 * The press is a bit in the PM1 status register, and the system control interrupt, a shared level
 * line. The task looks at the bit at times, too, so that a line that firmware describes wrongly
 * makes the button slow, not dead.
 */
#include "power_button.h"

#include "acpi.h"
#include "interrupt.h"
#include "power.h"
#include "power_ways.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/x86_64/port.h"
#include "task.h"

#define EVENT_POWER_BUTTON (1u << 8)
#define EVENTS_ALL         0xffffu
#define LOOK_NS            (500 * NS_PER_MS)

static struct interrupt interrupt;
static _Atomic uint32_t pressed;

static bool is_pressed(uint16_t block)
{
	return block && (INJECTED("button-stuck") || (port_read16(block) & EVENT_POWER_BUTTON));
}

/* The status registers are those of both blocks, or'ed; a bit is cleared by writing 1. */
static bool press_take(uint16_t block)
{
	if (!is_pressed(block))
		return false;
	port_write16(block, EVENT_POWER_BUTTON);
	return true;
}

static void look(void *context)
{
	const struct acpi_power *power = acpi_power();

	(void)context;
	if (!press_take(power->pm1a_event) && !press_take(power->pm1b_event))
		return;
	atomic_store(&pressed, 1);
	platform_wake(&pressed);
}

static void button_task(void *context)
{
	(void)context;
	while (atomic_load(&pressed) == 0) {
		(void)platform_wait(&pressed, 0, platform_now_ns() + LOOK_NS);
		look(NULL);
	}
	log_info("power: the power button was pressed");
	power_off();
}

static void events_set(uint16_t block, unsigned enabled)
{
	if (!block)
		return;
	port_write16((uint16_t)(block + acpi_power()->pm1_event_bytes / 2), (uint16_t)enabled);
	port_write16(block, EVENTS_ALL);
}

/* General-purpose events are AML's, which is not run: they would hold the line for good. */
static void general_events_off(uint16_t block, unsigned bytes)
{
	for (unsigned i = bytes / 2; block && i < bytes; i++)
		port_write8((uint16_t)(block + i), 0);
}

status_t power_button_start(void)
{
	static const struct task_options options = { .name = "power button", .priority = TASK_NORMAL, .cpu = -1 };
	const struct acpi_power *power = acpi_power();

	if (!power->has_power_button)
		return STATUS_OK;
	power_acpi_enter();
	general_events_off(power->gpe0, power->gpe0_bytes);
	general_events_off(power->gpe1, power->gpe1_bytes);
	events_set(power->pm1a_event, EVENT_POWER_BUTTON);
	events_set(power->pm1b_event, EVENT_POWER_BUTTON);
	/* A press was cleared by then: a bit that stays is that of no register. */
	if (is_pressed(power->pm1a_event) || is_pressed(power->pm1b_event)) {
		log_warn("power: the power button reads as pressed for good; it is not looked at");
		return STATUS_OK;
	}
	if (interrupt_attach_line(&interrupt, "power button", power->sci_line, INTERRUPT_LEVEL, look, NULL) != STATUS_OK)
		log_debug("power: no interrupt line %u for the power button; it is polled", power->sci_line);
	return task_spawn(&options, button_task, NULL, NULL);
}
