// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;

static const struct device plain = { .name = "plain", .dma_mask = UINT64_MAX };

static void setup_at(uint64_t start, uint64_t blocks, uint64_t min_blocks, uint64_t low_blocks)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, start, blocks, min_blocks, low_blocks);
}

static void setup(uint64_t blocks)
{
	setup_at(MACHINE_START, blocks, 0, 0);
}

static void teardown(void)
{
	ck_assert(list_is_empty(&memory->blocks.owners) || memory->blocks.total_blocks > 0);
	(void)memory_drain(memory, UINT64_MAX / 2, true);
	machine_fini(&machine);
}

/* Everything that dma.h promises of a buffer. */
static void check_buffer(const struct device *device, const struct dma_request *request, const struct dma_buffer *buffer)
{
	const uint64_t alignment = MAX(request->alignment_bytes, 64);
	uint64_t covered = 0, piece_bytes = 0, piece = 0;
	uint64_t before_end = 0;

	ck_assert_uint_eq(buffer->bytes, request->bytes);
	for (uint32_t i = 0; i < buffer->segment_count; i++) {
		const uint64_t start = buffer->segments[i].start.value;
		const uint64_t end = start + buffer->segments[i].bytes;
		const bool is_last = i + 1 == buffer->segment_count;

		ck_assert_uint_gt(buffer->segments[i].bytes, 0);
		ck_assert_uint_le(end - 1, device->dma_mask);
		ck_assert_uint_ge(start, device->dma_lowest);
		if (device->dma_segment_bytes_max != 0)
			ck_assert_uint_le(end - start, device->dma_segment_bytes_max);
		if (device->dma_boundary_bytes != 0)
			ck_assert_uint_eq(start / device->dma_boundary_bytes, (end - 1) / device->dma_boundary_bytes);
		if (!is_last)
			ck_assert_uint_ge(end - start, MIN(request->segment_bytes_min, align_up(request->bytes, 64)));
		ck_assert(start % alignment == 0 || start == before_end);
		before_end = end;

		/* The virtual side sees the same bytes: walk the pieces along. */
		for (uint64_t at = 0; at < end - start; at += 4096) {
			while (covered + at >= piece_bytes + buffer->pieces[piece].bytes)
				piece_bytes += buffer->pieces[piece++].bytes;
			ck_assert_uint_eq(start + at, buffer->pieces[piece].start.value + (covered + at - piece_bytes));
			if (at % (64 * KIB) != 0)
				continue;
			unsigned char *byte = (unsigned char *)buffer->memory + covered + at;
			*byte = (unsigned char)(at + 1);
			ck_assert_uint_eq(*(unsigned char *)platform_virt((struct phys_addr){ start + at }), *byte);
		}
		covered += end - start;
	}
	ck_assert_uint_eq(covered, align_up(request->bytes, 64));
	if (device->dma_segments_max != 0)
		ck_assert_uint_le(buffer->segment_count, device->dma_segments_max);
	if (request->segments_max != 0)
		ck_assert_uint_le(buffer->segment_count, request->segments_max);
}

START_TEST(sizes_from_one_byte_to_many_blocks)
{
	static const uint64_t sizes[] = {
		1, 64, 100, 4096, 65537, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 7 * MIB + 12345, 40 * MIB
	};

	setup(64);
	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
		const struct dma_request request = { .bytes = sizes[i], .zero = true };
		struct dma_buffer *buffer;

		ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffer), STATUS_OK);
		for (uint64_t at = 0; at < sizes[i]; at += 4093)
			ck_assert(((unsigned char *)buffer->memory)[at] == 0);
		memset(buffer->memory, 0xff, sizes[i]);
		check_buffer(&plain, &request, buffer);
		ck_assert(memory_is_valid(memory));
		dma_free(memory_dma(memory), buffer);
	}
	dma_free(memory_dma(memory), NULL);
	teardown();
}
END_TEST

START_TEST(contradictions_are_refused)
{
	static const struct {
		struct device device;
		struct dma_request request;
		status_t status;
	} cases[] = {
		{ { .name = "d", .dma_mask = UINT64_MAX }, { .bytes = 0 }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX }, { .bytes = UINT64_MAX }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX }, { .bytes = 1ull << 50 }, STATUS_RANGE },
		{ { .name = "d", .dma_mask = 0 }, { .bytes = 64 }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = MIB - 1, .dma_lowest = MIB }, { .bytes = 64 }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX }, { .bytes = 64, .alignment_bytes = 96 }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX }, { .bytes = 64, .segment_bytes_min = 96 }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX, .dma_boundary_bytes = 100 }, { .bytes = 64 }, STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX, .dma_boundary_bytes = 4096 },
		  { .bytes = MIB, .segment_bytes_min = 8192 },
		  STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX, .dma_segment_bytes_max = 65536, .dma_segments_max = 15 },
		  { .bytes = MIB },
		  STATUS_INVALID },
		{ { .name = "d", .dma_mask = UINT64_MAX, .dma_segment_bytes_max = MIB },
		  { .bytes = 4 * MIB, .segments_max = 1 },
		  STATUS_INVALID },
		{ { .name = "d", .dma_mask = (1 << 28) - 1 }, { .bytes = 4 * MIB }, STATUS_RANGE },
		{ { .name = "d", .dma_mask = (1 << 28) - 1 }, { .bytes = 4096 }, STATUS_RANGE },
		{ { .name = "d", .dma_mask = UINT64_MAX, .dma_lowest = 1ull << 50 }, { .bytes = 4 * MIB }, STATUS_RANGE },
		{ { .name = "d", .dma_mask = UINT64_MAX, .dma_lowest = 1ull << 50 }, { .bytes = 4096 }, STATUS_RANGE },
	};
	struct dma_buffer *const nothing = (struct dma_buffer *)&machine;

	setup(32);
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct dma_buffer *buffer = nothing;

		ck_assert_int_eq(dma_alloc(memory_dma(memory), &cases[i].device, &cases[i].request, &buffer), cases[i].status);
		ck_assert_ptr_eq(buffer, nothing);
	}
	teardown();
}
END_TEST

static uint64_t random_power(struct random *random, unsigned low, unsigned high)
{
	return 1ull << (low + random_below(random, high - low + 1));
}

START_TEST(random_limits_are_all_kept)
{
	enum { BUFFERS = 6 };
	struct dma_buffer *buffers[BUFFERS] = { 0 };
	struct dma_request requests[BUFFERS];
	struct device devices[BUFFERS];
	struct random random;
	unsigned made = 0, refused = 0;

	setup_at(64 * MIB, 160, 0, 0);
	random_seed(&random, 6);
	for (unsigned step = 0; step < 600; step++) {
		const unsigned i = (unsigned)random_below(&random, BUFFERS);

		dma_free(memory_dma(memory), buffers[i]);
		buffers[i] = NULL;
		devices[i] = (struct device){ .name = "random", .dma_mask = random_power(&random, 27, 32) - 1 };
		requests[i] = (struct dma_request){ .bytes = 1 + random_below(&random, random_power(&random, 0, 25)) };
		if (random_below(&random, 3) == 0)
			devices[i].dma_lowest = random_below(&random, 4) * 40 * MIB;
		if (random_below(&random, 3) == 0)
			devices[i].dma_boundary_bytes = random_power(&random, 12, 26);
		if (random_below(&random, 3) == 0)
			devices[i].dma_segment_bytes_max = 4096 + random_below(&random, random_power(&random, 12, 25));
		if (random_below(&random, 3) == 0)
			devices[i].dma_segments_max = 1 + (uint32_t)random_below(&random, 64);
		if (random_below(&random, 3) == 0)
			requests[i].segments_max = 1 + (uint32_t)random_below(&random, 16);
		if (random_below(&random, 3) == 0)
			requests[i].segment_bytes_min = random_power(&random, 6, 24);
		if (random_below(&random, 3) == 0)
			requests[i].alignment_bytes = random_power(&random, 0, 24);
		const status_t status = dma_alloc(memory_dma(memory), &devices[i], &requests[i], &buffers[i]);
		if (status != STATUS_OK) {
			refused++;
			continue;
		}
		made++;
		check_buffer(&devices[i], &requests[i], buffers[i]);
		if (step % 100 == 0)
			ck_assert(memory_is_valid(memory));
	}
	ck_assert_uint_gt(made, 200);
	ck_assert_uint_gt(refused, 20);
	for (unsigned i = 0; i < BUFFERS; i++)
		dma_free(memory_dma(memory), buffers[i]);
	teardown();
}
END_TEST

START_TEST(scattered_blocks_are_mapped_in_a_row)
{
	const struct dma_request request = { .bytes = 24 * MIB };
	struct phys_addr blocks[36];
	struct dma_buffer *buffer;
	struct owner owner;

	setup(48);
	owner_init(&owner, "holes", true);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffer), STATUS_OK);
	ck_assert_uint_eq(buffer->segment_count, 1);
	ck_assert(!dma_buffer_is_mapped(buffer));
	dma_free(memory_dma(memory), buffer);

	const struct memory_request one = { .blocks = 1, .owner = &owner };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &one, 36, blocks), STATUS_OK);
	for (unsigned i = 0; i < 36; i += 2)
		memory_blocks_free(memory, blocks[i]);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffer), STATUS_OK);
	ck_assert_uint_gt(buffer->segment_count, 1);
	ck_assert(dma_buffer_is_mapped(buffer));
	check_buffer(&plain, &request, buffer);
	const struct dma_request two = { .bytes = 40 * MIB, .segments_max = 2 };
	struct dma_buffer *none;
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &two, &none), STATUS_NO_MEMORY);
	dma_free(memory_dma(memory), buffer);

	for (unsigned i = 1; i < 36; i += 2)
		memory_blocks_free(memory, blocks[i]);
	teardown();
}
END_TEST

START_TEST(narrow_device_gets_low_memory)
{
	static const struct device narrow = { .name = "edu", .dma_mask = (1 << 28) - 1 };
	const struct dma_request request = { .bytes = 8 * MIB };
	struct dma_coherent coherent;
	struct test_cache cache;
	struct dma_buffer *buffer;

	setup_at(128 * MIB, 128, 2, 4); /* 128 MB to 384 MB: half of it is within 28 bits */
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &narrow, &request, &buffer), STATUS_OK);
	check_buffer(&narrow, &request, buffer);
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &narrow, 64, 0, &coherent), STATUS_OK);
	ck_assert_uint_lt(coherent.address.value, 1 << 28);
	ck_assert_uint_le(cache.cleaned_blocks, 7);
	dma_coherent_free(memory_dma(memory), &coherent);
	dma_coherent_free(memory_dma(memory), &coherent);
	dma_free(memory_dma(memory), buffer);

	test_cache_fini(&cache);
	teardown();
}
END_TEST

/*
 * A window of 56 MB in the middle of the cache, for 56 buffers of 1 MB: not a block too many, and
 * no other block gives.
 */
START_TEST(window_gives_all_it_has)
{
	enum { BUFFERS = 56 };
	static const struct device windowed = {
		.name = "bridged",
		.dma_lowest = MACHINE_START + 32 * MIB,
		.dma_mask = MACHINE_START + 88 * MIB - 1,
	};
	const struct dma_request request = { .bytes = MIB, .segments_max = 1 }, run = { .bytes = 56 * MIB, .segments_max = 1 };
	struct dma_buffer *buffers[BUFFERS], *buffer;
	struct test_cache cache;

	setup_at(MACHINE_START, 96, 4, 8);
	test_cache_init(&cache, &machine, "pages", 0);
	for (unsigned loop = 0; loop < 4; loop++) {
		(void)test_cache_fill(&cache, FRAME_CLEAN);
		const uint64_t cleaned = cache.cleaned_blocks;

		for (unsigned i = 0; i < BUFFERS; i++) {
			ck_assert_int_eq(dma_alloc(memory_dma(memory), &windowed, &request, &buffers[i]), STATUS_OK);
			check_buffer(&windowed, &request, buffers[i]);
		}
		ck_assert_uint_le(cache.cleaned_blocks - cleaned, BUFFERS / 2);
		ck_assert_int_eq(dma_alloc(memory_dma(memory), &windowed, &request, &buffer), STATUS_NO_MEMORY);
		for (unsigned i = 0; i < BUFFERS; i++)
			dma_free(memory_dma(memory), buffers[(i * 17) % BUFFERS]);
	}
	(void)memory_drain(memory, UINT64_MAX / 2, true);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &windowed, &run, &buffer), STATUS_OK);
	check_buffer(&windowed, &run, buffer);
	dma_free(memory_dma(memory), buffer);
	test_cache_fini(&cache);
	teardown();
}
END_TEST

START_TEST(full_cache_gives_way_again_and_again)
{
	enum { BUFFERS = 16 };
	const struct dma_request request = { .bytes = 4 * MIB, .wait = MEMORY_WAIT_FOREVER };
	struct dma_buffer *buffers[BUFFERS];
	struct test_cache cache;

	setup_at(MACHINE_START, 96, 4, 8);
	test_cache_init(&cache, &machine, "pages", 0);
	for (unsigned loop = 0; loop < 4; loop++) {
		const uint64_t cached = test_cache_fill(&cache, FRAME_CLEAN);
		const uint64_t evicted = cache.cleaned_blocks;

		for (unsigned i = 0; i < BUFFERS; i++) {
			ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffers[i]), STATUS_OK);
			memset(buffers[i]->memory, (int)i, 4 * MIB);
		}
		ck_assert_uint_le(cache.cleaned_blocks - evicted, 2 * BUFFERS);
		ck_assert_uint_ge(cache.blocks, cached - 2 * BUFFERS);
		for (unsigned i = 0; i < BUFFERS; i++)
			dma_free(memory_dma(memory), buffers[i]);
	}
	test_cache_fini(&cache);
	teardown();
}
END_TEST

START_TEST(one_piece_out_of_a_full_cache)
{
	const struct dma_request request = { .bytes = 64 * MIB, .segments_max = 1 };
	struct dma_buffer *buffer;
	struct test_cache cache;

	setup_at(MACHINE_START, 128, 2, 4);
	test_cache_init(&cache, &machine, "pages", 0);
	for (unsigned loop = 0; loop < 5; loop++) {
		(void)test_cache_fill(&cache, FRAME_CLEAN);
		const uint64_t evicted = cache.cleaned_blocks;
		ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffer), STATUS_OK);
		ck_assert_uint_eq(buffer->segment_count, 1);
		ck_assert(!dma_buffer_is_mapped(buffer));
		check_buffer(&plain, &request, buffer);
		ck_assert_uint_le(cache.cleaned_blocks - evicted, 33);
		dma_free(memory_dma(memory), buffer);
	}
	test_cache_fini(&cache);
	teardown();
}
END_TEST

START_TEST(small_buffers_share_blocks)
{
	const struct dma_request request = { .bytes = MIB, .wait = MEMORY_WAIT_FOREVER };
	struct dma_buffer *buffers[56];
	struct test_cache cache;

	setup_at(MACHINE_START, 40, 0, 2);
	test_cache_init(&cache, &machine, "pages", 0);
	for (unsigned loop = 0; loop < 5; loop++) {
		(void)test_cache_fill(&cache, FRAME_CLEAN);
		for (unsigned i = 0; i < 56; i++)
			ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffers[i]), STATUS_OK);
		for (unsigned i = 0; i < 56; i++)
			dma_free(memory_dma(memory), buffers[i]);
	}
	test_cache_fini(&cache);
	teardown();
}
END_TEST

START_TEST(failure_leaves_everything_as_before)
{
	const struct dma_request requests[] = { { .bytes = 9 * MIB },
						{ .bytes = 64 },
						{ .bytes = 6 * MIB, .segments_max = 2 } };
	struct nth_fault fault;
	unsigned failures = 0;

	setup(64);
	for (unsigned n = 0; n < 24; n++) {
		for (unsigned r = 0; r < ARRAY_LENGTH(requests); r++) {
			struct dma_buffer *buffer;

			nth_fault_init(&fault, n);
			memory_set_fault_injector(memory, &fault.injector);
			const status_t status = dma_alloc(memory_dma(memory), &plain, &requests[r], &buffer);
			memory_set_fault_injector(memory, NULL);
			failures += status != STATUS_OK;
			if (status == STATUS_OK)
				dma_free(memory_dma(memory), buffer);
			ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &plain), 0);
			ck_assert(memory_is_valid(memory));
			(void)memory_drain(memory, UINT64_MAX / 2, false);
			/* Only the list of zones stays. */
			ck_assert_uint_ge(memory_free_bytes(memory), 63 * BLOCK_BYTES);
		}
	}
	ck_assert_uint_gt(failures, 10);
	teardown();
}
END_TEST

START_TEST(leaks_are_counted_and_freed_twice_is_reported)
{
	const struct dma_request request = { .bytes = 5 * MIB };
	struct dma_coherent coherent;
	struct dma_buffer *buffer;

	setup(32);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffer), STATUS_OK);
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &plain, 4096, 4096, &coherent), STATUS_OK);
	ck_assert_uint_eq(coherent.address.value % 4096, 0);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &plain), 2);
	ck_assert_int_eq(memory_fini(memory), STATUS_BUSY);
	dma_free(memory_dma(memory), buffer);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &plain), 1);
	dma_coherent_free(memory_dma(memory), &coherent);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &plain), 0);
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &plain, 0, 0, &coherent), STATUS_INVALID);
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &plain, 64, 96, &coherent), STATUS_INVALID);
	teardown();
}
END_TEST

static void allocate_and_free(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, index + 10);
	for (unsigned step = 0; step < 150; step++) {
		const struct dma_request request = {
			.bytes = 1 + random_below(&random, random_power(&random, 5, 24)),
			.segments_max = (uint32_t)random_below(&random, 3),
			.wait = MEMORY_WAIT_FOREVER,
		};
		struct dma_buffer *buffer;

		ck_assert_int_eq(dma_alloc(memory_dma(memory), &plain, &request, &buffer), STATUS_OK);
		memset(buffer->memory, (int)index, request.bytes);
		ck_assert_uint_eq(((unsigned char *)buffer->memory)[request.bytes / 2], index);
		dma_free(memory_dma(memory), buffer);
	}
}

START_TEST(threads_take_and_free)
{
	setup(96);
	host_threads_run(4, allocate_and_free, NULL);
	teardown();
}
END_TEST

HOST_TEST_MAIN("heap_dma", sizes_from_one_byte_to_many_blocks, contradictions_are_refused, random_limits_are_all_kept,
	       scattered_blocks_are_mapped_in_a_row, narrow_device_gets_low_memory, window_gives_all_it_has,
	       full_cache_gives_way_again_and_again, one_piece_out_of_a_full_cache, small_buffers_share_blocks,
	       failure_leaves_everything_as_before, leaks_are_counted_and_freed_twice_is_reported, threads_take_and_free)
