// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cleaners: a subsystem that holds memory it can do without registers one. Reclaim asks the
 * cleaners when a request does not fit.
 *
 * 1. Reclaim asks in order of cost, and within one cost by preference, lowest first, each for what
 *    is still missing. It tries the request again after each answer, and stops when the request
 *    fits.
 * 2. A cleaner gives whole blocks to the block heap, within [lowest, highest] only and at most one
 *    block more than target->bytes, and returns the bytes that reached it. Reclaim believes that
 *    only as far as the block heap confirms it. A target is one block, or all of a window; of a
 *    window a cleaner gives a part if another request wants the turn (reclaim_target_is_wanted).
 * 3. A cleaner runs in a task, where platform_may_sleep(), for one request at a time. It allocates
 *    nothing: the task carries a mark (platform_is_cleaning) under which an ordinary allocation
 *    ends in a panic. It takes what it needs from reserves.
 * 4. A cleaner never waits for I/O, nor for a task that does. With may_write it starts writes, sets
 *    *under_way, and gives the written memory when it is asked the next time. It looks at
 *    deadline_ns at least once a block.
 * 5. A window (target->unmovable) is of use only as a whole. A cleaner that cannot give all that it
 *    has in the window, or finds that a cleaner before it could not, evicts nothing that can be
 *    read again. It excludes the blocks that are in the way from later windows (window_exclude) and
 *    counts them. It starts writes of dirty memory all the same.
 *
 *	cleaner_register(&reclaim->cleaners, &volume->cleaner);      ... asked from any task ...
 *	cleaner_unregister(&reclaim->cleaners, &volume->cleaner);    waits until it does not run
 *
 * Lock [L]: registry->lock, not held while a cleaner runs.
 */
#pragma once

#include "fair_mutex.h"
#include "runtime/base/list.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/types.h"

enum cleaner_cost {
	CLEANER_FREE,  /* nothing is lost: empty blocks of caching heaps */
	CLEANER_CLEAN, /* cached data that can be read again */
	CLEANER_DIRTY, /* cached data that has to be written first */
	CLEANER_HELD,  /* in use; its user has to be asked for it */
};

struct reclaim_target {
	uint64_t bytes;                /* missing; a multiple of BLOCK_BYTES */
	struct phys_addr lowest;       /* only blocks wholly within [lowest, highest] help */
	struct phys_addr highest;      /* last byte */
	uint32_t *unmovable;           /* of a window: blocks in the way so far; NULL: no window */
	struct phys_addr wanted;       /* helps most, unless another is clearly cheaper; 0: none */
	bool exchange;                 /* of a window: pages move to free blocks, none is lost */
	bool may_write;                /* it may start I/O */
	bool *under_way;               /* set when I/O began that will free memory; or NULL */
	uint64_t deadline_ns;          /* platform_now_ns; PLATFORM_FOREVER: none */
	const struct fair_mutex *turn; /* the lock that turns go by; NULL: no turn to pass on */
	enum urgency urgency;          /* of tasks for which the request passes its turn on, at least */
};

/*
 * Whether a task in line is as urgent as the request: then a cleaner that has given a block
 * returns, and is asked again later.
 */
static inline bool reclaim_target_is_wanted(const struct reclaim_target *target)
{
	return target->turn && fair_mutex_is_wanted(target->turn, target->urgency);
}

/* Whether the block at that address helps. */
static inline bool reclaim_target_has(const struct reclaim_target *target, struct phys_addr block)
{
	return block.value >= target->lowest.value && block.value + (BLOCK_BYTES - 1) <= target->highest.value;
}

/* A target for all memory that can go without I/O. */
extern const struct reclaim_target reclaim_all;

static inline struct reclaim_target reclaim_target_any(uint64_t bytes)
{
	return (struct reclaim_target){ .bytes = bytes, .highest = { UINT64_MAX }, .deadline_ns = PLATFORM_FOREVER };
}

struct cleaner {
	const char *name;       /* [I] */
	enum cleaner_cost cost; /* [I] */
	unsigned preference;    /* [L] lower ones give first */
	uint64_t (*clean)(struct cleaner *self, const struct reclaim_target *target);

	/*
	 * Gives memory that has been free since the call before this one, beyond what is retained,
	 * and returns the bytes. NULL: it has no such memory. The background cleaner calls it about
	 * once a second; `clean` may run at the same time.
	 */
	uint64_t (*trim)(struct cleaner *self);

	/* For reports; either may be NULL. Any task context. */
	uint64_t (*held_back)(struct cleaner *self); /* its retain and cache minimum, in bytes */
	/*
	 * Logs what lies within [lowest, highest] that it cannot give, such as mapped pages, and
	 * whose it is.
	 */
	void (*explain)(struct cleaner *self, struct phys_addr lowest, struct phys_addr highest);

	struct list link;          /* [L] in order of (cost, preference) */
	bool leaving;              /* [L] is being unregistered: not asked any more */
	_Atomic uint32_t running;  /* [L] calls under way; an unregister waits on it */
	uint64_t calls;            /* [L] */
	uint64_t asked_bytes;      /* [L] sum of what it was asked for */
	uint64_t reported_bytes;   /* [L] sum of the bytes that it reported */
	uint64_t given_bytes;      /* [L] sum of what reached the block heap meanwhile */
	uint64_t last_asked_bytes; /* [L] the same for the last call */
	uint64_t last_given_bytes; /* [L] */
};

struct cleaner_registry {
	struct spinlock lock;
	struct list cleaners; /* [L] */
	uint64_t orders;      /* how often the order has changed; under reclaim->lock */
};

void cleaner_registry_init(struct cleaner_registry *registry);

/* The caller filled in the [I] members and `clean`. Any task context. */
void cleaner_register(struct cleaner_registry *registry, struct cleaner *cleaner);

/*
 * Gives a registered cleaner another place in the order. The caller holds reclaim->lock: a
 * request or a drain that has passed it on in the middle of a walk begins the walk anew.
 */
void cleaner_set_preference(struct cleaner_registry *registry, struct cleaner *cleaner, unsigned preference);

/*
 * Waits until the cleaner does not run. Where platform_may_sleep(), and not from inside this
 * cleaner. Does nothing if it is not registered.
 */
void cleaner_unregister(struct cleaner_registry *registry, struct cleaner *cleaner);

/*
 * Iteration: returns the next cleaner in order, which stays registered until it is passed in as
 * `previous` (NULL: start); NULL: no more. A walk that ends early calls cleaner_put.
 */
struct cleaner *cleaner_next(struct cleaner_registry *registry, struct cleaner *previous);
void cleaner_put(struct cleaner_registry *registry, struct cleaner *cleaner);
