// SPDX-License-Identifier: BSD-2-Clause
/*
 * A task that works in rounds and sleeps in between: what wakes it, and ends it. What kicks it
 * while it works has it work once more.
 *
 *	uint32_t kicks;
 *
 *	while (worker_begins(&worker, &kicks)) {
 *		... work ...
 *		worker_wait(&worker, kicks, deadline_ns);
 *	}
 *
 * All zero at first. Any context, but for worker_wait: where platform_may_sleep().
 */
#pragma once

#include "atomic.h"
#include "platform.h"

struct worker {
	_Atomic uint32_t kicks;
	_Atomic bool stopping;
};

static inline void worker_kick(struct worker *worker)
{
	atomic_fetch_add(&worker->kicks, 1);
	platform_wake(&worker->kicks);
}

/* Ends its rounds; join its task afterwards. */
static inline void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stopping, true);
	worker_kick(worker);
}

/* False: it has been stopped. */
static inline bool worker_begins(const struct worker *worker, uint32_t *kicks)
{
	*kicks = atomic_load(&worker->kicks);
	return !atomic_load(&worker->stopping);
}

/* Until it is kicked, or the clock shows `deadline_ns`; may end early. */
static inline void worker_wait(struct worker *worker, uint32_t kicks, uint64_t deadline_ns)
{
	(void)platform_wait(&worker->kicks, kicks, deadline_ns);
}
