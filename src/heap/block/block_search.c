// SPDX-License-Identifier: BSD-2-Clause
/*
 * Searches in the bitmaps. A summary with a bit for each word of the bitmap makes the search for a
 * single block short. A run comes from the shortest free range that holds it; the search for it
 * releases the lock now and then. The search for a place goes down from the end of memory, and
 * passes 64 unmovable blocks at a time.
 */
#include "block_search.h"

#include "eviction_cost.h"
#include "runtime/base/bits.h"

#define PLACE_SLACK 20u /* one more candidate for so many unmovable blocks: 5% of them */
#define LOOKS_MAX   64u /* candidates looked at, whether they can be emptied or not */

#define STRIDE_BLOCKS 1024u /* blocks that are searched in one hold of the lock */

struct block_range block_range_of(const struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest)
{
	const uint64_t limit = highest.value == 0 ? UINT64_MAX : highest.value;
	const uint64_t first = divide_round_up(lowest.value, BLOCK_BYTES);
	const uint64_t end = (limit >> BLOCK_SHIFT) + ((limit & (BLOCK_BYTES - 1)) == BLOCK_BYTES - 1);

	return (struct block_range){
		.first = first > heap->first_block ? first - heap->first_block : 0,
		.end = end > heap->first_block ? MIN(end - heap->first_block, heap->count) : 0,
	};
}

static const uint64_t zone_floors[ZONES] = { [ZONE_ABOVE_4G] = 4 * GIB, [ZONE_ABOVE_256M] = 256 * MIB };

unsigned zone_first(const struct run_request *request)
{
	return request->owner->movable || request->placed || request->packed ? ZONE_ALL : ZONE_ABOVE_4G;
}

struct block_range zone_range(const struct block_heap *heap, const struct run_request *request, unsigned zone)
{
	const struct phys_addr lowest = { MAX(request->constraints.lowest.value, zone_floors[zone]) };

	return block_range_of(heap, lowest, request->constraints.highest);
}

bool block_range_place(const struct block_heap *heap, struct block_range range, uint64_t blocks,
		       const struct block_constraints *constraints, bool from_top, uint64_t *start)
{
	const uint64_t alignment = MAX(constraints->alignment_bytes >> BLOCK_SHIFT, 1);
	const uint64_t boundary = constraints->boundary_bytes >> BLOCK_SHIFT;
	const uint64_t lowest = heap->first_block + range.first;
	const uint64_t end = heap->first_block + range.end;
	uint64_t place, cut;

	if (range.first >= range.end || range.end - range.first < blocks)
		return false;
	place = from_top ? align_down(end - blocks, alignment) : align_up(lowest, alignment);
	cut = boundary == 0 ? 0 : align_down(place + blocks - 1, boundary);
	if (cut > place) {
		if (from_top && cut < blocks)
			return false;
		place = from_top ? align_down(cut - blocks, alignment) : align_up(cut, alignment);
	}
	if (place < lowest || place + blocks > end)
		return false;
	*start = place - heap->first_block;
	return true;
}

static uint64_t word_mask(struct block_range range, uint64_t word)
{
	uint64_t mask = ~0ull;

	if (range.first > word * 64)
		mask &= ~0ull << (range.first - word * 64);
	if (range.end < word * 64 + 64)
		mask &= ~0ull >> (word * 64 + 64 - range.end);
	return mask;
}

/* The lowest or highest free block of the range. */
static bool find_single(const struct block_heap *heap, struct block_range range, bool from_top, uint64_t *start)
{
	struct block_range words = { range.first / 64, divide_round_up(range.end, 64) };

	while (words.first < words.end) {
		const uint64_t word = from_top ? bitmap_find_last_set(heap->word_map, words.first, words.end)
					       : bitmap_find_set(heap->word_map, words.first, words.end);

		if (word == words.end)
			return false;
		const uint64_t bits = heap->free_map[word] & word_mask(range, word);
		if (bits != 0) {
			*start = word * 64 + (from_top ? log2_floor(bits) : (unsigned)__builtin_ctzll(bits));
			return true;
		}
		if (from_top)
			words.end = word;
		else
			words.first = word + 1;
	}
	return false;
}

struct best {
	uint64_t start;
	uint64_t length; /* of the free range that it lies in; 0: none found yet */
};

static void find_run_in(struct block_heap *heap, struct block_range range, const struct run_request *request, struct best *best)
{
	const bool from_top = !request->owner->movable;
	struct block_range gap;
	uint64_t start;

	for (uint64_t position = range.first; position < range.end; position = gap.end) {
		const uint64_t word = bitmap_find_set(heap->word_map, position / 64, divide_round_up(range.end, 64));

		position = MIN(MAX(position, word * 64), range.end);
		const uint64_t until = MIN(align_down(position, STRIDE_BLOCKS) + STRIDE_BLOCKS, range.end);

		gap.first = bitmap_find_run(heap->free_map, position, until, range.end, request->blocks);
		gap.end = gap.first < until ? bitmap_find_clear(heap->free_map, gap.first, range.end) : until;
		if (gap.end >= until && until < range.end)
			spinlock_give_way(&heap->lock);

		const uint64_t length = gap.end - gap.first;
		if (best->length != 0 && (from_top ? length > best->length : length >= best->length))
			continue;
		if (block_range_place(heap, gap, request->blocks, &request->constraints, from_top, &start))
			*best = (struct best){ start, length };
	}
}

static bool search_zone(struct block_heap *heap, const struct run_request *request, struct block_range whole, uint64_t *start)
{
	const bool from_top = !request->owner->movable;
	struct block_range parts[2] = { whole, { 0, 0 } };
	struct best best = { 0, 0 };

	if (!request->inside_isolated && heap->isolated.first < heap->isolated.end) {
		parts[from_top] = (struct block_range){ whole.first, MIN(whole.end, heap->isolated.first) };
		parts[!from_top] = (struct block_range){ MAX(whole.first, heap->isolated.end), whole.end };
	}
	if (request->blocks == 1 && request->constraints.alignment_bytes <= BLOCK_BYTES)
		return find_single(heap, parts[0], from_top, start) || find_single(heap, parts[1], from_top, start);
	for (int i = 0; i < 2; i++)
		find_run_in(heap, parts[i], request, &best);
	*start = best.start;
	return best.length != 0;
}

bool search_free_run(struct block_heap *heap, const struct run_request *request, uint64_t *start)
{
	uint64_t end = heap->count, cost;

	if (request->placed)
		return search_place(heap, request, start, &cost) && cost == 0;
	for (unsigned i = zone_first(request); i < ZONES; i++) {
		struct block_range zone = zone_range(heap, request, i);

		/* Runs that begin in the zone before have been looked at. */
		zone.end = MIN(zone.end, end);
		if (search_zone(heap, request, zone, start))
			return true;
		end = zone.first + request->blocks - 1;
	}
	return false;
}

static bool is_isolated(const struct block_heap *heap, const struct run_request *request, uint64_t start)
{
	return !request->inside_isolated && start < heap->isolated.end && start + request->blocks > heap->isolated.first;
}

bool search_place(const struct block_heap *heap, const struct run_request *request, uint64_t *start, uint64_t *cost)
{
	struct block_range range = zone_range(heap, request, ZONE_ALL);
	uint64_t last, place, sum, choices = 0;
	unsigned part = MEMORY_PARTS;

	*cost = UINT64_MAX;
	for (unsigned looks = 0; looks < LOOKS_MAX && *cost != 0; looks++, range.end = place + request->blocks - 1) {
		last = bitmap_find_last_set(heap->movable_map, range.first, MAX(range.first, range.end));
		if (!block_range_place(heap, (struct block_range){ range.first, MIN(last + 1, range.end) }, request->blocks,
				       &request->constraints, true, &place))
			break;
		if (is_isolated(heap, request, place) || !eviction_cost_sum(heap, place, request->blocks, &sum) ||
		    (request->later && sum == 0))
			continue;
		if (choices == 0) {
			part = search_part(heap, place);
			choices = 1 + heap->unmovable[part] / PLACE_SLACK;
		}
		if (search_part(heap, place) != part)
			break;
		if (sum < *cost) {
			*cost = sum;
			*start = place;
		}
		if (--choices == 0)
			break;
	}
	return *cost != UINT64_MAX;
}

bool search_take(struct block_heap *heap, const struct run_request *request, uint64_t start)
{
	const struct block_range run = { start, start + request->blocks };

	if (bitmap_find_clear(heap->free_map, run.first, run.end) != run.end || is_isolated(heap, request, start))
		return false;
	for (uint64_t word = run.first / 64; word * 64 < run.end; word++) {
		heap->free_map[word] &= ~word_mask(run, word);
		if (heap->free_map[word] == 0)
			bitmap_clear(heap->word_map, word);
	}
	return true;
}

void search_set_free(struct block_heap *heap, uint64_t index)
{
	bitmap_set(heap->free_map, index);
	bitmap_set(heap->word_map, index / 64);
}
