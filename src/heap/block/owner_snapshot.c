// SPDX-License-Identifier: BSD-2-Clause
/*
 * Owner snapshots. Long walks go on without the lock, or release it now and then: blocks may change
 * hands meanwhile, and a report may have a few of them as they were before, and others as they are
 * now.
 */
#include "owner_snapshot.h"

#include "block_search.h"
#include "eviction_cost.h"
#include "runtime/base/format.h"

#define PIECE_BLOCKS 4096u /* counted in one hold of the lock */

/* Inserts the owner in order of size; if there is no room, the smallest falls out. */
static unsigned insert(struct owner_snapshot owners[OWNER_SNAPSHOT_MAX], unsigned count, const struct owner *owner,
		       uint64_t blocks)
{
	unsigned place = MIN(count, OWNER_SNAPSHOT_MAX - 1);

	if (blocks == 0 || (count == OWNER_SNAPSHOT_MAX && owners[place].blocks >= blocks))
		return count;
	for (; place > 0 && owners[place - 1].blocks < blocks; place--)
		owners[place] = owners[place - 1];
	owners[place] = (struct owner_snapshot){ .owner = owner, .blocks = blocks, .movable = owner->movable };
	format_text(owners[place].name, sizeof(owners[place].name), "%s", owner->name);
	return MIN(count + 1, OWNER_SNAPSHOT_MAX);
}

/*
 * Collects the owners with all their blocks, or with those that were counted (`seen`). The heap's
 * lock is held, and released.
 */
static unsigned collect(struct block_heap *heap, bool seen, struct owner_snapshot owners[OWNER_SNAPSHOT_MAX])
{
	unsigned count = 0;

	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);

		count = insert(owners, count, owner, seen ? owner->seen_blocks : owner->blocks);
	}
	spinlock_unlock(&heap->lock);
	return count;
}

unsigned owner_snapshot_get(struct block_heap *heap, struct owner_snapshot owners[OWNER_SNAPSHOT_MAX])
{
	spinlock_lock(&heap->lock);
	return collect(heap, false, owners);
}

unsigned owner_snapshot_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest,
			       struct owner_snapshot owners[OWNER_SNAPSHOT_MAX])
{
	const struct block_range range = block_range_of(heap, lowest, highest);

	spinlock_lock(&heap->lock);
	list_for_each (link, &heap->owners)
		container_of(link, struct owner, link)->seen_blocks = 0;
	for (uint64_t i = range.first; i < range.end; i++) {
		if (heap->blocks[i].owner)
			heap->blocks[i].owner->seen_blocks++;
		if (i % PIECE_BLOCKS == 0)
			spinlock_give_way(&heap->lock);
	}
	return collect(heap, true, owners);
}

#define SEEN_FIXED UINT64_MAX

/*
 * What a block adds to the window's sum when it enters; the same goes when it leaves, even if it
 * has changed.
 */
static uint64_t block_see(const struct block_heap *heap, uint64_t index)
{
	const uint32_t cost = eviction_cost_get(heap, index);

	if (cost == EVICTION_COST_UNUSABLE)
		return SEEN_FIXED;
	return cost == 0 ? 0 : 1ull + atomic_load_explicit(&heap->blocks[index].cost, memory_order_relaxed);
}

/*
 * A block's part of a sum: the upper half counts the blocks that no cleaner can give, which so
 * weigh first; the lower half adds up the cost of the others.
 */
static unsigned __int128 part_of_sum(uint64_t seen)
{
	return seen == SEEN_FIXED ? (unsigned __int128)1 << 64 : seen;
}

bool owner_snapshot_nearest_window(struct block_heap *heap, uint64_t blocks, const struct block_constraints *constraints,
				   struct nearest_window *best)
{
	const struct block_range range = block_range_of(heap, constraints->lowest, constraints->highest);
	unsigned __int128 sum = 0, least = ~sum;
	uint64_t range_start = range.first, start;

	for (uint64_t i = range.first; i < range.end; i++) {
		struct block *block = &heap->blocks[i];

		if (!block->present) {
			range_start = i + 1;
			sum = 0;
			continue;
		}
		block->seen_cost = block_see(heap, i);
		sum += part_of_sum(block->seen_cost);
		if (i + 1 - range_start < blocks)
			continue;
		const uint64_t first = i + 1 - blocks;
		if (sum < least &&
		    block_range_place(heap, (struct block_range){ first, i + 1 }, blocks, constraints, false, &start)) {
			least = sum;
			*best = (struct nearest_window){ block_address(heap, &heap->blocks[first]), (uint64_t)(sum >> 64),
							 (uint64_t)sum };
		}
		sum -= part_of_sum(heap->blocks[first].seen_cost);
	}
	return ~least != 0;
}
