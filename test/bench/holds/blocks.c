// SPDX-License-Identifier: BSD-2-Clause
/* The block heap of a machine that has been up for long: every second block is free. */
#include "holds.h"

#include <stdlib.h>

#include "heap/block/owner_snapshot.h"
#include "heap/block/window.h"
#include "host/platform_host.h"
#include "runtime/base/random.h"

#define OWNERS     200
#define HUGE_BYTES (512 * GIB)

static struct phys_addr run_take(struct bench_machine *machine, uint64_t blocks, struct owner *owner)
{
	const struct run_request request = { .blocks = blocks, .owner = owner };
	struct phys_addr run = { 0 };

	must(block_heap_alloc(&machine->memory.blocks, &request, &run) == STATUS_OK, "no blocks");
	return run;
}

/*
 * Takes them all, gives them costs, and frees every second one; returns how many there are in
 * `blocks`.
 */
static uint64_t fragment(struct bench_machine *machine, struct phys_addr **blocks)
{
	struct block_heap *heap = &machine->memory.blocks;
	const uint64_t count = block_heap_free_bytes(heap) >> BLOCK_SHIFT;
	struct random random;

	random_seed(&random, 1);
	*blocks = malloc(count * sizeof(**blocks));
	for (uint64_t i = 0; i < count; i++) {
		(*blocks)[i] = run_take(machine, 1, &machine->movable);
		block_heap_set_cost(heap, (*blocks)[i], (uint32_t)random_below(&random, 20000));
	}
	for (uint64_t i = 0; i < count; i += 2)
		block_heap_free(heap, (*blocks)[i]);
	return count;
}

/* No run of these is free; some have windows. */
static void runs_want(struct bench_machine *machine, struct owner *owner)
{
	struct block_heap *heap = &machine->memory.blocks;
	static const uint64_t lengths[] = { 2, 3, 32, 512, 8192, 262144 };
	static const uint64_t alignments[] = { 0, 4 * MIB, GIB };

	for (unsigned i = 0; i < ARRAY_LENGTH(lengths); i++) {
		for (unsigned j = 0; j < ARRAY_LENGTH(alignments); j++) {
			const struct run_request request = { .blocks = lengths[i],
							     .owner = owner,
							     .constraints = { .alignment_bytes = alignments[j] } };
			struct window window;
			struct nearest_window nearest;
			struct phys_addr run;

			must(block_heap_alloc(heap, &request, &run) == STATUS_NO_MEMORY, "a run is free");
			if (window_find(heap, &request, &window)) {
				window_exclude(heap, &window);
				window_exclude_none(heap);
			}
			(void)owner_snapshot_nearest_window(heap, request.blocks, &request.constraints, &nearest);
		}
	}
}

static void report(struct bench_machine *machine, uint64_t bytes)
{
	static struct owner_snapshot owners[OWNER_SNAPSHOT_MAX];
	struct block_heap *heap = &machine->memory.blocks;

	(void)owner_snapshot_within(heap, (struct phys_addr){ 0 }, (struct phys_addr){ bytes - 1 }, owners);
	(void)block_heap_free_within(heap, (struct phys_addr){ 0 }, (struct phys_addr){ bytes - 1 });
	block_heap_isolate(heap, (struct phys_addr){ 4 * GIB }, bytes >> BLOCK_SHIFT);
	block_heap_isolate(heap, (struct phys_addr){ 0 }, 0);
	(void)block_heap_watch(heap, (struct phys_addr){ 0 }, (struct phys_addr){ bytes - 1 });
}

/* Each has a block here and there. */
static void owners_add(struct bench_machine *machine)
{
	static struct owner owners[OWNERS];

	for (unsigned i = 0; i < OWNERS; i++) {
		owner_init(&owners[i], "one of many", i % 2 == 0);
		(void)run_take(machine, 1, &owners[i]);
	}
}

/* Nothing is given; what is reported meanwhile counts. */
static void ask_for_too_much(struct bench_machine *machine)
{
	struct memory_request request = { .blocks = 512, .owner = &machine->fixed };
	struct phys_addr run;

	must(memory_blocks_alloc(&machine->memory, &request, &run) != STATUS_OK, "a gigabyte in one piece is free");
	host_clock_turn(2 * NS_PER_S);
	request.blocks = 262144;
	must(memory_blocks_alloc(&machine->memory, &request, &run) != STATUS_OK, "half of the memory is free");
	reclaim_report(memory_reclaim(&machine->memory));
}

static void huge_runs(struct bench_machine *machine)
{
	struct block_heap *heap = &machine->memory.blocks;
	const struct phys_addr run = run_take(machine, HUGE_BYTES >> BLOCK_SHIFT, &machine->fixed);

	block_heap_hand_over(heap, run, HUGE_BYTES >> BLOCK_SHIFT, &machine->movable);
	block_heap_free(heap, run);
	block_heap_free(heap, run_take(machine, HUGE_BYTES >> BLOCK_SHIFT, &machine->movable));
}

void blocks_look_at(struct bench_machine *machine)
{
	struct block_heap *heap = &machine->memory.blocks;
	struct phys_addr *blocks;
	uint64_t count;

	huge_runs(machine);
	count = fragment(machine, &blocks);
	runs_want(machine, &machine->fixed);
	runs_want(machine, &machine->movable);
	owners_add(machine);
	report(machine, 512 * GIB);
	report(machine, 4 * GIB);
	ask_for_too_much(machine);
	commands_run(machine);
	for (uint64_t i = 1; i < count; i += 2)
		block_heap_free(heap, blocks[i]);
	free(blocks);
}
