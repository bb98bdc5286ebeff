// SPDX-License-Identifier: BSD-2-Clause
/*
 * Spinlock. Held for a short, bounded time; its holder is not preempted, and must not sleep.
 *
 * A lock that interrupt handlers also take is always taken with spinlock_lock_interrupts. The lock
 * knows its holder, so taking it twice on one CPU, or releasing it on another one, is reported at
 * once. `name` is for that report.
 */
#pragma once

#include "atomic.h"
#include "assert.h"
#include "lock_order.h"

struct spinlock {
	_Atomic uint32_t holder; /* CPU + 1, or 0 */
	const char *name;        /* [I] */
	struct hold hold;        /* the holder's; empty but where holds are recorded (holds.h) */
	struct lock_mark mark;   /* empty but where the order of locks is checked (lock_order.h) */
};

static inline void spinlock_init(struct spinlock *lock, const char *name)
{
	atomic_init(&lock->holder, 0);
	lock->name = name;
	lock_order_init(&lock->mark);
}

static inline bool spinlock_is_held(const struct spinlock *lock)
{
	return atomic_load_explicit(&lock->holder, memory_order_relaxed) == platform_cpu() + 1;
}

/* Slow path: another CPU held the lock. Preemption is off. */
void spinlock_lock_contended(struct spinlock *lock);

static inline void spinlock_lock(struct spinlock *lock)
{
	uint32_t expected = 0;

	platform_preempt_disable();
	lock_order_wait(&lock->mark, lock->name, NULL);
	if (!atomic_compare_exchange_strong_explicit(&lock->holder, &expected, platform_cpu() + 1, memory_order_acquire,
						     memory_order_relaxed))
		spinlock_lock_contended(lock);
	lock_order_begin(&lock->mark, lock->name, NULL);
	hold_begin(&lock->hold);
}

static inline bool spinlock_try_lock(struct spinlock *lock)
{
	uint32_t expected = 0;

	platform_preempt_disable();
	if (atomic_compare_exchange_strong_explicit(&lock->holder, &expected, platform_cpu() + 1, memory_order_acquire,
						    memory_order_relaxed)) {
		lock_order_begin(&lock->mark, lock->name, NULL);
		hold_begin(&lock->hold);
		return true;
	}
	platform_preempt_enable();
	return false;
}

static inline void spinlock_unlock(struct spinlock *lock)
{
	assert(spinlock_is_held(lock));
	hold_end(&lock->hold, lock->name);
	lock_order_end(&lock->mark, NULL);
	atomic_store_explicit(&lock->holder, 0, memory_order_release);
	platform_preempt_enable();
}

/*
 * Lets CPUs that wait for the lock, and more urgent tasks of this CPU, go first, and takes it
 * again. For a holder that takes the lock again and again.
 */
void spinlock_give_way(struct spinlock *lock);

static inline uint64_t spinlock_lock_interrupts(struct spinlock *lock)
{
	uint64_t state = platform_interrupts_save();

	spinlock_lock(lock);
	return state;
}

static inline void spinlock_unlock_interrupts(struct spinlock *lock, uint64_t state)
{
	spinlock_unlock(lock);
	platform_interrupts_restore(state);
}
