// SPDX-License-Identifier: BSD-2-Clause
/* The main jobs, small. */
#include "image_test.h"

#include "app/testbed/disks.h"
#include "app/testbed/zipf.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "pressure.h"
#include "runtime/base/block_device.h"

#define CACHE_BYTES (112 * MIB)

/*
 * Runs the scenario while the disk with the test pattern does not fit into the memory that is left.
 */
static void run_under_pressure(struct image_test_run *test, const char *name, const char *options)
{
	static struct pressure pressure;
	struct scenario scenario = { .environment = test->environment, .name = name, .options = options };
	struct disks disks;

	if (disks_find(&scenario, &disks) != STATUS_OK)
		skip("no disks with the test pattern");
	if (disks.data->device->read_only)
		skip("the disk is read only");
	expect(pressure_apply(&pressure, test->environment, disks.data, CACHE_BYTES));
	expect_equal(scenario_run(&scenario), STATUS_OK);
	pressure_release(&pressure);
}

IMAGE_TEST(capture_succeeds)
{
	run_under_pressure(test, "capture", "loops=3 capture_bytes=48M hot_reads=2000");
}

IMAGE_TEST(capture_says_what_is_missing)
{
	struct scenario no_disk = { .environment = test->environment, .name = "capture", .options = "data=nothing" };
	struct scenario no_scenario = { .environment = test->environment, .name = "no such scenario", .options = "" };

	expect_equal(scenario_run(&no_disk), STATUS_NOT_FOUND);
	expect_equal(scenario_run(&no_scenario), STATUS_NOT_FOUND);
}

IMAGE_TEST(zipf_prefers_low_ranks)
{
	struct heap *heap = memory_general_heap(test->environment->memory);
	const uint64_t ranks = 100000;
	uint64_t first = 0, upper = 0;
	struct random random;
	struct zipf zipf;

	require(zipf_init(&zipf, heap, ranks) == STATUS_OK);
	random_seed(&random, 3);
	for (unsigned i = 0; i < 100000; i++) {
		const uint64_t rank = zipf_next(&zipf, &random);

		expect(rank < ranks);
		first += rank == 0;
		upper += rank >= ranks / 2;
	}
	/* By the sums of r^-0.9: rank 0 has 4.5% and the upper half of the ranks 9.5%. */
	expect(first > 4100 && first < 5100);
	expect(upper > 9000 && upper < 10100);
	zipf_fini(&zipf);
}

IMAGE_TEST(zipf_scatter_is_a_permutation)
{
	static uint8_t seen[4096];

	for (uint64_t count = 1; count < sizeof(seen); count = count * 3 + 1) {
		for (uint64_t i = 0; i < count; i++)
			seen[i] = 0;
		for (uint64_t i = 0; i < count; i++) {
			const uint64_t place = zipf_scatter(i, count);

			expect(place < count && seen[place] == 0);
			seen[place % count] = 1;
		}
	}
}
