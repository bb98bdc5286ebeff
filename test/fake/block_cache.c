// SPDX-License-Identifier: BSD-2-Clause
/* The machine, and a cache of whole blocks. */
#include "block_cache.h"

#include "heap/block/window.h"

struct machine block_cache_machine;
static struct memory *const memory = &block_cache_machine.memory;

struct block_cache block_cache;

_Thread_local unsigned block_cache_thread;

struct phys_addr address_of(uint64_t index)
{
	return (struct phys_addr){ MACHINE_START + index * BLOCK_BYTES };
}

bool is_within(uint64_t index, struct phys_addr lowest, struct phys_addr highest)
{
	return address_of(index).value >= lowest.value && address_of(index + 1).value - 1 <= highest.value;
}

/* What is in the block moves to a free one, if there is one. */
static bool move_away(uint64_t index)
{
	const struct run_request request = { .blocks = 1, .owner = &block_cache.owner };
	struct phys_addr fresh;

	if (block_heap_alloc(&memory->blocks, &request, &fresh) != STATUS_OK)
		return false;
	atomic_store(&block_cache.has[(fresh.value - MACHINE_START) / BLOCK_BYTES], true);
	return atomic_load(&block_cache.has[index]);
}

static uint64_t cache_clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t given = 0;

	(void)cleaner;
	if (block_cache.is_dirty && !target->unmovable && (!target->may_write || block_cache.is_silent)) {
		if (block_cache.in_vain)
			block_cache.in_vain();
		return 0;
	}
	if (target->exchange && target->unmovable && block_cache.in_the_way > 0) {
		const struct window place = { .start = target->lowest, .blocks = 1 };

		block_cache.in_the_way--;
		++*target->unmovable;
		window_exclude(&memory->blocks, &place);
		return 0;
	}
	for (uint64_t i = 0; i < BLOCKS && given < target->bytes; i++) {
		if (!atomic_load(&block_cache.has[i]) || !is_within(i, target->lowest, target->highest))
			continue;
		if (block_cache.before_block)
			block_cache.before_block();
		if (target->exchange && block_cache.exchanges && !move_away(i))
			break;
		atomic_store(&block_cache.has[i], false);
		memory_blocks_free(memory, address_of(i));
		atomic_fetch_add(&block_cache.work[block_cache_thread], 1);
		given += BLOCK_BYTES;
		if (reclaim_target_is_wanted(target))
			break;
	}
	return given;
}

void block_cache_take(uint64_t leave_free)
{
	const struct run_request request = { .blocks = 1, .owner = &block_cache.owner, .leave_free = leave_free };
	struct phys_addr block;

	while (block_heap_alloc(&memory->blocks, &request, &block) == STATUS_OK)
		atomic_store(&block_cache.has[(block.value - MACHINE_START) / BLOCK_BYTES], true);
}

void block_cache_init(uint64_t min_blocks, void (*before_block)(void))
{
	host_log_level(LOG_ERROR);
	machine_init(&block_cache_machine, MACHINE_START, BLOCKS, min_blocks, min_blocks + 2);
	memset(&block_cache, 0, sizeof(block_cache));
	owner_init(&block_cache.owner, "cache", true);
	block_cache.cleaner = (struct cleaner){ .name = "cache", .cost = CLEANER_CLEAN, .clean = cache_clean };
	block_cache.before_block = before_block;
	cleaner_register(&memory->reclaim.cleaners, &block_cache.cleaner);
}

void block_cache_fini(void)
{
	cleaner_unregister(&memory->reclaim.cleaners, &block_cache.cleaner);
	for (uint64_t i = 0; i < BLOCKS; i++)
		if (atomic_load(&block_cache.has[i]))
			memory_blocks_free(memory, address_of(i));
	ck_assert_uint_eq(atomic_load(&memory->reclaim.pending_blocks), 0);
	ck_assert_uint_eq(memory->blocks.isolated.first, memory->blocks.isolated.end);
	machine_fini(&block_cache_machine);
}
