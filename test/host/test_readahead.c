/* What is read ahead, and what is not. */
#include "fake/cache_fixture.h"
#include "host/host_test.h"

#define PAGE(n) ((n)*PAGE_BYTES)

static struct cache_machine machine;

static void machine_start(void)
{
	struct pagecache_config config = cache_machine_config;

	config.readahead_bytes = MIB;
	cache_machine_init_config(&machine, DISK_BYTES, false, &config);
	/* Windows are a share of the cache, so there has to be one; the tests read behind this. */
	cache_machine_read(&machine, 0, 20 * BLOCK_BYTES);
	(void)node_evict_page(&machine.volume.node, 0);
}

#define START (30 * PAGES_PER_BLOCK)

static uint64_t misses_of(void)
{
	return cache_machine_statistics(&machine).misses;
}

START_TEST(a_sequential_reader_misses_only_at_first)
{
	struct pagecache_statistics before, after;

	machine_start();
	before = cache_machine_statistics(&machine);
	for (uint64_t i = 0; i < 4 * PAGES_PER_BLOCK; i++)
		cache_machine_read(&machine, PAGE(START + i), PAGE_BYTES);
	after = cache_machine_statistics(&machine);
	ck_assert_uint_le(after.misses - before.misses, 4);
	ck_assert_uint_ge(after.ahead_used - before.ahead_used, 4 * PAGES_PER_BLOCK - 4);
	/* No more was asked for than has been read, and no more than the window behind the end. */
	ck_assert_uint_le(after.ahead_pages - before.ahead_pages, 4 * PAGES_PER_BLOCK + MIB / PAGE_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(streams_do_not_disturb_each_other)
{
	uint64_t before;

	machine_start();
	before = misses_of();
	for (uint64_t i = 0; i < 256; i++)
		for (uint64_t stream = 0; stream < 6; stream++)
			cache_machine_read(&machine, PAGE(START + stream * 5000 + i), PAGE_BYTES);
	ck_assert_uint_le(misses_of() - before, 6 * 4);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(strides_are_followed_both_ways)
{
	uint64_t before;

	machine_start();
	before = misses_of();
	for (uint64_t i = 0; i < 128; i++)
		cache_machine_read(&machine, PAGE(START + i * 13), PAGE(2));
	ck_assert_uint_le(misses_of() - before, 16);
	before = misses_of();
	for (uint64_t i = 0; i < 128; i++)
		cache_machine_read(&machine, PAGE(START + 20000 - i * 17), PAGE_BYTES);
	ck_assert_uint_le(misses_of() - before, 16);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(random_readers_are_left_alone)
{
	struct pagecache_statistics before, after;
	struct random random;

	machine_start();
	random_seed(&random, 5);
	before = cache_machine_statistics(&machine);
	for (unsigned i = 0; i < 2000; i++)
		cache_machine_read(&machine, PAGE(START + random_below(&random, 20000)), PAGE_BYTES);
	after = cache_machine_statistics(&machine);
	ck_assert_uint_le(after.ahead_pages - before.ahead_pages, 200);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(the_end_of_a_node_ends_it)
{
	machine_start();
	for (uint64_t offset = DISK_BYTES - 2 * BLOCK_BYTES; offset < DISK_BYTES; offset += PAGE(3))
		cache_machine_read(&machine, offset, MIN(PAGE(3), DISK_BYTES - offset));
	ck_assert_uint_eq(cache_machine_statistics(&machine).read_errors, 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(it_can_be_switched_off)
{
	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 20 * BLOCK_BYTES);
	for (uint64_t i = 0; i < 100; i++)
		cache_machine_read(&machine, PAGE(START + i), PAGE_BYTES);
	ck_assert_uint_eq(cache_machine_statistics(&machine).ahead_pages, 0);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("readahead", a_sequential_reader_misses_only_at_first, streams_do_not_disturb_each_other,
	       strides_are_followed_both_ways, random_readers_are_left_alone, the_end_of_a_node_ends_it, it_can_be_switched_off)
