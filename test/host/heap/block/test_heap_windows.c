// SPDX-License-Identifier: BSD-2-Clause
/* The search for windows, against the obvious one, in heaps with holes and across the zones. */
#include "heap/block/block_search.h"
#include "heap/block/eviction_cost.h"
#include "heap/block/window.h"
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define OWNERS    3
#define COST_MAX  82000u
#define ZONE_4G   (4 * GIB >> BLOCK_SHIFT)
#define ZONE_256M (256 * MIB >> BLOCK_SHIFT)

static struct block_heap heap;
static void *metadata;
static struct owner owners[OWNERS]; /* the last one is not movable */

static void heap_setup(const struct phys_range *ranges, uint32_t count)
{
	metadata = aligned_alloc(64, align_up(block_heap_metadata_bytes(ranges, count), 64));
	ck_assert_int_eq(block_heap_init(&heap, ranges, count, metadata), STATUS_OK);
	owner_init(&owners[0], "movable", true);
	owner_init(&owners[1], "movable, too", true);
	owner_init(&owners[2], "fixed", false);
}

static struct phys_range blocks_from(uint64_t first, uint64_t blocks)
{
	return (struct phys_range){ { first << BLOCK_SHIFT }, blocks << BLOCK_SHIFT };
}

static bool block_is_usable(const struct block *block)
{
	return block->present && (!block->taken || (block->owner->movable && block->cost != BLOCK_COST_FIXED));
}

static uint64_t cost_of_block(const struct block *block)
{
	return block->taken ? MIN(1 + (uint64_t)block->cost / 40, 2047) : 0;
}

static bool model_places(const struct run_request *request, uint64_t number, uint64_t floor)
{
	const struct block_constraints *constraints = &request->constraints;
	const uint64_t last = number + request->blocks - 1;

	if (number < floor || number << BLOCK_SHIFT < constraints->lowest.value)
		return false;
	if (constraints->highest.value != 0 && ((last + 1) << BLOCK_SHIFT) - 1 > constraints->highest.value)
		return false;
	if ((number << BLOCK_SHIFT) % MAX(constraints->alignment_bytes, 1) != 0)
		return false;
	return constraints->boundary_bytes == 0 ||
	       (number << BLOCK_SHIFT) / constraints->boundary_bytes == (last << BLOCK_SHIFT) / constraints->boundary_bytes;
}

static uint64_t model_cost(uint64_t start, uint64_t blocks)
{
	uint64_t cost = 0;

	for (uint64_t i = start; i < start + blocks; i++) {
		if (!block_is_usable(&heap.blocks[i]))
			return UINT64_MAX;
		cost += cost_of_block(&heap.blocks[i]);
	}
	return cost;
}

static uint64_t model_search(const struct run_request *request, uint64_t floor, uint64_t *best_start)
{
	uint64_t best = UINT64_MAX;

	for (uint64_t start = heap.count - request->blocks + 1; start-- > 0;) {
		const uint64_t cost = model_places(request, heap.first_block + start, floor)
					      ? model_cost(start, request->blocks)
					      : UINT64_MAX;

		if (cost < best) {
			best = cost;
			*best_start = start;
		}
		if (best != UINT64_MAX && request->packed)
			break;
	}
	return best;
}

static void check_search(const struct run_request *request)
{
	const uint64_t floors[] = { ZONE_4G, ZONE_256M, 0 };
	uint64_t best = UINT64_MAX, start = 0;
	struct window window;

	for (unsigned i = request->owner->movable || request->packed ? 2 : 0; i < 3 && best == UINT64_MAX; i++) {
		best = model_search(request, floors[i], &start);
		if (i > 0 || best == UINT64_MAX)
			continue;
		uint64_t lower_start;
		const uint64_t lower = model_search(request, ZONE_256M, &lower_start);
		if (lower < best / 2) {
			best = lower;
			start = lower_start;
		}
	}
	ck_assert_int_eq(window_find(&heap, request, &window), best != UINT64_MAX);
	if (best == UINT64_MAX)
		return;
	ck_assert_uint_eq(window.cost, best);
	ck_assert_uint_eq(window.start.value >> BLOCK_SHIFT, heap.first_block + start);
	uint64_t busy = 0;
	for (uint64_t i = start; i < start + request->blocks; i++)
		busy += heap.blocks[i].taken;
	ck_assert(busy == 0 ? window.cost == 0 : window.cost >= busy);
	ck_assert_uint_eq(block_heap_free_within(&heap, window.start, window_last_byte(&window)), window.blocks - busy);
}

static struct run_request random_request(struct random *random, uint64_t most)
{
	struct run_request request = { .blocks = 1 + random_below(random, most),
				       .owner = &owners[random_below(random, 2) * 2] };
	const uint64_t top = (heap.first_block + heap.count) << BLOCK_SHIFT;

	request.packed = random_below(random, 4) == 0;
	if (random_below(random, 2) == 0)
		request.blocks = 1 + request.blocks % 9;
	if (random_below(random, 3) == 0)
		request.constraints.alignment_bytes = BLOCK_BYTES << random_below(random, 6);
	if (random_below(random, 3) == 0)
		request.constraints.boundary_bytes = BLOCK_BYTES << (log2_ceil(request.blocks) + random_below(random, 3));
	if (random_below(random, 4) == 0)
		request.constraints.lowest.value = random_below(random, top);
	if (random_below(random, 4) == 0)
		request.constraints.highest.value = 1 + random_below(random, top);
	return request;
}

/*
 * A block changes hands, or its cost. Costs are few or many, so that sums are often the same, and
 * often not.
 */
static void change(struct random *random, uint64_t index, uint32_t cost_max, unsigned fixed_in)
{
	struct block *block = &heap.blocks[index];
	const struct phys_addr address = block_address(&heap, block);

	if (!block->present)
		return;
	if (block->taken && random_below(random, 4) == 0) {
		(void)block_heap_free(&heap, address);
	} else if (block->taken) {
		block_heap_set_cost(&heap, address,
				    random_below(random, 200) == 0 ? BLOCK_COST_FIXED
								   : (uint32_t)random_below(random, cost_max));
	} else {
		const struct run_request request = {
			.blocks = 1,
			.owner = &owners[random_below(random, fixed_in) == 0 ? 2 : random_below(random, 2)],
			.constraints = { address, { address.value + BLOCK_BYTES - 1 }, 0, 0 },
		};
		struct phys_addr run;

		ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_OK);
	}
}

static void run(const struct phys_range *ranges, uint32_t count, unsigned rounds, unsigned changes, uint64_t most,
		uint64_t seed)
{
	struct random random;

	random_seed(&random, seed);
	heap_setup(ranges, count);
	for (unsigned round = 0; round < rounds; round++) {
		const uint32_t cost_max = round / 50 % 3 == 0 ? 1 : round / 50 % 3 == 1 ? 200 : COST_MAX;
		const unsigned fixed_in = round / 150 % 2 ? 12 : 400;

		for (unsigned i = 0; i < changes; i++)
			change(&random, random_below(&random, heap.count), cost_max, fixed_in);
		const struct run_request request = random_request(&random, most);
		check_search(&request);
	}
	ck_assert(block_heap_is_valid(&heap));
	free(metadata);
}

START_TEST(windows_follow_the_model_across_holes)
{
	const struct phys_range ranges[] = {
		blocks_from(ZONE_256M - 30, 60),
		blocks_from(ZONE_256M + 45, 20),
		blocks_from(ZONE_256M + 70, 100),
	};

	run(ranges, 3, 6000, 40, 90, 1);
}
END_TEST

START_TEST(windows_follow_the_model_across_zones)
{
	const struct phys_range range = blocks_from(ZONE_4G - 150, 701);

	run(&range, 1, 1200, 400, 300, 2);
}
END_TEST

/* All that is in use in it, until it is forgiven; what is freed counts again. */
START_TEST(what_is_excluded_is_left_out)
{
	const struct phys_range range = blocks_from(ZONE_4G, 64);
	const struct run_request all = { .blocks = 64, .owner = &owners[0] }, half = { .blocks = 32, .owner = &owners[0] };
	struct window first, second;
	struct phys_addr blocks[64];

	heap_setup(&range, 1);
	for (unsigned i = 0; i < 64; i++) {
		const struct run_request one = { .blocks = 1, .owner = &owners[0] };

		ck_assert_int_eq(block_heap_alloc(&heap, &one, &blocks[i]), STATUS_OK);
	}
	ck_assert(window_find(&heap, &half, &first));
	ck_assert_uint_eq(first.start.value, blocks[32].value);
	window_exclude(&heap, &first);
	block_heap_set_cost(&heap, blocks[40], 7);
	ck_assert(!window_find(&heap, &all, &second));
	ck_assert(window_find(&heap, &half, &second));
	ck_assert_uint_eq(second.start.value, blocks[0].value);
	block_heap_free(&heap, blocks[32]);
	ck_assert(window_find(&heap, &half, &second));
	ck_assert_uint_eq(second.start.value, blocks[1].value);
	window_exclude_none(&heap);
	ck_assert(window_find(&heap, &all, &second));
	ck_assert_uint_eq(second.cost, 63);
	for (unsigned i = 0; i < 64; i++)
		if (i != 32)
			(void)block_heap_free(&heap, blocks[i]);
	free(metadata);
}
END_TEST

static void change_costs(void *context, unsigned index)
{
	const struct run_request request = { .blocks = 50, .owner = &owners[0] };
	const struct phys_addr *blocks = context;
	struct window window;
	struct random random;

	random_seed(&random, index);
	for (unsigned i = 0; i < 20000; i++) {
		if (index == 0) {
			ck_assert(window_find(&heap, &request, &window));
			ck_assert_uint_ge(window.cost, 50);
		} else {
			block_heap_set_cost(&heap, blocks[random_below(&random, 200) * 2 + index - 1],
					    (uint32_t)random_below(&random, COST_MAX));
		}
	}
}

/* A window is found, even when the costs change during the search. */
START_TEST(threads_search_while_costs_change)
{
	const struct phys_range range = blocks_from(ZONE_4G, 400);
	struct phys_addr blocks[400];

	heap_setup(&range, 1);
	for (unsigned i = 0; i < 400; i++) {
		const struct run_request one = { .blocks = 1, .owner = &owners[0] };

		ck_assert_int_eq(block_heap_alloc(&heap, &one, &blocks[i]), STATUS_OK);
	}
	host_threads_run(3, change_costs, blocks);
	for (unsigned i = 0; i < 400; i++)
		(void)block_heap_free(&heap, blocks[i]);
	free(metadata);
}
END_TEST

HOST_TEST_MAIN("heap_windows", threads_search_while_costs_change, windows_follow_the_model_across_holes,
	       windows_follow_the_model_across_zones, what_is_excluded_is_left_out)
