// SPDX-License-Identifier: BSD-2-Clause
#include "fake/heap_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void machine_init(struct machine *machine, uint64_t start, uint64_t blocks, uint64_t min_blocks, uint64_t low_blocks)
{
	const struct memory_config config = {
		.watermarks.min_bytes = min_blocks * BLOCK_BYTES,
		.watermarks.low_bytes = low_blocks * BLOCK_BYTES,
		.watermarks.atomic_percent = 100,
		.general_retain_bytes = 0,
		.dma_retain_bytes = 0,
	};

	machine_init_with(machine, start, blocks, &config);
}

void machine_init_with(struct machine *machine, uint64_t start, uint64_t blocks, const struct memory_config *config)
{
	machine->arena = host_arena_create(start, blocks * BLOCK_BYTES);
	const struct phys_range range = host_arena_range(machine->arena);
	const uint64_t metadata_bytes = memory_metadata_bytes(&range, 1);
	machine->metadata = aligned_alloc(64, (metadata_bytes + 63) / 64 * 64);
	ck_assert_int_eq(memory_init(&machine->memory, config, &range, 1, machine->metadata), STATUS_OK);
}

void machine_fini(struct machine *machine)
{
	ck_assert(memory_is_valid(&machine->memory));
	ck_assert_int_eq(memory_fini(&machine->memory), STATUS_OK);
	ck_assert_uint_eq(memory_free_bytes(&machine->memory) + (machine->memory.metadata.owner.blocks << BLOCK_SHIFT),
			  memory_total_bytes(&machine->memory));
	host_arena_destroy(machine->arena);
	free(machine->metadata);
}

static bool fail_nth(struct fault_injector *self, const char *where, uint64_t bytes)
{
	struct nth_fault *fault = container_of(self, struct nth_fault, injector);

	(void)where, (void)bytes;
	return fault->left-- == 0;
}

void nth_fault_init(struct nth_fault *fault, unsigned left)
{
	*fault = (struct nth_fault){ .injector = { .must_fail = fail_nth }, .left = left };
}

static uint8_t *state_of(struct test_cache *cache, const void *page)
{
	const uint64_t frame = (platform_phys(page).value - cache->start) >> PAGE_SHIFT;

	ck_assert_uint_lt(frame, cache->frame_count);
	return &cache->frames[frame];
}

static struct phys_addr block_address_of(const struct test_cache *cache, uint64_t block)
{
	return (struct phys_addr){ cache->start + block * BLOCK_BYTES };
}

static void queue_remove(struct test_cache *cache, uint64_t index)
{
	cache->blocks--;
	for (uint64_t i = index; i < cache->blocks; i++)
		cache->queue[i] = cache->queue[i + 1];
}

/* Removes what can be removed from a block; true if nothing is left. */
static bool empty_block(struct test_cache *cache, uint64_t block, const struct reclaim_target *target)
{
	uint8_t *states = &cache->frames[block * PAGES_PER_BLOCK];
	bool wrote = false;

	for (uint64_t i = 0; i < PAGES_PER_BLOCK; i++) {
		if (states[i] == FRAME_PINNED || (states[i] == FRAME_DIRTY && !target->may_write))
			return false;
		if (states[i] == FRAME_DIRTY && !wrote)
			host_clock_turn(cache->write_ns);
		wrote = wrote || states[i] == FRAME_DIRTY;
		cache->evicted += states[i] != FRAME_NONE;
		states[i] = FRAME_NONE;
	}
	return true;
}

static bool is_within(const struct test_cache *cache, uint64_t block, const struct reclaim_target *target)
{
	const uint64_t start = block_address_of(cache, block).value;

	return start >= target->lowest.value && start + BLOCK_BYTES - 1 <= target->highest.value;
}

/* What lies in the block moves to one that is free. */
static bool exchange(struct test_cache *cache, uint64_t *block)
{
	const struct run_request request = { .blocks = 1, .owner = &cache->owner };
	uint8_t *states = &cache->frames[*block * PAGES_PER_BLOCK];
	struct phys_addr fresh;

	if (memchr(states, FRAME_PINNED, PAGES_PER_BLOCK) ||
	    block_heap_alloc(&cache->memory->blocks, &request, &fresh) != STATUS_OK)
		return false;
	*block = (fresh.value - cache->start) / BLOCK_BYTES;
	memcpy(&cache->frames[*block * PAGES_PER_BLOCK], states, PAGES_PER_BLOCK);
	memset(states, FRAME_NONE, PAGES_PER_BLOCK);
	return true;
}

/* The oldest blocks first, the one that is being filled last. */
static uint64_t clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct test_cache *cache = container_of(self, struct test_cache, cleaner);
	struct reclaim *reclaim = &cache->memory->reclaim;
	uint64_t given = 0, index = 0;

	mutex_lock(&cache->lock);
	while (index < cache->blocks && given < target->bytes && platform_now_ns() < target->deadline_ns) {
		const uint64_t block = cache->queue[index];

		if (is_within(cache, block, target) && target->exchange && exchange(cache, &cache->queue[index])) {
			reclaim_blocks_free(reclaim, block_address_of(cache, block));
			given += BLOCK_BYTES;
			continue;
		}
		if (!is_within(cache, block, target) || target->exchange || !empty_block(cache, block, target)) {
			index++;
			continue;
		}
		if (index == cache->blocks - 1)
			cache->position = PAGES_PER_BLOCK;
		queue_remove(cache, index);
		reclaim_blocks_free(reclaim, block_address_of(cache, block));
		given += BLOCK_BYTES;
		cache->cleaned_blocks++;
	}
	mutex_unlock(&cache->lock);
	return given;
}

void test_cache_init(struct test_cache *cache, struct machine *machine, const char *name, unsigned preference)
{
	memset(cache, 0, sizeof(*cache));
	cache->memory = &machine->memory;
	cache->start = host_arena_range(machine->arena).start.value;
	cache->frame_count = host_arena_range(machine->arena).bytes >> PAGE_SHIFT;
	cache->frames = calloc(cache->frame_count, 1);
	cache->queue = calloc(cache->frame_count / PAGES_PER_BLOCK, sizeof(*cache->queue));
	mutex_init(&cache->lock, name);
	owner_init(&cache->owner, name, true);
	cache->cleaner = (struct cleaner){ .name = name, .cost = CLEANER_CLEAN, .preference = preference, .clean = clean };
	cleaner_register(&machine->memory.reclaim.cleaners, &cache->cleaner);
}

void test_cache_fini(struct test_cache *cache)
{
	struct reclaim *reclaim = &cache->memory->reclaim;

	cleaner_unregister(&cache->memory->reclaim.cleaners, &cache->cleaner);
	for (uint64_t i = 0; i < cache->blocks; i++)
		reclaim_blocks_free(reclaim, block_address_of(cache, cache->queue[i]));
	free(cache->queue);
	free(cache->frames);
}

/* Another block at the end of the queue: a fresh one, else the oldest. */
static bool open_block(struct test_cache *cache)
{
	struct reclaim *reclaim = &cache->memory->reclaim;
	struct phys_addr fresh;
	uint64_t block;

	if (reclaim_cache_take(reclaim, &cache->owner, &fresh) == STATUS_OK) {
		block = (fresh.value - cache->start) / BLOCK_BYTES;
	} else {
		if (cache->blocks == 0)
			return false;
		block = cache->queue[0];
		queue_remove(cache, 0);
	}
	cache->queue[cache->blocks++] = block;
	cache->position = 0;
	return true;
}

/* The next frame that is free or clean. */
static void *take_frame(struct test_cache *cache, enum frame_state state)
{
	for (unsigned scanned = 0; scanned < 2 * PAGES_PER_BLOCK; scanned++) {
		uint64_t frame;

		if ((cache->blocks == 0 || cache->position == PAGES_PER_BLOCK) && !open_block(cache))
			return NULL;
		frame = cache->queue[cache->blocks - 1] * PAGES_PER_BLOCK + cache->position++;
		if (cache->frames[frame] != FRAME_NONE && cache->frames[frame] != FRAME_CLEAN)
			continue;
		cache->evicted += cache->frames[frame] == FRAME_CLEAN;
		cache->frames[frame] = (uint8_t)state;
		return platform_virt((struct phys_addr){ cache->start + frame * PAGE_BYTES });
	}
	return NULL;
}

void *test_cache_add(struct test_cache *cache, enum frame_state state)
{
	void *page;

	mutex_lock(&cache->lock);
	page = take_frame(cache, state);
	mutex_unlock(&cache->lock);
	return page;
}

static uint64_t blocks_of(struct test_cache *cache)
{
	uint64_t blocks;

	mutex_lock(&cache->lock);
	blocks = cache->blocks;
	mutex_unlock(&cache->lock);
	return blocks;
}

uint64_t test_cache_fill(struct test_cache *cache, enum frame_state state)
{
	uint64_t blocks;

	do {
		blocks = blocks_of(cache);
		for (unsigned i = 0; i < PAGES_PER_BLOCK; i++)
			if (!test_cache_add(cache, state))
				return blocks_of(cache);
	} while (blocks_of(cache) > blocks);
	return blocks;
}

void test_cache_set(struct test_cache *cache, void *page, enum frame_state state)
{
	mutex_lock(&cache->lock);
	*state_of(cache, page) = (uint8_t)state;
	mutex_unlock(&cache->lock);
}
