// SPDX-License-Identifier: BSD-2-Clause
/*
 * Timers. `run` is called in interrupt context on the CPU that started the timer, at or soon after
 * the deadline: once, or for each period. The owner keeps the timer alive while it is pending. In a
 * task that may sleep, wait with a deadline instead.
 *
 *	timer_init(&it->timer, sample);
 *	timer_start_periodic(&it->timer, clock_now_ns() + NS_PER_MS, NS_PER_MS);
 *	...
 *	(void)timer_cancel(&it->timer);
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/types.h"

struct timer {
	uint64_t deadline_ns;            /* [queue lock] */
	uint64_t period_ns;              /* [queue lock] 0: once */
	uint64_t missed;                 /* [queue lock] periods without a call of their own; `run` may read it */
	void (*run)(struct timer *self); /* [I] interrupt context; may start or cancel the timer */
	struct timer *child;             /* [queue lock] pairing heap, ordered by deadline */
	struct timer *sibling;           /* [queue lock] */
	struct timer *previous;          /* [queue lock] elder sibling, or parent of the eldest */
	_Atomic uint32_t cpu;            /* where it is pending or ran last */
	bool pending;                    /* [queue lock] */
};

void timer_init(struct timer *timer, void (*run)(struct timer *self));

/*
 * Arms the timer on this CPU, for clock_now_ns() >= `deadline_ns`; one that is pending is moved.
 * Any context. Calls on one timer do not overlap each other.
 */
void timer_start(struct timer *timer, uint64_t deadline_ns);

/*
 * The same for `first_ns` and every `period_ns` from then on; a period below TIMER_PERIOD_MIN_NS
 * counts as that. Deadlines stay on this grid, so that delays do not add up. Where deadlines pass
 * while `run` still runs or interrupts are off, `missed` counts them, and the next call is for the
 * next deadline.
 */
#define TIMER_PERIOD_MIN_NS (10 * NS_PER_US)
void timer_start_periodic(struct timer *timer, uint64_t first_ns, uint64_t period_ns);

/*
 * Disarms, for good; true: it was pending. When it returns, `run` is not running, except when it is
 * called from `run` itself. Any context, but no lock may be held that `run` takes.
 */
bool timer_cancel(struct timer *timer);

/*
 * Finds out how fast this machine's APIC timer is. Once, when the clock and the first CPU's APIC
 * run.
 */
void timer_calibrate(void);

/* What CPU_VECTOR_TIMER does. */
void timer_handle_interrupt(void);
