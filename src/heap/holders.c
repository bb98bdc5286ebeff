// SPDX-License-Identifier: BSD-2-Clause
/*
 * Owner snapshots. Long walks go on without the lock, or release it now and then: blocks may change
 * hands meanwhile, and a report may have a few of them as they were before, and others as they are
 * now.
 */
#include "holders.h"

#include "block_search.h"
#include "runtime/base/format.h"
#include "weights.h"

#define PIECE_BLOCKS 4096u /* counted in one hold of the lock */

/* Inserts the owner in order of size; if there is no room, the smallest falls out. */
static unsigned insert(struct holder holders[HOLDERS_MAX], unsigned count, const struct owner *owner, uint64_t blocks)
{
	unsigned place = MIN(count, HOLDERS_MAX - 1);

	if (blocks == 0 || (count == HOLDERS_MAX && holders[place].blocks >= blocks))
		return count;
	for (; place > 0 && holders[place - 1].blocks < blocks; place--)
		holders[place] = holders[place - 1];
	holders[place] = (struct holder){ .owner = owner, .blocks = blocks, .movable = owner->movable };
	format_text(holders[place].name, sizeof(holders[place].name), "%s", owner->name);
	return MIN(count + 1, HOLDERS_MAX);
}

/*
 * Collects the owners with all their blocks, or with those that were counted (`seen`). The heap's
 * lock is held, and released.
 */
static unsigned collect(struct block_heap *heap, bool seen, struct holder holders[HOLDERS_MAX])
{
	unsigned count = 0;

	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);

		count = insert(holders, count, owner, seen ? owner->seen_blocks : owner->blocks);
	}
	spinlock_unlock(&heap->lock);
	return count;
}

unsigned holders_get(struct block_heap *heap, struct holder holders[HOLDERS_MAX])
{
	spinlock_lock(&heap->lock);
	return collect(heap, false, holders);
}

unsigned holders_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest,
			struct holder holders[HOLDERS_MAX])
{
	const struct span span = span_of(heap, lowest, highest);

	spinlock_lock(&heap->lock);
	list_for_each (link, &heap->owners)
		container_of(link, struct owner, link)->seen_blocks = 0;
	for (uint64_t i = span.first; i < span.end; i++) {
		if (heap->blocks[i].owner)
			heap->blocks[i].owner->seen_blocks++;
		if (i % PIECE_BLOCKS == 0)
			spinlock_give_way(&heap->lock);
	}
	return collect(heap, true, holders);
}

#define SEEN_FIXED UINT64_MAX

/*
 * What a block adds to the window's sum when it enters; the same goes when it leaves, even if it
 * has changed.
 */
static uint64_t block_see(const struct block_heap *heap, uint64_t index)
{
	const uint32_t weight = weights_get(heap, index);

	if (weight == WEIGHT_UNUSABLE)
		return SEEN_FIXED;
	return weight == 0 ? 0 : 1ull + atomic_load_explicit(&heap->blocks[index].cost, memory_order_relaxed);
}

/*
 * A block's part of a sum: the upper half counts the blocks that no cleaner can give, which so
 * weigh first; the lower half adds up the cost of the others.
 */
static unsigned __int128 part_of_sum(uint64_t seen)
{
	return seen == SEEN_FIXED ? (unsigned __int128)1 << 64 : seen;
}

bool holders_best_window(struct block_heap *heap, uint64_t blocks, const struct block_constraints *constraints,
			 struct stretch *best)
{
	const struct span span = span_of(heap, constraints->lowest, constraints->highest);
	unsigned __int128 sum = 0, least = ~sum;
	uint64_t stretch = span.first, start;

	for (uint64_t i = span.first; i < span.end; i++) {
		struct block *block = &heap->blocks[i];

		if (!block->present) {
			stretch = i + 1;
			sum = 0;
			continue;
		}
		block->seen_cost = block_see(heap, i);
		sum += part_of_sum(block->seen_cost);
		if (i + 1 - stretch < blocks)
			continue;
		const uint64_t first = i + 1 - blocks;
		if (sum < least && span_place(heap, (struct span){ first, i + 1 }, blocks, constraints, false, &start)) {
			least = sum;
			*best = (struct stretch){ block_address(heap, &heap->blocks[first]), (uint64_t)(sum >> 64),
						  (uint64_t)sum };
		}
		sum -= part_of_sum(heap->blocks[first].seen_cost);
	}
	return ~least != 0;
}
