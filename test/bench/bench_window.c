// SPDX-License-Identifier: BSD-2-Clause
/*
 * Searching a window in all blocks of a large machine. In use are nine of ten, with costs of all
 * kinds, or all with the same; a block in 5000 cannot be moved.
 */
#include "bench/bench.h"

#include <stdlib.h>

#include "heap/block/window.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define FIRST_BLOCK (4 * GIB >> BLOCK_SHIFT)

static struct machine {
	struct block_heap heap;
	struct owner movable, fixed;
	void *metadata;
} machine;

static void *setup(uint64_t bytes, uint32_t cost_max, uint64_t slope)
{
	const struct phys_range range = { { FIRST_BLOCK << BLOCK_SHIFT }, bytes };
	struct random random;

	random_seed(&random, 1);
	machine.metadata = aligned_alloc(64, align_up(block_heap_metadata_bytes(&range, 1), 64));
	if (!machine.metadata || block_heap_init(&machine.heap, &range, 1, machine.metadata) != STATUS_OK)
		abort();
	owner_init(&machine.movable, "movable", true);
	owner_init(&machine.fixed, "fixed", false);
	for (uint64_t i = 0; i < machine.heap.count; i++) {
		const struct phys_addr block = block_address(&machine.heap, &machine.heap.blocks[i]);
		const struct run_request request = {
			.blocks = 1,
			.owner = random_below(&random, 5000) == 0 ? &machine.fixed : &machine.movable,
			.constraints = { block, { block.value + BLOCK_BYTES - 1 }, 0, 0 },
		};
		struct phys_addr run;

		if (cost_max > 1 && random_below(&random, 10) == 0)
			continue;
		if (block_heap_alloc(&machine.heap, &request, &run) != STATUS_OK)
			abort();
		block_heap_set_cost(&machine.heap, block,
				    slope ? (uint32_t)(i * slope / machine.heap.count)
					  : (uint32_t)random_below(&random, cost_max));
	}
	return &machine.heap;
}

static void *setup_16g(void)
{
	return setup(16 * GIB, 40000, 0);
}

static void *setup_64g(void)
{
	return setup(64 * GIB, 40000, 0);
}

static void *setup_1t(void)
{
	return setup(1024 * GIB, 40000, 0);
}

static void *setup_1t_same(void)
{
	return setup(1024 * GIB, 1, 0);
}

static void *setup_1t_slope(void)
{
	return setup(1024 * GIB, 1, 80000);
}

static void teardown(void *context)
{
	(void)context;
	free(machine.metadata);
}

static void search(struct block_heap *heap, uint64_t operations, uint64_t blocks, struct block_constraints constraints)
{
	const struct run_request request = { .blocks = blocks, .owner = &machine.fixed, .constraints = constraints };
	struct window window = { 0 };

	while (operations-- > 0) {
		(void)window_find(heap, &request, &window);
		bench_use(window.start.value);
	}
}

static void one_block(void *context, uint64_t operations)
{
	search(context, operations, 1, (struct block_constraints){ 0 });
}

static void four_mb(void *context, uint64_t operations)
{
	search(context, operations, 2, (struct block_constraints){ 0 });
}

static void mb_64(void *context, uint64_t operations)
{
	search(context, operations, 32, (struct block_constraints){ 0 });
}

static void gb(void *context, uint64_t operations)
{
	search(context, operations, GIB >> BLOCK_SHIFT, (struct block_constraints){ 0 });
}

static void gb_aligned(void *context, uint64_t operations)
{
	search(context, operations, GIB >> BLOCK_SHIFT, (struct block_constraints){ .alignment_bytes = GIB });
}

static void mb_64_boundary(void *context, uint64_t operations)
{
	search(context, operations, 32, (struct block_constraints){ .boundary_bytes = 128 * MIB });
}

static void gb_16(void *context, uint64_t operations)
{
	search(context, operations, 16 * GIB >> BLOCK_SHIFT, (struct block_constraints){ 0 });
}

const struct bench benches[] = {
	{ .name = "window of 2 MB in 1 TB", .setup = setup_1t, .run = one_block, .teardown = teardown, .heavy = 1000 },
	{ .name = "window of 4 MB in 16 GB", .setup = setup_16g, .run = four_mb, .teardown = teardown, .heavy = 100 },
	{ .name = "window of 4 MB in 64 GB", .setup = setup_64g, .run = four_mb, .teardown = teardown, .heavy = 100 },
	{ .name = "window of 4 MB in 1 TB", .setup = setup_1t, .run = four_mb, .teardown = teardown, .heavy = 1000 },
	{ .name = "window of 64 MB in 1 TB", .setup = setup_1t, .run = mb_64, .teardown = teardown, .heavy = 1000 },
	{ .name = "window of 64 MB within 128 MB in 1 TB",
	  .setup = setup_1t,
	  .run = mb_64_boundary,
	  .teardown = teardown,
	  .heavy = 1000 },
	{ .name = "window of 1 GB in 16 GB", .setup = setup_16g, .run = gb, .teardown = teardown, .heavy = 100 },
	{ .name = "window of 1 GB in 64 GB", .setup = setup_64g, .run = gb, .teardown = teardown, .heavy = 100 },
	{ .name = "window of 1 GB in 1 TB", .setup = setup_1t, .run = gb, .teardown = teardown, .heavy = 1000 },
	{ .name = "window of 1 GB, aligned, in 1 TB",
	  .setup = setup_1t,
	  .run = gb_aligned,
	  .teardown = teardown,
	  .heavy = 1000 },
	{ .name = "window of 16 GB in 1 TB", .setup = setup_1t, .run = gb_16, .teardown = teardown, .heavy = 1000 },
	{ .name = "window of 1 GB in 1 TB, all costs the same",
	  .setup = setup_1t_same,
	  .run = gb,
	  .teardown = teardown,
	  .heavy = 1000 },
	{ .name = "window of 1 GB in 1 TB, costs rise",
	  .setup = setup_1t_slope,
	  .run = gb,
	  .teardown = teardown,
	  .heavy = 1000 },
	{ 0 },
};
