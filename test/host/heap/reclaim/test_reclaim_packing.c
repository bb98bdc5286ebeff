// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests for several runs of several blocks: they get them wherever a search of all choices finds
 * room for all of them.
 */
#include "fake/heap_fixture.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define BLOCKS_MAX 24
#define RUNS_MAX   12

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct owner driver, stays;

/* It gives all that it has where it is asked, but for exchange. */
static struct {
	struct cleaner cleaner;
	struct owner owner;
	bool has[BLOCKS_MAX];
} cache;

static struct phys_addr address_of(uint64_t index)
{
	return (struct phys_addr){ MACHINE_START + index * BLOCK_BYTES };
}

static uint64_t give_all(struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t given = 0;

	(void)cleaner;
	for (uint64_t i = 0; i < BLOCKS_MAX && given < target->bytes && !target->exchange; i++) {
		if (!cache.has[i] || !reclaim_target_has(target, address_of(i)))
			continue;
		cache.has[i] = false;
		memory_blocks_free(memory, address_of(i));
		given += BLOCK_BYTES;
	}
	return given;
}

static void take(struct owner *owner, uint64_t index)
{
	const struct run_request request = {
		.blocks = 1,
		.owner = owner,
		.constraints = { .lowest = address_of(index), .highest = { address_of(index + 1).value - 1 } },
	};
	struct phys_addr run;

	ck_assert_int_eq(block_heap_alloc(&memory->blocks, &request, &run), STATUS_OK);
}

static void setup(uint64_t blocks)
{
	machine_init(&machine, MACHINE_START, blocks, 0, 0);
	memset(&cache, 0, sizeof(cache));
	owner_init(&driver, "driver", false);
	owner_init(&stays, "stays", false);
	owner_init(&cache.owner, "cache", true);
	cache.cleaner = (struct cleaner){ .name = "cache", .cost = CLEANER_CLEAN, .clean = give_all };
	cleaner_register(&memory->reclaim.cleaners, &cache.cleaner);
}

static void cache_take(uint64_t index, uint32_t cost)
{
	take(&cache.owner, index);
	cache.has[index] = cost != BLOCK_COST_FIXED;
	block_heap_set_cost(&memory->blocks, address_of(index), cost);
}

static void teardown(uint64_t blocks)
{
	cleaner_unregister(&memory->reclaim.cleaners, &cache.cleaner);
	for (uint64_t i = 0; i < blocks; i++)
		if (memory->blocks.blocks[i].run_blocks > 0)
			memory_blocks_free(memory, address_of(i));
	machine_fini(&machine);
}

/*
 * The first run of five would lie in the middle, where it costs least; so only two of three would
 * find room.
 */
START_TEST(runs_that_left_gaps_are_packed)
{
	const struct memory_request request = { .blocks = 5, .owner = &driver, .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr runs[3];

	host_log_level(LOG_ERROR);
	setup(15);
	for (uint64_t i = 0; i < 15; i++)
		cache_take(i, i < 3 || i >= 8 ? 40000 : 0);
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 3, runs), STATUS_OK);
	teardown(15);
}
END_TEST

/* The most runs that fit into blocks [first, end), and whether a last one fits beside them. */
static uint64_t model_fit(const bool *usable, uint64_t first, uint64_t end, const struct memory_request *request, bool last)
{
	const uint64_t length = last ? request->last_blocks : request->blocks;
	uint64_t most = 0;

	for (uint64_t i = first; i < end; i++) {
		const uint64_t address = address_of(i).value;
		uint64_t blocks = 0;

		while (i + blocks < end && blocks < length && usable[i + blocks])
			blocks++;
		if (blocks < length || !is_aligned(address, MAX(request->constraints.alignment_bytes, 1)))
			continue;
		if (request->constraints.boundary_bytes != 0 &&
		    align_down(address, request->constraints.boundary_bytes) !=
			    align_down(address + length * BLOCK_BYTES - 1, request->constraints.boundary_bytes))
			continue;
		if (!last)
			return 1 + model_fit(usable, i + length, end, request, false);
		const uint64_t beside =
			model_fit(usable, first, i, request, false) + model_fit(usable, i + length, end, request, false);
		most = MAX(most, beside + 1);
	}
	return most;
}

static struct memory_request random_request(struct random *random)
{
	struct memory_request request = { .blocks = 2 + random_below(random, 6), .owner = &driver };

	if (random_below(random, 3) == 0)
		request.constraints.alignment_bytes = BLOCK_BYTES << random_below(random, 3);
	else if (random_below(random, 2))
		request.last_blocks = 1 + random_below(random, request.blocks - 1);
	if (random_below(random, 3) == 0)
		request.constraints.boundary_bytes = BLOCK_BYTES << (3 + random_below(random, 2));
	return request;
}

START_TEST(all_runs_are_given_where_they_fit)
{
	struct phys_addr runs[RUNS_MAX];
	struct random random;
	unsigned given = 0, refused = 0;

	random_seed(&random, 5);
	host_log_level(LOG_ERROR);
	for (unsigned round = 0; round < 1500; round++) {
		const uint64_t blocks = 8 + random_below(&random, BLOCKS_MAX - 7), rare = 4 + random_below(&random, 20);
		bool usable[BLOCKS_MAX];

		setup(blocks);
		for (uint64_t i = 0; i < blocks; i++) {
			const uint64_t dice = random_below(&random, rare);

			usable[i] = dice > 1;
			if (dice == 0)
				take(&stays, i);
			else if (dice == 1)
				cache_take(i, BLOCK_COST_FIXED);
			else if (dice % 2 == 0)
				cache_take(i, (uint32_t)random_below(&random, 80000));
		}
		const struct memory_request request = random_request(&random);
		const uint64_t most = model_fit(usable, 0, blocks, &request, request.last_blocks != 0);
		const uint64_t count = MIN(1 + random_below(&random, most + 1), RUNS_MAX);
		const bool fits = count <= most;

		if (reclaim_blocks_alloc(memory_reclaim(memory), &request, (uint32_t)count, runs) != STATUS_OK)
			ck_assert_msg(!fits, "round %u: %llu of %llu runs", round, (unsigned long long)count,
				      (unsigned long long)most);
		else
			ck_assert(fits);
		given += fits && count > 1;
		refused += !fits;
		teardown(blocks);
	}
	ck_assert_uint_gt(given, 300);
	ck_assert_uint_gt(refused, 200);
}
END_TEST

HOST_TEST_MAIN("reclaim_packing", runs_that_left_gaps_are_packed, all_runs_are_given_where_they_fit)
