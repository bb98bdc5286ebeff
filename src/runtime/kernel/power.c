// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ways out, tried in turn: ACPI's soft-off or reset register, the keyboard controller, a triple
 * fault. What they need of the ACPI tables is read at start-up, so leaving works after a panic,
 * too, without locks or memory.
 */
#include "power.h"

#include <stdatomic.h>

#include "acpi.h"
#include "runtime/base/command.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/port.h"

#define DEBUG_EXIT_PORT 0xf4
#define ISA_NONE        0xff /* what a port without a device reads as */

/* PM1 control, ACPI section 4.8.3.2. */
#define PM1_SCI_ENABLE       (1u << 0)
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK  (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE     (1u << 13)

#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_BUSY    0x02
#define KEYBOARD_RESET   0xfe

#define SPINS_SHORT 100000u
#define SPINS_LONG  10000000u

static void (*off_hook)(void); /* set at start-up */
static _Atomic unsigned result;

/* A rough delay without a clock: the machine is to go away meanwhile. */
static void spin(unsigned spins)
{
	while (spins--)
		__builtin_ia32_pause();
}

static _Noreturn void halt(void)
{
	interrupts_disable();
	for (;;)
		cpu_halt();
}

static void acpi_mode_enter(const struct acpi_power *power)
{
	if (!power->smi_command || !power->acpi_enable || (port_read16(power->pm1a_control) & PM1_SCI_ENABLE))
		return;
	port_write8(power->smi_command, power->acpi_enable);
	for (unsigned i = 0; i < SPINS_SHORT && !(port_read16(power->pm1a_control) & PM1_SCI_ENABLE); i++)
		__builtin_ia32_pause();
}

static void sleep_write(uint16_t port, uint8_t type)
{
	uint16_t value = port_read16(port) & (uint16_t) ~(PM1_SLEEP_TYPE_MASK | PM1_SLEEP_ENABLE);

	port_write16(port, (uint16_t)(value | type << PM1_SLEEP_TYPE_SHIFT));
	port_write16(port, (uint16_t)(value | type << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE));
}

void power_set_off_hook(void (*run)(void))
{
	off_hook = run;
}

static void off_hook_run(void)
{
	static _Atomic bool said;

	if (off_hook && platform_may_sleep() && !atomic_exchange(&said, true))
		off_hook();
}

void power_off(void)
{
	const struct acpi_power *power = acpi_power();

	off_hook_run();
	interrupts_disable();
	if (power->has_s5 && power->pm1a_control) {
		acpi_mode_enter(power);
		sleep_write(power->pm1a_control, power->s5_type_a);
		if (power->pm1b_control)
			sleep_write(power->pm1b_control, power->s5_type_b);
		spin(SPINS_LONG);
	}
	log_error("power: this machine cannot be switched off by software; it is halted");
	halt();
}

static void reset_by_acpi(const struct acpi_power *power)
{
	if (!power->has_reset)
		return;
	if (power->reset.space == ACPI_SPACE_IO && power->reset.address <= UINT16_MAX)
		port_write8((uint16_t)power->reset.address, power->reset_value);
	spin(SPINS_SHORT);
}

static void reset_by_keyboard(void)
{
	for (unsigned i = 0; i < SPINS_SHORT && (port_read8(KEYBOARD_COMMAND) & KEYBOARD_BUSY); i++)
		__builtin_ia32_pause();
	port_write8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	spin(SPINS_SHORT);
}

/*
 * Without an IDT the next exception cannot be delivered, and the CPU shuts down, which resets the
 * machine.
 */
static _Noreturn void reset_by_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nowhere;

	__asm__ volatile("lidt %0; int3" : : "m"(nowhere));
	halt();
}

void power_reboot(void)
{
	off_hook_run();
	interrupts_disable();
	reset_by_acpi(acpi_power());
	reset_by_keyboard();
	reset_by_fault();
}

void power_set_result(unsigned status)
{
	atomic_store(&result, status);
}

bool power_has_debug_exit(void)
{
	return port_read8(DEBUG_EXIT_PORT) != ISA_NONE; /* QEMU's device reads as 0 */
}

void power_exit(unsigned status)
{
	off_hook_run();
	interrupts_disable();
	if (status == 0)
		power_off();
	if (power_has_debug_exit())
		port_write8(DEBUG_EXIT_PORT, (uint8_t)status);
	spin(SPINS_SHORT);
	power_reboot();
}

static status_t command_off(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	if (power_has_debug_exit())
		power_exit(atomic_load(&result));
	power_off();
}

static status_t command_reboot(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	power_reboot();
}

void power_commands_register(struct command_table *table)
{
	static struct command off = {
		.name = "poweroff", .arguments = "", .help = "switch the machine off", .run = command_off
	};
	static struct command reboot = {
		.name = "reboot", .arguments = "", .help = "reset the machine", .run = command_reboot
	};

	command_register(table, &off);
	command_register(table, &reboot);
}
