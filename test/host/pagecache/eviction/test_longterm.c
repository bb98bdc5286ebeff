// SPDX-License-Identifier: BSD-2-Clause
/* Blocks set apart for mapped pages: they hold up no window, and all beside them stays right. */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/eviction/loan.h"
#include "pagecache/map.h"

#define PAGE(n)    ((n)*PAGE_BYTES)
#define RUN_BLOCKS 24 /* more than half of the machine */

static struct cache_machine machine;

static uint64_t longterm_blocks(void)
{
	return machine.pagecache.eviction.mapped_owner.blocks;
}

static const struct block *block_of(const struct mapping *mapping)
{
	return block_heap_find(&machine.memory.blocks, mapping->segments[0].start);
}

static void check_valid(void)
{
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert(memory_is_valid(&machine.memory));
}

static void check_mapping(const struct mapping *mapping, uint64_t offset)
{
	for (uint32_t i = 0; i < mapping->segment_count; offset += mapping->segments[i++].bytes)
		ck_assert_int_eq(
			memcmp(platform_virt(mapping->segments[i].start), machine.model + offset, mapping->segments[i].bytes),
			0);
}

static struct mapping *map(uint64_t number, uint64_t pages, enum map_access access)
{
	struct mapping *mapping;

	ck_assert_int_eq(node_map(&machine.volume.node, PAGE(number), PAGE(pages), access, &mapping), STATUS_OK);
	return mapping;
}

static status_t take_run(uint64_t blocks)
{
	struct owner owner;
	const struct memory_request request = { .blocks = blocks, .owner = &owner };
	struct phys_addr run;
	status_t status;

	owner_init(&owner, "camera", false);
	status = memory_blocks_alloc(&machine.memory, &request, &run);
	if (status == STATUS_OK)
		memory_blocks_free(&machine.memory, run);
	return status;
}

START_TEST(pages_all_over_the_cache_hold_up_no_window)
{
	struct mapping *mappings[2 * MEMORY_BYTES / BLOCK_BYTES];
	unsigned count = 0;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	for (uint64_t number = 100; PAGE(number) < MEMORY_BYTES; number += PAGES_PER_BLOCK / 2)
		mappings[count++] = map(number, 2, MAP_READ);
	ck_assert_uint_eq(longterm_blocks(), 1);
	check_valid();
	ck_assert_int_eq(take_run(RUN_BLOCKS), STATUS_OK);
	for (unsigned i = 0; i < count; i++)
		check_mapping(mappings[i], PAGE(100 + i * PAGES_PER_BLOCK / 2));
	for (unsigned i = 0; i < count; i++)
		node_unmap(mappings[i]);
	check_valid();
	ck_assert_uint_eq(cache_machine_statistics(&machine)->mapped_in_place, 0);
	/* A request for memory gets the block, too. */
	(void)volume_drop(&machine.volume);
	ck_assert_uint_eq(longterm_blocks(), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* The block of a page in use is avoided as long as it is mapped. */
START_TEST(what_cannot_be_moved_is_gone_round)
{
	struct mapping *mapping, *other;
	struct lookup lookup;
	struct page *page;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	page = page_pin(&machine.volume, page_key_make(machine.volume.node.id, 5), &lookup);
	ck_assert_ptr_nonnull(page);
	mapping = map(5, 1, MAP_READ);
	other = map(6, 1, MAP_READ);
	ck_assert_ptr_eq(mapping->pages[0], page);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->mapped_in_place, 1);
	ck_assert_uint_eq(block_of(mapping)->cost, BLOCK_COST_FIXED);
	ck_assert_ptr_eq(block_of(other)->owner, &machine.pagecache.eviction.mapped_owner);
	page_unpin(page);
	ck_assert_int_eq(take_run(RUN_BLOCKS), STATUS_OK);
	check_mapping(mapping, PAGE(5));
	check_valid();
	node_unmap(other);
	page = mapping->pages[0];
	node_unmap(mapping);
	ck_assert_uint_ne(block_heap_find(&machine.memory.blocks, page_address(page))->cost, BLOCK_COST_FIXED);
	check_valid();
	cache_machine_fini(&machine);
}
END_TEST

static bool fail_always(struct fault_injector *self, const char *where, uint64_t bytes)
{
	(void)self;
	(void)bytes;
	return strcmp(where, "block") == 0;
}

START_TEST(without_memory_pages_are_mapped_where_they_are)
{
	struct fault_injector fault = { .must_fail = fail_always };
	struct mapping *mapping;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 2 * BLOCK_BYTES);
	node_unmap(map(0, 1, MAP_READ)); /* the general heap has its block */
	(void)volume_drop(&machine.volume);
	cache_machine_read(&machine, 0, 2 * BLOCK_BYTES);
	atomic_store(&machine.memory.blocks.fault, &fault);
	mapping = map(7, 3, MAP_READ);
	atomic_store(&machine.memory.blocks.fault, NULL);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->mapped_in_place, 3);
	ck_assert_uint_eq(longterm_blocks(), 0);
	check_mapping(mapping, PAGE(7));
	check_valid();
	node_unmap(mapping);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * A block that is full, and of which nothing is mapped any more, becomes one of the cache's, with
 * all that is cached there.
 */
START_TEST(a_full_block_becomes_an_ordinary_one)
{
	struct mapping *mapping;
	uint64_t misses;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 2 * BLOCK_BYTES);
	mapping = map(0, PAGES_PER_BLOCK, MAP_READ);
	ck_assert_uint_eq(longterm_blocks(), 1);
	node_unmap(mapping);
	ck_assert_uint_eq(longterm_blocks(), 0);
	check_valid();
	misses = cache_machine_statistics(&machine)->misses;
	cache_machine_read(&machine, 0, 2 * BLOCK_BYTES);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->misses, misses);
	cache_machine_fini(&machine);
}
END_TEST

/* Clean, dirty, and not cached. */
START_TEST(pages_to_be_filled_lie_apart_and_are_written)
{
	struct mapping *mapping;
	struct random random;

	random_seed(&random, 1);
	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, PAGE(4));
	cache_machine_write(&machine, &random, PAGE(2) + 7, 100);
	ck_assert_int_eq(node_map(&machine.volume.node, PAGE(1) + 50, PAGE(6), MAP_WRITE, &mapping), STATUS_OK);
	ck_assert_ptr_eq(block_of(mapping)->owner, &machine.pagecache.eviction.mapped_owner);
	ck_assert_uint_eq(mapping->segment_count, 1); /* side by side */
	check_valid();
	ck_assert_int_eq(take_run(RUN_BLOCKS), STATUS_OK);
	memset(platform_virt(mapping->segments[0].start), 0x77, PAGE(6));
	memset(machine.model + PAGE(1) + 50, 0x77, PAGE(6));
	node_unmap(mapping);
	check_valid();
	cache_machine_read(&machine, 0, PAGE(10));
	cache_machine_fini(&machine);
}
END_TEST

/* Random operations beside random mappings ----------------------------------------------------- */

#define SLOTS      32
#define SLOT_PAGES 300 /* of the disk, for each; a mapping lies within its slot */
#define OPERATIONS 6000

struct slot {
	struct mapping *mapping;
	uint64_t first;
};

static void change_slot(struct slot *slot, unsigned index, struct random *random)
{
	if (slot->mapping) {
		check_mapping(slot->mapping, PAGE(slot->first));
		node_unmap(slot->mapping);
		slot->mapping = NULL;
		return;
	}
	const uint64_t pages = 1 + random_below(random, 64);

	slot->first = index * SLOT_PAGES + random_below(random, SLOT_PAGES - pages);
	slot->mapping = map(slot->first, pages, MAP_READ);
}

static void disturb(struct random *random)
{
	/* Behind the slots: who writes waits for mappings. */
	const uint64_t first = PAGE(SLOTS * SLOT_PAGES);
	const uint64_t offset = random_below(random, DISK_BYTES - MIB);

	switch (random_below(random, 8)) {
	case 0:
		(void)take_run(1 + random_below(random, 4));
		break;
	case 1:
		(void)memory_drain(&machine.memory, BLOCK_BYTES, true);
		break;
	case 2:
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		break;
	case 3:
		cache_machine_write(&machine, random, first + random_below(random, DISK_BYTES - first - PAGE(30)), PAGE(20));
		break;
	default:
		cache_machine_read(&machine, offset, random_below(random, MIB));
	}
}

START_TEST(random_mappings_beside_all_else)
{
	static struct slot slots[SLOTS];
	struct random random;

	random_seed(&random, 2);
	cache_machine_init(&machine, DISK_BYTES, false);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		const unsigned index = (unsigned)random_below(&random, SLOTS);

		change_slot(&slots[index], index, &random);
		disturb(&random);
		if (i % 256 == 0)
			check_valid();
		/*
		 * At most 2048 pages are mapped: 4 blocks, or 8 that are just mapped by half, and
		 * the open one.
		 */
		ck_assert_uint_le(longterm_blocks(), 9);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (slots[i].mapping)
			change_slot(&slots[i], i, &random);
	check_valid();
	cache_machine_fini(&machine);
}
END_TEST

/* Threads -------------------------------------------------------------------------------------- */

#define THREADS      5
#define ROUNDS       400
#define SHARED_PAGES 64

enum role {
	MAPPER,
	FILLER,
	WRITER,
	READER,
	TAKER,
};

/* Each write fills a page with one number. */
static void check_whole(const uint64_t *words, uint64_t expected)
{
	for (unsigned i = 0; i < PAGE_BYTES / sizeof(uint64_t); i++)
		if (words[i] != expected)
			platform_panic("a page is not as one write left it");
}

static void map_and_look(struct random *random)
{
	struct mapping *mapping;
	uint64_t numbers[4];

	/* Another one may have taken all pins: there is none. */
	if (node_map(&machine.volume.node, PAGE(random_below(random, SHARED_PAGES - 4)), PAGE(4), MAP_READ, &mapping) !=
	    STATUS_OK)
		platform_panic("mapping failed");
	for (uint32_t i = 0; i < 4; i++)
		numbers[i] = *(const uint64_t *)page_memory(mapping->pages[i]);
	platform_yield();
	for (uint32_t i = 0; i < 4; i++)
		check_whole(page_memory(mapping->pages[i]), numbers[i]);
	node_unmap(mapping);
}

static void map_and_fill(struct random *random, uint64_t number)
{
	struct mapping *mapping;

	if (node_map(&machine.volume.node, PAGE(random_below(random, SHARED_PAGES - 4)), PAGE(4), MAP_WRITE, &mapping) !=
	    STATUS_OK)
		platform_panic("mapping failed");
	for (uint32_t i = 0; i < 4; i++)
		for (unsigned word = 0; word < PAGE_BYTES / sizeof(uint64_t); word++)
			((uint64_t *)page_memory(mapping->pages[i]))[word] = number;
	node_unmap(mapping);
}

static void work(void *context, unsigned role)
{
	uint64_t words[PAGE_BYTES / sizeof(uint64_t)];
	struct random random;

	(void)context;
	random_seed(&random, role);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		const uint64_t offset = PAGE(random_below(&random, SHARED_PAGES));
		status_t status = STATUS_OK;

		switch ((enum role)role) {
		case MAPPER:
			map_and_look(&random);
			break;
		case FILLER:
			map_and_fill(&random, i << 8 | role);
			break;
		case WRITER:
			for (unsigned word = 0; word < PAGE_BYTES / sizeof(uint64_t); word++)
				words[word] = i << 8 | role;
			status = node_write(&machine.volume.node, offset, words, sizeof(words));
			break;
		case READER:
			status = node_read(&machine.volume.node, offset, words, sizeof(words));
			check_whole(words, words[0]);
			break;
		default:
			(void)take_run(1 + random_below(&random, RUN_BLOCKS));
		}
		if (status != STATUS_OK)
			platform_panic("%s", status_text(status));
	}
}

START_TEST(threads_map_and_fill_beside_readers_writers_and_drains)
{
	cache_machine_init(&machine, DISK_BYTES, true);
	/* Each page of the pattern has many numbers; these have one. */
	memset(machine.disk.data, 0, PAGE(SHARED_PAGES));
	memset(machine.model, 0, PAGE(SHARED_PAGES));
	cache_machine_fill(&machine);
	host_threads_run(THREADS, work, NULL);
	check_valid();
	ck_assert_int_eq(node_read(&machine.volume.node, 0, machine.model, PAGE(SHARED_PAGES)), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("longterm", pages_all_over_the_cache_hold_up_no_window, what_cannot_be_moved_is_gone_round,
	       without_memory_pages_are_mapped_where_they_are, a_full_block_becomes_an_ordinary_one,
	       pages_to_be_filled_lie_apart_and_are_written, random_mappings_beside_all_else,
	       threads_map_and_fill_beside_readers_writers_and_drains)
