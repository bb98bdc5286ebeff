// SPDX-License-Identifier: BSD-2-Clause
/* The page index: where keys go, for all kinds of patterns, and that neighbours stay neighbours. */
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/page/index_fast.h"
#include "runtime/base/bits.h"

#define BITS_MIN 12
#define BITS_MAX 20

static uint32_t chains[1u << BITS_MAX];

/* What it costs to find each of the keys once. */
struct cost {
	uint64_t probes;
	uint32_t longest;
};

static void count(struct cost *cost, uint64_t bucket)
{
	chains[bucket]++;
	cost->probes += chains[bucket];
	cost->longest = MAX(cost->longest, chains[bucket]);
}

static struct index index_of(unsigned bits)
{
	return (struct index){ .bucket_mask = (1ull << bits) - 1, .lap_mask = ~((1ull << bits) - 1) };
}

/* Keys at a distance of `stride` pages, in turns of `nodes` nodes, `run` pages each time. */
struct pattern {
	uint64_t start, stride, nodes, run;
};

static uint64_t key_of(const struct pattern *pattern, uint64_t i)
{
	const uint64_t turn = i / pattern->run;
	const uint64_t number = pattern->start + turn / pattern->nodes * pattern->stride + i % pattern->run;

	return page_key_make((uint32_t)(turn % pattern->nodes), number & PAGE_NUMBER_MAX);
}

static struct cost cost_of(const struct pattern *pattern, unsigned bits, uint64_t keys)
{
	const struct index index = index_of(bits);
	struct cost cost = { 0 };

	memset(chains, 0, sizeof(chains[0]) << bits);
	for (uint64_t i = 0; i < keys; i++)
		count(&cost, bucket_of(&index, key_of(pattern, i)));
	return cost;
}

/* What a table of random numbers would cost. */
static struct cost cost_of_chance(struct random *random, unsigned bits, uint64_t keys)
{
	struct cost cost = { 0 };

	memset(chains, 0, sizeof(chains[0]) << bits);
	for (uint64_t i = 0; i < keys; i++)
		count(&cost, random_below(random, 1ull << bits));
	return cost;
}

/*
 * A stride up to the largest with which the keys fit into a node: a power of two, an odd one, or a
 * product of both.
 */
static uint64_t random_stride(struct random *random, uint64_t turns)
{
	const unsigned bits = (unsigned)random_below(random, PAGE_NUMBER_BITS - log2_ceil(turns));
	const unsigned zeros = (unsigned)random_below(random, bits + 1);

	switch (random_below(random, 3)) {
	case 0:
		return 1ull << bits;
	case 1:
		return random_below(random, 1ull << bits) | 1;
	default:
		return (random_below(random, 1ull << (bits - zeros)) | 1) << zeros;
	}
}

START_TEST(no_pattern_costs_much_more_than_chance)
{
	uint64_t probes = 0, chance_probes = 0;
	struct random random;

	random_seed(&random, 31);
	for (unsigned round = 0; round < 400; round++) {
		const unsigned bits = BITS_MIN + (unsigned)random_below(&random, BITS_MAX - BITS_MIN + 1);
		const uint64_t keys = (1ull << bits) / (1 + random_below(&random, 4));
		struct pattern pattern = { .run = 1ull << random_below(&random, 10) };
		struct cost cost, chance;

		pattern.nodes = 1ull << random_below(&random, MIN(bits, 16u));
		pattern.nodes += random_below(&random, pattern.nodes);
		pattern.stride = random_stride(&random, keys / pattern.nodes / pattern.run + 2);
		pattern.start = random_below(&random, 2) * random_below(&random, PAGE_NUMBER_MAX);
		pattern.stride = MAX(pattern.stride, pattern.run);
		cost = cost_of(&pattern, bits, keys);
		chance = cost_of_chance(&random, bits, keys);
		ck_assert_msg(
			cost.probes <= 2 * chance.probes && cost.longest <= 2 * chance.longest + 4,
			"%u bits, %llu keys, start %llu, stride %llu, %llu nodes, run %llu: %llu and %u, chance %llu and %u",
			bits, (unsigned long long)keys, (unsigned long long)pattern.start, (unsigned long long)pattern.stride,
			(unsigned long long)pattern.nodes, (unsigned long long)pattern.run, (unsigned long long)cost.probes,
			cost.longest, (unsigned long long)chance.probes, chance.longest);
		probes += cost.probes;
		chance_probes += chance.probes;
	}
	ck_assert_uint_le(probes, chance_probes + chance_probes / 50);
}
END_TEST

/* Each power of two by itself: a page of each 256 MB over 5 TB was one chain of 20,480. */
START_TEST(no_power_of_two_costs_more_than_chance)
{
	struct random random;

	random_seed(&random, 32);
	for (unsigned bits = 16; bits <= BITS_MAX; bits++) {
		for (unsigned power = 0; power + 14 < PAGE_NUMBER_BITS; power++) {
			const struct pattern pattern = { .stride = 1ull << power, .nodes = 1, .run = 1 };
			const uint64_t keys = MIN(1ull << (PAGE_NUMBER_BITS - power), 20480ull);
			const struct cost cost = cost_of(&pattern, bits, keys);
			const struct cost chance = cost_of_chance(&random, bits, keys);

			ck_assert_uint_le(cost.probes, chance.probes * 21 / 20);
			ck_assert_uint_le(cost.longest, chance.longest + 4);
		}
	}
}
END_TEST

/*
 * As many pages as there are buckets, one behind the other: no two share a bucket, but where a lap
 * ends, and then two.
 */
START_TEST(neighbours_have_neighbouring_buckets)
{
	struct random random;

	random_seed(&random, 33);
	for (unsigned round = 0; round < 200; round++) {
		const unsigned bits = BITS_MIN + (unsigned)random_below(&random, BITS_MAX - BITS_MIN + 1);
		const struct index index = index_of(bits);
		const uint64_t lap = random_below(&random, PAGE_NUMBER_MAX >> bits) << bits;
		const uint32_t node = (uint32_t)random_below(&random, PAGE_NODE_MAX);
		struct pattern pattern = { .start = lap, .nodes = 1, .stride = 1, .run = 1 };

		for (uint64_t i = 0; i < 1000; i++) {
			const uint64_t key = page_key_make(node, lap + random_below(&random, (1ull << bits) - 1));

			ck_assert_uint_eq(bucket_of(&index, key + 1), (bucket_of(&index, key) + 1) & index.bucket_mask);
		}
		ck_assert_uint_eq(cost_of(&pattern, bits, 1ull << bits).longest, 1);
		pattern.start += random_below(&random, 1ull << bits);
		ck_assert_uint_le(cost_of(&pattern, bits, 1ull << bits).longest, 2);
	}
}
END_TEST

/*
 * Neighbours in the cache and on the disk, across the end of a lap, leave with their blocks. Node 0
 * begins its first at bucket 0.
 */
START_TEST(neighbours_leave_across_the_end_of_a_lap)
{
	static char buffer[10 * BLOCK_BYTES];
	const struct extent extent = { 0, 0, DISK_BYTES / PAGE_BYTES };
	struct cache_machine machine;
	uint64_t lap_bytes;
	struct node node;

	cache_machine_init(&machine, DISK_BYTES, false);
	lap_bytes = (machine.pagecache.pages.index.bucket_mask + 1) * PAGE_BYTES;
	ck_assert_uint_lt(lap_bytes, DISK_BYTES - 10 * BLOCK_BYTES);
	ck_assert_int_eq(node_open(&node, &machine.volume, &extent, 1, DISK_BYTES), STATUS_OK);
	ck_assert_uint_gt(node.id, 0);
	for (unsigned shift = 0; shift < 16; shift++) {
		const uint64_t before = cache_machine_statistics(&machine)->cached_pages;
		const uint64_t offset = lap_bytes - 5 * BLOCK_BYTES - shift * 17 * PAGE_BYTES;

		ck_assert_int_eq(node_read(&node, offset, buffer, sizeof(buffer)), STATUS_OK);
		ck_assert_mem_eq(buffer, machine.model + offset, sizeof(buffer));
		ck_assert_uint_gt(cache_machine_statistics(&machine)->cached_pages, before + 7 * PAGES_PER_BLOCK);
		(void)memory_drain(&machine.memory, MEMORY_BYTES, true);
		ck_assert_uint_le(cache_machine_statistics(&machine)->cached_pages, 3 * PAGES_PER_BLOCK);
		ck_assert(pagecache_is_valid(&machine.pagecache));
	}
	ck_assert_int_eq(node_close(&node, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("index", no_pattern_costs_much_more_than_chance, no_power_of_two_costs_more_than_chance,
	       neighbours_have_neighbouring_buckets, neighbours_leave_across_the_end_of_a_lap)
