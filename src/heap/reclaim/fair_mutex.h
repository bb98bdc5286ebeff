// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fair mutex: a lock for which tasks wait asleep, in line. The holder passes it to the next task in
 * line; a task that comes later cannot take it in between.
 *
 * 1. A more urgent task goes before less urgent ones, equally urgent ones go in order of arrival.
 *    But at most FAIR_MUTEX_OVERTAKES tasks overtake the first in line, then it is its turn: none
 *    starves. Of tasks that had the mutex and passed it on, FAIR_MUTEX_RETURNS count as one.
 * 2. A holder with much to do passes the mutex on after each piece of work (fair_mutex_pass_on) if
 *    a task in line is as urgent, and joins the end of the line.
 * 3. The holder runs at least at the highest priority of the tasks in line
 *    (platform_lend_priority). A task in line counts with its own priority: it holds no other mutex
 *    of this kind, which could lend it one.
 *
 * Not recursive. Only where platform_may_sleep(). Lock [FM]: mutex->lock, a leaf.
 */
#pragma once

#include "runtime/base/list.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/status.h"

#define FAIR_MUTEX_OVERTAKES 8
#define FAIR_MUTEX_RETURNS   16

enum urgency {
	URGENCY_BACKGROUND, /* only a background task passes the mutex on for it */
	URGENCY_NORMAL,
	URGENCY_HIGH, /* must not wait */
};

struct fair_mutex {
	struct spinlock lock;
	const void *_Atomic holder; /* [FM] the holder, or NULL; it looks for itself without */
	_Atomic int wanted;         /* [FM] highest urgency in line, -1: none waits; read without */
	unsigned lent;              /* [FM] priority that the holder has from those in line; 0: none */
	struct list line;           /* [FM] tasks that wait, in the order in which they came */
	const char *name;           /* [I] */
};

void fair_mutex_init(struct fair_mutex *mutex, const char *name);

/* STATUS_TIMEOUT: `deadline_ns` (platform_now_ns) had passed; the task has left the line. */
status_t fair_mutex_lock(struct fair_mutex *mutex, enum urgency urgency, uint64_t deadline_ns) MUST_CHECK;

void fair_mutex_unlock(struct fair_mutex *mutex);

/* Gives the mutex to the next in line, and locks it again, behind the tasks that are as urgent. */
status_t fair_mutex_pass_on(struct fair_mutex *mutex, enum urgency urgency, uint64_t deadline_ns) MUST_CHECK;

/* For the holder: whether a task in line is as urgent. */
static inline bool fair_mutex_is_wanted(const struct fair_mutex *mutex, enum urgency urgency)
{
	return atomic_load_explicit(&mutex->wanted, memory_order_relaxed) >= (int)urgency;
}

/* Whether the running task holds the mutex. */
bool fair_mutex_is_held(const struct fair_mutex *mutex);
