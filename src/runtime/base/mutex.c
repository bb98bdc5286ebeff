// SPDX-License-Identifier: BSD-2-Clause
/*
 * One word says free, held, or held with waiters. Only the last state makes unlock wake a task, so
 * a lock that no other task wants costs one atomic operation to take and one to release.
 */
#include "mutex.h"

#include "assert.h"

enum { FREE, HELD, CONTENDED };

void mutex_init(struct mutex *mutex, const char *name)
{
	atomic_init(&mutex->state, FREE);
	atomic_init(&mutex->owner, NULL);
	mutex->name = name;
	lock_order_init(&mutex->mark);
}

static void take(struct mutex *mutex)
{
	atomic_store_explicit(&mutex->owner, platform_task(), memory_order_relaxed);
	lock_order_begin(&mutex->mark, mutex->name, platform_task());
}

bool mutex_try_lock(struct mutex *mutex)
{
	uint32_t expected = FREE;

	if (!atomic_compare_exchange_strong_explicit(&mutex->state, &expected, HELD, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	take(mutex);
	return true;
}

status_t mutex_lock_until(struct mutex *mutex, uint64_t deadline_ns)
{
	assert(platform_may_sleep());
	lock_order_wait(&mutex->mark, mutex->name, platform_task());
	if (mutex_try_lock(mutex))
		return STATUS_OK;
	if (mutex_is_held(mutex))
		platform_panic("mutex %s: its owner takes it twice", mutex->name);
	/* From here on the state says that a task may wait, so the holder's unlock wakes. */
	while (atomic_exchange_explicit(&mutex->state, CONTENDED, memory_order_acquire) != FREE) {
		if (platform_wait(&mutex->state, CONTENDED, deadline_ns) == STATUS_TIMEOUT)
			return STATUS_TIMEOUT;
	}
	take(mutex);
	return STATUS_OK;
}

void mutex_lock(struct mutex *mutex)
{
	while (mutex_lock_until(mutex, PLATFORM_FOREVER) != STATUS_OK)
		;
}

void mutex_unlock(struct mutex *mutex)
{
	assert(mutex_is_held(mutex));
	lock_order_end(&mutex->mark, platform_task());
	atomic_store_explicit(&mutex->owner, NULL, memory_order_relaxed);
	if (atomic_exchange_explicit(&mutex->state, FREE, memory_order_release) == CONTENDED)
		platform_wake(&mutex->state);
}

/*
 * The waiting task may reach its deadline instead of taking the mutex, so the wait here has a
 * limit.
 */
void mutex_pass_on(struct mutex *mutex)
{
	if (atomic_load_explicit(&mutex->state, memory_order_relaxed) != CONTENDED)
		return;
	mutex_unlock(mutex);
	(void)platform_wait(&mutex->state, FREE, platform_now_ns() + NS_PER_MS);
	mutex_lock(mutex);
}

bool mutex_is_held(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == platform_task();
}
