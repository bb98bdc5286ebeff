// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reports of wrong uses of an objcache, and the walker over its invariants. The walker counts
 * everything twice, by blocks and by magazines, and compares: each cached object lies in exactly
 * one magazine.
 */
#include "objcache_internal.h"
#include "runtime/base/log.h"

_Noreturn void objcache_object_is_wrong(const struct objcache *cache, const void *object, const char *what, const void *site)
{
	char now[CODE_SITE_BYTES], allocated[CODE_SITE_BYTES], freed[CODE_SITE_BYTES];

	platform_panic(
		"objcache %s: object %p %s%s%s%s", cache->config.name, object, what,
		code_site_format(now, "freed now by", site),
		code_site_format(allocated, "allocated by", OBJCACHE_DEBUG ? objcache_site_of(cache, object, false) : NULL),
		code_site_format(freed, "freed before by", OBJCACHE_DEBUG ? objcache_site_of(cache, object, true) : NULL));
}

/* Walker --------------------------------------------------------------------------------------- */

struct totals {
	uint64_t blocks;
	uint64_t empty_blocks;
	uint64_t taken;
	uint64_t cached; /* by state */
	uint64_t slots;  /* in magazines */
	const char *violation;
};

static uint32_t count_states(const struct objcache *cache, const struct block *block, enum object_state state)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < cache->objects_per_block; i++)
		count += block->states[i] == state;
	return count;
}

static const char *block_violation(const struct objcache *cache, const struct block *block, enum objcache_role role)
{
	const uint32_t used = objcache_block_used(block);
	uint32_t floor;

	if (!block->taken || block->cache != cache || block->owner != &cache->owner || block->run_blocks != 1)
		return "a block does not belong to it";
	if (block->role != role || role != objcache_role_of(cache, used, &floor) || block->floor != floor)
		return "a block is in the wrong list";
	if (!block->states || count_states(cache, block, OBJECT_FREE) != cache->objects_per_block - used)
		return "a block's count does not fit the states of its objects";
	return NULL;
}

static void list_check(const struct objcache *cache, enum objcache_role role, struct totals *totals)
{
	const struct list *list = &cache->blocks[role];

	list_for_each (link, list) {
		const struct block *block = container_of(link, struct block, link);
		const char *violation = block_violation(cache, block, role);

		totals->blocks++;
		totals->empty_blocks += role == OBJCACHE_EMPTY;
		totals->taken += objcache_block_used(block);
		totals->cached += count_states(cache, block, OBJECT_CACHED);
		if (violation)
			totals->violation = violation;
	}
	if (((cache->roles >> role) & 1) == list_is_empty(list))
		totals->violation = "the mask of lists is wrong";
}

/* Checks the objects of a magazine, up to the slot `end`. */
static void slots_check(const struct objcache *cache, const struct objcache_magazine *magazine, const struct objcache_slot *end,
			struct totals *totals)
{
	for (const struct objcache_slot *slot = magazine->slots + 1; slot < end; slot++) {
		const uint8_t *state = objcache_state_find(cache, slot->object);

		totals->slots++;
		if (!state || state != slot->state || *state != OBJECT_CACHED)
			totals->violation = "a magazine has what is no cached object";
	}
}

static void magazines_check(const struct objcache *cache, struct totals *totals)
{
	uint32_t in_depot = 0;

	list_for_each (link, &cache->depot.magazines) {
		const struct objcache_magazine *magazine = container_of(link, struct objcache_magazine, link);

		slots_check(cache, magazine, magazine->slots + 1 + cache->magazine_slots, totals);
		in_depot++;
	}
	if (in_depot != cache->depot.count)
		totals->violation = "the number of magazines in the depot is wrong";
	for (unsigned slot = 1; slot <= PLATFORM_CPUS_MAX; slot++) {
		const struct objcache_cpu *own = cache->own[slot];

		if (!own)
			continue;
		if (slot >= cache->own_end)
			totals->violation = "a CPU beyond the last one has magazines";
		slots_check(cache, own->alloc.magazine, own->alloc.top, totals);
		slots_check(cache, own->free.magazine, own->free.top, totals);
	}
}

bool objcache_is_valid(struct objcache *cache)
{
	struct totals totals = { 0 };
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	magazines_check(cache, &totals);
	for (unsigned role = 0; role < OBJCACHE_ROLES; role++)
		list_check(cache, role, &totals);
	if (totals.empty_blocks != cache->counts.empty_blocks)
		totals.violation = "the number of empty blocks is wrong";
	if (totals.blocks != cache->counts.blocks || totals.blocks != cache->owner.blocks ||
	    totals.blocks * cache->objects_per_block != cache->counts.objects ||
	    ((cache->group->has_blocks[cache->number / 64] >> (cache->number % 64)) & 1) != (totals.blocks > 0))
		totals.violation = "the number of blocks is wrong";
	if (totals.taken != cache->taken)
		totals.violation = "the number of objects is wrong";
	if (totals.slots != totals.cached)
		totals.violation = "cached objects are not the ones in magazines";
	spinlock_unlock_interrupts(&cache->lock, state);
	if (totals.violation)
		log_error("objcache %s: %s", cache->config.name, totals.violation);
	return !totals.violation;
}
