// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the guarantee share; no other file includes it.
 *
 *	guarantee.c		taking, giving and reserving; beginning and end
 *	guarantee_refill.c	filling, loans, exchanging
 *	guarantee_window.c	windows with pieces in them: the cleaner
 *	guarantee_check.c	figures
 */
#pragma once

#include "guarantee.h"
#include "reclaim.h"

enum slot_state {
	SLOT_EMPTY,
	SLOT_IDLE,
	SLOT_LOANED,
	SLOT_OUT,
};

#define GUARANTEE_NONE UINT32_MAX /* no object was given back */

static inline struct phys_addr guarantee_block(struct phys_addr start, uint64_t i)
{
	return (struct phys_addr){ start.value + (i << BLOCK_SHIFT) };
}

/* The number of the place, among all places that a piece can have, that the address lies in. */
static inline uint64_t guarantee_place(const struct guarantee *guarantee, struct phys_addr address)
{
	return (address.value >> guarantee->piece_shift) - (guarantee->lowest.value >> guarantee->piece_shift);
}

/*
 * The slot of the piece that has the address; NULL: there is none. [E] or [K] is held, or the piece
 * is the caller's.
 */
static inline struct guarantee_slot *guarantee_slot_at(const struct guarantee *guarantee, struct phys_addr address)
{
	const uint64_t place = guarantee_place(guarantee, address);
	const uint32_t number = place < guarantee->place_count ? guarantee->places[place] : 0;

	return number == 0 ? NULL : &guarantee->slots[number - 1];
}

/* Revokes the loan. [E] is held. */
void guarantee_revoke_locked(struct guarantee *guarantee, struct guarantee_slot *slot);

/* Brings a piece into the spare slot, idle or on loan. False: there is none. [K] is held. */
bool guarantee_bring(struct guarantee *guarantee, const struct loan_request *wanted);

/*
 * Withdraws the piece of the slot or, if that is out by now, another one, and gives it to the donor
 * or the block heap. There is one piece more than guaranteed, so one is not out. Returns the bytes
 * of this slot that reached the block heap; `tell`: waiting requests are told of them. [K] is held.
 */
uint64_t guarantee_withdraw(struct guarantee *guarantee, struct guarantee_slot *slot, bool tell);

/*
 * Lets the donor forget the piece if it was revoked, and sets the eviction costs of its blocks.
 * Until then a window may take a piece that is out for movable. [K] is held.
 */
void guarantee_reap(struct guarantee *guarantee, struct guarantee_slot *slot);

/* The cleaner: moves pieces out of a range. Takes [K]. */
uint64_t guarantee_clean(struct cleaner *self, const struct reclaim_target *target);
