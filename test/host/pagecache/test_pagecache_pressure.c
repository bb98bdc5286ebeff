// SPDX-License-Identifier: BSD-2-Clause
/*
 * The main job in the small: a full cache, readers and writers of whole and of partial pages on two
 * volumes, the background writer, and a requester that takes a third of the memory again and again,
 * in one piece and in many. All at once, in threads.
 */
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"

#define WORDS        (PAGE_BYTES / sizeof(uint64_t))
#define VOLUME_PAGES (24 * PAGES_PER_BLOCK)
#define TAKERS       1
#define WRITERS      2
#define READERS      2
#define LOOPS        30
#define TAKEN_BLOCKS 12

struct pressure {
	struct cache_machine machine;
	struct fake_block disk;
	struct volume second;
	_Atomic unsigned takers;
	_Atomic uint64_t failures;
};

/* A page holds its number in its first word, and one value in all others. */
static bool page_is_whole(const uint64_t *page, uint64_t number)
{
	return page[0] == number && memcmp(page + 1, page + 2, PAGE_BYTES - 2 * sizeof(*page)) == 0;
}

static struct node *node_of(struct pressure *pressure, uint64_t choice)
{
	return choice % 2 == 0 ? &pressure->machine.volume.node : &pressure->second.node;
}

/* A page, but for its number, or the whole of it; half of the writes go to a hot tenth. */
static void writer(struct pressure *pressure, unsigned index)
{
	struct random random;
	uint64_t page[WORDS];

	random_seed(&random, index + 1);
	while (atomic_load(&pressure->takers) > 0) {
		const uint64_t choice = random_next(&random) >> 32;
		const uint64_t number = random_below(&random, choice & 2 ? VOLUME_PAGES / 10 : VOLUME_PAGES);
		const size_t skip = choice & 4 ? sizeof(*page) : 0;

		for (size_t i = 1; i < WORDS; i++)
			page[i] = choice;
		page[0] = number;
		if (node_write(node_of(pressure, choice), number * PAGE_BYTES + skip, (char *)page + skip, PAGE_BYTES - skip) !=
		    STATUS_OK)
			atomic_fetch_add(&pressure->failures, 1);
		if (choice % 256 == 0 && volume_flush(node_of(pressure, choice)->volume) != STATUS_OK)
			atomic_fetch_add(&pressure->failures, 1);
	}
}

static void reader(struct pressure *pressure, unsigned index)
{
	static _Thread_local uint64_t pages[16][WORDS];
	struct random random;
	uint64_t scan = 0;

	random_seed(&random, index + 1);
	while (atomic_load(&pressure->takers) > 0) {
		const uint64_t first = index % 2 == 0 ? scan : random_below(&random, VOLUME_PAGES - 16);
		const uint64_t count = 1 + random_below(&random, 16);

		scan = (scan + count) % (VOLUME_PAGES - 16);
		if (node_read(node_of(pressure, first), first * PAGE_BYTES, pages, count * PAGE_BYTES) != STATUS_OK)
			atomic_fetch_add(&pressure->failures, 1);
		for (uint64_t i = 0; i < count; i++)
			if (!page_is_whole(pages[i], first + i))
				atomic_fetch_add(&pressure->failures, 1);
	}
}

static void taker(struct pressure *pressure)
{
	struct memory *memory = &pressure->machine.memory;
	struct phys_addr runs[TAKEN_BLOCKS];
	struct owner owner;

	owner_init(&owner, "taker", false);
	for (unsigned loop = 0; loop < LOOPS; loop++) {
		const uint64_t blocks = loop % 3 == 0 ? TAKEN_BLOCKS / 2 : 1;
		const uint32_t count = (uint32_t)(TAKEN_BLOCKS / blocks);
		const struct memory_request request = { .blocks = blocks, .owner = &owner, .wait = MEMORY_WAIT_FOREVER };

		while (reclaim_may_grow(memory_reclaim(memory)))
			platform_yield();
		if (reclaim_blocks_alloc(memory_reclaim(memory), &request, count, runs) != STATUS_OK) {
			atomic_fetch_add(&pressure->failures, 1);
			continue;
		}
		/* What a page that was left behind would not survive. */
		for (uint32_t i = 0; i < count; i++)
			memset(platform_virt(runs[i]), 0xa5, blocks * BLOCK_BYTES);
		for (uint32_t i = 0; i < count; i++)
			memory_blocks_free(memory, runs[i]);
	}
	if (atomic_fetch_sub(&pressure->takers, 1) == 1)
		pagecache_stop(&pressure->machine.pagecache);
}

static void play(void *context, unsigned index)
{
	struct pressure *pressure = context;

	if (index < TAKERS)
		taker(pressure);
	else if (index < TAKERS + WRITERS)
		writer(pressure, index);
	else if (index < TAKERS + WRITERS + READERS)
		reader(pressure, index);
	else
		pagecache_writeback_run(&pressure->machine.pagecache);
}

static void number_pages(struct fake_block *disk)
{
	memset(disk->data, 0, disk->device.size_bytes);
	for (uint64_t number = 0; number < VOLUME_PAGES; number++)
		memcpy(disk->data + number * PAGE_BYTES, &number, sizeof(number));
}

static bool disk_is_whole(const struct fake_block *disk)
{
	for (uint64_t number = 0; number < VOLUME_PAGES; number++)
		if (!page_is_whole((const void *)(disk->data + number * PAGE_BYTES), number))
			return false;
	return true;
}

START_TEST(threads_under_pressure_lose_nothing)
{
	const struct volume_config config = { .preference = 20, .keep_bytes = BLOCK_BYTES };
	struct pagecache_config cache_config = cache_machine_config;
	static struct pressure pressure;

	cache_config.dirty_age_ns = 50 * NS_PER_MS;
	cache_machine_init_config(&pressure.machine, VOLUME_PAGES * PAGE_BYTES, true, &cache_config);
	fake_block_init(&pressure.disk, VOLUME_PAGES * PAGE_BYTES, true);
	number_pages(&pressure.machine.disk);
	number_pages(&pressure.disk);
	pressure.machine.disk.shuffled = true;
	ck_assert_int_eq(volume_attach(&pressure.second, &pressure.machine.pagecache, &pressure.disk.device, "second", 0,
				       VOLUME_PAGES * PAGE_BYTES, &config),
			 STATUS_OK);
	atomic_store(&pressure.takers, TAKERS);
	host_threads_run(TAKERS + WRITERS + READERS + 1, play, &pressure);
	ck_assert_uint_eq(atomic_load(&pressure.failures), 0);
	ck_assert(pagecache_is_valid(&pressure.machine.pagecache));
	ck_assert_int_eq(volume_detach(&pressure.second, false), STATUS_OK);
	ck_assert(disk_is_whole(&pressure.disk));
	ck_assert_int_eq(volume_flush(&pressure.machine.volume), STATUS_OK);
	ck_assert(disk_is_whole(&pressure.machine.disk));
	memcpy(pressure.machine.model, pressure.machine.disk.data, VOLUME_PAGES * PAGE_BYTES);
	fake_block_fini(&pressure.disk);
	cache_machine_fini(&pressure.machine);
}
END_TEST

HOST_TEST_MAIN("pagecache_pressure", threads_under_pressure_lose_nothing)
