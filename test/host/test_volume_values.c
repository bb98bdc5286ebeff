// SPDX-License-Identifier: BSD-2-Clause
/*
 * Preferences and cache minimums of volumes change while drains, readers and writers are at work.
 */
#include "fake/cache_fixture.h"
#include "host_test.h"
#include "disk_volumes.h"

static struct cache_machine machine;

#define CROWD       3
#define CROWD_DISK  (12 * BLOCK_BYTES)
#define SLACK_BYTES (3 * BLOCK_BYTES) /* open at the cursors of both queues, and less than a block */

struct crowd {
	struct volume volumes[CROWD];
	struct fake_block disks[CROWD];
	_Atomic bool over;
};

static void crowd_init(struct crowd *crowd)
{
	const struct volume_config config = { .preference = 50 };

	cache_machine_init(&machine, 4 * MIB, true);
	atomic_store(&crowd->over, false);
	for (unsigned i = 0; i < CROWD; i++) {
		const char name[2] = { (char)('x' + i), 0 };

		fake_block_init(&crowd->disks[i], CROWD_DISK, true);
		ck_assert_int_eq(volume_attach(&crowd->volumes[i], &machine.pagecache, &crowd->disks[i].device, name, 0,
					       CROWD_DISK, &config),
				 STATUS_OK);
	}
}

static void crowd_fini(struct crowd *crowd)
{
	for (unsigned i = 0; i < CROWD; i++) {
		ck_assert_int_eq(volume_detach(&crowd->volumes[i], false), STATUS_OK);
		fake_block_fini(&crowd->disks[i]);
	}
	cache_machine_fini(&machine);
}

static struct volume_config any_config(struct random *random)
{
	return (struct volume_config){ .preference = (unsigned)random_below(random, 5) * 25,
				       .keep_bytes = random_below(random, 12) * BLOCK_BYTES,
				       .retain_bytes = random_below(random, 3) * BLOCK_BYTES };
}

static uint64_t cached(const struct volume *volume)
{
	return atomic_load(&volume->counts.cached_pages) * PAGE_BYTES;
}

static void read_all(struct volume *volume)
{
	static char buffer[MIB];

	for (uint64_t offset = 0; offset < CROWD_DISK; offset += MIB)
		ck_assert_int_eq(node_read(&volume->node, offset, buffer, MIB), STATUS_OK);
}

/*
 * A volume that gave is preferred to none that had more than its cache minimum left, and all have
 * at least theirs.
 */
START_TEST(drains_go_by_the_values_of_the_moment)
{
	static struct crowd crowd;
	struct random random;

	crowd_init(&crowd);
	random_seed(&random, 4);
	for (unsigned round = 0; round < 300; round++) {
		uint64_t before[CROWD], left[CROWD];
		struct volume_config config[CROWD];

		for (unsigned i = 0; i < CROWD; i++) {
			config[i] = any_config(&random);
			volume_configure(&crowd.volumes[i], &config[i]);
			ck_assert_uint_eq(volume_configuration(&crowd.volumes[i]).keep_bytes, config[i].keep_bytes);
		}
		for (unsigned i = 0; i < CROWD; i++)
			read_all(&crowd.volumes[i]);
		for (unsigned i = 0; i < CROWD; i++)
			before[i] = cached(&crowd.volumes[i]);
		(void)memory_drain(&machine.memory, random_below(&random, 30) * BLOCK_BYTES, false);
		for (unsigned i = 0; i < CROWD; i++)
			left[i] = cached(&crowd.volumes[i]);
		for (unsigned i = 0; i < CROWD; i++) {
			ck_assert_uint_ge(left[i], MIN(before[i], config[i].keep_bytes));
			for (unsigned j = 0; j < CROWD && left[i] < before[i]; j++)
				ck_assert_msg(config[j].preference >= config[i].preference ||
						      left[j] < config[j].keep_bytes + SLACK_BYTES,
					      "round %u: %u gave before %u", round, i, j);
		}
	}
	crowd_fini(&crowd);
}
END_TEST

static void change_or_use(void *context, unsigned index)
{
	struct crowd *crowd = context;
	struct random random;
	char page[PAGE_BYTES];

	random_seed(&random, index);
	for (unsigned round = 0; round < 2000 && !atomic_load(&crowd->over); round++) {
		struct volume *volume = &crowd->volumes[random_below(&random, CROWD)];
		struct volume_config config = any_config(&random);

		config.keep_bytes %= 4 * BLOCK_BYTES;
		if (index == 0)
			volume_configure(volume, &config);
		else if (index == 1)
			(void)memory_drain(&machine.memory, BLOCK_BYTES, round % 2);
		else if (random_below(&random, 4) == 0)
			ck_assert_int_eq(node_write(&volume->node, random_below(&random, CROWD_DISK / PAGE_BYTES) * PAGE_BYTES,
						    page, PAGE_BYTES),
					 STATUS_OK);
		else
			ck_assert_int_eq(node_read(&volume->node, random_below(&random, CROWD_DISK / PAGE_BYTES) * PAGE_BYTES,
						   page, PAGE_BYTES),
					 STATUS_OK);
	}
	if (index == 0)
		atomic_store(&crowd->over, true);
}

START_TEST(threads_change_values_while_others_drain_read_and_write)
{
	static struct crowd crowd;
	const struct cleaner *last = NULL;
	struct cleaner *cleaner = NULL;

	crowd_init(&crowd);
	host_threads_run(6, change_or_use, &crowd);
	for (unsigned i = 0; i < CROWD; i++)
		ck_assert_uint_eq(crowd.volumes[i].eviction.cleaners[VOLUME_CLEANER_CLEAN].preference,
				  volume_configuration(&crowd.volumes[i]).preference);
	for (; (cleaner = cleaner_next(&machine.memory.reclaim.cleaners, cleaner)) != NULL; last = cleaner)
		ck_assert(!last || last->cost < cleaner->cost ||
			  (last->cost == cleaner->cost && last->preference <= cleaner->preference));
	ck_assert(pagecache_is_valid(&machine.pagecache));
	crowd_fini(&crowd);
}
END_TEST

HOST_TEST_MAIN("volume_values", drains_go_by_the_values_of_the_moment, threads_change_values_while_others_drain_read_and_write)
