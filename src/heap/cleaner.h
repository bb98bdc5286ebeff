/*
 * Cleaners: whoever holds memory that it can do without registers one, and is asked when a request does not fit.
 *
 * 1. Cleaners are asked in order of cost, and within one cost by preference, lowest first; each for what is still missing. The
 *    engine (memory.h) tries the request again after each, and stops when it fits.
 * 2. A cleaner gives whole blocks to the block heap, within [lowest, highest] only, at most a block above target->bytes, and
 *    returns the bytes that reached it. It is believed only as far as the block heap confirms. It is asked for one block at a
 *    time, or for all of a window; of that it gives a part, if it is wanted elsewhere (reclaim_target_is_wanted).
 * 3. It runs in a task, where platform_may_sleep(), one request at a time. It asks for no memory: the task carries a mark
 *    (platform_is_cleaning), under which an ordinary allocation ends in a panic. What it needs lies in reserves.
 * 4. It never waits for I/O, nor for anybody who does. With may_write it starts writes, says so in *under_way, and gives what
 * has been written when it is asked the next time. It looks at deadline_ns at least once a block.
 * 5. Where a window is to be emptied (target->obstacles), a part of it helps nobody. Whoever cannot give all that it has there,
 *    or finds that somebody before could not, gives nothing of what can be read again, has later windows leave out what is in
 *    the way of its own (window_avoid), and counts it. What only has to be written is written all the same.
 *
 *	cleaner_register(&memory->cleaners, &volume->cleaner);      ... asked from any task ...
 *	cleaner_unregister(&memory->cleaners, &volume->cleaner);    waits until it does not run
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
	CLEANER_HELD,  /* in use by somebody else who has to be asked */
};

struct reclaim_target {
	uint64_t bytes;           /* missing; a multiple of BLOCK_BYTES */
	struct phys_addr lowest;  /* only blocks wholly within [lowest, highest] help */
	struct phys_addr highest; /* last byte */
	uint32_t *obstacles;      /* [lowest, highest] is a window: what is in the way there, so far; NULL: any block helps */
	struct phys_addr wanted;  /* the block that helps most, if no other one is clearly cheaper; 0: none */
	bool exchange;            /* of a window: what lies there moves to blocks that are free, so that nothing is lost */
	bool may_write;           /* it may start I/O */
	bool *under_way;          /* set: I/O is, after which there will be more to give; may be NULL */
	uint64_t deadline_ns;     /* platform_now_ns; PLATFORM_FOREVER: none */
	const struct fair_mutex *turn; /* NULL: nobody waits for it to end */
	enum urgency urgency;          /* of the request */
};

/*
 * Whether somebody is in line who is as urgent as the request: then a cleaner that has given a block ends, and is asked
 * again.
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

/* Everything that can go without I/O, and so many bytes of it. */
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
	 * Gives what has been free since the call before this one, beyond what is retained, and returns the bytes. NULL: it
	 * has no such memory. The background cleaner asks, about once a second; `clean` may run at the same time.
	 */
	uint64_t (*trim)(struct cleaner *self);

	/* For reports; either may be NULL. Any task context. */
	uint64_t (*held_back)(struct cleaner *self); /* bytes that it has and does not give: its retain, its keep */
	/* Logs who has what within [lowest, highest] that it cannot give, such as pages that are mapped. */
	void (*explain)(struct cleaner *self, struct phys_addr lowest, struct phys_addr highest);

	struct list link;          /* [L] in order of (cost, preference) */
	bool leaving;              /* [L] is being unregistered: not asked any more */
	_Atomic uint32_t running;  /* [L] calls under way; the one who unregisters waits on it */
	uint64_t calls;            /* [L] */
	uint64_t asked_bytes;      /* [L] sum of what it was asked for */
	uint64_t claimed_bytes;    /* [L] sum of what it said */
	uint64_t given_bytes;      /* [L] sum of what reached the block heap meanwhile */
	uint64_t last_asked_bytes; /* [L] the same for the last call */
	uint64_t last_given_bytes; /* [L] */
};

struct cleaner_registry {
	struct spinlock lock;
	struct list cleaners; /* [L] */
};

void cleaner_registry_init(struct cleaner_registry *registry);

/* The caller filled in the [I] members and `clean`. Any task context. */
void cleaner_register(struct cleaner_registry *registry, struct cleaner *cleaner);

/*
 * Gives a registered cleaner another place in the order. The caller holds memory->reclaim_lock, so that no request is in the
 * middle of a walk, which might miss it.
 */
void cleaner_set_preference(struct cleaner_registry *registry, struct cleaner *cleaner, unsigned preference);

/* Where platform_may_sleep(), and not from inside this cleaner. Harmless for one that is not registered. */
void cleaner_unregister(struct cleaner_registry *registry, struct cleaner *cleaner);

/*
 * Iteration: the next cleaner in order, held so that it stays registered until it is passed in as `previous` (NULL: start; a
 * walk that ends early calls cleaner_put). NULL: no more.
 */
struct cleaner *cleaner_next(struct cleaner_registry *registry, struct cleaner *previous);
void cleaner_put(struct cleaner_registry *registry, struct cleaner *cleaner);
