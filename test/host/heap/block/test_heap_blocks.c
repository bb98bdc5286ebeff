// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "heap/block/metadata_heap.h"
#include "heap/block/window.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define FIRST_BLOCK 100ull

static struct block_heap heap;
static void *metadata;

/* Descriptors only: the block heap never touches the memory itself. */
static void heap_init(uint64_t blocks)
{
	const struct phys_range range = { { FIRST_BLOCK * BLOCK_BYTES }, blocks * BLOCK_BYTES };

	metadata = calloc(1, block_heap_metadata_bytes(&range, 1));
	ck_assert_int_eq(block_heap_init(&heap, &range, 1, metadata), STATUS_OK);
}

static void heap_fini(void)
{
	ck_assert(block_heap_is_valid(&heap));
	free(metadata);
}

static struct phys_addr block_number(uint64_t index)
{
	return (struct phys_addr){ (FIRST_BLOCK + index) * BLOCK_BYTES };
}

static uint64_t index_of(struct phys_addr address)
{
	return address.value / BLOCK_BYTES - FIRST_BLOCK;
}

static uint64_t take(struct owner *owner, uint64_t blocks)
{
	const struct run_request request = { .blocks = blocks, .owner = owner };
	struct phys_addr run;

	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_OK);
	return index_of(run);
}

START_TEST(only_whole_blocks_are_used)
{
	const struct phys_range ranges[] = {
		{ { 0 }, 2 * BLOCK_BYTES },                             /* block 1; block 0 is never used */
		{ { 4 * BLOCK_BYTES + 4096 }, 2 * BLOCK_BYTES - 4096 }, /* block 5 */
		{ { 7 * BLOCK_BYTES }, BLOCK_BYTES - 1 },               /* none */
		{ { 1000 * BLOCK_BYTES }, 3 * BLOCK_BYTES + 4096 },     /* 1000 to 1002 */
	};
	struct block_heap small;
	void *memory = malloc(block_heap_metadata_bytes(ranges, 4));

	ck_assert_int_eq(block_heap_init(&small, ranges, 4, memory), STATUS_OK);
	ck_assert_uint_eq(small.total_blocks, 5);
	ck_assert_uint_eq(block_heap_free_bytes(&small), 5 * BLOCK_BYTES);
	ck_assert_ptr_null(block_heap_find(&small, (struct phys_addr){ 4096 }));
	ck_assert_ptr_nonnull(block_heap_find(&small, (struct phys_addr){ BLOCK_BYTES }));
	ck_assert_ptr_null(block_heap_find(&small, (struct phys_addr){ 6 * BLOCK_BYTES }));
	ck_assert_ptr_null(block_heap_find(&small, (struct phys_addr){ 1003 * BLOCK_BYTES }));
	const struct block_constraints anywhere = { 0 }, low = { .highest = { (1 << 24) - 1 } };
	ck_assert(block_heap_could_hold(&small, &anywhere, 1, 5, 0) && !block_heap_could_hold(&small, &anywhere, 1, 6, 0));
	ck_assert(block_heap_could_hold(&small, &low, 1, 2, 0) && !block_heap_could_hold(&small, &low, 1, 3, 0));
	ck_assert(block_heap_is_valid(&small));
	free(memory);

	ck_assert_uint_eq(block_heap_metadata_bytes(&ranges[2], 1), 0);
	ck_assert_int_eq(block_heap_init(&small, &ranges[2], 1, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(movable_low_unmovable_high)
{
	struct owner movable, fixed;

	heap_init(300);
	owner_init(&movable, "movable", true);
	owner_init(&fixed, "fixed", false);
	ck_assert_uint_eq(take(&movable, 1), 0);
	ck_assert_uint_eq(take(&fixed, 1), 299);
	ck_assert_uint_eq(take(&movable, 2), 1);
	ck_assert_uint_eq(take(&fixed, 2), 297);
	ck_assert_uint_eq(movable.blocks, 3);
	ck_assert_uint_eq(block_heap_free(&heap, block_number(1)), 2);
	ck_assert_uint_eq(movable.blocks, 1);
	ck_assert_uint_eq(take(&movable, 1), 1);
	heap_fini();
}
END_TEST

/* A run takes the shortest range that holds it. */
/*
 * Single blocks come free here and there: what cannot be moved goes next to the end of the part,
 * and not below 4 GB.
 */
START_TEST(what_stays_is_kept_together)
{
	const uint64_t first = (4 * GIB >> BLOCK_SHIFT) - 256;
	const struct phys_range range = { { first << BLOCK_SHIFT }, 1024 * BLOCK_BYTES };
	struct owner fixed, movable;
	struct phys_addr run;

	metadata = calloc(1, block_heap_metadata_bytes(&range, 1));
	ck_assert_int_eq(block_heap_init(&heap, &range, 1, metadata), STATUS_OK);
	owner_init(&fixed, "fixed", false);
	owner_init(&movable, "movable", true);
	const struct run_request low = {
		.blocks = 1,
		.owner = &fixed,
		.constraints = { .highest = { ((first + 10) << BLOCK_SHIFT) - 1 } },
	};
	const struct run_request one = { .blocks = 1, .owner = &fixed };
	/*
	 * One below 4 GB, one in the middle of what is above; then everything is in use, but for
	 * some blocks.
	 */
	ck_assert_int_eq(block_heap_alloc(&heap, &low, &run), STATUS_OK);
	const struct run_request middle = {
		.blocks = 1,
		.owner = &fixed,
		.constraints = { .highest = { ((first + 400) << BLOCK_SHIFT) - 1 } },
	};
	ck_assert_int_eq(block_heap_alloc(&heap, &middle, &run), STATUS_OK);
	ck_assert_uint_eq(run.value >> BLOCK_SHIFT, first + 399);
	const struct run_request rest = { .blocks = 1, .owner = &movable };
	while (block_heap_alloc(&heap, &rest, &run) == STATUS_OK)
		;
	const uint64_t freed[] = { 3, 100, 300, 390, 700, 1000 };
	for (unsigned i = 0; i < 6; i++)
		(void)block_heap_free(&heap, (struct phys_addr){ (first + freed[i]) << BLOCK_SHIFT });
	const uint64_t expected[] = { 1000, 700, 390, 300, 100, 3 };
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_eq(block_heap_alloc(&heap, &one, &run), STATUS_OK);
		ck_assert_uint_eq((run.value >> BLOCK_SHIFT) - first, expected[i]);
	}
	heap_fini();
}
END_TEST

START_TEST(long_runs_survive)
{
	struct owner fixed, movable;

	heap_init(640);
	owner_init(&fixed, "fixed", false);
	owner_init(&movable, "movable", true);
	for (uint64_t i = 0; i < 640; i++)
		(void)take(&movable, 1);
	block_heap_free(&heap, block_number(70));
	block_heap_free(&heap, block_number(71));
	block_heap_free(&heap, block_number(75));
	for (uint64_t i = 128; i < 192; i++)
		block_heap_free(&heap, block_number(i));
	ck_assert_uint_eq(take(&fixed, 2), 70);
	ck_assert_uint_eq(take(&movable, 1), 75);
	ck_assert_uint_eq(take(&fixed, 1), 191);
	ck_assert_uint_eq(take(&movable, 1), 128);
	ck_assert_uint_eq(take(&fixed, 62), 129);
	heap_fini();
}
END_TEST

START_TEST(arguments_are_checked)
{
	struct owner owner;
	struct run_request request = { .blocks = 0, .owner = &owner };
	struct phys_addr run = { 42 };

	heap_init(64);
	owner_init(&owner, "owner", false);
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_INVALID);
	request.blocks = 1;
	request.constraints.alignment_bytes = 3 * BLOCK_BYTES;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_INVALID);
	request.constraints.alignment_bytes = 0;
	request.constraints.boundary_bytes = BLOCK_BYTES / 2;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_INVALID);
	request.constraints.boundary_bytes = 0;
	request.constraints.highest.value = FIRST_BLOCK * BLOCK_BYTES + BLOCK_BYTES - 2;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_NO_MEMORY);
	request.constraints.highest.value++;
	request.leave_free = 64;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_NO_MEMORY);
	ck_assert_uint_eq(run.value, 42);
	request.leave_free = 63;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_OK);
	ck_assert_uint_eq(index_of(run), 0);
	request.blocks = 65;
	request.leave_free = 0;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_NO_MEMORY);
	request.blocks = UINT64_MAX;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_INVALID);
	heap_fini();
}
END_TEST

static void free_block(void *context)
{
	block_heap_free(&heap, *(struct phys_addr *)context);
}

START_TEST(wrong_frees_are_reported)
{
	struct owner owner;
	struct phys_addr address;
	char message[256];

	heap_init(64);
	owner_init(&owner, "driver", false);
	address = block_number(take(&owner, 4));
	address.value += BLOCK_BYTES;
	ck_assert(host_panics(free_block, &address, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "not the start of a run; owner: driver"));
	address.value -= BLOCK_BYTES - 4096;
	ck_assert(host_panics(free_block, &address, message, sizeof(message)));
	address.value -= 4096;
	block_heap_free(&heap, address);
	ck_assert(host_panics(free_block, &address, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "free already"));
	address = block_number(64);
	ck_assert(host_panics(free_block, &address, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "no memory of this heap"));
	heap_fini();
}
END_TEST

START_TEST(generation_changes_with_the_holder)
{
	struct owner owner;
	struct block *block;
	uint32_t before;

	heap_init(8);
	owner_init(&owner, "owner", true);
	block = block_heap_find(&heap, block_number(0));
	before = block->generation;
	(void)take(&owner, 1);
	ck_assert_uint_ne(block->generation, before);
	before = block->generation;
	block_heap_free(&heap, block_number(0));
	ck_assert_uint_ne(block->generation, before);
	heap_fini();
}
END_TEST

START_TEST(isolation_keeps_others_out)
{
	struct owner owner;
	struct run_request request = { .blocks = 1, .owner = &owner };
	struct phys_addr run;

	heap_init(200);
	owner_init(&owner, "owner", true);
	block_heap_isolate(&heap, block_number(0), 150);
	ck_assert_uint_eq(take(&owner, 1), 150);
	ck_assert_uint_eq(take(&owner, 10), 151);
	request.blocks = 60;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_NO_MEMORY);
	request.inside_isolated = true;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_OK);
	ck_assert_uint_eq(index_of(run), 0);
	block_heap_isolate(&heap, block_number(0), 0);
	ck_assert_uint_eq(take(&owner, 1), 60);
	heap_fini();
}
END_TEST

/* The reference: one byte for each block. */
#define MODEL_BLOCKS 700

struct model {
	uint32_t run[MODEL_BLOCKS]; /* 0: free; else number of the run */
	uint32_t runs;
};

static bool model_fits(const struct model *model, uint64_t start, const struct run_request *request)
{
	const struct block_constraints *constraints = &request->constraints;
	const uint64_t address = (FIRST_BLOCK + start) * BLOCK_BYTES;
	const uint64_t end = address + request->blocks * BLOCK_BYTES;

	if (start + request->blocks > MODEL_BLOCKS || address < constraints->lowest.value)
		return false;
	if (constraints->highest.value != 0 && end - 1 > constraints->highest.value)
		return false;
	if (constraints->alignment_bytes != 0 && address % constraints->alignment_bytes != 0)
		return false;
	if (constraints->boundary_bytes != 0 &&
	    address / constraints->boundary_bytes != (end - 1) / constraints->boundary_bytes)
		return false;
	for (uint64_t i = start; i < start + request->blocks; i++)
		if (model->run[i] != 0)
			return false;
	return true;
}

static bool model_can(const struct model *model, const struct run_request *request)
{
	for (uint64_t start = 0; start < MODEL_BLOCKS; start++)
		if (model_fits(model, start, request))
			return true;
	return false;
}

static struct run_request random_request(struct random *random, struct owner *owners)
{
	struct run_request request = { .blocks = 1, .owner = &owners[random_below(random, 2)] };

	if (random_below(random, 3) == 0)
		request.blocks += random_below(random, 40);
	if (random_below(random, 3) == 0)
		request.constraints.alignment_bytes = BLOCK_BYTES << random_below(random, 6);
	if (random_below(random, 4) == 0) {
		const uint64_t boundary = BLOCK_BYTES << random_below(random, 8);

		request.constraints.boundary_bytes = MAX(boundary, BLOCK_BYTES << log2_ceil(request.blocks));
	}
	if (random_below(random, 4) == 0)
		request.constraints.lowest.value = FIRST_BLOCK * BLOCK_BYTES + random_below(random, 700 * BLOCK_BYTES);
	if (random_below(random, 4) == 0)
		request.constraints.highest.value = FIRST_BLOCK * BLOCK_BYTES + random_below(random, 700 * BLOCK_BYTES);
	return request;
}

START_TEST(random_operations_follow_the_model)
{
	static struct model model;
	struct owner owners[2];
	struct random random;

	heap_init(MODEL_BLOCKS);
	owner_init(&owners[0], "fixed", false);
	owner_init(&owners[1], "movable", true);
	random_seed(&random, 1);
	memset(&model, 0, sizeof(model));
	for (unsigned step = 0; step < 30000; step++) {
		const uint64_t at = random_below(&random, MODEL_BLOCKS);

		if (model.run[at] != 0) {
			const uint32_t run = model.run[at];
			uint64_t start = at;

			while (start > 0 && model.run[start - 1] == run)
				start--;
			const uint64_t blocks = block_heap_free(&heap, block_number(start));
			for (uint64_t i = start; i < start + blocks; i++) {
				ck_assert_uint_eq(model.run[i], run);
				model.run[i] = 0;
			}
			ck_assert(start + blocks == MODEL_BLOCKS || model.run[start + blocks] != run);
		} else {
			const struct run_request request = random_request(&random, owners);
			struct phys_addr run;
			const status_t status = block_heap_alloc(&heap, &request, &run);

			ck_assert_int_eq(status == STATUS_OK, model_can(&model, &request));
			if (status != STATUS_OK)
				continue;
			ck_assert(model_fits(&model, index_of(run), &request));
			model.runs++;
			for (uint64_t i = 0; i < request.blocks; i++)
				model.run[index_of(run) + i] = model.runs;
		}
		if (step % 500 == 0)
			ck_assert(block_heap_is_valid(&heap));
	}
	heap_fini();
}
END_TEST

/*
 * Against the obvious search: the best window has the fewest blocks in use, and none that is
 * neither free nor movable.
 */
START_TEST(windows_are_the_best)
{
	struct owner owners[2];
	struct random random;

	random_seed(&random, 2);
	for (unsigned round = 0; round < 150; round++) {
		heap_init(200);
		owner_init(&owners[0], "fixed", false);
		owner_init(&owners[1], "movable", true);
		for (uint64_t i = 0; i < 200; i++) {
			const struct run_request one = {
				.blocks = 1,
				.owner = &owners[random_below(&random, 8) != 0],
				.constraints = { .lowest = block_number(i) },
			};
			struct run_request exact = one;
			struct phys_addr run;

			exact.constraints.highest.value = block_number(i).value + BLOCK_BYTES - 1;
			if (random_below(&random, 3) != 0)
				ck_assert_int_eq(block_heap_alloc(&heap, &exact, &run), STATUS_OK);
		}
		const struct run_request request = {
			.blocks = 2 + random_below(&random, 12),
			.owner = &owners[1], /* this one prefers no zone */
			.constraints = { .alignment_bytes = BLOCK_BYTES << random_below(&random, 3) },
		};
		struct window window;
		uint64_t best = UINT64_MAX;
		for (uint64_t start = 0; start + request.blocks <= 200; start++) {
			uint64_t busy = 0;

			if ((FIRST_BLOCK + start) * BLOCK_BYTES % request.constraints.alignment_bytes != 0)
				continue;
			for (uint64_t i = start; i < start + request.blocks; i++) {
				if (heap.blocks[i].taken)
					busy = heap.blocks[i].owner->movable && busy != UINT64_MAX ? busy + 1 : UINT64_MAX;
			}
			best = MIN(best, busy);
		}
		ck_assert_int_eq(window_find(&heap, &request, &window), best != UINT64_MAX);
		if (best != UINT64_MAX) {
			ck_assert_uint_eq(window.cost, best);
			ck_assert_uint_eq(block_heap_free_within(&heap, window.start, window_last_byte(&window)),
					  window.blocks - best);
			window_exclude(&heap, &window);
			struct window next;
			if (window_find(&heap, &request, &next) && best > 0)
				ck_assert_uint_ne(next.start.value, window.start.value);
			window_exclude_none(&heap);
		}
		heap_fini();
	}
}
END_TEST

static bool all_bytes_are(const unsigned char *memory, size_t bytes, unsigned value)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i] != value)
			return false;
	return true;
}

START_TEST(metadata_heap_gives_zeroed_chunks_of_its_own)
{
	enum { CHUNKS = 3000 };
	struct host_arena *arena = host_arena_create(FIRST_BLOCK * BLOCK_BYTES, 16 * BLOCK_BYTES);
	struct metadata_heap records;
	static _Alignas(64) char seed[4096];
	static struct {
		unsigned char *memory;
		size_t bytes;
	} chunks[CHUNKS];
	struct random random;

	heap_init(16);
	metadata_heap_init(&records, &heap, seed, sizeof(seed));
	ck_assert_ptr_null(metadata_heap_alloc(&records, METADATA_CHUNK_MAX + 1));
	random_seed(&random, 3);
	for (unsigned step = 0; step < 8000; step++) {
		const unsigned i = (unsigned)random_below(&random, CHUNKS);

		if (chunks[i].memory) {
			ck_assert(all_bytes_are(chunks[i].memory, chunks[i].bytes, i & 0xff));
			metadata_heap_free(&records, chunks[i].memory, chunks[i].bytes);
			chunks[i].memory = NULL;
			continue;
		}
		chunks[i].bytes = 1 + random_below(&random, random_below(&random, 20) == 0 ? 16384 : 300);
		chunks[i].memory = metadata_heap_alloc(&records, chunks[i].bytes);
		ck_assert_ptr_nonnull(chunks[i].memory);
		ck_assert(all_bytes_are(chunks[i].memory, chunks[i].bytes, 0));
		memset(chunks[i].memory, (int)(i & 0xff), chunks[i].bytes);
	}
	for (unsigned i = 0; i < CHUNKS; i++)
		metadata_heap_free(&records, chunks[i].memory, chunks[i].bytes);
	ck_assert_uint_eq(records.used_bytes, 0);
	heap_fini();
	host_arena_destroy(arena);
}
END_TEST

HOST_TEST_MAIN("heap_blocks", only_whole_blocks_are_used, movable_low_unmovable_high, what_stays_is_kept_together,
	       long_runs_survive, arguments_are_checked, wrong_frees_are_reported, generation_changes_with_the_holder,
	       isolation_keeps_others_out, random_operations_follow_the_model, windows_are_the_best,
	       metadata_heap_gives_zeroed_chunks_of_its_own)
