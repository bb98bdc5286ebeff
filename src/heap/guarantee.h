/*
 * The guarantee: memory for DMA that is there at any moment, without waiting, in an interrupt handler too. It is kept in pieces
 * of adjacent blocks, each in a slot:
 *
 *	                        .--- take ---> OUT ---.
 *	                        |                     | give
 *	EMPTY --- free blocks --+--> FREE <-----------'
 *	      `-- lent blocks -----> LENT --- take (revokes) ---> OUT
 *	EMPTY <-- released ------ FREE
 *	      <-- taken back ---- LENT
 *
 * 1. A piece that is FREE or LENT is taken by one compare-and-swap on its slot's word. FREE memory lies idle. LENT memory is
 *    used by the lender, a cache, which gives it up in a bounded number of steps without any lock: it is told block by block
 *    after the fact (revoke), and clears away what is left of its own later (settle).
 * 2. Once filled, FREE + LENT + OUT is more than `pieces`: a request succeeds as long as what is out and what is asked for are
 *    within the guarantee, in whole pieces that the limits of the device allow. What is given back counts again at once.
 * 3. Everything else is the keeper's, in a task: it fills empty slots, settles, and where memory is short exchanges FREE pieces
 *    for LENT ones; it brings a new piece in before the old one goes. As the cache turns over, the oldest LENT pieces go back
 *    to it, a block for every two that it begins to refill, and its coldest blocks take their place: so the guarantee is the
 *    cold end of the order of eviction.
 * 4. A request for a run of blocks in which there are FREE or LENT pieces moves the guarantee elsewhere first (a cleaner).
 *
 * Memory that is OUT or FREE belongs to guarantee->owner. Lock [K]: `keeper`, a mutex, over all but taking and giving; behind
 * the reclaim mutex, before the locks of the lender. Whoever holds it does no I/O and starts no reclaim.
 */
#pragma once

#include <stdatomic.h>

#include "block_heap.h"
#include "cleaner.h"
#include "runtime/base/mutex.h"

struct guarantee_slot {
	_Atomic uint32_t word;      /* guarantee_internal.h */
	_Atomic uint64_t start;     /* physical address of the piece; changes under [K] while nobody can take it */
	const void *_Atomic holder; /* OUT: of whom; for reports */
	uint64_t order;             /* [K] the oldest LENT piece goes back first */
};

/* Which blocks are to be lent. */
struct guarantee_wish {
	struct phys_addr avoid_first, avoid_last; /* outside of this range; none: first > last */
	unsigned idle_percent_max;                /* of them lie idle, at most */
	uint64_t deadline_ns;                     /* looked at once a block; PLATFORM_FOREVER: none */
};

/* What a cache that lends blocks does. All but `revoke` are called by one task at a time, and neither do I/O nor reclaim. */
struct guarantee_lender {
	/*
	 * Lends guarantee->piece_blocks adjacent blocks, aligned to their length, of what it would miss least, within the
	 * guarantee's limits. False: there are none just now.
	 */
	bool (*lend)(struct guarantee_lender *self, const struct guarantee_wish *wish, struct phys_addr *start);
	/* How much of a block that it lent lies idle, in percent: who writes to what is cached there moves it out. */
	unsigned (*idle_percent)(struct guarantee_lender *self, struct phys_addr block);
	/* Gets a block back that it lent. */
	void (*take_back)(struct guarantee_lender *self, struct phys_addr block);
	/* The block is somebody else's from now on: nothing read from it afterwards counts. Any context, no lock, a few steps.
	 */
	void (*revoke)(struct guarantee_lender *self, struct phys_addr block);
	/* Forgets a block that was revoked; afterwards it belongs to `owner`. */
	void (*settle)(struct guarantee_lender *self, struct phys_addr block);
};

struct guarantee_config {
	uint64_t bytes;           /* rounded up to whole pieces; 0: no guarantee */
	uint64_t piece_bytes;     /* a power of two, at least BLOCK_BYTES */
	struct phys_addr highest; /* last byte of the memory that it lies in; 0: anywhere */
};

struct guarantee_statistics {
	uint64_t free, lent, out; /* pieces now */
	uint64_t taken;
	uint64_t refused;   /* requests that found no piece */
	uint64_t steps_max; /* slots that one request looked at, at most */
	uint64_t exchanged; /* pieces that were replaced by others */
};

struct memory;

struct guarantee {
	struct memory *memory;
	uint32_t pieces;              /* [I] guaranteed */
	uint32_t count;               /* [I] slots, some more than that */
	uint64_t piece_blocks;        /* [I] */
	struct phys_addr highest;     /* [I] */
	struct guarantee_slot *slots; /* [I] */
	struct owner owner;
	struct mutex keeper;             /* [K] */
	struct guarantee_lender *lender; /* [K] or NULL */
	uint64_t orders;                 /* [K] */
	uint64_t exchanged;              /* [K] */
	uint64_t idle_look_ns;           /* [K] when lent pieces are looked at next for how much lies idle in them */
	struct cleaner cleaner;
	_Atomic uint32_t hint;          /* slot where the next search begins */
	_Atomic uint32_t turned_blocks; /* blocks that the cache has begun to refill since the keeper looked */
	_Atomic uint32_t kick;          /* changes when the keeper has something to do */
	_Atomic bool stopping;
	_Atomic uint64_t taken, refused, steps_max;
};

/*
 * At start-up. Takes what is free at once; the keeper does the rest. STATUS_INVALID: the piece is no power of two of at least a
 * block, or the guarantee is more than half of the memory. STATUS_NO_MEMORY.
 */
status_t guarantee_init(struct guarantee *guarantee, struct memory *memory, const struct guarantee_config *config) MUST_CHECK;

/* Whether no piece is out, nor lent. */
bool guarantee_is_idle(const struct guarantee *guarantee);

/* It is idle. */
void guarantee_fini(struct guarantee *guarantee);

/*
 * The first lender lends, others do not. When it leaves, all that it lent goes back to it first. Where platform_may_sleep().
 */
void guarantee_set_lender(struct guarantee *guarantee, struct guarantee_lender *lender);
void guarantee_clear_lender(struct guarantee *guarantee, struct guarantee_lender *lender);

/* Has all pieces taken back whose first block belongs to `owner`, and settles all that was revoked. Where platform_may_sleep().
 */
void guarantee_recall(struct guarantee *guarantee, const struct owner *owner);

/*
 * Takes a piece, for `bytes` under these constraints from its start on; NULL: there is none that fits. Any context, handlers
 * included; at most two looks at each slot, and one step for each block.
 */
struct guarantee_slot *guarantee_take(struct guarantee *guarantee, const struct block_constraints *constraints, uint64_t bytes,
				      const void *holder);
void guarantee_give(struct guarantee *guarantee, struct guarantee_slot *slot);

/* The slot of a piece that is OUT and begins there; NULL: there is none. */
struct guarantee_slot *guarantee_find(struct guarantee *guarantee, struct phys_addr start);

static inline uint32_t guarantee_index(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	return (uint32_t)(slot - guarantee->slots);
}

static inline struct phys_addr guarantee_start(const struct guarantee_slot *slot)
{
	return (struct phys_addr){ atomic_load_explicit(&slot->start, memory_order_relaxed) };
}

static inline const void *guarantee_holder(const struct guarantee_slot *slot)
{
	return atomic_load_explicit(&slot->holder, memory_order_relaxed);
}

/* The cache has begun to refill another block; what it does so in `lend` does not count. Any task context. */
void guarantee_turn(struct guarantee *guarantee);

/* One round of the keeper; true: it is worth another one soon. Where platform_may_sleep(). */
bool guarantee_keep(struct guarantee *guarantee);

/* The keeper: rounds until guarantee_stop, in a task of its own. */
void guarantee_run(struct guarantee *guarantee);
void guarantee_stop(struct guarantee *guarantee);

void guarantee_statistics(struct guarantee *guarantee, struct guarantee_statistics *statistics);

/* A line on what is free, lent and out. */
void guarantee_print(struct guarantee *guarantee);

/* Checks every invariant; for tests, with nothing under way. */
bool guarantee_is_valid(struct guarantee *guarantee);
