// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nodes that end anywhere and lie side by side, each beginning at the sector after the one before
 * or a little further on, compared with one flat array of the disk: what one of them does changes
 * its own bytes, and neither its neighbours' nor those in the gaps.
 */
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "runtime/base/bits.h"

#define SECTOR      512u
#define NODES       12
#define EXTENTS_MAX 3
#define PAGES_MAX   6
#define DISK        (4 * MIB)
#define ROUNDS      40
#define STEPS       300
#define BUFFER      (PAGES_MAX * PAGE_BYTES)

struct file {
	struct node node;
	struct extent extents[EXTENTS_MAX];
	uint32_t extent_count;
	uint64_t bytes;
};

static struct cache_machine machine;
static struct random seed;
static struct file files[NODES];
static struct phys_addr block; /* for direct I/O */
static unsigned char buffer[BUFFER];

static uint64_t below(uint64_t bound)
{
	return random_below(&seed, bound);
}

/* The node's bytes from `offset` on in the flat array, and how many lie there in one piece. */
static unsigned char *model_of(const struct file *file, uint64_t offset, uint64_t bytes, uint64_t *piece)
{
	*piece = MIN(bytes, PAGE_BYTES - offset % PAGE_BYTES);
	return machine.model + node_position(&file->node, offset / PAGE_BYTES) + offset % PAGE_BYTES;
}

static void model_write(const struct file *file, uint64_t offset, const unsigned char *data, uint64_t bytes)
{
	for (uint64_t done = 0, piece; done < bytes; done += piece) {
		unsigned char *model = model_of(file, offset + done, bytes - done, &piece);

		memcpy(model, data + done, piece);
	}
}

static void model_check(const struct file *file, uint64_t offset, const unsigned char *data, uint64_t bytes)
{
	for (uint64_t done = 0, piece; done < bytes; done += piece) {
		const unsigned char *model = model_of(file, offset + done, bytes - done, &piece);

		ck_assert_int_eq(memcmp(model, data + done, piece), 0);
	}
}

/* A range that often ends with the node. */
static uint64_t choose_range(const struct file *file, uint64_t unit, uint64_t *bytes)
{
	const uint64_t end = align_down(file->bytes, unit);
	const uint64_t offset = below(4) == 0 ? 0 : align_down(below(end + 1), unit);

	*bytes = below(2) == 0 ? end - offset : align_down(below(end - offset + 1), unit);
	return offset;
}

static void fill(uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		buffer[i] = (unsigned char)random_next(&seed);
}

/* Operations ----------------------------------------------------------------------------------- */

static void run_read(struct file *file)
{
	uint64_t bytes;
	const uint64_t offset = choose_range(file, 1, &bytes);

	ck_assert_int_eq(node_read(&file->node, offset, buffer, bytes), STATUS_OK);
	model_check(file, offset, buffer, bytes);
}

static void run_write(struct file *file)
{
	uint64_t bytes;
	const uint64_t offset = choose_range(file, 1, &bytes);

	fill(bytes);
	ck_assert_int_eq(node_write(&file->node, offset, buffer, bytes), STATUS_OK);
	model_write(file, offset, buffer, bytes);
}

static void run_map(struct file *file)
{
	const enum map_access access = below(2) == 0 ? MAP_READ : MAP_WRITE;
	struct mapping *mapping;
	uint64_t bytes, done = 0;
	const uint64_t offset = choose_range(file, 1, &bytes);

	if (bytes == 0)
		return;
	fill(bytes);
	ck_assert_int_eq(node_map(&file->node, offset, bytes, access, &mapping), STATUS_OK);
	for (uint32_t i = 0; i < mapping->segment_count; done += mapping->segments[i++].bytes) {
		void *memory = platform_virt(mapping->segments[i].start);

		if (access == MAP_WRITE)
			memcpy(memory, buffer + done, mapping->segments[i].bytes);
		else
			model_check(file, offset + done, memory, mapping->segments[i].bytes);
	}
	ck_assert_uint_eq(done, bytes);
	node_unmap(mapping);
	if (access == MAP_WRITE)
		model_write(file, offset, buffer, bytes);
}

static void run_direct(struct file *file)
{
	const enum block_operation operation = below(2) == 0 ? BLOCK_READ : BLOCK_WRITE;
	uint64_t bytes;
	const uint64_t offset = choose_range(file, SECTOR, &bytes);
	const struct phys_range segment = { block, bytes };

	fill(bytes);
	memcpy(platform_virt(block), buffer, bytes);
	ck_assert_int_eq(node_direct(&file->node, operation, offset, &segment, 1), STATUS_OK);
	if (operation == BLOCK_READ)
		model_check(file, offset, platform_virt(block), bytes);
	else
		model_write(file, offset, buffer, bytes);
}

static void file_open(struct file *file)
{
	ck_assert_int_eq(node_open(&file->node, &machine.volume, file->extents, file->extent_count, file->bytes), STATUS_OK);
}

/* What goes to the disk when, and what is read again. */
static void run_rest(struct file *file)
{
	switch (below(4)) {
	case 0:
		ck_assert_int_eq(node_flush(&file->node), STATUS_OK);
		break;
	case 1:
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.data, machine.model, DISK), 0);
		break;
	case 2:
		(void)volume_drop(&machine.volume);
		break;
	default:
		ck_assert_int_eq(node_close(&file->node, false), STATUS_OK);
		file_open(file);
	}
}

/* Layout --------------------------------------------------------------------------------------- */

/*
 * Whole pages for each extent, but for the last of a node: that takes the sectors it needs, and the
 * next one follows at once.
 */
static void layout(void)
{
	uint64_t position = 0;

	for (unsigned i = 0; i < NODES; i++) {
		files[i] = (struct file){ .bytes = 1 + below(BUFFER) };
		files[i].extent_count = 1 + (uint32_t)below(MIN(divide_round_up(files[i].bytes, PAGE_BYTES), EXTENTS_MAX));
	}
	for (unsigned turn = 0; turn < EXTENTS_MAX; turn++) {
		for (unsigned i = 0; i < NODES; i++) {
			struct file *file = &files[i];
			const uint64_t pages = divide_round_up(file->bytes, PAGE_BYTES);
			const bool last = turn + 1 == file->extent_count;

			if (turn >= file->extent_count)
				continue;
			position += below(3) * SECTOR * (below(2) == 0);
			file->extents[turn] = (struct extent){ turn, position, last ? pages - turn : 1 };
			position += last ? align_up(file->bytes - turn * PAGE_BYTES, SECTOR) : PAGE_BYTES;
		}
	}
	ck_assert_uint_le(position, DISK);
}

START_TEST(a_node_changes_its_own_bytes_only)
{
	static void (*const operations[])(struct file *
					  file) = { run_read, run_write, run_write, run_map, run_direct, run_rest };
	const struct memory_request request = { .blocks = 1, .owner = &machine.pagecache.owner };

	random_seed(&seed, 7);
	for (unsigned round = 0; round < ROUNDS; round++) {
		cache_machine_init(&machine, DISK, false);
		ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &block), STATUS_OK);
		layout();
		for (unsigned i = 0; i < NODES; i++)
			file_open(&files[i]);
		for (unsigned step = 0; step < STEPS; step++)
			operations[below(ARRAY_LENGTH(operations))](&files[below(NODES)]);
		for (unsigned i = 0; i < NODES; i++)
			ck_assert_int_eq(node_close(&files[i].node, false), STATUS_OK);
		memory_blocks_free(&machine.memory, block);
		cache_machine_fini(&machine); /* compares all of the disk */
	}
}
END_TEST

/* Losses --------------------------------------------------------------------------------------- */

static char ignored[2]; /* what is logged */

static void open_forgetful(struct file *file, uint64_t position, uint64_t bytes)
{
	*file = (struct file){ .extents = { { 0, position, divide_round_up(bytes, PAGE_BYTES) } }, .bytes = bytes };
	ck_assert_int_eq(node_open(&file->node, &machine.volume, file->extents, 1, bytes), STATUS_OK);
}

static void machine_forgetful(void)
{
	cache_machine_init(&machine, DISK, false);
	fake_block_forgetful(&machine.disk);
	host_output_capture(ignored, sizeof(ignored));
}

/* All of the node, and to the model. */
static void write_all(struct file *file)
{
	for (uint64_t i = 0; i < file->bytes; i++)
		buffer[i] = (unsigned char)below(256);
	ck_assert_int_eq(node_write(&file->node, 0, buffer, file->bytes), STATUS_OK);
	model_write(file, 0, buffer, file->bytes);
}

static void write_and_evict(struct file *file)
{
	write_all(file);
	ck_assert_int_eq(cache_write_back(&file->node), STATUS_OK);
	ck_assert(node_evict_page(&file->node, node_pages(&file->node) - 1));
}

/* Of two nodes that share 4 KB of the disk, the second has lost what was written. */
START_TEST(what_is_lost_is_told_of_its_own_node_only)
{
	struct file *first = &files[0], *second = &files[1];

	random_seed(&seed, 8);
	machine_forgetful();
	open_forgetful(first, 0, SECTOR);
	open_forgetful(second, SECTOR, SECTOR);
	for (unsigned way = 0; way < 2; way++) {
		write_and_evict(second);
		if (way == 1)
			write_and_evict(first);
		fake_block_reset(&machine.disk);
		ck_assert_int_eq(node_flush(&second->node), STATUS_IO_ERROR);
		ck_assert_int_eq(node_flush(&first->node), way == 0 ? STATUS_OK : STATUS_IO_ERROR);
		write_all(first);
		ck_assert_int_eq(node_flush(&first->node), STATUS_OK);
		ck_assert_int_eq(node_flush(&second->node), STATUS_IO_ERROR);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		write_all(second);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, DISK), 0);
		/* What is noted of the second one stays when the first one is written. */
		write_and_evict(second);
		write_and_evict(first);
		write_all(first);
		ck_assert_int_eq(cache_write_back(&first->node), STATUS_OK);
		fake_block_reset(&machine.disk);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		ck_assert_int_eq(node_flush(&first->node), STATUS_OK);
		write_all(second);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	}
	ck_assert_int_eq(node_close(&first->node, false), STATUS_OK);
	ck_assert_int_eq(node_close(&second->node, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* The last page, up to the node's end, or less. */
static void map_and_write(struct file *file, uint64_t less)
{
	const uint64_t start = align_down(file->bytes - 1, PAGE_BYTES);
	struct mapping *mapping;

	ck_assert_int_eq(node_map(&file->node, start, file->bytes - start - less, MAP_WRITE, &mapping), STATUS_OK);
	for (uint64_t i = 0; i < file->bytes - start - less; i++)
		buffer[i] = (unsigned char)below(256);
	memcpy(platform_virt(mapping->segments[0].start), buffer, file->bytes - start - less);
	model_write(file, start, buffer, file->bytes - start - less);
	node_unmap(mapping);
}

START_TEST(what_is_lost_of_the_last_page_can_be_repaired)
{
	static const uint64_t ends[] = {
		1, 100, SECTOR, SECTOR + 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 904, 2 * PAGE_BYTES - SECTOR
	};
	struct file *file = &files[0];

	random_seed(&seed, 9);
	machine_forgetful();
	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(ends); i++) {
		open_forgetful(file, 0, ends[i / 2]);
		write_and_evict(file);
		fake_block_reset(&machine.disk);
		ck_assert_int_eq(node_flush(&file->node), STATUS_IO_ERROR);
		if ((file->bytes - 1) % PAGE_BYTES > 0) {
			map_and_write(file, 1); /* a part of it does not repair the rest */
			ck_assert_int_eq(node_flush(&file->node), STATUS_IO_ERROR);
		}
		if (i % 2)
			map_and_write(file, 0);
		else
			write_all(file);
		ck_assert_int_eq(node_flush(&file->node), STATUS_OK);
		ck_assert_int_eq(node_close(&file->node, false), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("node_tails", a_node_changes_its_own_bytes_only, what_is_lost_is_told_of_its_own_node_only,
	       what_is_lost_of_the_last_page_can_be_repaired)
