/*
 * What the files of the guarantee share; nobody else includes it.
 *
 *	guarantee.c		taking and giving; beginning and end
 *	guarantee_keeper.c	filling, lending, exchanging; runs with pieces in them
 *	guarantee_check.c	figures, and the walker
 */
#pragma once

#include "guarantee.h"
#include "memory.h"

/* A new piece comes in before an old one goes, and one more than guaranteed is there while that happens. */
#define GUARANTEE_SPARE_SLOTS  2
#define GUARANTEE_SPARE_PIECES 1

/*
 * The word of a slot: its state; UNSETTLED, when its blocks were revoked and the lender has not forgotten them yet; and a
 * number that changes with every state, so that whoever looked at the start of a piece takes that piece or none.
 */
enum slot_state {
	SLOT_EMPTY,
	SLOT_KEPT, /* the keeper is changing it */
	SLOT_FREE,
	SLOT_LENT,
	SLOT_OUT,
};

#define SLOT_STATE     0x7u
#define SLOT_UNSETTLED 0x8u
#define SLOT_NUMBER    0x10u

static inline uint32_t guarantee_word(const struct guarantee_slot *slot)
{
	return atomic_load_explicit(&slot->word, memory_order_acquire);
}

static inline enum slot_state guarantee_state(uint32_t word)
{
	return (enum slot_state)(word & SLOT_STATE);
}

static inline uint32_t guarantee_word_with(uint32_t word, enum slot_state state, uint32_t set)
{
	return ((word + SLOT_NUMBER) & ~SLOT_STATE) | (uint32_t)state | set;
}

/* One try. */
static inline bool guarantee_change(struct guarantee_slot *slot, uint32_t word, enum slot_state state, uint32_t set)
{
	return atomic_compare_exchange_strong(&slot->word, &word, guarantee_word_with(word, state, set));
}

static inline uint64_t guarantee_piece_bytes(const struct guarantee *guarantee)
{
	return guarantee->piece_blocks << BLOCK_SHIFT;
}

static inline struct phys_addr guarantee_block(struct phys_addr start, uint64_t i)
{
	return (struct phys_addr){ start.value + (i << BLOCK_SHIFT) };
}

/* The keeper has something to do. */
static inline void guarantee_wake_keeper(struct guarantee *guarantee)
{
	atomic_fetch_add(&guarantee->kick, 1);
	platform_wake(&guarantee->kick);
}

/* Sets what the blocks of the piece at `start` cost a window. */
void guarantee_set_cost(struct guarantee *guarantee, struct phys_addr start, uint32_t cost);

/* Fills empty slots, as far as there is memory. */
void guarantee_fill_locked(struct guarantee *guarantee);

/*
 * Empties the slot, if it is in this state: its blocks are the lender's again, or the memory's; returns the bytes that reached
 * the block heap, of which nobody has been told yet.
 */
uint64_t guarantee_release_locked(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state);

/* Has the lender forget all that was revoked. */
void guarantee_settle_locked(struct guarantee *guarantee);

/* The cleaner: moves pieces out of a range. Takes [K]. */
uint64_t guarantee_clean(struct cleaner *self, const struct reclaim_target *target);
