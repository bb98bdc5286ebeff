// SPDX-License-Identifier: BSD-2-Clause
/*
 * Deferred work: what an interrupt handler leaves for a task. Each CPU has a task of priority
 * TASK_DEFERRED that runs the work queued on that CPU, in order, with interrupts and preemption on.
 * Work may take spinlocks; it must not wait for anything that takes long (all later work of that
 * CPU waits behind it) and never for other deferred work.
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/list.h"
#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct deferred {
	struct list link;                   /* the CPU's queue */
	_Atomic bool queued;                /* set until just before `run` is called */
	_Atomic uint32_t calls;             /* runs that were queued and have not returned; for deferred_flush */
	void (*run)(struct deferred *self); /* [I] */
};

void deferred_init(struct deferred *deferred, void (*run)(struct deferred *self));

/*
 * Queues `deferred` on this CPU. Any context. False: it was queued already, and will run after this
 * call all the same. `run` is called once for each true; it may queue itself again. `run` may
 * overlap with itself on two CPUs when it is queued on both.
 */
bool deferred_queue(struct deferred *deferred);

/*
 * Waits until `deferred` is neither queued nor running. It must not be queued meanwhile (detach its
 * interrupt first); then it may be freed. Where platform_may_sleep(), not in deferred work.
 */
void deferred_flush(struct deferred *deferred);

/* Once, before interrupts are on: work can be queued from then on. */
void deferred_prepare(void);

/* Starts the task of each CPU. Once, in a task. */
status_t deferred_start(void) MUST_CHECK;
