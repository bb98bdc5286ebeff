/*
 * Turns: a lock for which tasks stand in line, asleep. Who leaves hands it to the first in line, so none is overtaken. Not
 * recursive. Only where platform_may_sleep().
 */
#pragma once

#include "runtime/base/list.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/status.h"

struct turns {
	struct spinlock lock;
	const void *_Atomic holder; /* platform_task() of who has the turn, or NULL; changes under the lock */
	struct list line;           /* [lock] struct turn of those who wait */
	const char *name;           /* [I] */
};

void turns_init(struct turns *turns, const char *name);

/* STATUS_TIMEOUT: the turn had not come when `deadline_ns` (platform_now_ns) passed; the place in line is given up. */
status_t turns_enter(struct turns *turns, uint64_t deadline_ns) MUST_CHECK;

void turns_leave(struct turns *turns);

/* By the running task. */
bool turns_is_held(const struct turns *turns);
