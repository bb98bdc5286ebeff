// SPDX-License-Identifier: BSD-2-Clause
/*
 * The holder chooses the next holder, and makes it the holder in the same hold of the spinlock, so
 * that no task takes the mutex in between. The waiting task sleeps on a word of its own and wakes
 * as the holder.
 */
#include "fair_mutex.h"

#include "runtime/base/assert.h"

struct waiter {
	struct list link;
	const void *task;
	enum urgency urgency;
	unsigned priority;
	bool returns;       /* had the mutex, and passed it on */
	unsigned overtaken; /* since it is first; FAIR_MUTEX_RETURNS or 1 each */
	_Atomic uint32_t given;
};

void fair_mutex_init(struct fair_mutex *mutex, const char *name)
{
	spinlock_init(&mutex->lock, name);
	atomic_init(&mutex->holder, NULL);
	atomic_init(&mutex->wanted, -1);
	mutex->lent = 0;
	list_init(&mutex->line);
	mutex->name = name;
}

bool fair_mutex_is_held(const struct fair_mutex *mutex)
{
	return atomic_load_explicit(&mutex->holder, memory_order_relaxed) == platform_task();
}

/* After each change of the line: recomputes what the waiting tasks want of the holder. */
static void line_changed_locked(struct fair_mutex *mutex)
{
	unsigned priority = 0;
	int wanted = -1;

	list_for_each (link, &mutex->line) {
		const struct waiter *waiter = container_of(link, struct waiter, link);

		wanted = MAX(wanted, (int)waiter->urgency);
		priority = MAX(priority, waiter->priority);
	}
	atomic_store_explicit(&mutex->wanted, wanted, memory_order_relaxed);
	if (priority != mutex->lent)
		platform_lend_priority(atomic_load_explicit(&mutex->holder, memory_order_relaxed), priority);
	mutex->lent = priority;
}

/* Takes the next task out of the line; NULL: the line is empty. */
static struct waiter *take_next_locked(struct fair_mutex *mutex)
{
	const int wanted = atomic_load_explicit(&mutex->wanted, memory_order_relaxed);
	struct waiter *first, *next;

	if (list_is_empty(&mutex->line))
		return NULL;
	first = next = container_of(list_first(&mutex->line), struct waiter, link);
	while ((int)next->urgency != wanted && first->overtaken < FAIR_MUTEX_OVERTAKES * FAIR_MUTEX_RETURNS)
		next = container_of(next->link.next, struct waiter, link);
	if (next != first)
		first->overtaken += next->returns ? 1 : FAIR_MUTEX_RETURNS;
	list_remove(&next->link);
	return next;
}

/*
 * The holder leaves, and, with `again`, joins the line in the same step: otherwise tasks that want
 * the mutex after it might not see it. If no other task is in line, it keeps the mutex: false.
 *
 * The holder's own low priority is restored last, since a low priority could keep it from waking
 * the next task. By then it may have the mutex again, with another priority that it was lent.
 */
static bool hand_over(struct fair_mutex *mutex, struct waiter *again)
{
	struct waiter *next;
	unsigned lent = 0;

	assert(fair_mutex_is_held(mutex));
	spinlock_lock(&mutex->lock);
	next = take_next_locked(mutex);
	if (next || !again) {
		lent = mutex->lent;
		mutex->lent = 0;
		atomic_store_explicit(&mutex->holder, next ? next->task : NULL, memory_order_relaxed);
		if (again)
			list_insert_last(&mutex->line, &again->link);
		line_changed_locked(mutex);
	}
	/* From here on the waiter may be gone; a wake needs only the address. */
	if (next)
		atomic_store_explicit(&next->given, 1, memory_order_release);
	spinlock_unlock(&mutex->lock);
	if (next)
		platform_wake(&next->given);
	if (lent != 0) {
		spinlock_lock(&mutex->lock);
		platform_lend_priority(platform_task(), fair_mutex_is_held(mutex) ? mutex->lent : 0);
		spinlock_unlock(&mutex->lock);
	}
	return next || !again;
}

/* Waits for the mutex. A mutex that is given at the last moment has been taken. */
static status_t wait(struct fair_mutex *mutex, struct waiter *waiter, uint64_t deadline_ns)
{
	while (atomic_load_explicit(&waiter->given, memory_order_acquire) == 0) {
		if (platform_wait(&waiter->given, 0, deadline_ns) != STATUS_TIMEOUT)
			continue;
		spinlock_lock(&mutex->lock);
		const bool leaves = atomic_load_explicit(&waiter->given, memory_order_relaxed) == 0;
		if (leaves) {
			list_remove(&waiter->link);
			line_changed_locked(mutex);
		}
		spinlock_unlock(&mutex->lock);
		if (leaves)
			return STATUS_TIMEOUT;
	}
	return STATUS_OK;
}

static struct waiter waiter_make(enum urgency urgency, bool returns)
{
	return (struct waiter){
		.task = platform_task(),
		.urgency = urgency,
		.priority = platform_priority(),
		.returns = returns,
	};
}

status_t fair_mutex_lock(struct fair_mutex *mutex, enum urgency urgency, uint64_t deadline_ns)
{
	struct waiter waiter = waiter_make(urgency, false);

	assert(platform_may_sleep());
	if (fair_mutex_is_held(mutex))
		platform_panic("%s: its holder takes it twice", mutex->name);
	spinlock_lock(&mutex->lock);
	const bool is_free = !atomic_load_explicit(&mutex->holder, memory_order_relaxed);
	if (is_free)
		atomic_store_explicit(&mutex->holder, waiter.task, memory_order_relaxed);
	else
		list_insert_last(&mutex->line, &waiter.link);
	line_changed_locked(mutex);
	spinlock_unlock(&mutex->lock);
	return is_free ? STATUS_OK : wait(mutex, &waiter, deadline_ns);
}

status_t fair_mutex_pass_on(struct fair_mutex *mutex, enum urgency urgency, uint64_t deadline_ns)
{
	struct waiter waiter = waiter_make(urgency, true);

	return hand_over(mutex, &waiter) ? wait(mutex, &waiter, deadline_ns) : STATUS_OK;
}

void fair_mutex_unlock(struct fair_mutex *mutex)
{
	(void)hand_over(mutex, NULL);
}
