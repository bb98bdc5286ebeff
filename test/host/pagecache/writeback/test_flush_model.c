// SPDX-License-Identifier: BSD-2-Clause
/*
 * Flushes against a model: what a flush that returned STATUS_OK said is on the medium, after any
 * writes, mappings, evictions, discards, resets and failures; and a flush that failed without a
 * fault fails for what is really lost.
 */
#include <string.h>

#include "fake/forgetful_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "runtime/base/bits.h"

static struct cache_machine machine;
static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static void (*write_done)(struct block_request *request);

#define MODEL_PAGES 600u
#define MODEL_BYTES (MODEL_PAGES * PAGE_BYTES)
#define STEPS       2000 /* with each seed */
#define SEEDS       6

/*
 * machine.model is what was written, and what a reader of it all would see. The node is the second
 * half of the pages that are used, in another order; the volume's own node, the first half.
 */
static struct node nodes[2];
static const struct extent extents[2][2] = {
	{ { 0, 0, MODEL_PAGES / 2 }, { 0 } },
	{ { 0, MODEL_BYTES / 4 * 3, MODEL_PAGES / 4 }, { MODEL_PAGES / 4, MODEL_BYTES / 2, MODEL_PAGES / 4 } },
};
static struct phys_addr buffer;
static unsigned char acknowledged[SMALL_DISK]; /* what the disk has said that it has written, lost or not */
static bool resets_at_end;                     /* the disk is reset when it has the next write, before the cache sees that */
static bool joined;                            /* ranges were, since the last clearing: more may be told than is lost */

static uint64_t position_of(unsigned node, uint64_t offset)
{
	return node_position(&nodes[node], offset / PAGE_BYTES) + offset % PAGE_BYTES;
}

/* What a reader of the page would see. */
static void look(unsigned node, uint64_t number, unsigned char *page)
{
	const uint64_t key = page_key_make(nodes[node].id, number);

	uint32_t state;
	struct page *cached = index_find(&machine.pagecache.pages.index, key, &state);

	if (cached)
		memcpy(page, page_memory(cached), PAGE_BYTES);
	else
		memcpy(page, machine.disk.data + position_of(node, number * PAGE_BYTES), PAGE_BYTES);
}

/* The end of a write, before the cache sees it. */
static void acknowledge(struct block_request *request)
{
	uint64_t position = request->offset_bytes;

	for (uint32_t i = 0; request->status == STATUS_OK && i < request->segment_count; i++) {
		memcpy(acknowledged + position, platform_virt(request->segments[i].start), request->segments[i].bytes);
		position += request->segments[i].bytes;
	}
	if (resets_at_end)
		fake_block_reset(&machine.disk);
	resets_at_end = false;
	write_done(request);
}

static void submit_and_note(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_WRITE) {
		write_done = request->done;
		request->done = acknowledge;
	}
	submit_to_disk(device, request);
}

/*
 * Whether something of the node is not what was written last; `accept`: then that is what is
 * expected from now on.
 */
static bool is_damaged(unsigned node, bool accept)
{
	unsigned char page[PAGE_BYTES];
	bool damaged = false;

	for (uint64_t number = 0; number < node_pages(&nodes[node]); number++) {
		unsigned char *model = machine.model + position_of(node, number * PAGE_BYTES);

		look(node, number, page);
		damaged = damaged || memcmp(page, model, PAGE_BYTES) != 0;
		if (accept)
			memcpy(model, page, PAGE_BYTES);
	}
	return damaged;
}

static bool is_durable(unsigned node)
{
	for (unsigned i = 0; i < nodes[node].extent_count; i++)
		if (memcmp(machine.disk.durable + extents[node][i].position, machine.model + extents[node][i].position,
			   extents[node][i].pages * PAGE_BYTES) != 0)
			return false;
	return true;
}

/* They come together when there was a loss, and some go in the middle of others. */
static void look_at_ranges(void)
{
	const struct written *written = &machine.volume.writeback.written;

	joined = joined || written->noted.count + written->noted_before.count + written->lost.count > RANGES_MAX - 8;
}

static void write_some(struct random *random, unsigned node)
{
	const uint64_t offset = random_below(random, nodes[node].bytes);
	const bool whole = random_below(random, 2);
	const uint64_t start = whole ? align_down(offset, PAGE_BYTES) : offset;
	const uint64_t most = whole ? PAGE_BYTES : 1 + random_below(random, 3 * PAGE_BYTES);
	const uint64_t bytes = MIN(most, nodes[node].bytes - start);
	unsigned char data[3 * PAGE_BYTES];

	for (uint64_t i = 0; i < bytes; i++) {
		data[i] = (unsigned char)random_next(random);
		machine.model[position_of(node, start + i)] = data[i];
	}
	ck_assert_int_eq(node_write(&nodes[node], start, data, bytes), STATUS_OK);
}

static void write_directly(struct random *random, unsigned node)
{
	const uint64_t number = random_below(random, node_pages(&nodes[node]) - 3), pages = 1 + random_below(random, 3);
	const struct phys_range segment = { buffer, pages * PAGE_BYTES };
	unsigned char *data = platform_virt(buffer);

	for (uint64_t i = 0; i < pages * PAGE_BYTES; i++)
		data[i] = (unsigned char)random_next(random);
	if (node_direct(&nodes[node], BLOCK_WRITE, number * PAGE_BYTES, &segment, 1) != STATUS_OK)
		return; /* of what is dirty in the node, something cannot be written: nothing was transferred */
	for (uint64_t i = 0; i < pages * PAGE_BYTES; i++)
		machine.model[position_of(node, number * PAGE_BYTES + i)] = data[i];
}

/* Past the cache is what is in it. */
static void read_directly(struct random *random, unsigned node)
{
	const uint64_t number = random_below(random, node_pages(&nodes[node]));
	const struct phys_range segment = { buffer, PAGE_BYTES };
	unsigned char page[PAGE_BYTES];

	if (node_direct(&nodes[node], BLOCK_READ, number * PAGE_BYTES, &segment, 1) != STATUS_OK)
		return;
	look(node, number, page);
	ck_assert_int_eq(memcmp(platform_virt(buffer), page, PAGE_BYTES), 0);
}

static void map_some(struct random *random, unsigned node)
{
	const uint64_t offset = random_below(random, nodes[node].bytes - 3 * PAGE_BYTES) & ~511ull;
	const uint64_t bytes = 512 + (random_below(random, 3 * PAGE_BYTES - 512) & ~511ull);
	struct mapping *mapping;
	uint64_t done = 0;

	ck_assert_int_eq(node_map(&nodes[node], offset, bytes, MAP_WRITE, &mapping), STATUS_OK);
	if (random_below(random, 4) == 0)
		fake_block_reset(&machine.disk);
	for (uint32_t i = 0; i < mapping->segment_count; i++) {
		unsigned char *memory = platform_virt(mapping->segments[i].start);

		for (uint64_t j = 0; j < mapping->segments[i].bytes; j++, done++)
			machine.model[position_of(node, offset + done)] = memory[j] = (unsigned char)random_next(random);
	}
	node_unmap(mapping);
}

/* Without faults a flush fails only for what is really lost. */
static void flush_and_check(struct random *random)
{
	const unsigned which = (unsigned)random_below(random, 3);
	status_t status;

	machine.disk.fail_flushes = random_below(random, 3) == 0;
	machine.disk.fail_writes = random_below(random, 6) == 0;
	machine.disk.fail_start = random_below(random, MODEL_BYTES);
	machine.disk.fail_end = machine.disk.fail_start + 512;
	status = which < 2 ? node_flush(&nodes[which]) : volume_flush(&machine.volume);
	for (unsigned node = 0; node < 2; node++) {
		if (which == 1 - node)
			continue;
		if (status == STATUS_OK)
			ck_assert(is_durable(node));
	}
	if (status != STATUS_OK && !machine.disk.fail_flushes && !machine.disk.fail_writes && !joined)
		ck_assert((which != 1 && is_damaged(0, false)) || (which != 0 && is_damaged(1, false)));
	if (machine.disk.fail_flushes)
		ck_assert_int_ne(status, STATUS_OK);
	machine.disk.fail_flushes = machine.disk.fail_writes = false;
}

/*
 * What has not been written is given up; what has been is the disk's to keep, and a flush tells
 * when it did not.
 */
static void discard_some(struct random *random, unsigned node)
{
	const uint64_t any = random_below(random, node_pages(&nodes[node]));
	const struct page *dirty = dirty_first(&nodes[node].dirty, DIRTY_WAITING, any);
	const uint64_t number = dirty ? page_key_number(page_key(dirty)) : any;
	const uint64_t pages = random_below(random, 20) == 0 ? node_pages(&nodes[node]) - number : 1;

	ck_assert_int_eq(node_discard(&nodes[node], number * PAGE_BYTES, pages * PAGE_BYTES), STATUS_OK);
	for (uint64_t i = 0; i < pages; i++) {
		const uint64_t position = position_of(node, (number + i) * PAGE_BYTES);

		memcpy(machine.model + position, acknowledged + position, PAGE_BYTES);
	}
}

static void lose_some(struct random *random, unsigned node)
{
	switch (random_below(random, 4)) {
	case 0:
		(void)node_evict_page(&nodes[node], random_below(random, node_pages(&nodes[node])));
		break;
	case 1:
		(void)volume_drop(&machine.volume);
		break;
	case 2:
		discard_some(random, node);
		break;
	default:
		(void)memory_drain(&machine.memory, BLOCK_BYTES, false);
	}
}

/* After a flush, so that all that is lost has been told. */
static void clear(void)
{
	if (volume_flush(&machine.volume) == STATUS_OK)
		return;
	volume_error_clear(&machine.volume);
	(void)is_damaged(0, true);
	(void)is_damaged(1, true);
	memcpy(acknowledged, machine.disk.data, SMALL_DISK);
	joined = false;
}

static void model_step(struct random *random)
{
	const unsigned node = (unsigned)random_below(random, 2);
	unsigned char page[PAGE_BYTES];

	resets_at_end = random_below(random, 8) == 0;
	switch (random_below(random, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		write_some(random, node);
		break;
	case 4:
		(random_below(random, 2) ? write_directly : read_directly)(random, node);
		break;
	case 5:
		map_some(random, node);
		break;
	case 6:
	case 7:
		lose_some(random, node);
		break;
	case 8:
		ck_assert_int_eq(
			node_read(&nodes[node], random_below(random, node_pages(&nodes[node])) * PAGE_BYTES, page, PAGE_BYTES),
			STATUS_OK);
		break;
	case 9:
		if (cache_write_back(&nodes[node]) != STATUS_OK)
			ck_assert_uint_gt(atomic_load(&nodes[node].failed_pages), 0);
		break;
	case 10:
		pagecache_writeback_step(&machine.pagecache);
		break;
	case 11:
		fake_block_reset(&machine.disk);
		break;
	case 12:
		if (random_below(random, 4) == 0)
			clear();
		break;
	default:
		flush_and_check(random);
	}
	look_at_ranges();
}

static void write_all(struct random *random)
{
	for (unsigned node = 0; node < 2; node++) {
		for (uint64_t number = 0; number < node_pages(&nodes[node]); number++) {
			unsigned char *model = machine.model + position_of(node, number * PAGE_BYTES);

			for (unsigned i = 0; i < PAGE_BYTES; i++)
				model[i] = (unsigned char)random_next(random);
			ck_assert_int_eq(node_write(&nodes[node], number * PAGE_BYTES, model, PAGE_BYTES), STATUS_OK);
			look_at_ranges();
		}
	}
}

/*
 * When all has been written anew, nothing is left to be told. Ranges that were joined while some
 * went may need it twice.
 */
static void repair(struct random *random)
{
	write_all(random);
	if (volume_flush(&machine.volume) != STATUS_OK) {
		ck_assert(joined);
		write_all(random);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	}
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	joined = false;
}

START_TEST(what_a_flush_says_is_true)
{
	struct owner owner;
	const struct memory_request request = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct random random;

	forgetful_machine_init(&machine);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = submit_and_note;
	memcpy(acknowledged, machine.disk.data, SMALL_DISK);
	owner_init(&owner, "test", false);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &buffer), STATUS_OK);
	ck_assert_int_eq(node_open(&nodes[0], &machine.volume, extents[0], 1, MODEL_BYTES / 2), STATUS_OK);
	ck_assert_int_eq(node_open(&nodes[1], &machine.volume, extents[1], 2, MODEL_BYTES / 2), STATUS_OK);
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		random_seed(&random, 100 + seed);
		for (unsigned i = 0; i < STEPS; i++)
			model_step(&random);
		repair(&random);
		ck_assert(pagecache_is_valid(&machine.pagecache));
	}
	for (unsigned node = 0; node < 2; node++)
		ck_assert_int_eq(node_close(&nodes[node], false), STATUS_OK);
	memory_blocks_free(&machine.memory, buffer);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("flush model", what_a_flush_says_is_true)
