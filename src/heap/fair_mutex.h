/*
 * Fair mutex: a lock for which tasks stand in line, asleep. Its holder passes it on; nobody takes it from those in line.
 *
 * 1. A more urgent task goes before less urgent ones, equally urgent ones go in the order in which they came. But the first in
 *    line is overtaken by FAIR_MUTEX_OVERTAKES others at most, then it is its turn: none starves. Of those that had the mutex
 *    and passed it on, FAIR_MUTEX_RETURNS count as one.
 * 2. A holder with much to do passes the mutex on after each piece of work (fair_mutex_pass_on), if somebody in line is as
 *    urgent, and stands in line again, at its end.
 * 3. The holder runs at the priority of the highest of those in line, at least (platform_lend_priority). A task in line counts
 *    with its own priority: it holds no other mutex of this kind, which could lend it one.
 *
 * Not recursive. Only where platform_may_sleep(). Lock [L]: mutex->lock, a leaf.
 */
#pragma once

#include "runtime/base/list.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/status.h"

#define FAIR_MUTEX_OVERTAKES 8
#define FAIR_MUTEX_RETURNS   16

enum urgency {
	URGENCY_BACKGROUND, /* makes nobody pass the mutex on who is not in the background as well */
	URGENCY_NORMAL,
	URGENCY_HIGH, /* must not wait */
};

struct fair_mutex {
	struct spinlock lock;
	const void *_Atomic holder; /* [L] platform_task() of the holder, or NULL; a task may look for itself without */
	_Atomic int wanted;         /* [L] urgency of the most urgent in line, -1: nobody waits; read without */
	unsigned lent;              /* [L] priority that the holder has from those in line; 0: none */
	struct list line;           /* [L] tasks that wait, in the order in which they came */
	const char *name;           /* [I] */
};

void fair_mutex_init(struct fair_mutex *mutex, const char *name);

/* STATUS_TIMEOUT: not held when `deadline_ns` (platform_now_ns) had passed; the place in line is given up. */
status_t fair_mutex_lock(struct fair_mutex *mutex, enum urgency urgency, uint64_t deadline_ns) MUST_CHECK;

void fair_mutex_unlock(struct fair_mutex *mutex);

/* Gives the mutex to the next in line, and locks it again, behind those who are as urgent. */
status_t fair_mutex_pass_on(struct fair_mutex *mutex, enum urgency urgency, uint64_t deadline_ns) MUST_CHECK;

/* By the holder: whether somebody waits who is as urgent. */
static inline bool fair_mutex_is_wanted(const struct fair_mutex *mutex, enum urgency urgency)
{
	return atomic_load_explicit(&mutex->wanted, memory_order_relaxed) >= (int)urgency;
}

/* By the running task. */
bool fair_mutex_is_held(const struct fair_mutex *mutex);
