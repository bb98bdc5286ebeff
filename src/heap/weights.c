/*
 * The window slides through the weights by eight blocks at a time. Four weights are one word: a difference of words, multiplied
 * by ONES, has in each of its four places the sum of the differences up to there, so one multiplication gives how four windows
 * in a row differ from the one before them. While the window weighs so much more than the best one that eight steps cannot
 * change that, the sum of all eight differences will do.
 */
#include "weights.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define ONES  0x0001000100010001ull
#define SIGNS (ONES << 15)
#define STEP  8u                           /* blocks */
#define REACH ((int64_t)STEP * WEIGHT_MAX) /* what a step changes at most */

#define BARRIER (WEIGHT_UNUSABLE | WEIGHT_AVOIDED)

#define SAMPLES 64 /* windows looked at before, so that not every one is better than those before it */

/* Positions count from the top of memory down. */
struct search {
	const _Atomic uint16_t *weights;
	uint64_t first_block;
	uint64_t count;
	uint64_t blocks;
	uint64_t alignment_mask;
	uint64_t boundary;
	int64_t best; /* only windows that weigh less are of interest */
	uint64_t best_at;
	bool found;
};

static _Atomic uint16_t *weight_of(const struct block_heap *heap, uint64_t index)
{
	return &heap->weights[heap->count - 1 - index];
}

static uint32_t load(const _Atomic uint16_t *weight)
{
	return atomic_load_explicit(weight, memory_order_relaxed);
}

static uint16_t weight_made(const struct block *block)
{
	const uint32_t cost = atomic_load_explicit(&block->cost, memory_order_relaxed);

	if (!block->present || (block->taken && (!block->owner->movable || cost == BLOCK_COST_FIXED)))
		return WEIGHT_UNUSABLE;
	return block->taken ? (uint16_t)MIN(1 + cost / WEIGHT_COST, WEIGHT_MAX) : 0;
}

void weights_update(struct block_heap *heap, uint64_t index)
{
	atomic_store_explicit(weight_of(heap, index), weight_made(&heap->blocks[index]), memory_order_relaxed);
}

uint32_t weights_get(const struct block_heap *heap, uint64_t index)
{
	return load(weight_of(heap, index)) & ~WEIGHT_AVOIDED;
}

bool weights_is_valid(const struct block_heap *heap, uint64_t index)
{
	return weights_get(heap, index) == weight_made(&heap->blocks[index]);
}

void block_heap_set_cost(struct block_heap *heap, struct phys_addr address, uint32_t cost)
{
	const uint64_t index = (address.value >> BLOCK_SHIFT) - heap->first_block;
	_Atomic uint16_t *weight = weight_of(heap, index);
	uint16_t before = atomic_load_explicit(weight, memory_order_relaxed), after;

	atomic_store_explicit(&heap->blocks[index].cost, cost, memory_order_relaxed);
	do {
		after = (uint16_t)(weight_made(&heap->blocks[index]) | (before & WEIGHT_AVOIDED));
	} while (!atomic_compare_exchange_weak_explicit(weight, &before, after, memory_order_relaxed, memory_order_relaxed));
}

void weights_avoid(struct block_heap *heap, uint64_t start, uint64_t blocks)
{
	for (uint64_t i = start; i < start + blocks; i++)
		if (atomic_load_explicit(weight_of(heap, i), memory_order_relaxed) != 0)
			atomic_fetch_or_explicit(weight_of(heap, i), WEIGHT_AVOIDED, memory_order_relaxed);
}

void weights_avoid_no_more(struct block_heap *heap, uint64_t start, uint64_t blocks)
{
	for (uint64_t i = start; i < start + blocks; i++)
		if (load(weight_of(heap, i)) & WEIGHT_AVOIDED)
			atomic_fetch_and_explicit(weight_of(heap, i), (uint16_t)~WEIGHT_AVOIDED, memory_order_relaxed);
}

/* Four weights, each as it was at some moment. A single load, of an address that need not be aligned. */
__attribute__((no_sanitize("thread"))) static inline uint64_t load_word(const _Atomic uint16_t *weights)
{
	uint64_t word;

	__builtin_memcpy(&word, (const void *)weights, sizeof(word));
	return word;
}

/* ONES, but for the compiler some number: it would make six instructions of each multiplication by this constant. */
static inline uint64_t ones(void)
{
	uint64_t value = ONES;

	__asm__("" : "+r"(value));
	return value;
}

/* Adds up whole steps of the blocks [i, end), up to one with an unusable block; returns where it ended. */
static uint64_t add_steps(const struct search *search, uint64_t i, uint64_t end, int64_t *sum)
{
	const uint64_t multiplier = ones();
	uint64_t total = 0;

	for (; i + STEP <= end; i += STEP) {
		const uint64_t first = load_word(&search->weights[i]), second = load_word(&search->weights[i + 4]);

		if ((first | second) & BARRIER * ONES)
			break;
		total += (first + second) * multiplier >> 48;
	}
	*sum += (int64_t)total;
	return i;
}

/*
 * The sum of the window at *at; if one of its blocks is unusable, of the first one behind that, and so on. False: there is none
 * before `end`.
 */
static bool fill(const struct search *search, uint64_t *at, uint64_t end, int64_t *sum)
{
	uint64_t i = *at;

	*sum = 0;
	while (*at + search->blocks <= end) {
		const uint64_t behind = *at + search->blocks;

		i = add_steps(search, i, behind, sum);
		for (const uint64_t stop = MIN(i + STEP, behind); i < stop; i++) {
			const uint32_t weight = load(&search->weights[i]);

			if (weight & BARRIER) {
				*at = i + 1;
				*sum = 0;
			} else {
				*sum += weight;
			}
		}
		if (i == *at + search->blocks)
			return true;
	}
	return false;
}

/* The number of the lowest block of the window. */
static uint64_t block_at(const struct search *search, uint64_t at)
{
	return search->first_block + search->count - at - search->blocks;
}

static void offer(struct search *search, uint64_t at, int64_t sum)
{
	const uint64_t block = block_at(search, at);

	if (sum >= search->best || (block & search->alignment_mask) != 0 ||
	    (search->boundary != 0 && (block & (search->boundary - 1)) + search->blocks > search->boundary))
		return;
	search->best = sum;
	search->best_at = at;
	search->found = true;
}

/* The window, and where the block lies that enters next. */
struct slide {
	uint64_t at;
	uint64_t in;
	uint64_t end;
	int64_t sum;
};

/* Goes on while no step can reach the best one. */
static void slide_far(const struct search *search, struct slide *slide)
{
	const _Atomic uint16_t *out = &search->weights[slide->at], *in = &search->weights[slide->in];
	const _Atomic uint16_t *const last = &search->weights[MAX(slide->end, STEP) - STEP];
	const int64_t near = search->best + REACH;
	const uint64_t multiplier = ones();
	int64_t sum = slide->sum;

	/* Differences are made positive, by 4096 for each of the four places. */
	while (in <= last && sum >= near) {
		const uint64_t first = load_word(in), second = load_word(in + 4);

		if ((first | second) & BARRIER * ONES)
			break;
		const uint64_t change = first + second + 0x1000 * ONES - load_word(out) - load_word(out + 4);
		sum += (int64_t)(change * multiplier >> 48) - 0x4000;
		in += STEP;
		out += STEP;
	}
	slide->sum = sum;
	slide->at = (uint64_t)(out - search->weights);
	slide->in = (uint64_t)(in - search->weights);
}

/* Goes on while each step can be told from the best one in 16 bits, and none is better. */
static void slide_near(const struct search *search, struct slide *slide)
{
	const _Atomic uint16_t *out = &search->weights[slide->at], *in = &search->weights[slide->in];
	const _Atomic uint16_t *const last = &search->weights[MAX(slide->end, STEP) - STEP];
	const uint64_t multiplier = ones();
	uint64_t above = (uint64_t)(slide->sum - search->best + 0x8000); /* its highest bit is set: not better than the best */

	while (in <= last && above <= 0x8000 + REACH) {
		const uint64_t first = load_word(in), second = load_word(in + 4);

		if ((first | second) & BARRIER * ONES)
			break;
		const uint64_t four = (first - load_word(out) + above) * multiplier;
		const uint64_t eight = (second - load_word(out + 4) + (four >> 48)) * multiplier;
		if ((four & eight & SIGNS) != SIGNS)
			break;
		above = eight >> 48;
		in += STEP;
		out += STEP;
	}
	slide->sum = search->best + (int64_t)above - 0x8000;
	slide->at = (uint64_t)(out - search->weights);
	slide->in = (uint64_t)(in - search->weights);
}

/* Block by block; false: the next one is unusable, or there is none. */
static bool slide_step(struct search *search, struct slide *slide)
{
	for (unsigned i = 0; i < STEP; i++) {
		if (slide->in == slide->end || (load(&search->weights[slide->in]) & BARRIER))
			return false;
		slide->sum += (int64_t)load(&search->weights[slide->in++]) - (int64_t)load(&search->weights[slide->at++]);
		offer(search, slide->at, slide->sum);
	}
	return true;
}

static void scan(struct search *search, uint64_t at, uint64_t end)
{
	struct slide slide = { .at = at, .end = end };

	while (fill(search, &slide.at, end, &slide.sum)) {
		slide.in = slide.at + search->blocks;
		offer(search, slide.at, slide.sum);
		do {
			if (slide.sum >= search->best + REACH)
				slide_far(search, &slide);
			if (slide.sum >= search->best && slide.sum <= search->best + REACH)
				slide_near(search, &slide);
		} while (slide_step(search, &slide));
		slide.at = slide.in + 1;
	}
}

/*
 * An upper bound for the best one: where weights fall from window to window, each would be the best so far otherwise. It stays
 * the answer if all windows have become heavier since.
 */
static void look_at_samples(struct search *search, uint64_t at, uint64_t end)
{
	const uint64_t samples = MIN((end - at) / (8 * search->blocks), (uint64_t)SAMPLES);

	for (uint64_t i = 0; i < samples; i++) {
		const uint64_t place = at + (end - at) / samples * i;
		uint64_t sample = place + (block_at(search, place) & search->alignment_mask);
		int64_t sum;

		if (fill(search, &sample, MIN(sample + search->blocks, end), &sum))
			offer(search, sample, sum);
	}
	if (search->found)
		search->best++;
}

static struct search search_make(const struct block_heap *heap, uint64_t blocks)
{
	return (struct search){
		.weights = heap->weights,
		.first_block = heap->first_block,
		.count = heap->count,
		.blocks = blocks,
		.best = (int64_t)(blocks * WEIGHT_MAX + 1),
	};
}

bool weights_sum(const struct block_heap *heap, uint64_t start, uint64_t blocks, uint64_t *sum)
{
	const struct search search = search_make(heap, blocks);
	uint64_t at = heap->count - start - blocks;
	int64_t found;

	if (!fill(&search, &at, at + blocks, &found))
		return false;
	*sum = (uint64_t)found;
	return true;
}

bool weights_search(const struct block_heap *heap, struct span span, uint64_t blocks,
		    const struct block_constraints *constraints, uint64_t *start)
{
	struct search search = search_make(heap, blocks);
	uint64_t somewhere;

	if (!span_place(heap, span, blocks, constraints, false, &somewhere))
		return false;
	search.alignment_mask = MAX(constraints->alignment_bytes >> BLOCK_SHIFT, 1) - 1;
	search.boundary = constraints->boundary_bytes >> BLOCK_SHIFT;
	look_at_samples(&search, heap->count - span.end, heap->count - span.first);
	scan(&search, heap->count - span.end, heap->count - span.first);
	*start = heap->count - search.best_at - blocks;
	return search.found;
}
