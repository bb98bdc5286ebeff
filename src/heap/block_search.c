// SPDX-License-Identifier: BSD-2-Clause
/*
 * Searches in the bitmaps. A summary with a bit for each word of the bitmap makes the search for a
 * single block short. A run comes from the shortest free range that holds it; the search for it
 * releases the lock now and then. The search for a place goes down from the end of memory, and
 * passes 64 unmovable blocks at a time.
 */
#include "block_search.h"

#include "runtime/base/bits.h"
#include "weights.h"

#define PLACE_SLACK 20u /* one more candidate for so many unmovable blocks: 5% of them */
#define LOOKS_MAX   64u /* candidates looked at, whether they can be emptied or not */

#define STRIDE_BLOCKS 1024u /* blocks that are searched in one hold of the lock */

struct span span_of(const struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest)
{
	const uint64_t limit = highest.value == 0 ? UINT64_MAX : highest.value;
	const uint64_t first = divide_round_up(lowest.value, BLOCK_BYTES);
	const uint64_t end = (limit >> BLOCK_SHIFT) + ((limit & (BLOCK_BYTES - 1)) == BLOCK_BYTES - 1);

	return (struct span){
		.first = first > heap->first_block ? first - heap->first_block : 0,
		.end = end > heap->first_block ? MIN(end - heap->first_block, heap->count) : 0,
	};
}

static const uint64_t zone_floors[ZONES] = { [ZONE_ABOVE_4G] = 4 * GIB, [ZONE_ABOVE_256M] = 256 * MIB };

unsigned zone_first(const struct run_request *request)
{
	return request->owner->movable || request->placed || request->packed ? ZONE_ALL : ZONE_ABOVE_4G;
}

struct span zone_span(const struct block_heap *heap, const struct run_request *request, unsigned zone)
{
	const struct phys_addr lowest = { MAX(request->constraints.lowest.value, zone_floors[zone]) };

	return span_of(heap, lowest, request->constraints.highest);
}

bool span_place(const struct block_heap *heap, struct span span, uint64_t blocks, const struct block_constraints *constraints,
		bool from_top, uint64_t *start)
{
	const uint64_t alignment = MAX(constraints->alignment_bytes >> BLOCK_SHIFT, 1);
	const uint64_t boundary = constraints->boundary_bytes >> BLOCK_SHIFT;
	const uint64_t lowest = heap->first_block + span.first;
	const uint64_t end = heap->first_block + span.end;
	uint64_t place, cut;

	if (span.first >= span.end || span.end - span.first < blocks)
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

static uint64_t word_mask(struct span span, uint64_t word)
{
	uint64_t mask = ~0ull;

	if (span.first > word * 64)
		mask &= ~0ull << (span.first - word * 64);
	if (span.end < word * 64 + 64)
		mask &= ~0ull >> (word * 64 + 64 - span.end);
	return mask;
}

/* The lowest or highest free block of the span. */
static bool find_single(const struct block_heap *heap, struct span span, bool from_top, uint64_t *start)
{
	struct span words = { span.first / 64, divide_round_up(span.end, 64) };

	while (words.first < words.end) {
		const uint64_t word = from_top ? bitmap_find_last_set(heap->word_map, words.first, words.end)
					       : bitmap_find_set(heap->word_map, words.first, words.end);

		if (word == words.end)
			return false;
		const uint64_t bits = heap->free_map[word] & word_mask(span, word);
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

static void find_run_in(struct block_heap *heap, struct span span, const struct run_request *request, struct best *best)
{
	const bool from_top = !request->owner->movable;
	struct span stretch;
	uint64_t start;

	for (uint64_t position = span.first; position < span.end; position = stretch.end) {
		const uint64_t word = bitmap_find_set(heap->word_map, position / 64, divide_round_up(span.end, 64));

		position = MIN(MAX(position, word * 64), span.end);
		const uint64_t until = MIN(align_down(position, STRIDE_BLOCKS) + STRIDE_BLOCKS, span.end);

		stretch.first = bitmap_find_run(heap->free_map, position, until, span.end, request->blocks);
		stretch.end = stretch.first < until ? bitmap_find_clear(heap->free_map, stretch.first, span.end) : until;
		if (stretch.end >= until && until < span.end)
			spinlock_give_way(&heap->lock);

		const uint64_t length = stretch.end - stretch.first;
		if (best->length != 0 && (from_top ? length > best->length : length >= best->length))
			continue;
		if (span_place(heap, stretch, request->blocks, &request->constraints, from_top, &start))
			*best = (struct best){ start, length };
	}
}

static bool search_zone(struct block_heap *heap, const struct run_request *request, struct span whole, uint64_t *start)
{
	const bool from_top = !request->owner->movable;
	struct span parts[2] = { whole, { 0, 0 } };
	struct best best = { 0, 0 };

	if (!request->inside_fence && heap->fence.first < heap->fence.end) {
		parts[from_top] = (struct span){ whole.first, MIN(whole.end, heap->fence.first) };
		parts[!from_top] = (struct span){ MAX(whole.first, heap->fence.end), whole.end };
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
	uint64_t end = heap->count, weight;

	if (request->placed)
		return search_place(heap, request, start, &weight) && weight == 0;
	for (unsigned i = zone_first(request); i < ZONES; i++) {
		struct span zone = zone_span(heap, request, i);

		/* Runs that begin in the zone before have been looked at. */
		zone.end = MIN(zone.end, end);
		if (search_zone(heap, request, zone, start))
			return true;
		end = zone.first + request->blocks - 1;
	}
	return false;
}

static bool is_fenced(const struct block_heap *heap, const struct run_request *request, uint64_t start)
{
	return !request->inside_fence && start < heap->fence.end && start + request->blocks > heap->fence.first;
}

bool search_place(const struct block_heap *heap, const struct run_request *request, uint64_t *start, uint64_t *weight)
{
	struct span span = zone_span(heap, request, ZONE_ALL);
	uint64_t last, place, sum, choices = 0;
	unsigned part = MEMORY_PARTS;

	*weight = UINT64_MAX;
	for (unsigned looks = 0; looks < LOOKS_MAX && *weight != 0; looks++, span.end = place + request->blocks - 1) {
		last = bitmap_find_last_set(heap->movable_map, span.first, MAX(span.first, span.end));
		if (!span_place(heap, (struct span){ span.first, MIN(last + 1, span.end) }, request->blocks,
				&request->constraints, true, &place))
			break;
		if (is_fenced(heap, request, place) || !weights_sum(heap, place, request->blocks, &sum) ||
		    (request->later && sum == 0))
			continue;
		if (choices == 0) {
			part = search_part(heap, place);
			choices = 1 + heap->unmovable[part] / PLACE_SLACK;
		}
		if (search_part(heap, place) != part)
			break;
		if (sum < *weight) {
			*weight = sum;
			*start = place;
		}
		if (--choices == 0)
			break;
	}
	return *weight != UINT64_MAX;
}

bool search_take(struct block_heap *heap, const struct run_request *request, uint64_t start)
{
	const struct span run = { start, start + request->blocks };

	if (bitmap_find_clear(heap->free_map, run.first, run.end) != run.end || is_fenced(heap, request, start))
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
