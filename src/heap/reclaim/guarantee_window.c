// SPDX-License-Identifier: BSD-2-Clause
/*
 * Windows with pieces of the guarantee in them. A piece that a request wants out of its window is
 * first replaced by one elsewhere; a piece that is out, or has no other place, is in the way.
 */
#include "guarantee_internal.h"
#include "heap/block/window.h"
#include "runtime/base/bits.h"

/* Counts a piece that stays in the window, and excludes all its blocks from later windows. */
static void exclude(const struct guarantee *guarantee, struct phys_addr start, uint32_t *unmovable)
{
	const struct window piece = { .start = start, .blocks = guarantee->piece_blocks };

	window_exclude(guarantee->reclaim->blocks, &piece);
	++*unmovable;
}

/*
 * The next slot in the range, from *address on, whose piece is out (`out`) or not; *address moves
 * behind it. NULL: there are no more.
 */
static struct guarantee_slot *next_in(struct guarantee *guarantee, const struct reclaim_target *target, bool out,
				      uint64_t *address)
{
	const uint64_t bytes = guarantee_piece_bytes(guarantee);
	const uint64_t last = MIN(target->highest.value, guarantee->highest.value);
	struct guarantee_slot *slot = NULL;

	for (*address = MAX(*address, guarantee->lowest.value); !slot && *address <= last;
	     *address = align_down(*address, bytes) + bytes) {
		const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

		slot = guarantee_slot_at(guarantee, (struct phys_addr){ *address });
		if (slot && (slot->state == SLOT_OUT) != out)
			slot = NULL;
		spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	}
	return slot;
}

/* Excludes the pieces that are out. True: there are some. */
static bool is_taken(struct guarantee *guarantee, const struct reclaim_target *target)
{
	uint64_t address = target->lowest.value;
	struct guarantee_slot *slot;
	bool taken = false;

	for (; (slot = next_in(guarantee, target, true, &address)); taken = true) {
		guarantee_reap(guarantee, slot);
		exclude(guarantee, slot->start, target->unmovable);
	}
	return taken;
}

/*
 * Moves the pieces of the range elsewhere, up to the first that has no other place: then those
 * behind it have none, either.
 */
static uint64_t clear_range(struct guarantee *guarantee, const struct reclaim_target *target)
{
	const struct loan_request wanted = {
		.avoid_first = target->lowest,
		.avoid_last = target->highest,
		.deadline_ns = target->deadline_ns,
	};
	uint64_t address = target->lowest.value, given = 0;
	struct guarantee_slot *slot;
	bool no_place = false;

	while (given < target->bytes && (slot = next_in(guarantee, target, false, &address))) {
		const struct phys_addr start = slot->start;

		no_place = no_place || !guarantee_bring(guarantee, &wanted);
		if (!no_place)
			given += guarantee_withdraw(guarantee, slot, !target->unmovable);
		if (platform_now_ns() >= target->deadline_ns || (no_place && !target->unmovable))
			break;
		if (target->unmovable && guarantee_slot_at(guarantee, start) == slot)
			exclude(guarantee, start, target->unmovable);
	}
	return given;
}

/*
 * The cleaner. Blocks on loan are given by the donor, which is asked later. Memory that is freed in
 * a window is only for the request whose window it is: waiting requests are not told, least of all
 * that request itself, whose window may still fail.
 */
uint64_t guarantee_clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct guarantee *guarantee = container_of(self, struct guarantee, cleaner);
	uint64_t given = 0;

	if (block_heap_is_within(guarantee->reclaim->blocks, target->lowest, target->highest) ||
	    mutex_lock_until(&guarantee->refill, target->deadline_ns) != STATUS_OK)
		return 0;
	if (!target->unmovable || !is_taken(guarantee, target))
		given = clear_range(guarantee, target);
	mutex_unlock(&guarantee->refill);
	return given;
}
