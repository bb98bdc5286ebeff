// SPDX-License-Identifier: BSD-2-Clause
/*
 * A pairing heap of timers for each CPU, ordered by deadline, and the CPU's APIC timer set to the
 * first one. An interrupt that comes too early costs nothing but a look, so removing a timer
 * leaves the hardware as it is. `run` is called without the lock, so that it may start or cancel
 * timers.
 */
#include "timer.h"

#include "clock.h"
#include "cpu.h"
#include "runtime/base/spinlock.h"
#include "runtime/x86_64/apic.h"

#define CALIBRATION_NS (5 * NS_PER_MS)
#define COUNT_MAX      UINT32_MAX
#define WAIT_MAX_NS    (NS_PER_S) /* longer waits are made of several: no product below overflows */

struct timer_queue {
	struct spinlock lock;
	struct timer *first;           /* [lock] root of the heap */
	struct timer *_Atomic running; /* [lock] the timer whose `run` runs now, without the lock */
	bool repeat;                   /* [lock] `running` is periodic, and was neither started nor cancelled meanwhile */
} __attribute__((aligned(64)));

static struct timer_queue queues[PLATFORM_CPUS_MAX];
static uint64_t count_hz; /* of the APIC timer; not used in deadline mode */

/* Joins two heaps; both are roots without siblings, or NULL. */
static struct timer *heap_meld(struct timer *a, struct timer *b)
{
	struct timer *swap = a;

	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns) {
		a = b;
		b = swap;
	}
	b->previous = a;
	b->sibling = a->child;
	if (a->child)
		a->child->previous = b;
	a->child = b;
	return a;
}

/* Makes one heap of a list of siblings: pairs from left to right, then all from right to left. */
static struct timer *heap_merge_siblings(struct timer *list)
{
	struct timer *pairs = NULL, *root = NULL;

	while (list) {
		struct timer *a = list, *b = a->sibling;

		list = b ? b->sibling : NULL;
		a->sibling = a->previous = NULL;
		if (b)
			b->sibling = b->previous = NULL;
		a = heap_meld(a, b);
		a->sibling = pairs;
		pairs = a;
	}
	while (pairs) {
		struct timer *next = pairs->sibling;

		pairs->sibling = NULL;
		root = heap_meld(root, pairs);
		pairs = next;
	}
	return root;
}

static void queue_insert(struct timer_queue *queue, struct timer *timer)
{
	timer->child = timer->sibling = timer->previous = NULL;
	timer->pending = true;
	queue->first = heap_meld(queue->first, timer);
}

static void queue_remove(struct timer_queue *queue, struct timer *timer)
{
	struct timer *rest = heap_merge_siblings(timer->child);

	if (timer == queue->first) {
		queue->first = rest;
	} else {
		if (timer->previous->child == timer)
			timer->previous->child = timer->sibling;
		else
			timer->previous->sibling = timer->sibling;
		if (timer->sibling)
			timer->sibling->previous = timer->previous;
		queue->first = heap_meld(queue->first, rest);
	}
	timer->child = timer->sibling = timer->previous = NULL;
	timer->pending = false;
}

/* Sets the hardware to the earliest deadline. On the queue's CPU. */
static void queue_program(struct timer_queue *queue)
{
	uint64_t now, wait_ns;

	if (!queue->first)
		return; /* the deadline that is set already only comes too early */
	now = clock_now_ns();
	wait_ns = queue->first->deadline_ns > now ? MIN(queue->first->deadline_ns - now, WAIT_MAX_NS) : 0;
	if (apic_timer_has_deadline())
		apic_timer_arm_deadline(clock_ticks_at(now + wait_ns));
	else
		apic_timer_arm_count((uint32_t)MIN(wait_ns * count_hz / NS_PER_S + 1, COUNT_MAX));
}

void timer_init(struct timer *timer, void (*run)(struct timer *self))
{
	*timer = (struct timer){ .run = run };
}

/* Locks the queue where `timer` is or was. Interrupts are off. */
static struct timer_queue *queue_lock(struct timer *timer)
{
	for (;;) {
		uint32_t cpu = atomic_load(&timer->cpu);

		spinlock_lock(&queues[cpu].lock);
		if (atomic_load(&timer->cpu) == cpu)
			return &queues[cpu];
		spinlock_unlock(&queues[cpu].lock);
	}
}

/*
 * Takes the timer out of its queue, whether it waits there or is to come back. Returns whether it
 * waited.
 */
static bool queue_forget(struct timer_queue *queue, struct timer *timer)
{
	const bool was_pending = timer->pending;

	if (was_pending)
		queue_remove(queue, timer);
	if (atomic_load(&queue->running) == timer)
		queue->repeat = false;
	return was_pending;
}

static void start(struct timer *timer, uint64_t deadline_ns, uint64_t period_ns)
{
	uint64_t state = platform_interrupts_save();
	uint32_t cpu = cpu_current_id();
	struct timer_queue *queue = queue_lock(timer);

	(void)queue_forget(queue, timer);
	atomic_store(&timer->cpu, cpu);
	spinlock_unlock(&queue->lock);

	queue = &queues[cpu];
	spinlock_lock(&queue->lock);
	timer->deadline_ns = deadline_ns;
	timer->period_ns = period_ns;
	timer->missed = 0;
	queue_insert(queue, timer);
	if (queue->first == timer)
		queue_program(queue);
	spinlock_unlock(&queue->lock);
	platform_interrupts_restore(state);
}

void timer_start(struct timer *timer, uint64_t deadline_ns)
{
	start(timer, deadline_ns, 0);
}

void timer_start_periodic(struct timer *timer, uint64_t first_ns, uint64_t period_ns)
{
	start(timer, first_ns, MAX(period_ns, TIMER_PERIOD_MIN_NS));
}

bool timer_cancel(struct timer *timer)
{
	bool was_pending = false;

	for (;;) {
		uint64_t state = platform_interrupts_save();
		struct timer_queue *queue = queue_lock(timer);
		bool elsewhere = queue != &queues[cpu_current_id()] && atomic_load(&queue->running) == timer;

		was_pending |= queue_forget(queue, timer);
		spinlock_unlock(&queue->lock);
		platform_interrupts_restore(state);
		if (!elsewhere)
			return was_pending;
		while (atomic_load(&queue->running) == timer)
			platform_cpu_relax();
	}
}

/*
 * Arms a periodic timer again, for the next deadline after `now`; so the interrupt ends even if the
 * periods are too short.
 */
static void queue_repeat(struct timer_queue *queue, struct timer *timer, uint64_t now)
{
	const uint64_t missed = now > timer->deadline_ns ? (now - timer->deadline_ns) / timer->period_ns : 0;

	timer->missed += missed;
	timer->deadline_ns += (missed + 1) * timer->period_ns;
	queue_insert(queue, timer);
}

void timer_handle_interrupt(void)
{
	struct timer_queue *queue = &queues[cpu_current_id()];
	uint64_t now = clock_now_ns();

	spinlock_lock(&queue->lock);
	while (queue->first && queue->first->deadline_ns <= now) {
		struct timer *timer = queue->first;

		queue_remove(queue, timer);
		atomic_store(&queue->running, timer);
		queue->repeat = timer->period_ns != 0;
		spinlock_unlock(&queue->lock);
		timer->run(timer);
		spinlock_lock(&queue->lock);
		atomic_store(&queue->running, NULL);
		now = clock_now_ns();
		if (queue->repeat)
			queue_repeat(queue, timer, now);
	}
	queue_program(queue);
	spinlock_unlock(&queue->lock);
}

void timer_calibrate(void)
{
	uint64_t state, start_ns, end_ns;
	uint32_t left;

	for (unsigned cpu = 0; cpu < PLATFORM_CPUS_MAX; cpu++)
		spinlock_init(&queues[cpu].lock, "timers");
	if (apic_timer_has_deadline())
		return;
	state = platform_interrupts_save();
	apic_timer_arm_count(COUNT_MAX);
	start_ns = clock_now_ns();
	clock_delay_ns(CALIBRATION_NS);
	left = apic_timer_count();
	end_ns = clock_now_ns();
	apic_timer_arm_count(0);
	platform_interrupts_restore(state);
	count_hz = (uint64_t)(COUNT_MAX - left) * NS_PER_S / (end_ns - start_ns);
}
