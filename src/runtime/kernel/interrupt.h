// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts of devices. A handler runs with interrupts off, on the stack of the task that it
 * interrupted; it does the minimum (look at the device, quiet it, queue deferred work) and must not
 * sleep, nor take a lock other than with spinlock_lock_interrupts.
 *
 * Messages (MSI, MSI-X) have a vector of their own on one CPU. Lines (PCI INTx, ISA) go through the
 * 8259 pair to CPU 0 and may be shared: all handlers of a line run at each of its interrupts, so
 * each must look whether its device asked.
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/list.h"
#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct command_table;

/*
 * Owned by the driver, which keeps it alive while attached. Zero-initialized before the first
 * attach.
 */
struct interrupt {
	const char *name;               /* [I] */
	void (*handler)(void *context); /* [I] */
	void *context;                  /* [I] */
	_Atomic uint64_t count;         /* how often the handler ran */
	int line;                       /* [I] ISA line, or -1 for a message */
	unsigned cpu;                   /* [I] */
	uint8_t vector;                 /* [I] */
	bool attached;                  /* by attach and detach only */
	struct list link;               /* [table lock] among all that are attached, for the report */
	struct list line_link;          /* [table lock] among those of a line */
};

/* What a device writes, and where, to raise the interrupt. */
struct interrupt_message {
	uint64_t address;
	uint32_t data;
};

enum interrupt_trigger {
	INTERRUPT_EDGE,  /* ISA */
	INTERRUPT_LEVEL, /* PCI INTx */
};

#define INTERRUPT_LINES 16

/*
 * Gives `interrupt` a vector on `cpu` (-1: spread over the CPUs; another CPU, too, where messages
 * do not reach `cpu` because its APIC id is above 254) and tells in `message` what to program into
 * the device. The handler may run from now on. Task context, any lock state. STATUS_BUSY: no vector
 * is free; STATUS_UNSUPPORTED: messages reach no CPU; STATUS_INVALID: no such CPU, or attached
 * already.
 */
status_t interrupt_attach_message(struct interrupt *interrupt, const char *name, int cpu, void (*handler)(void *context),
				  void *context, struct interrupt_message *message) MUST_CHECK;

/*
 * Adds `interrupt` to ISA line 0..15 (a PCI function's Interrupt Line register) and opens the line.
 * Task context. STATUS_INVALID: no such line (firmware writes 255 for "not connected"), the
 * cascade, or attached already; STATUS_BUSY: the line is in use with the other trigger mode.
 */
status_t interrupt_attach_line(struct interrupt *interrupt, const char *name, unsigned line, enum interrupt_trigger trigger,
			       void (*handler)(void *context), void *context) MUST_CHECK;

/*
 * Quiet the device first. When it returns, the handler does not run any more on any CPU, and
 * `interrupt` may be freed. Harmless when not attached. Where platform_may_sleep().
 */
void interrupt_detach(struct interrupt *interrupt);

/* The monitor command `interrupts`. */
void interrupt_commands_register(struct command_table *table);
