// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mutex: waits asleep, may be held across sleeps. Only where platform_may_sleep(). Not recursive;
 * released by its owner. Unfair: a running task may overtake one that is being woken.
 */
#pragma once

#include "atomic.h"
#include "lock_order.h"
#include "platform.h"

struct mutex {
	_Atomic uint32_t state;    /* 0 free, 1 held, 2 held, and a task may wait */
	_Atomic uint32_t came;     /* tasks that began to wait, */
	_Atomic uint32_t left;     /* ... and that got the mutex or gave up */
	const void *_Atomic owner; /* platform_task() of the holder */
	const char *name;          /* [I] */
	struct lock_mark mark;     /* lock_order.h */
};

void mutex_init(struct mutex *mutex, const char *name);
void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex);
/* STATUS_TIMEOUT: not held by the caller when `deadline_ns` (platform_now_ns) had passed. */
status_t mutex_lock_until(struct mutex *mutex, uint64_t deadline_ns) MUST_CHECK;
void mutex_unlock(struct mutex *mutex);
/*
 * Lets a waiting task, if there is one, take the mutex first, and locks it again. It waits for that
 * task to run for 1 ms: one of low priority may not get a CPU sooner.
 */
void mutex_pass_on(struct mutex *mutex);
bool mutex_is_held(const struct mutex *mutex); /* by the running task */
