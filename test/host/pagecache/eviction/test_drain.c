// SPDX-License-Identifier: BSD-2-Clause
/*
 * drain(bytes, retain) is a contract, of every heap that caches and of every volume: it gives at
 * most `bytes` rounded up to a block, leaves `retain` bytes free if so many were, returns what
 * reached the block heap, and stops at its deadline. Here against an obvious model: which objects
 * live, and in which blocks.
 */
#include "host/host_test.h"

#include <stdatomic.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "fake/heap_fixture.h"
#include "heap/dma/dma_state.h"
#include "heap/reclaim/background_cleaner.h"
#include "pagecache/eviction/evict.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define WORLD_BLOCKS 112
#define DISK_BLOCKS  32
#define CACHES       4
#define HEAPS        (CACHES + 3)
#define CPUS         3
#define OBJECTS      6000
#define WORLDS       6
#define STEPS        1200

/* A heap under test: an objcache, or the classes of a general heap. */
struct subject {
	struct caching_heap *caching;
	struct objcache *caches;
	unsigned count;
	struct general_heap *general; /* NULL: an objcache */
};

static struct {
	struct cache_machine machine;
	struct objcache caches[CACHES];
	uint64_t constructed[CACHES];
	struct subject subjects[HEAPS];
	struct {
		void *memory;
		struct subject *from;
	} objects[OBJECTS];
	unsigned live;
	unsigned live_in_block[WORLD_BLOCKS];
	struct random random;
} world;

static struct memory *const memory = &world.machine.memory;
static struct device low_device = { .name = "low" };
static const struct device any_device = { .name = "any", .dma_mask = UINT64_MAX };

/* The model ------------------------------------------------------------------------------------ */

static void construct(void *object, void *context)
{
	*(uint64_t *)object = (uintptr_t)context;
	++*(uint64_t *)context;
}

static void destroy(void *object, void *context)
{
	ck_assert_uint_eq(*(uint64_t *)object, (uintptr_t)context);
	--*(uint64_t *)context;
}

/* Extremes are as likely as what lies between. */
static uint64_t random_bytes(void)
{
	static const uint64_t extremes[] = {
		0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, UINT64_MAX - MIB, UINT64_MAX
	};
	const uint64_t choice = random_below(&world.random, 2 * ARRAY_LENGTH(extremes));

	return choice < ARRAY_LENGTH(extremes) ? extremes[choice] : random_below(&world.random, 24 * BLOCK_BYTES);
}

/* What it could hand out without another block: in its blocks and magazines. */
static uint64_t free_bytes(const struct subject *subject)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < subject->count; i++) {
		const struct objcache_counts counts = objcache_count(&subject->caches[i]);

		bytes += (counts.objects - counts.used) * subject->caches[i].config.object_bytes;
	}
	return bytes;
}

static unsigned block_number(const void *object)
{
	return (unsigned)((platform_phys(object).value >> BLOCK_SHIFT) - memory->blocks.first_block);
}

/*
 * Objects of the block that are allocated: the world's own, in the general heap also those of
 * others.
 */
static unsigned live_objects(const struct block *block)
{
	unsigned live = 0;

	for (unsigned i = 0; i < block->cache->objects_per_block; i++)
		live += block->states[i] == OBJECT_ALLOCATED;
	ck_assert_uint_ge(live, world.live_in_block[block - memory->blocks.blocks]);
	return live;
}

/*
 * Whether the heap has a block within the target's addresses that could still go. What it retains
 * is free in its blocks; but where magazines hold all of a block, the drain empties them.
 */
static bool could_give(const struct subject *subject, const struct reclaim_target *target, uint64_t retain)
{
	const uint64_t have = free_bytes(subject), in_blocks = atomic_load(&subject->caches->group->free_bytes);

	for (unsigned i = 0; i < WORLD_BLOCKS; i++) {
		const struct block *block = &memory->blocks.blocks[i];
		const uint64_t start = block_address(&memory->blocks, block).value;
		const struct objcache *cache = block->cache;
		uint64_t bytes, free;

		if (!cache || cache < subject->caches || cache >= subject->caches + subject->count ||
		    start < target->lowest.value || start + (BLOCK_BYTES - 1) > target->highest.value ||
		    live_objects(block) > 0)
			continue;
		bytes = cache->objects_per_block * cache->config.object_bytes;
		free = objcache_block_is_empty(block) ? in_blocks : have;
		if (free >= bytes && free - bytes >= retain &&
		    cache->counts.objects - cache->objects_per_block >= cache->config.reserve_objects)
			return true;
	}
	return false;
}

/* Heaps ---------------------------------------------------------------------------------------- */

static void alloc_one(struct subject *subject)
{
	size_t bytes = 16ull << random_below(&world.random, 17);
	void *object;

	bytes += random_below(&world.random, bytes);
	if (world.live == OBJECTS)
		return;
	object = subject->general ? general_heap_alloc(subject->general, bytes, 0) : objcache_alloc(subject->caches);
	if (!object)
		return;
	if (!subject->general && subject->caches->config.construct)
		ck_assert_uint_eq(*(uint64_t *)object, (uintptr_t)subject->caches->config.context);
	world.objects[world.live].memory = object;
	world.objects[world.live++].from = subject;
	world.live_in_block[block_number(object)]++;
}

static void free_one(unsigned number)
{
	void *object = world.objects[number].memory;
	struct subject *from = world.objects[number].from;

	world.live_in_block[block_number(object)]--;
	if (from->general)
		general_heap_free(from->general, object);
	else
		objcache_free(from->caches, object);
	world.objects[number] = world.objects[--world.live];
}

/*
 * Many of one heap come and go, in an order of their own: that fills magazines, depots and blocks.
 */
static void come_and_go(void)
{
	struct subject *subject = &world.subjects[random_below(&world.random, HEAPS)];
	const bool comes = random_below(&world.random, OBJECTS) >= world.live;

	for (uint64_t left = random_below(&world.random, 700); left > 0; left--) {
		if (comes)
			alloc_one(subject);
		else if (world.live > 0)
			free_one((unsigned)random_below(&world.random, world.live));
	}
}

static void free_run(void *run)
{
	general_heap_free(&memory->general, run);
}

/* A run that a handler frees goes back in a drain, too, as far as the drain goes. */
static void leave_a_run(void)
{
	host_handler_run(free_run,
			 general_heap_alloc(&memory->general, (1 + random_below(&world.random, 3)) * BLOCK_BYTES + 1, 0));
}

static void drain_heap(void)
{
	struct subject *subject = &world.subjects[random_below(&world.random, HEAPS)];
	struct objcache_group *group = subject->caches->group;
	struct reclaim_target target = reclaim_target_any(random_bytes());
	const bool is_asked = random_below(&world.random, 2);
	const uint64_t retain = is_asked ? group->retain_bytes : random_bytes();
	uint64_t given;

	if (subject->general)
		general_heap_settle(subject->general);
	if (is_asked && random_below(&world.random, 2)) {
		target.lowest.value = (memory->blocks.first_block + random_below(&world.random, WORLD_BLOCKS)) << BLOCK_SHIFT;
		target.highest.value = target.lowest.value + random_below(&world.random, WORLD_BLOCKS) * BLOCK_BYTES - 1;
	}
	const uint64_t have = free_bytes(subject), in_blocks = atomic_load(&group->free_bytes);
	const uint64_t before = memory_free_bytes(memory);
	const uint64_t before_within = block_heap_free_within(&memory->blocks, target.lowest, target.highest);

	if (is_asked) {
		const bool mark = platform_set_cleaning(true);

		given = group->cleaner.clean(&group->cleaner, &target);
		(void)platform_set_cleaning(mark);
	} else {
		given = caching_heap_drain(subject->caching, target.bytes, retain);
	}
	ck_assert_uint_eq(memory_free_bytes(memory), before + given);
	ck_assert_uint_eq(block_heap_free_within(&memory->blocks, target.lowest, target.highest),
			  before_within + (given >> BLOCK_SHIFT));
	ck_assert_uint_le(given, block_round_up(target.bytes));
	ck_assert_uint_ge(free_bytes(subject), MIN(retain, have));
	ck_assert_uint_ge(atomic_load(&group->free_bytes), MIN(retain, in_blocks));
	if (given < block_round_up(target.bytes))
		ck_assert(!could_give(subject, &target, retain));
}

/* Volumes, and all together -------------------------------------------------------------------- */

/* Where the heaps have taken all memory, a read may fail. */
static void read_pages(void)
{
	static unsigned char buffer[4 * MIB];
	const uint64_t offset = random_below(&world.random, (DISK_BLOCKS - 2) * BLOCK_BYTES);
	const size_t bytes = random_below(&world.random, 2) ? sizeof(buffer) : 40 * KIB;

	if (node_read(&world.machine.volume.node, offset, buffer, bytes) == STATUS_OK)
		ck_assert(memcmp(buffer, world.machine.model + offset, bytes) == 0);
}

/* As when two readers have come for one at the same time. */
static void empty_block_add(void)
{
	struct volume *volume = &world.machine.volume;
	struct phys_addr block;
	struct pageblock *pageblock;

	if (reclaim_cache_take(&memory->reclaim, &volume->eviction.heap.owner, &block) != STATUS_OK)
		return;
	pageblock = pageblock_prepare(&world.machine.pagecache.pages.table, block);
	spinlock_lock(&volume->eviction.heap.lock);
	pageblock->role = PAGEBLOCK_EMPTY;
	atomic_store(&pageblock->volume, volume);
	list_insert_first(&volume->eviction.heap.empty, &pageblock->link);
	volume->eviction.heap.empty_blocks++;
	atomic_fetch_add(&volume->eviction.heap.blocks, 1);
	atomic_fetch_add(&world.machine.pagecache.eviction.blocks, 1);
	spinlock_unlock(&volume->eviction.heap.lock);
}

static uint64_t cached_bytes(void)
{
	return atomic_load(&world.machine.volume.counts.cached_pages) * PAGE_BYTES;
}

static uint64_t moved_pages(void)
{
	return atomic_load(&world.machine.volume.counts.moved_pages);
}

static uint64_t empty_bytes(void)
{
	return world.machine.volume.eviction.heap.empty_blocks * BLOCK_BYTES;
}

/* A drain gives none of the empty blocks that are retained; pages that it moves may go there. */
static void check_empty(uint64_t empty, uint64_t moved)
{
	if (moved_pages() == moved)
		ck_assert_uint_ge(empty_bytes(), MIN(world.machine.volume.config.retain_bytes, empty));
}

static void drain_volume(void)
{
	const struct reclaim_target target = reclaim_target_any(random_bytes());
	const uint64_t keep = random_bytes(), cached = cached_bytes(), before = memory_free_bytes(memory);
	const uint64_t empty = empty_bytes(), moved = moved_pages();
	uint64_t given;

	world.machine.volume.config.retain_bytes = random_bytes();
	given = evict_blocks(&world.machine.volume, &target, keep);

	ck_assert_uint_eq(memory_free_bytes(memory), before + given);
	ck_assert_uint_le(given, block_round_up(target.bytes));
	ck_assert_uint_ge(cached_bytes(), MIN(keep, cached));
	check_empty(empty, moved);
}

static void drain_all(void)
{
	const uint64_t bytes = random_bytes(), cached = cached_bytes(), empty = empty_bytes(), moved = moved_pages();
	uint64_t have[HEAPS], before, given;

	for (unsigned i = 0; i < HEAPS; i++) {
		if (world.subjects[i].general)
			general_heap_settle(world.subjects[i].general);
		have[i] = free_bytes(&world.subjects[i]);
	}
	before = memory_free_bytes(memory);
	given = memory_drain(memory, bytes, random_below(&world.random, 2));
	ck_assert_uint_eq(memory_free_bytes(memory), before + given);
	ck_assert_uint_le(given, block_round_up(bytes));
	ck_assert_uint_ge(cached_bytes(), MIN(KEEP_BYTES, cached));
	check_empty(empty, moved);
	for (unsigned i = 0; i < HEAPS; i++) {
		const uint64_t retain = world.subjects[i].caches->group->retain_bytes;

		ck_assert_uint_ge(free_bytes(&world.subjects[i]), MIN(retain, have[i]));
		if (world.subjects[i].general)
			general_heap_settle(world.subjects[i].general);
		if (given < block_round_up(MIN(bytes, memory_total_bytes(memory))))
			ck_assert(!could_give(&world.subjects[i], &reclaim_all, retain));
	}
}

static void trim_all(void)
{
	const uint64_t before = memory_free_bytes(memory);

	ck_assert_uint_eq(background_cleaner_trim(memory_reclaim(memory)), memory_free_bytes(memory) - before);
}

/*
 * What has been free for two rounds goes, but for what is retained and a block; wherever it lies,
 * and whichever CPU had it.
 */
static void trim_twice_all(void)
{
	trim_all();
	trim_all();
	for (unsigned i = 0; i < HEAPS; i++) {
		const uint64_t retain = world.subjects[i].caches->group->retain_bytes;

		ck_assert(!could_give(&world.subjects[i], &reclaim_all, MIN(retain, UINT64_MAX - BLOCK_BYTES) + BLOCK_BYTES));
	}
}

static void step(void)
{
	static void (*const operations[])(void) = { come_and_go,     come_and_go, come_and_go,   drain_heap,   drain_heap,
						    drain_heap,      leave_a_run, read_pages,    drain_volume, drain_all,
						    empty_block_add, trim_all,    trim_twice_all };

	operations[random_below(&world.random, ARRAY_LENGTH(operations))]();
}

/* Worlds --------------------------------------------------------------------------------------- */

static void cache_make(unsigned i)
{
	struct objcache_config config = {
		.name = "driver's",
		.object_bytes = 16 + random_below(&world.random, 16ull << random_below(&world.random, 16)),
		.retain_bytes = random_bytes(),
		.reserve_objects = i == 0 ? (uint32_t)random_below(&world.random, 50) : 0,
		.context = &world.constructed[i],
	};

	config.construct = i % 2 ? construct : NULL;
	config.destroy = i % 2 ? destroy : NULL;
	ck_assert_int_eq(memory_objcache_init(memory, &world.caches[i], config), STATUS_OK);
	world.subjects[i] = (struct subject){ .caching = &world.caches[i].caching, .caches = &world.caches[i], .count = 1 };
}

static void general_make(unsigned i, struct general_heap *general)
{
	world.subjects[i] = (struct subject){ &general->caching, general->cache, general->classes, general };
	general->group.retain_bytes = random_bytes();
}

static void world_make(uint64_t seed)
{
	static const struct guarantee_config none;

	memset(&world, 0, sizeof(world));
	random_seed(&world.random, seed);
	cache_machine_init_sized(&world.machine, WORLD_BLOCKS * BLOCK_BYTES, DISK_BLOCKS * BLOCK_BYTES, &none);
	for (unsigned i = 0; i < CACHES; i++)
		cache_make(i);
	low_device.dma_mask = ((memory->blocks.first_block + WORLD_BLOCKS / 2) << BLOCK_SHIFT) - 1;
	general_make(CACHES, &memory->general);
	general_make(CACHES + 1, &dma_zone_get(memory_dma(memory), &any_device)->heap);
	general_make(CACHES + 2, &dma_zone_get(memory_dma(memory), &low_device)->heap);
}

static void world_end(void)
{
	while (world.live > 0)
		free_one(world.live - 1);
	for (unsigned i = 0; i < CACHES; i++) {
		ck_assert_int_eq(objcache_fini(&world.caches[i]), STATUS_OK);
		ck_assert_uint_eq(world.constructed[i], 0);
	}
	cache_machine_fini(&world.machine);
}

/* The CPUs take turns, so that the model knows what each step has done. */
START_TEST(all_kinds_of_heaps_are_drained_by_contract)
{
	host_log_level(LOG_ERROR);
	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		world_make(seed);
		for (unsigned i = 0; i < STEPS; i++) {
			if (i % 500 == 0)
				ck_assert_msg(memory_is_valid(memory), "seed %llu", (unsigned long long)seed);
			host_cpu_change(i % CPUS);
			step();
		}
		world_end();
	}
}
END_TEST
HOST_TEST_MAIN("drain", all_kinds_of_heaps_are_drained_by_contract)
