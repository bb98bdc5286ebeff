/*
 * One-shot timers. `run` is called once, in interrupt context on the CPU that started the timer, at or soon after the deadline.
 * The owner keeps the timer alive while it is pending. In a task that may sleep, wait with a deadline instead.
 */
#pragma once

#include <stdatomic.h>

#include "runtime/base/types.h"

struct timer {
	uint64_t deadline_ns;            /* [queue lock] */
	void (*run)(struct timer *self); /* [I] interrupt context; may start the timer again */
	struct timer *child;             /* [queue lock] pairing heap, ordered by deadline */
	struct timer *sibling;           /* [queue lock] */
	struct timer *previous;          /* [queue lock] elder sibling, or parent of the eldest */
	_Atomic uint32_t cpu;            /* where it is pending or ran last */
	bool pending;                    /* [queue lock] */
};

void timer_init(struct timer *timer, void (*run)(struct timer *self));

/*
 * Arms the timer on this CPU, for clock_now_ns() >= `deadline_ns`; one that is pending is moved. Any context. Calls on one
 * timer do not overlap each other.
 */
void timer_start(struct timer *timer, uint64_t deadline_ns);

/*
 * Disarms; true: it was pending. When it returns, `run` is not running, except when it is called from `run` itself. Any
 * context, but no lock may be held that `run` takes.
 */
bool timer_cancel(struct timer *timer);

/* Finds out how fast this machine's APIC timer is. Once, when the clock and the first CPU's APIC run. */
void timer_calibrate(void);

/* What CPU_VECTOR_TIMER does. */
void timer_handle_interrupt(void);
