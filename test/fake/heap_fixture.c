#include "fake/heap_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void machine_init(struct machine *machine, uint64_t start, uint64_t blocks, uint64_t min_blocks, uint64_t low_blocks)
{
	const struct memory_config config = {
		.min_bytes = min_blocks * BLOCK_BYTES,
		.low_bytes = low_blocks * BLOCK_BYTES,
		.general_retain_bytes = 0,
		.dma_retain_bytes = 0,
	};

	machine->arena = host_arena_create(start, blocks * BLOCK_BYTES);
	const struct phys_range range = host_arena_range(machine->arena);
	const uint64_t metadata_bytes = memory_metadata_bytes(&range, 1);
	machine->metadata = aligned_alloc(64, (metadata_bytes + 63) / 64 * 64);
	ck_assert_int_eq(memory_init(&machine->memory, &config, &range, 1, machine->metadata), STATUS_OK);
}

void machine_fini(struct machine *machine)
{
	ck_assert(memory_is_valid(&machine->memory));
	ck_assert_int_eq(memory_fini(&machine->memory), STATUS_OK);
	ck_assert_uint_eq(memory_free_bytes(&machine->memory) + (machine->memory.bookkeeping.owner.blocks << BLOCK_SHIFT),
			  memory_total_bytes(&machine->memory));
	host_arena_destroy(machine->arena);
	free(machine->metadata);
}

static uint8_t *state_of(struct test_cache *cache, const void *page)
{
	const uint64_t frame = (platform_phys(page).value - cache->start) >> PAGE_SHIFT;

	ck_assert_uint_lt(frame, cache->frame_count);
	return &cache->frames[frame];
}

static bool evict(void *context, void *page)
{
	struct test_cache *cache = context;
	bool given;

	mutex_lock(&cache->lock);
	given = *state_of(cache, page) == FRAME_CLEAN;
	if (given) {
		*state_of(cache, page) = FRAME_NONE;
		cache->evicted++;
	}
	mutex_unlock(&cache->lock);
	return given;
}

/* Removes what can be removed from a fenced block; true if nothing is left. */
static bool empty_block(struct test_cache *cache, struct phys_addr block, const struct reclaim_target *target)
{
	uint32_t index = 0;
	bool wrote = false;
	void *page;

	while ((page = objcache_next_object(&cache->pages, block, &index))) {
		mutex_lock(&cache->lock);
		uint8_t *state = state_of(cache, page);
		const bool dirty = *state == FRAME_DIRTY;
		const bool gives = *state == FRAME_CLEAN || (dirty && target->may_wait);
		if (gives)
			*state = FRAME_NONE;
		cache->evicted += gives;
		mutex_unlock(&cache->lock);
		if (!gives)
			return false;
		if (dirty && !wrote)
			host_clock_turn(cache->write_ns);
		wrote = wrote || dirty;
		objcache_free(&cache->pages, page);
	}
	return true;
}

static uint64_t clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct test_cache *cache = container_of(self, struct test_cache, cleaner);
	struct phys_addr stuck[64];
	unsigned stuck_count = 0;
	uint64_t given = 0;

	while (given < target->bytes && stuck_count < 64 && platform_now_ns() < target->deadline_ns) {
		struct phys_addr block;

		if (objcache_fence(&cache->pages, target->lowest, target->highest, &block) != STATUS_OK)
			break;
		if (empty_block(cache, block, target) && objcache_release(&cache->pages, block) == STATUS_OK) {
			given += BLOCK_BYTES;
			cache->cleaned_blocks++;
		} else {
			stuck[stuck_count++] = block;
		}
	}
	while (stuck_count > 0)
		objcache_unfence(&cache->pages, stuck[--stuck_count]);
	return given;
}

void test_cache_init(struct test_cache *cache, struct machine *machine, const char *name, unsigned preference)
{
	memset(cache, 0, sizeof(*cache));
	cache->memory = &machine->memory;
	cache->start = host_arena_range(machine->arena).start.value;
	cache->frame_count = host_arena_range(machine->arena).bytes >> PAGE_SHIFT;
	cache->frames = calloc(cache->frame_count, 1);
	mutex_init(&cache->lock, name);
	ck_assert_int_eq(memory_objcache_init(&machine->memory, &cache->pages,
					      (struct objcache_config){
						      .name = name,
						      .object_bytes = PAGE_BYTES,
						      .alignment = PAGE_BYTES,
						      .policy = OBJCACHE_CURSOR,
						      .context = cache,
						      .evict = evict,
					      }),
			 STATUS_OK);
	cache->cleaner = (struct cleaner){ .name = name, .cost = CLEANER_CLEAN, .preference = preference, .clean = clean };
	cleaner_register(&machine->memory.cleaners, &cache->cleaner);
}

void test_cache_fini(struct test_cache *cache)
{
	cleaner_unregister(&cache->memory->cleaners, &cache->cleaner);
	for (uint64_t i = 0; i < cache->frame_count; i++)
		if (cache->frames[i] != FRAME_NONE)
			objcache_free(&cache->pages, platform_virt((struct phys_addr){ cache->start + i * PAGE_BYTES }));
	ck_assert_int_eq(objcache_fini(&cache->pages), STATUS_OK);
	free(cache->frames);
}

void *test_cache_add(struct test_cache *cache, enum frame_state state)
{
	void *page = objcache_alloc(&cache->pages);

	if (!page)
		return NULL;
	mutex_lock(&cache->lock);
	*state_of(cache, page) = (uint8_t)state;
	mutex_unlock(&cache->lock);
	return page;
}

uint64_t test_cache_fill(struct test_cache *cache, enum frame_state state)
{
	uint64_t blocks;

	do {
		blocks = objcache_count(&cache->pages).blocks;
		for (unsigned i = 0; i < PAGES_PER_BLOCK; i++)
			if (!test_cache_add(cache, state))
				return objcache_count(&cache->pages).blocks;
	} while (objcache_count(&cache->pages).blocks > blocks);
	return blocks;
}

void test_cache_set(struct test_cache *cache, void *page, enum frame_state state)
{
	mutex_lock(&cache->lock);
	*state_of(cache, page) = (uint8_t)state;
	mutex_unlock(&cache->lock);
}
