// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guarantee: DMA memory that is there at any moment, without waiting, in interrupt handlers
 * too. It consists of pieces of adjacent blocks, each in a slot:
 *
 *	                          .---- take ----> OUT ----.
 *	                          |                        | the last object of the piece is given back
 *	EMPTY --- free blocks ----+--> IDLE <--------------'
 *	      '-- a loan ----------> LOANED --- take (revokes) ---> OUT
 *
 * 1. Reserved first. `pieces` pieces are guaranteed. An account counts `reserved` and `out` pieces:
 *    there is one for each device that has reserved some, and a common one. Pieces that no account
 *    has reserved, or has out beyond its reservation, are `unreserved`: unreserved = pieces - sum
 *    of max(reserved, out). A take within a reservation succeeds; a take beyond it succeeds while a
 *    piece is unreserved.
 * 2. Then found. IDLE + LOANED pieces >= pieces - all that is out, at any moment. So a take that
 *    has been counted finds a piece at the head of a list. Idle pieces lie unused. Loaned ones are
 *    used by a donor, a cache, which loses them in a bounded number of steps and clears its own
 *    records away later (reap).
 * 3. Objects smaller than a piece are powers of two from 4 KB on; objects of one size and account
 *    share pieces. A piece counts as out from its first object to its last; a new piece is opened
 *    only when all open pieces of that size are full.
 * 4. A give counts at once. Takes, gives and reservations are atomic, each one short section under
 *    [E], and cost the same for 64 MB and 64 GB.
 * 5. The refill task does all else. It reaps revoked pieces, sets the eviction costs of their
 *    blocks for windows, replaces idle pieces by loans while memory is short, and moves pieces out
 *    of windows. It brings a new piece into the spare slot before it withdraws an old one; if the
 *    old one has been taken meanwhile, it withdraws another piece that is not out. As the cache
 *    turns over, so do the loans: the oldest go back to the cache, and its coldest blocks take
 *    their place. So the guarantee is the cold end of the order of eviction.
 * 6. Beside each 4 KB of a piece lie GUARANTEE_RECORD_BYTES of a record, for the holder of the
 *    object in that memory.
 *
 * Memory that is IDLE or OUT belongs to guarantee->owner. Locks: [E] `lock`, a leaf, held with
 * interrupts off, for the blocks of one piece at most. [K] `refill`, a mutex, over everything but
 * taking, giving and reserving; behind the reclaim mutex, before the donor's locks. Its holder does
 * no I/O and starts no reclaim; the refill task and a recall pass it on after each piece.
 */
#pragma once

#include "cleaner.h"
#include "heap/block/block_heap.h"
#include "runtime/base/atomic.h"
#include "runtime/base/device.h"
#include "runtime/base/heap.h"
#include "runtime/base/mutex.h"
#include "runtime/base/worker.h"

#define GUARANTEE_OBJECT_SHIFT 12 /* the smallest object */
#define GUARANTEE_SIZES        32 /* powers of two from there on; a piece is one of them */
#define GUARANTEE_RECORD_BYTES 128
#define GUARANTEE_IDLE_PERCENT 10 /* of a loan may lie idle; one with more is replaced by another */

struct guarantee_account {
	struct list link;                  /* [E] */
	const struct device *device;       /* [E] NULL: the reservation has ended or is ending */
	uint32_t reserved, out;            /* [E] pieces */
	struct list open[GUARANTEE_SIZES]; /* [E] pieces with room, by size of object */
};

struct guarantee_slot {
	struct list link;                  /* [E] in the list of its state, or in account->open[] */
	struct list due;                   /* [E] in guarantee->due, or in no list */
	struct phys_addr start;            /* [E] changes under [K] only */
	char *records;                     /* [I] records of the objects in the piece */
	struct guarantee_account *account; /* [E] OUT: the account that has it */
	uint32_t used;                     /* [E] OUT: objects */
	uint32_t fresh;                    /* [E] OUT: objects from this one on were never given */
	uint32_t returned;                 /* [E] OUT: given back last; others follow in the records */
	uint8_t state;                     /* [E] guarantee_internal.h */
	uint8_t shift;                     /* [E] OUT: objects of 1 << shift bytes */
	bool revoked;                      /* [E] its donor still has records of it */
};

/* A loan request: which blocks the guarantee wants to borrow. */
struct loan_request {
	struct phys_addr avoid_first, avoid_last; /* not in this range; first > last: any */
	uint64_t deadline_ns;                     /* looked at once a block; PLATFORM_FOREVER: none */
};

/*
 * The donor: what a cache does that loans blocks. One task at a time calls all but `revoke`; none
 * of these does I/O or reclaim.
 */
struct guarantee_donor {
	/*
	 * Loans guarantee->piece_blocks adjacent blocks, aligned to their length, within the
	 * guarantee's limits: those that the cache would miss least, of which at most
	 * GUARANTEE_IDLE_PERCENT lie idle. False: there are none just now.
	 */
	bool (*loan)(struct guarantee_donor *self, const struct loan_request *wanted, struct phys_addr *start);
	/*
	 * How much of a loaned block lies idle, in percent: a write to a page that is cached there
	 * moves it out. [E] is held.
	 */
	unsigned (*idle_percent)(struct guarantee_donor *self, struct phys_addr block);
	/* Gets a loaned block back. */
	void (*recall)(struct guarantee_donor *self, struct phys_addr block);
	/*
	 * Another holder has the block from now on: copies that were read from it afterwards do not
	 * count. Any context, no lock, a few steps.
	 */
	void (*revoke)(struct guarantee_donor *self, struct phys_addr block);
	/* Forgets a revoked block; afterwards the block belongs to `owner`. */
	void (*reap)(struct guarantee_donor *self, struct phys_addr block);
};

struct guarantee_config {
	uint64_t bytes;           /* rounded up to whole pieces; 0: no guarantee */
	uint64_t piece_bytes;     /* a power of two, at least BLOCK_BYTES */
	struct phys_addr highest; /* last byte of the memory that it lies in; 0: anywhere */
};

struct guarantee_statistics {
	uint64_t loaned, out, free; /* pieces now */
	uint64_t unreserved;        /* pieces that may be taken beyond reservations */
	uint64_t taken;             /* objects */
	uint64_t refused;
	uint64_t steps_max; /* the most slots and blocks that one take touched */
	uint64_t exchanged; /* pieces that were replaced by others */
};

struct reclaim;

struct guarantee {
	struct reclaim *reclaim;            /* [I] */
	struct heap *heap;                  /* [I] of its tables */
	uint32_t pieces;                    /* [I] guaranteed */
	uint64_t piece_blocks;              /* [I] */
	unsigned piece_shift;               /* [I] a piece has 1 << piece_shift bytes */
	struct phys_addr lowest, highest;   /* [I] first and last byte of the memory that it lies in */
	struct guarantee_slot *slots;       /* [I] one more than pieces; NULL: no guarantee */
	struct guarantee_account *accounts; /* [I] as many as pieces: an account in use has one */
	uint32_t *places;                   /* [E] from `lowest` on: 1 + the slot of the piece there, or 0 */
	uint64_t place_count;               /* [I] */
	struct owner owner;

	struct spinlock lock;               /* [E] */
	struct list idle, loaned;           /* [E] slots; the oldest first */
	struct list due;                    /* [E] slots that were taken or given since the refill task looked */
	bool rested;                        /* [E] `due` was empty; not woken since */
	struct list reserving, unused;      /* [E] accounts */
	struct guarantee_account common;    /* [E] */
	struct guarantee_statistics counts; /* [E] but for `free`, which is derived */

	struct mutex refill;           /* [K] */
	struct guarantee_slot *spare;  /* [K] the EMPTY slot; NULL during an exchange */
	struct guarantee_donor *donor; /* [K] or NULL */
	uint64_t idle_look_ns;         /* [K] when loans are next checked for idle memory */
	uint32_t idle_look;            /* [K] the slot where that check begins */
	struct cleaner cleaner;
	_Atomic uint32_t turned_blocks; /* blocks that the cache began to refill lately */
	struct worker worker;           /* the refill task */
};

/*
 * At start-up. Pieces that do not fit into the memory that is free then are not guaranteed, and the
 * log says so. STATUS_INVALID: the piece is no power of two of at least a block, or the guarantee
 * is more than half of the memory. STATUS_NO_MEMORY.
 */
status_t guarantee_init(struct guarantee *guarantee, struct reclaim *reclaim, struct heap *heap,
			const struct guarantee_config *config) MUST_CHECK;

/* Whether no piece is out, and no cache is a donor. */
bool guarantee_is_idle(const struct guarantee *guarantee);

/* The guarantee is idle. */
void guarantee_fini(struct guarantee *guarantee);

/*
 * The first cache that registers is the donor, others are not. When it leaves, all loaned blocks
 * belong to the guarantee. Where platform_may_sleep().
 */
void guarantee_set_donor(struct guarantee *guarantee, struct guarantee_donor *donor);
void guarantee_clear_donor(struct guarantee *guarantee, struct guarantee_donor *donor);

/*
 * Revokes all loans whose first block belongs to `owner`, so that they belong to the guarantee, and
 * reaps all revoked pieces. No more blocks of that owner are loaned. Where platform_may_sleep().
 */
void guarantee_recall(struct guarantee *guarantee, const struct owner *owner);

/*
 * Reserves whole pieces, at least `bytes` together, for the device, beside those that it has
 * reserved before. Where platform_may_sleep(). STATUS_INVALID: 0 bytes. STATUS_RANGE: the device
 * does not reach all of the guarantee. STATUS_NO_MEMORY: less is unreserved.
 */
status_t guarantee_reserve(struct guarantee *guarantee, const struct device *device, uint64_t bytes) MUST_CHECK;

/*
 * The device's reservation ends when its last piece is back: at once, if none is out. Does nothing
 * without a reservation. Any context.
 */
void guarantee_end_reservation(struct guarantee *guarantee, const struct device *device);

/* Whether the device reaches all memory of the guarantee, so that any piece serves it. */
static inline bool guarantee_is_reached(const struct guarantee *guarantee, const struct device *device)
{
	return device->dma_lowest <= guarantee->lowest.value && device->dma_mask >= guarantee->highest.value;
}

/*
 * A take, and the holder's first use of the record, are one section under [E]. The end of the
 * section wakes the refill task if a slot is due for the first time since that task looked. Any
 * context.
 */
static inline uint64_t guarantee_lock(struct guarantee *guarantee)
{
	return spinlock_lock_interrupts(&guarantee->lock);
}

static inline void guarantee_unlock(struct guarantee *guarantee, uint64_t interrupts)
{
	const bool wake = guarantee->rested && !list_is_empty(&guarantee->due);

	if (wake)
		guarantee->rested = false;
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (wake)
		worker_kick(&guarantee->worker);
}

/*
 * Takes one object of at least `bytes`, the next power of two, aligned to its length. If `bytes` is
 * more than a piece, this step counts as many pieces as that takes, and finds the first;
 * guarantee_take_next finds each of the others. `beyond`: unreserved pieces may be taken, too.
 * Returns the object's record, GUARANTEE_RECORD_BYTES for each 4 KB; NULL: all that may be taken is
 * out. A bounded number of steps. [E] is held.
 */
void *guarantee_take_locked(struct guarantee *guarantee, const struct device *device, uint64_t bytes, bool beyond,
			    struct phys_addr *start) MUST_CHECK;
struct phys_addr guarantee_take_next(struct guarantee *guarantee, struct phys_addr first); /* any context */

/*
 * Gives back an object or a piece. Any context. To give back what is not out is a bug, and panics,
 * unless the piece is out for other objects and this object was given back before: only the holder
 * of its record can see that, as dma_free does.
 */
void guarantee_give(struct guarantee *guarantee, struct phys_addr start);
void guarantee_give_locked(struct guarantee *guarantee, struct phys_addr start);

/*
 * The cache has begun to refill another block; blocks that it begins in `loan` do not count. Any
 * task context.
 */
void guarantee_turn(struct guarantee *guarantee);

/*
 * One round of the refill task; true: another one soon is worthwhile. Where platform_may_sleep().
 */
bool guarantee_refill(struct guarantee *guarantee);

/* The refill task: rounds until its worker is stopped. */
void guarantee_run(struct guarantee *guarantee);

struct guarantee_statistics guarantee_statistics(struct guarantee *guarantee);

/* Prints how many pieces are free, loaned and out, and a line for each reservation. */
void guarantee_print(struct guarantee *guarantee);

static inline uint64_t guarantee_piece_bytes(const struct guarantee *guarantee)
{
	return guarantee->piece_blocks << BLOCK_SHIFT;
}

/* Whether a loan that starts there lies where the guarantee wants it. */
static inline bool guarantee_admits(const struct guarantee *guarantee, const struct loan_request *wanted,
				    struct phys_addr start)
{
	return start.value + guarantee_piece_bytes(guarantee) - 1 <= guarantee->highest.value &&
	       (start.value > wanted->avoid_last.value ||
		start.value + guarantee_piece_bytes(guarantee) <= wanted->avoid_first.value);
}

/* All that is guaranteed. */
static inline uint64_t guarantee_total_bytes(const struct guarantee *guarantee)
{
	return guarantee->pieces * guarantee_piece_bytes(guarantee);
}
