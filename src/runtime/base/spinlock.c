// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a CPU does when a spinlock is held: it reads until the lock looks free, and only then tries
 * to take it, so waiting CPUs leave the holder's cache line alone. The fast path is inline, in
 * spinlock.h.
 */
#include "spinlock.h"

#define WAY_LOOKS 16 /* time for a CPU that waits to see that the lock is free */

void spinlock_lock_contended(struct spinlock *lock)
{
	const uint32_t self = platform_cpu() + 1;
	uint32_t expected;

	do {
		uint32_t holder;

		while ((holder = atomic_load_explicit(&lock->holder, memory_order_relaxed)) != 0) {
			if (holder == self)
				platform_panic("spinlock %s: CPU %u takes it twice", lock->name, self - 1);
			platform_cpu_relax();
		}
		expected = 0;
	} while (!atomic_compare_exchange_weak_explicit(&lock->holder, &expected, self, memory_order_acquire,
							memory_order_relaxed));
}

void spinlock_give_way(struct spinlock *lock)
{
	spinlock_unlock(lock);
	for (unsigned i = 0; i < WAY_LOOKS && atomic_load_explicit(&lock->holder, memory_order_relaxed) == 0; i++)
		platform_cpu_relax();
	spinlock_lock(lock);
}
