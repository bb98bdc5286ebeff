// SPDX-License-Identifier: BSD-2-Clause
/*
 * What comes before the machine goes: the hook, and an emulator's exit status. The ways out are in
 * power_ways.c; a triple fault is the last one. Leaving works after a panic, too, without locks or
 * memory.
 */
#include "power.h"

#include <stdatomic.h>

#include "power_ways.h"
#include "runtime/base/command.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/console/console.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/port.h"

#define DEBUG_EXIT_PORT 0xf4
#define ISA_NONE        0xff /* what a port without a device reads as */

#define SPINS_SHORT 100000u

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

void power_set_off_hook(void (*run)(void))
{
	off_hook = run;
}

/* A second task that wants to leave waits for the first one, whose hook may still flush. */
static void off_hook_run(void)
{
	static _Atomic uint32_t leaving;

	if (!platform_may_sleep())
		return;
	while (atomic_exchange(&leaving, 1) != 0)
		(void)platform_wait(&leaving, 1, PLATFORM_FOREVER);
	if (off_hook)
		off_hook();
}

/* From here on this CPU runs no task, and what it prints does not wait for one. */
static void leave(void)
{
	off_hook_run();
	console_panic();
	interrupts_disable();
}

static _Noreturn void off(void)
{
	power_ways_off();
	log_error("power: this machine cannot be switched off by software; it is halted");
	console_flush();
	halt();
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

static _Noreturn void reset(void)
{
	power_ways_reset();
	reset_by_fault();
}

void power_off(void)
{
	leave();
	off();
}

void power_reboot(void)
{
	leave();
	reset();
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
	leave();
	if (status == 0)
		off();
	if (power_has_debug_exit())
		port_write8(DEBUG_EXIT_PORT, (uint8_t)status);
	spin(SPINS_SHORT);
	reset();
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
