// SPDX-License-Identifier: BSD-2-Clause
/* What is read ahead, and what is not. */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"

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
	return cache_machine_statistics(&machine)->misses;
}

START_TEST(a_sequential_reader_misses_only_at_first)
{
	struct pagecache_statistics before, after;

	machine_start();
	before = *cache_machine_statistics(&machine);
	for (uint64_t i = 0; i < 4 * PAGES_PER_BLOCK; i++)
		cache_machine_read(&machine, PAGE(START + i), PAGE_BYTES);
	after = *cache_machine_statistics(&machine);
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
	before = *cache_machine_statistics(&machine);
	for (unsigned i = 0; i < 2000; i++)
		cache_machine_read(&machine, PAGE(START + random_below(&random, 20000)), PAGE_BYTES);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_le(after.ahead_pages - before.ahead_pages, 200);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(the_end_of_a_node_ends_it)
{
	machine_start();
	for (uint64_t offset = DISK_BYTES - 2 * BLOCK_BYTES; offset < DISK_BYTES; offset += PAGE(3))
		cache_machine_read(&machine, offset, MIN(PAGE(3), DISK_BYTES - offset));
	ck_assert_uint_eq(cache_machine_statistics(&machine)->read_errors, 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(it_can_be_switched_off)
{
	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 20 * BLOCK_BYTES);
	for (uint64_t i = 0; i < 100; i++)
		cache_machine_read(&machine, PAGE(START + i), PAGE_BYTES);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->ahead_pages, 0);
	cache_machine_fini(&machine);
}
END_TEST

/* Many streams --------------------------------------------------------------------------------- */

/* On a machine of 1 GB; the disk counts its requests, of 1 MB at most, and transfers nothing. */

#define STREAMS 64

static _Atomic uint64_t requests;

static void submit_counted(struct block_device *device, struct block_request *request)
{
	atomic_fetch_add(&requests, 1);
	request->status = block_request_check(device, request);
	request->done(request);
}

static struct block_device counting_disk = {
	.name = "counting",
	.size_bytes = 1ull << 40,
	.sector_bytes = 512,
	.segment_alignment = 512,
	.segments_max = 256,
	.transfer_bytes_max = MIB,
	.submit = submit_counted,
};

static struct volume volume;

static void volume_start(void)
{
	const struct volume_config config = { .preference = 50 };

	ck_assert_int_eq(
		volume_attach(&volume, &machine.pagecache, &counting_disk, "counting", 0, counting_disk.size_bytes, &config),
		STATUS_OK);
	atomic_store(&requests, 0);
}

static void large_machine_start(void)
{
	static const struct guarantee_config no_guarantee;

	cache_machine_init_sized(&machine, GIB, 2 * BLOCK_BYTES, &no_guarantee);
	machine.pagecache.config.readahead_bytes = 4 * MIB;
	volume_start();
}

static void large_machine_stop(void)
{
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_OK);
	cache_machine_fini(&machine);
}

struct load {
	uint64_t bytes;    /* of each stream */
	uint64_t start;    /* of the first one */
	uint64_t distance; /* from one stream's start to the next one's */
	size_t call_max;   /* bytes of a call */
	bool any_length;   /* of each call, up to that */
	bool in_turns;     /* a call of each stream; else one stream after the other */
	unsigned alone;    /* so many streams then: with calls of the same length, one is like another */
	bool own;          /* the readers keep their streams */
};

struct reader {
	struct stream own;
	struct random random;
	uint64_t done;
};

static bool read_once(const struct load *load, struct reader *reader, uint64_t start)
{
	static char buffer[MIB];
	const size_t call = load->any_length ? 1 + random_below(&reader->random, load->call_max) : load->call_max;
	const size_t bytes = MIN(call, load->bytes - reader->done);

	ck_assert_int_eq(node_read_stream(&volume.node, load->own ? &reader->own : NULL, start + reader->done, buffer, bytes),
			 STATUS_OK);
	reader->done += bytes;
	return reader->done < load->bytes;
}

static void load_run(const struct load *load)
{
	struct reader readers[STREAMS] = { 0 };
	bool more = true;

	for (unsigned i = 0; i < STREAMS; i++)
		random_seed(&readers[i].random, i);
	for (unsigned i = 0; !load->in_turns && i < load->alone; i++)
		while (read_once(load, &readers[i], load->start + i * load->distance))
			;
	while (load->in_turns && more) {
		more = false;
		for (unsigned i = 0; i < STREAMS; i++)
			if (readers[i].done < load->bytes)
				more |= read_once(load, &readers[i], load->start + i * load->distance);
	}
}

struct cost {
	uint64_t misses, requests;
};

static struct cost cost_of(const struct load *load)
{
	struct pagecache_statistics statistics;
	struct cost cost;

	load_run(load);
	volume_statistics(&volume, &statistics);
	cost = (struct cost){ statistics.misses, atomic_load(&requests) };
	/* The next one finds nothing cached, and no reader known. */
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_OK);
	volume_start();
	return cost;
}

/*
 * Streams that take turns cost what as many cost alone, however they are cut into calls; and that
 * is little.
 */
static void expect_as_one(struct load load)
{
	const uint64_t least = divide_round_up(load.bytes, MIB);
	struct load one_by_one = load;
	struct cost one;

	one_by_one.alone = load.any_length ? STREAMS : 1;
	one_by_one.distance = 8 * GIB; /* what is read ahead of one is not the next one's */
	one = cost_of(&one_by_one);
	one.misses *= STREAMS / one_by_one.alone;
	one.requests *= STREAMS / one_by_one.alone;
	ck_assert_uint_le(one.requests, STREAMS * (least + least / 10 + 16));
	ck_assert_uint_le(one.misses, STREAMS * 3 * (load.call_max / PAGE_BYTES + 2));
	for (unsigned own = 0; own < 2; own++) {
		struct cost many;

		load.in_turns = true;
		load.own = own == 1;
		many = cost_of(&load);
		ck_assert_msg(10 * many.misses <= 11 * STREAMS * one.misses &&
				      10 * many.requests <= 11 * STREAMS * one.requests,
			      "calls of %zu, own %u: %llu misses and %llu requests, one after the other %llu and %llu",
			      load.call_max, own, (unsigned long long)many.misses, (unsigned long long)many.requests,
			      (unsigned long long)one.misses, (unsigned long long)one.requests);
	}
}

START_TEST(many_streams_cost_what_one_does)
{
	large_machine_start();
	expect_as_one((struct load){ .bytes = 16 * MIB, .distance = 16 * MIB, .call_max = 5000 });
	expect_as_one((struct load){ .bytes = 16 * MIB, .distance = 4 * GIB, .call_max = MIB, .any_length = true });
	large_machine_stop();
}
END_TEST

START_TEST(many_streams_of_small_and_odd_calls_cost_what_one_does)
{
	static const size_t calls[] = { 1, 511, PAGE_BYTES - 1, PAGE_BYTES + 1, 65536, 100001, MIB - 1 };

	large_machine_start();
	for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
		const uint64_t bytes = MIN(MAX(MIB, 4 * calls[i]), 20000 + calls[i] * 2000ull);

		expect_as_one((struct load){ .bytes = bytes, .start = 1000, .distance = 16 * MIB, .call_max = calls[i] });
	}
	expect_as_one((struct load){ .bytes = MIB, .distance = GIB, .call_max = 9000, .any_length = true });
	large_machine_stop();
}
END_TEST

/* In turns 1 MB apart, the readers look like one with a stride, again and again. */
START_TEST(streams_at_equal_distances_are_no_stride)
{
	const struct load load = { .bytes = MIB, .distance = MIB, .call_max = PAGE_BYTES, .in_turns = true };
	struct cost cost;

	large_machine_start();
	cost = cost_of(&load);
	ck_assert_uint_le(cost.requests, 24 * STREAMS);
	ck_assert_uint_le(cost.misses, 4 * STREAMS);
	large_machine_stop();
}
END_TEST

/*
 * Beside 60 streams, later on, three times as many reads somewhere: these get nothing read ahead,
 * and take no stream's place.
 */
START_TEST(random_readers_push_no_stream_out)
{
	struct pagecache_statistics statistics;
	struct random random;
	char page[PAGE_BYTES];

	random_seed(&random, 8);
	large_machine_start();
	for (uint64_t i = 0; i < 256 * 60; i++) {
		ck_assert_int_eq(node_read(&volume.node, i % 60 * GIB + PAGE(i / 60), page, sizeof(page)), STATUS_OK);
		for (unsigned k = 0; i >= 4 * 60 && k < 3; k++)
			ck_assert_int_eq(
				node_read(&volume.node, 64 * GIB + PAGE(random_below(&random, 1 << 24)), page, sizeof(page)),
				STATUS_OK);
	}
	volume_statistics(&volume, &statistics);
	ck_assert_uint_le(statistics.misses, 3 * 256 * 60 + 4 * 60);
	/* Of a stream that has read 256 pages, no more than as many. */
	ck_assert_uint_le(statistics.ahead_pages - statistics.ahead_used, 256 * 60 + 100);
	large_machine_stop();
}
END_TEST

/*
 * Of a full cache, what was read ahead and not used yet is a tenth, however many streams there are.
 */
START_TEST(all_windows_together_have_a_share)
{
	struct pagecache_statistics statistics;
	char page[PAGE_BYTES];

	large_machine_start();
	for (uint64_t i = 0; i < 5120; i++) {
		for (uint64_t stream = 0; stream < STREAMS; stream++)
			ck_assert_int_eq(node_read(&volume.node, stream * GIB + PAGE(i), page, sizeof(page)), STATUS_OK);
		volume_statistics(&volume, &statistics);
		ck_assert_uint_le(statistics.ahead_pages - statistics.ahead_used - statistics.ahead_wasted,
				  (GIB / PAGE_BYTES) / 8);
	}
	ck_assert_uint_le(statistics.ahead_wasted, statistics.ahead_used / 100);
	ck_assert_uint_le(statistics.misses, 4 * STREAMS);
	large_machine_stop();
}
END_TEST

/* A table has room in proportion to its node, and what a reader keeps is followed without one. */
START_TEST(tables_are_bounded)
{
	const struct extent extents[] = { { 0, 0, 1 }, { 0, 0, 40 * 64 }, { 0, 0, 1 << 20 } };
	const uint32_t counts[] = { 8, 40, READAHEAD_STREAMS };

	large_machine_start();
	for (size_t i = 0; i < ARRAY_LENGTH(extents); i++) {
		struct stream own = { 0 };
		struct pagecache_statistics statistics;
		uint64_t misses;
		struct node node;
		char page[PAGE_BYTES];

		ck_assert_int_eq(node_open(&node, &volume, &extents[i], 1, PAGE(extents[i].pages)), STATUS_OK);
		ck_assert_uint_eq(node.readahead.count, counts[i]);
		node.readahead.count = 0; /* as if there had been no memory for it */
		volume_statistics(&volume, &statistics);
		misses = statistics.misses;
		for (uint64_t number = 0; number < MIN(extents[i].pages, 2000ull); number++)
			ck_assert_int_eq(node_read_stream(&node, &own, PAGE(number), page, sizeof(page)), STATUS_OK);
		volume_statistics(&volume, &statistics);
		ck_assert_uint_le(statistics.misses - misses, 2);
		for (uint64_t number = 2100; number < MIN(extents[i].pages, 2200ull); number++)
			ck_assert_int_eq(node_read(&node, PAGE(number), page, sizeof(page)), STATUS_OK);
		ck_assert_int_eq(node_close(&node, false), STATUS_OK);
	}
	large_machine_stop();
}
END_TEST

HOST_TEST_MAIN("readahead", a_sequential_reader_misses_only_at_first, streams_do_not_disturb_each_other,
	       strides_are_followed_both_ways, random_readers_are_left_alone, the_end_of_a_node_ends_it, it_can_be_switched_off,
	       many_streams_cost_what_one_does, many_streams_of_small_and_odd_calls_cost_what_one_does,
	       streams_at_equal_distances_are_no_stride, random_readers_push_no_stream_out, all_windows_together_have_a_share,
	       tables_are_bounded)
