// SPDX-License-Identifier: BSD-2-Clause
/*
 * Wait and wake by address, for platform.h. Waiters lie on their own stacks, in the bucket that the
 * address hashes to.
 *
 * A waiter counts itself in its bucket before it looks at the word, and a waker changes the word
 * before it looks at the count (both sequentially consistent): one of the two sees the other.
 * Bucket locks are taken with interrupts off, before those of run queues.
 */
#include "wait.h"

#include "clock.h"
#include "cpu.h"
#include "runtime/base/assert.h"
#include "runtime/base/list.h"
#include "runtime/base/spinlock.h"
#include "scheduler.h"
#include "timer.h"

#define BUCKET_BITS 8

struct bucket {
	struct spinlock lock;
	_Atomic uint32_t count;
	struct list waiters; /* [lock] in order of arrival */
} __attribute__((aligned(64)));

struct waiter {
	struct list link;             /* [bucket's lock] */
	const _Atomic uint32_t *word; /* [I] */
	struct task *task;            /* [I] */
	bool woken;                   /* [bucket's lock] and out of the list */
	struct timer timer;
};

static struct bucket buckets[1u << BUCKET_BITS];

static struct bucket *bucket_of(const _Atomic uint32_t *word)
{
	return &buckets[((uintptr_t)word >> 2) * 0x9e3779b97f4a7c15ull >> (64 - BUCKET_BITS)];
}

void wait_init(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(buckets); i++) {
		spinlock_init(&buckets[i].lock, "wait bucket");
		list_init(&buckets[i].waiters);
	}
}

static void deadline_passed(struct timer *timer)
{
	struct cpu_set kicks = { 0 };

	scheduler_wake(container_of(timer, struct waiter, timer)->task, &kicks);
	scheduler_kick(&kicks);
}

/*
 * Waits in the bucket, where the waiter is already; interrupts are off. Returns whether it was
 * woken.
 */
static bool wait_in(struct bucket *bucket, struct waiter *waiter, uint64_t deadline_ns)
{
	bool woken;

	if (deadline_ns != PLATFORM_FOREVER) {
		timer_init(&waiter->timer, deadline_passed);
		timer_start(&waiter->timer, deadline_ns);
	}
	scheduler_wait();
	if (deadline_ns != PLATFORM_FOREVER)
		timer_cancel(&waiter->timer);
	spinlock_lock(&bucket->lock);
	woken = waiter->woken;
	if (!woken)
		list_remove(&waiter->link);
	spinlock_unlock(&bucket->lock);
	return woken;
}

status_t wait_on(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct bucket *bucket = bucket_of(word);
	struct waiter waiter = { .word = word, .task = cpu_current_task() };
	uint64_t state;
	bool woken = true;

	assert(platform_may_sleep());
	state = spinlock_lock_interrupts(&bucket->lock);
	atomic_fetch_add(&bucket->count, 1);
	if (atomic_load(word) == expected) {
		list_insert_last(&bucket->waiters, &waiter.link);
		scheduler_prepare_wait();
		spinlock_unlock(&bucket->lock);
		woken = wait_in(bucket, &waiter, deadline_ns);
	} else {
		spinlock_unlock(&bucket->lock);
	}
	atomic_fetch_sub(&bucket->count, 1);
	platform_interrupts_restore(state);
	return !woken && clock_now_ns() >= deadline_ns ? STATUS_TIMEOUT : STATUS_OK;
}

void wait_wake(const _Atomic uint32_t *word)
{
	struct bucket *bucket = bucket_of(word);
	struct cpu_set kicks = { 0 };
	uint64_t state;

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&bucket->count) == 0)
		return;
	state = platform_interrupts_save();
	spinlock_lock(&bucket->lock);
	list_for_each_safe (link, &bucket->waiters) {
		struct waiter *waiter = container_of(link, struct waiter, link);

		if (waiter->word == word) {
			list_remove(link);
			waiter->woken = true;
			scheduler_wake(waiter->task, &kicks);
		}
	}
	spinlock_unlock(&bucket->lock);
	scheduler_kick(&kicks);
	platform_interrupts_restore(state);
}
