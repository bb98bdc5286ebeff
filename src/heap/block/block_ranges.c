// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the machine could hold, by arithmetic on its ranges of memory. Places for runs repeat:
 * within a range from one aligned address to the next, and where runs must not cross a boundary,
 * from one boundary to the next. So one division counts them.
 */
#include "block_search.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

/* All in blocks. */
struct packing {
	uint64_t blocks;
	uint64_t last_blocks;
	uint64_t alignment;
	uint64_t count; /* runs of `blocks` that fit so far */
	bool last_fits; /* ... and one of last_blocks beside as many as fit */
};

/*
 * Adds `times` parts like [first, end), without a boundary in any of them. The last run goes before
 * the others or behind them.
 */
static void pack(struct packing *packing, uint64_t first, uint64_t end, uint64_t times)
{
	const uint64_t start = align_up(first, packing->alignment);
	const uint64_t distance = align_up(packing->blocks, packing->alignment);
	const uint64_t room = start < end ? end - start : 0;
	assert(distance > 0);
	const uint64_t count = room < packing->blocks ? 0 : (room - packing->blocks) / distance + 1;
	const uint64_t last = packing->last_blocks;

	if (times == 0)
		return;
	packing->count += count * times;
	packing->last_fits =
		packing->last_fits || count * distance + last <= room ||
		(count > 0 && align_up(last, packing->alignment) + (count - 1) * distance + packing->blocks <= room);
}

bool block_heap_could_hold(const struct block_heap *heap, const struct block_constraints *constraints, uint64_t blocks,
			   uint64_t count, uint64_t last_blocks)
{
	const struct block_range range = block_range_of(heap, constraints->lowest, constraints->highest);
	const uint64_t boundary = constraints->boundary_bytes >> BLOCK_SHIFT;
	struct packing packing = { blocks, last_blocks, MAX(constraints->alignment_bytes >> BLOCK_SHIFT, 1), 0,
				   last_blocks == 0 };

	for (uint32_t i = 0; i < heap->range_count; i++) {
		const uint64_t range_first = heap->ranges[i].start.value >> BLOCK_SHIFT;
		const uint64_t range_end = range_first + (heap->ranges[i].bytes >> BLOCK_SHIFT);
		const uint64_t first = MAX(range_first, heap->first_block + range.first);
		const uint64_t end = MIN(range_end, heap->first_block + range.end);

		if (first >= end)
			continue;
		/* A run that is aligned to more than a boundary never crosses one. */
		if (boundary <= packing.alignment || align_down(first, boundary) == align_down(end - 1, boundary)) {
			pack(&packing, first, end, 1);
			continue;
		}
		const uint64_t inner = align_up(first, boundary), inner_end = align_down(end, boundary);
		pack(&packing, first, inner, 1);
		pack(&packing, 0, boundary, (inner_end - inner) / boundary);
		pack(&packing, inner_end, end, 1);
	}
	return packing.count > count || (packing.count == count && packing.last_fits);
}
