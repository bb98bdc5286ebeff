// SPDX-License-Identifier: BSD-2-Clause
/*
 * Searches for the cheapest window. The window slides through the costs by eight blocks at a time.
 * Four costs are one word: a difference of words, multiplied by ONES, has in each of its four
 * places the sum of the differences up to there. So one multiplication gives how four windows in a
 * row differ from the one before them. While the window costs so much more than the best one that
 * eight steps cannot change that, the sum of all eight differences will do.
 */
#include "eviction_cost.h"

#define ONES  0x0001000100010001ull
#define SIGNS (ONES << 15)
#define STEP  8u                                  /* blocks */
#define REACH ((int64_t)STEP * EVICTION_COST_MAX) /* what a step changes at most */

#define BARRIER (EVICTION_COST_UNUSABLE | EVICTION_COST_EXCLUDED)

#define SAMPLES 64 /* windows sampled first, so that not each window is better than the last */

/* Positions count from the top of memory down. */
struct search {
	const _Atomic uint16_t *costs;
	uint64_t end_block; /* the number behind that of the block at position 0 */
	uint64_t blocks;
	uint64_t alignment_mask;
	uint64_t boundary;
	uint64_t at; /* position of the present window */
	uint64_t end;
	int64_t sum;
	int64_t best; /* only windows that cost less are of interest */
	bool packed;  /* the first one will do */
	uint64_t best_at;
	bool found;
};

static _Atomic uint16_t *cost_of(const struct block_heap *heap, uint64_t index)
{
	return &heap->costs[heap->count - 1 - index];
}

static uint32_t load(const _Atomic uint16_t *cost)
{
	return atomic_load_explicit(cost, memory_order_relaxed);
}

static uint16_t cost_now(const struct block *block)
{
	const uint32_t cost = atomic_load_explicit(&block->cost, memory_order_relaxed);

	if (!block->present || (block->taken && (!block->owner->movable || cost == BLOCK_COST_FIXED)))
		return EVICTION_COST_UNUSABLE;
	return block->taken ? (uint16_t)MIN(1 + cost / EVICTION_COST_UNIT, EVICTION_COST_MAX) : 0;
}

void eviction_cost_update(struct block_heap *heap, uint64_t index)
{
	atomic_store_explicit(cost_of(heap, index), cost_now(&heap->blocks[index]), memory_order_relaxed);
}

uint32_t eviction_cost_get(const struct block_heap *heap, uint64_t index)
{
	return load(cost_of(heap, index)) & ~EVICTION_COST_EXCLUDED;
}

bool eviction_cost_is_valid(const struct block_heap *heap, uint64_t index)
{
	return eviction_cost_get(heap, index) == cost_now(&heap->blocks[index]);
}

void block_heap_set_cost(struct block_heap *heap, struct phys_addr address, uint32_t cost)
{
	const uint64_t index = (address.value >> BLOCK_SHIFT) - heap->first_block;
	_Atomic uint16_t *stored = cost_of(heap, index);
	uint16_t before = atomic_load_explicit(stored, memory_order_relaxed), after;

	atomic_store_explicit(&heap->blocks[index].cost, cost, memory_order_relaxed);
	do {
		after = (uint16_t)(cost_now(&heap->blocks[index]) | (before & EVICTION_COST_EXCLUDED));
	} while (!atomic_compare_exchange_weak_explicit(stored, &before, after, memory_order_relaxed, memory_order_relaxed));
}

void eviction_cost_set_excluded(struct block_heap *heap, struct block_range range, bool excluded)
{
	for (uint64_t i = range.first; i < range.end; i++) {
		if (excluded && load(cost_of(heap, i)) != 0)
			atomic_fetch_or_explicit(cost_of(heap, i), EVICTION_COST_EXCLUDED, memory_order_relaxed);
		else if (load(cost_of(heap, i)) & EVICTION_COST_EXCLUDED)
			atomic_fetch_and_explicit(cost_of(heap, i), (uint16_t)~EVICTION_COST_EXCLUDED, memory_order_relaxed);
	}
}

bool eviction_cost_sum(const struct block_heap *heap, uint64_t start, uint64_t blocks, uint64_t *sum)
{
	*sum = 0;
	for (uint64_t i = start; i < start + blocks; i++) {
		const uint32_t cost = load(cost_of(heap, i));

		if (cost & BARRIER)
			return false;
		*sum += cost;
	}
	return true;
}

/* Loads four costs, each as it was at some moment, by a single load, of any alignment. */
__attribute__((no_sanitize("thread"))) static inline uint64_t load_word(const _Atomic uint16_t *costs)
{
	uint64_t word;

	__builtin_memcpy(&word, (const void *)costs, sizeof(word));
	return word;
}

/*
 * Hides the value from the compiler, which would make six instructions of each multiplication by
 * ONES.
 */
static inline uint64_t opaque(uint64_t value)
{
	__asm__("" : "+r"(value));
	return value;
}

/*
 * Adds up whole steps of the blocks [i, end), up to one with an unusable block; returns where it
 * ended.
 */
static uint64_t add_steps(const struct search *search, uint64_t i, uint64_t end, int64_t *sum)
{
	const uint64_t multiplier = opaque(ONES);
	uint64_t total = 0;

	for (; i + STEP <= end; i += STEP) {
		const uint64_t first = load_word(&search->costs[i]), second = load_word(&search->costs[i + 4]);

		if ((first | second) & BARRIER * ONES)
			break;
		total += (first + second) * multiplier >> 48;
	}
	*sum += (int64_t)total;
	return i;
}

/*
 * Sums up the window; if one of its blocks is unusable, the first window behind that block, and so
 * on. False: there is none any more.
 */
static bool fill(struct search *search)
{
	uint64_t i = search->at;

	search->sum = 0;
	while (search->at + search->blocks <= search->end) {
		const uint64_t behind = search->at + search->blocks;

		i = add_steps(search, i, behind, &search->sum);
		for (const uint64_t stop = MIN(i + STEP, behind); i < stop; i++) {
			const uint32_t cost = load(&search->costs[i]);

			if (cost & BARRIER) {
				search->at = i + 1;
				search->sum = 0;
			} else {
				search->sum += cost;
			}
		}
		if (i == search->at + search->blocks)
			return true;
	}
	return false;
}

/* The number of the lowest block of the window. */
static uint64_t block_at(const struct search *search, uint64_t at)
{
	return search->end_block - at - search->blocks;
}

static void offer(struct search *search)
{
	const uint64_t block = block_at(search, search->at);

	if (search->sum >= search->best || (block & search->alignment_mask) != 0 ||
	    (search->boundary != 0 && (block & (search->boundary - 1)) + search->blocks > search->boundary))
		return;
	search->best = search->sum;
	search->best_at = search->at;
	search->found = true;
	if (search->packed)
		search->end = search->at + search->blocks;
}

/*
 * Goes on by whole steps, as long as none of their windows is better than the best one. Inlined, it
 * would lack registers.
 */
static __attribute__((noinline)) void slide_steps(struct search *search)
{
	const uint64_t multiplier = opaque(ONES), barriers = opaque(BARRIER * ONES);
	const _Atomic uint16_t *out = &search->costs[search->at];
	uint64_t above = (uint64_t)(search->sum - search->best + 0x8000); /* highest bit: not better */

	for (uint64_t left = (search->end - search->at - search->blocks) / STEP; left > 0; left--, out += STEP) {
		const uint64_t first = load_word(out + search->blocks), second = load_word(out + search->blocks + 4);

		if ((first | second) & barriers)
			break;
		if (above >= 0x8000 + REACH) { /* differences are made positive, by 4096 for each of the four places */
			const uint64_t change = first + second + 0x1000 * ONES - load_word(out) - load_word(out + 4);
			above += (change * multiplier >> 48) - 0x4000;
		} else {
			const uint64_t four = (first - load_word(out) + above) * multiplier;
			const uint64_t eight = (second - load_word(out + 4) + (four >> 48)) * multiplier;
			if ((four & eight & SIGNS) != SIGNS)
				break;
			above = eight >> 48;
		}
	}
	search->sum = search->best + (int64_t)above - 0x8000;
	search->at = (uint64_t)(out - search->costs);
}

/* Goes on block by block; false: the next block is unusable, or there is none. */
static bool slide_step(struct search *search)
{
	for (unsigned i = 0; i < STEP; i++) {
		const uint64_t in = search->at + search->blocks;

		if (in == search->end || (load(&search->costs[in]) & BARRIER))
			return false;
		search->sum += (int64_t)load(&search->costs[in]) - (int64_t)load(&search->costs[search->at++]);
		offer(search);
	}
	return true;
}

static void scan(struct search *search)
{
	for (; fill(search); search->at += search->blocks + 1) {
		offer(search);
		do {
			if (search->sum >= search->best)
				slide_steps(search);
		} while (slide_step(search));
	}
}

/*
 * Finds an upper bound for the best window: where costs fall from window to window, each would be
 * the best so far otherwise. The bound stays the answer if all windows have become more expensive
 * since.
 */
static void look_at_samples(struct search *search, uint64_t first, uint64_t end)
{
	const uint64_t samples = MIN((end - first) / (8 * search->blocks), (uint64_t)SAMPLES);

	for (uint64_t i = 0; i < samples; i++) {
		search->at = first + (end - first) / samples * i;
		search->at += block_at(search, search->at) & search->alignment_mask;
		search->end = MIN(search->at + search->blocks, end);
		if (fill(search))
			offer(search);
	}
	if (search->found)
		search->best++;
}

bool eviction_cost_search(const struct block_heap *heap, struct block_range range, const struct run_request *request,
			  uint64_t *start)
{
	struct search search = {
		.costs = heap->costs,
		.end_block = heap->first_block + heap->count,
		.blocks = request->blocks,
		.alignment_mask = MAX(request->constraints.alignment_bytes >> BLOCK_SHIFT, 1) - 1,
		.boundary = request->constraints.boundary_bytes >> BLOCK_SHIFT,
		.best = (int64_t)(request->blocks * EVICTION_COST_MAX + 1),
		.packed = request->packed,
	};

	if (!block_range_place(heap, range, request->blocks, &request->constraints, false, start))
		return false;
	if (!request->packed)
		look_at_samples(&search, heap->count - range.end, heap->count - range.first);
	search.at = heap->count - range.end;
	search.end = heap->count - range.first;
	scan(&search);
	*start = block_at(&search, search.best_at) - heap->first_block;
	return search.found;
}
