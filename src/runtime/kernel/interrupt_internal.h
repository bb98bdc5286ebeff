// SPDX-License-Identifier: BSD-2-Clause
/* What the files of the interrupt code and the start-up share. Others use interrupt.h. */
#pragma once

#include "interrupt.h"
#include "runtime/base/spinlock.h"

struct cpu;

/* Sets up this CPU's local APIC, and on the first one the 8259 pair. Interrupts are off. */
void interrupt_init_cpu(bool first);

extern struct spinlock interrupt_lock;  /* taken with interrupts off; also by the dispatch of lines */
extern struct list interrupts_attached; /* [interrupt_lock] */

void interrupt_prepare(struct interrupt *interrupt, const char *name, void (*handler)(void *context), void *context);

/* Counts an interrupt without a handler; the first few are logged. */
void interrupt_unexpected(struct cpu *cpu, unsigned vector, const char *what);

/* A line of the 8259 pair was raised. */
void interrupt_dispatch_line(struct cpu *cpu, unsigned line);

/* Takes a handler off its line; interrupt_lock is held. */
void interrupt_close_line(struct interrupt *interrupt);
