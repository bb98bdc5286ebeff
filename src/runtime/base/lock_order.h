// SPDX-License-Identifier: BSD-2-Clause
/*
 * The order of locks, held against the code: in debug builds each lock belongs to the class of its
 * name, and the first time that a lock of class B is waited for while one of class A is held, "A
 * before B" becomes a rule. A rule that contradicts those before, over however many classes, is a
 * panic with both places: some interleaving of the two deadlocks, whether or not it came about this
 * time.
 *
 * 1. Spinlocks count for the CPU that holds them, interrupt handlers on it included; mutexes for
 *    the task that does.
 * 2. Locks of one class have no order among themselves here.
 * 3. A lock that is only tried makes no rule, but is held all the same.
 *
 * docs/LOCKING.md has the order that is meant. In other builds all of this is empty. Takes no lock,
 * allocates nothing, any context.
 */
#pragma once

#include "atomic.h"
#include "types.h"

#ifdef WEIR_DEBUG

/* Lies in the lock; zero at first. */
struct lock_mark {
	_Atomic uint16_t lock_class; /* 0: not looked up yet */
};

static inline void lock_order_init(struct lock_mark *mark)
{
	mark->lock_class = 0;
}

/*
 * Before the wait; then once the lock is held; and before it is let go. `task`: of a mutex, the
 * holder; NULL: a spinlock.
 */
void lock_order_wait(struct lock_mark *mark, const char *name, const void *task);
void lock_order_begin(struct lock_mark *mark, const char *name, const void *task);
void lock_order_end(struct lock_mark *mark, const void *task);

#else

struct lock_mark {
	uint8_t none[0]; /* so that it has no size in C++ either */
};

static inline void lock_order_init(struct lock_mark *mark)
{
	(void)mark;
}

static inline void lock_order_wait(struct lock_mark *mark, const char *name, const void *task)
{
	(void)mark, (void)name, (void)task;
}

static inline void lock_order_begin(struct lock_mark *mark, const char *name, const void *task)
{
	(void)mark, (void)name, (void)task;
}

static inline void lock_order_end(struct lock_mark *mark, const void *task)
{
	(void)mark, (void)task;
}

#endif
