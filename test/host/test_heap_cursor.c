/* The cursor policy of the objcache: order of entry, refilling in place, fencing. */
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct test_cache cache;

static void setup(uint64_t blocks, uint64_t low_blocks)
{
	machine_init(&machine, MACHINE_START, blocks, 0, low_blocks);
	test_cache_init(&cache, &machine, "pages", 0);
}

static void teardown(void)
{
	ck_assert(objcache_is_valid(&cache.pages));
	test_cache_fini(&cache);
	machine_fini(&machine);
}

START_TEST(frames_are_filled_in_address_order)
{
	setup(8, 0);
	for (unsigned block = 0; block < 3; block++) {
		uint64_t expected = 0;

		for (unsigned i = 0; i < PAGES_PER_BLOCK; i++) {
			const uint64_t address = platform_phys(test_cache_add(&cache, FRAME_CLEAN)).value;

			if (i > 0)
				ck_assert_uint_eq(address, expected);
			expected = address + PAGE_BYTES;
		}
	}
	ck_assert_uint_eq(objcache_count(&cache.pages).blocks, 3);
	ck_assert_uint_eq(cache.evicted, 0);
	teardown();
}
END_TEST

START_TEST(growth_stops_at_low_and_refills_the_oldest)
{
	void *first;

	setup(8, 3);
	first = test_cache_add(&cache, FRAME_CLEAN);
	for (unsigned i = 1; i < 5 * PAGES_PER_BLOCK; i++)
		(void)test_cache_add(&cache, FRAME_CLEAN);
	ck_assert_uint_eq(objcache_count(&cache.pages).blocks, 5);
	ck_assert_uint_eq(memory_free_bytes(&machine.memory), 3 * BLOCK_BYTES);
	ck_assert_uint_eq(cache.evicted, 0);
	ck_assert_ptr_eq(test_cache_add(&cache, FRAME_CLEAN), first);
	ck_assert_uint_eq(cache.evicted, 1);
	for (unsigned i = 1; i < 5 * PAGES_PER_BLOCK; i++)
		(void)test_cache_add(&cache, FRAME_CLEAN);
	ck_assert_uint_eq(objcache_count(&cache.pages).blocks, 5);
	ck_assert_uint_eq(objcache_count(&cache.pages).refilled, 5 * PAGES_PER_BLOCK);
	ck_assert_ptr_eq(test_cache_add(&cache, FRAME_CLEAN), first);
	teardown();
}
END_TEST

START_TEST(pages_that_stay_are_skipped)
{
	void *pages[PAGES_PER_BLOCK];

	setup(4, 3);
	for (unsigned i = 0; i < PAGES_PER_BLOCK; i++)
		pages[i] = test_cache_add(&cache, i % 3 == 0 ? FRAME_PINNED : FRAME_CLEAN);
	for (unsigned i = 0; i < PAGES_PER_BLOCK; i++)
		if (i % 3 != 0)
			ck_assert_ptr_eq(test_cache_add(&cache, FRAME_CLEAN), pages[i]);
	ck_assert_uint_eq(objcache_count(&cache.pages).kept, (PAGES_PER_BLOCK + 2) / 3);
	for (unsigned i = 0; i < PAGES_PER_BLOCK; i++)
		test_cache_set(&cache, pages[i], FRAME_PINNED);
	ck_assert_ptr_null(test_cache_add(&cache, FRAME_CLEAN));
	test_cache_set(&cache, pages[7], FRAME_CLEAN);
	ck_assert_ptr_eq(test_cache_add(&cache, FRAME_CLEAN), pages[7]);
	teardown();
}
END_TEST

static bool list_block(void *context, struct phys_addr block, uint32_t used)
{
	uint64_t **next = context;

	ck_assert_uint_le(used, PAGES_PER_BLOCK);
	*(*next)++ = block.value;
	return true;
}

START_TEST(fences_take_the_oldest)
{
	const struct phys_addr anywhere = { 0 };
	uint64_t order[8], *end = order;
	struct phys_addr block;
	uint32_t index = 0;
	unsigned count = 0;
	void *page;

	setup(8, 2);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	objcache_walk(&cache.pages, list_block, &end);
	ck_assert_uint_eq((uint64_t)(end - order), 6);
	ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_OK);
	ck_assert_uint_eq(block.value, order[0]);
	ck_assert_int_eq(objcache_release(&cache.pages, block), STATUS_BUSY);

	/* Nothing moves into a fenced block. */
	for (unsigned i = 0; i < 6 * PAGES_PER_BLOCK; i++)
		ck_assert_uint_ne(platform_phys(test_cache_add(&cache, FRAME_CLEAN)).value >> BLOCK_SHIFT,
				  block.value >> BLOCK_SHIFT);
	while ((page = objcache_next_object(&cache.pages, block, &index))) {
		test_cache_set(&cache, page, FRAME_NONE);
		objcache_free(&cache.pages, page);
		count++;
	}
	ck_assert_uint_eq(count, PAGES_PER_BLOCK);
	ck_assert_int_eq(objcache_release(&cache.pages, block), STATUS_OK);
	ck_assert_uint_eq(objcache_count(&cache.pages).blocks, 5);

	/* Only what lies within the range; a block that is let go is the oldest again. */
	const struct phys_addr lowest = { order[3] };
	const struct phys_addr highest = { order[3] + BLOCK_BYTES - 1 };
	ck_assert_int_eq(objcache_fence(&cache.pages, lowest, highest, &block), STATUS_OK);
	ck_assert_uint_eq(block.value, order[3]);
	objcache_unfence(&cache.pages, block);
	ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_OK);
	ck_assert_uint_eq(block.value, order[3]);
	objcache_unfence(&cache.pages, block);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_OK);
	ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_NOT_FOUND);
	for (unsigned i = 1; i < 6; i++)
		objcache_unfence(&cache.pages, (struct phys_addr){ order[i] });
	teardown();
}
END_TEST

START_TEST(open_block_goes_on_after_a_fence)
{
	const struct phys_addr anywhere = { 0 };
	struct phys_addr block;
	uint64_t last = 0;

	setup(4, 0);
	for (unsigned i = 0; i < 100; i++)
		last = platform_phys(test_cache_add(&cache, FRAME_CLEAN)).value;
	ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_OK);
	ck_assert_uint_eq(block.value, MACHINE_START);
	objcache_unfence(&cache.pages, block);
	ck_assert_uint_eq(platform_phys(test_cache_add(&cache, FRAME_CLEAN)).value, last + PAGE_BYTES);

	ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_OK);
	for (unsigned i = 0; i < PAGES_PER_BLOCK + 1; i++)
		(void)test_cache_add(&cache, FRAME_CLEAN);
	objcache_unfence(&cache.pages, block);
	ck_assert_int_eq(objcache_fence(&cache.pages, anywhere, anywhere, &block), STATUS_OK);
	ck_assert_uint_eq(block.value, MACHINE_START + BLOCK_BYTES);
	objcache_unfence(&cache.pages, block);
	teardown();
}
END_TEST

struct tags {
	struct block_heap *heap;
	unsigned entered, left;
	bool refuse;
};

static bool enter(void *context, struct phys_addr block)
{
	struct tags *tags = context;

	if (tags->refuse)
		return false;
	block_heap_find(tags->heap, block)->tag = tags;
	tags->entered++;
	return true;
}

static void leave(void *context, struct phys_addr block)
{
	struct tags *tags = context;

	ck_assert_ptr_eq(block_heap_find(tags->heap, block)->tag, tags);
	tags->left++;
}

static bool never(void *context, void *object)
{
	(void)context, (void)object;
	return false;
}

START_TEST(owner_hears_of_blocks)
{
	struct tags tags = { .heap = &machine.memory.blocks };
	struct objcache pages;
	void *page;

	machine_init(&machine, MACHINE_START, 4, 0, 0);
	const struct objcache_config config = { .name = "pages",
						.object_bytes = PAGE_BYTES,
						.policy = OBJCACHE_CURSOR,
						.context = &tags,
						.evict = never,
						.block_enter = enter,
						.block_leave = leave };
	ck_assert_int_eq(memory_objcache_init(&machine.memory, &pages, config), STATUS_OK);
	page = objcache_alloc(&pages);
	ck_assert_uint_eq(tags.entered, 1);
	tags.refuse = true;
	for (unsigned i = 1; i < PAGES_PER_BLOCK; i++)
		ck_assert_ptr_nonnull(objcache_alloc(&pages));
	ck_assert_ptr_null(objcache_alloc(&pages));
	ck_assert_uint_eq(memory_free_bytes(&machine.memory), 3 * BLOCK_BYTES);
	for (unsigned i = 0; i < PAGES_PER_BLOCK; i++)
		objcache_free(&pages, (char *)page + i * PAGE_BYTES);
	ck_assert_int_eq(objcache_fini(&pages), STATUS_OK);
	ck_assert_uint_eq(tags.left, 1);
	machine_fini(&machine);
}
END_TEST

/* Threads insert while others fence and empty blocks; each page is in exactly one state at any time. */
static void insert_or_clean(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, index);
	for (unsigned step = 0; step < 6000; step++) {
		if (index == 0 && step % 100 == 0) {
			(void)memory_drain(&machine.memory, BLOCK_BYTES * (1 + random_below(&random, 3)), false);
		} else {
			void *page = test_cache_add(&cache, FRAME_PINNED);

			if (!page)
				continue;
			memset(page, (int)index, 64);
			if (random_below(&random, 50) == 0) {
				test_cache_set(&cache, page, FRAME_NONE);
				objcache_free(&cache.pages, page);
			} else {
				test_cache_set(&cache, page, FRAME_CLEAN);
			}
		}
	}
}

START_TEST(threads_insert_and_clean)
{
	setup(12, 2);
	host_threads_run(4, insert_or_clean, NULL);
	ck_assert_uint_gt(cache.cleaned_blocks, 0);
	ck_assert_uint_eq(objcache_count(&cache.pages).blocks, cache.pages.owner.blocks);
	teardown();
}
END_TEST

HOST_TEST_MAIN("heap_cursor", frames_are_filled_in_address_order, growth_stops_at_low_and_refills_the_oldest,
	       pages_that_stay_are_skipped, fences_take_the_oldest, open_block_goes_on_after_a_fence, owner_hears_of_blocks,
	       threads_insert_and_clean)
