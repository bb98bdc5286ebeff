/*
 * Windows with pieces of the guarantee in them. A piece that a request wants to have cleared away is replaced by one elsewhere
 * first; one that is out, or has no other place, is in the way.
 */
#include "guarantee_internal.h"
#include "runtime/base/bits.h"
#include "window.h"

/* The piece stays in the window, and windows that come later leave it out, all of it. */
static void exclude(const struct guarantee *guarantee, struct phys_addr start, uint32_t *obstacles)
{
	const struct window piece = { .start = start, .blocks = guarantee->piece_blocks };

	window_avoid(&guarantee->memory->blocks, &piece);
	++*obstacles;
}

/* The next slot in the range whose piece is out, or is not, from *address on, which goes on behind it; NULL: that was all. */
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

/* Pieces that are out stay. True: there are some. */
static bool is_taken(struct guarantee *guarantee, const struct reclaim_target *target)
{
	uint64_t address = target->lowest.value;
	struct guarantee_slot *slot;
	bool taken = false;

	for (; (slot = next_in(guarantee, target, true, &address)); taken = true) {
		guarantee_reap(guarantee, slot);
		exclude(guarantee, slot->start, target->obstacles);
	}
	return taken;
}

/* Pieces in the range go elsewhere, up to the first one that cannot: there is no place for those behind it, either. */
static uint64_t clear_range(struct guarantee *guarantee, const struct reclaim_target *target)
{
	const struct guarantee_wish wish = {
		.avoid_first = target->lowest,
		.avoid_last = target->highest,
		.deadline_ns = target->deadline_ns,
	};
	uint64_t address = target->lowest.value, given = 0;
	struct guarantee_slot *slot;
	bool no_place = false;

	while (given < target->bytes && (slot = next_in(guarantee, target, false, &address))) {
		const struct phys_addr start = slot->start;

		no_place = no_place || !guarantee_bring(guarantee, &wish);
		if (!no_place)
			given += guarantee_withdraw(guarantee, slot, !target->obstacles);
		if (platform_now_ns() >= target->deadline_ns || (no_place && !target->obstacles))
			break;
		if (target->obstacles && guarantee_slot_at(guarantee, start) == slot)
			exclude(guarantee, start, target->obstacles);
	}
	return given;
}

/*
 * What was lent is cleaned by the lender, which is asked later. What is freed in a window is there for nobody but the request
 * that it was moved away for: who waits for memory is not told, least of all that request itself, whose window may still fail.
 */
uint64_t guarantee_clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct guarantee *guarantee = container_of(self, struct guarantee, cleaner);
	uint64_t given = 0;

	if (block_heap_is_within(&guarantee->memory->blocks, target->lowest, target->highest) ||
	    mutex_lock_until(&guarantee->refill, target->deadline_ns) != STATUS_OK)
		return 0;
	if (!target->obstacles || !is_taken(guarantee, target))
		given = clear_range(guarantee, target);
	mutex_unlock(&guarantee->refill);
	return given;
}
