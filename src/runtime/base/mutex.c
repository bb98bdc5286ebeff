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
	atomic_init(&mutex->came, 0);
	atomic_init(&mutex->left, 0);
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

/* From here on the state says that a task may wait, so the holder's unlock wakes. */
static status_t wait_for(struct mutex *mutex, uint64_t deadline_ns)
{
	status_t status = STATUS_OK;

	atomic_fetch_add(&mutex->came, 1);
	while (status != STATUS_TIMEOUT && atomic_exchange_explicit(&mutex->state, CONTENDED, memory_order_acquire) != FREE)
		status = platform_wait(&mutex->state, CONTENDED, deadline_ns);
	atomic_fetch_add(&mutex->left, 1);
	platform_wake(&mutex->left);
	return status == STATUS_TIMEOUT ? status : STATUS_OK;
}

status_t mutex_lock_until(struct mutex *mutex, uint64_t deadline_ns)
{
	assert(platform_may_sleep());
	lock_order_wait(&mutex->mark, mutex->name, platform_task());
	if (mutex_try_lock(mutex))
		return STATUS_OK;
	if (mutex_is_held(mutex))
		platform_panic("mutex %s: its owner takes it twice", mutex->name);
	if (wait_for(mutex, deadline_ns) != STATUS_OK)
		return STATUS_TIMEOUT;
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

void mutex_pass_on(struct mutex *mutex)
{
	const uint32_t left = atomic_load(&mutex->left);
	uint64_t deadline_ns;

	if (atomic_load(&mutex->came) == left)
		return;
	deadline_ns = platform_now_ns() + NS_PER_MS;
	mutex_unlock(mutex);
	while (atomic_load(&mutex->left) == left && platform_wait(&mutex->left, left, deadline_ns) == STATUS_OK)
		;
	mutex_lock(mutex);
}

bool mutex_is_held(const struct mutex *mutex)
{
	return atomic_load_explicit(&mutex->owner, memory_order_relaxed) == platform_task();
}
