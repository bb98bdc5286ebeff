// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks of an objcache, their lists by fill, and the objects in them. A state byte for each object
 * is all there is to know about it; eight states are one word, so a search for free objects looks
 * at 64 of them in eight loads. A block changes its list only when its `credit` is used up, not at
 * each free.
 */
#include "objcache_internal.h"
#include "runtime/base/string.h"

#define LINE_STATES  64u /* states of a cache line */
#define WORD_STATES  8
#define LINE_WORDS   (LINE_STATES / WORD_STATES)
#define FREE_IN_WORD 0x0202020202020202ull /* OBJECT_FREE in all states of a word */

/* Blocks --------------------------------------------------------------------------------------- */

static size_t states_bytes(const struct objcache *cache)
{
	return (size_t)cache->lines * LINE_STATES;
}

/*
 * Chooses the order in which the lines are looked through: from a random one on, in steps that lead
 * past all lines, since a step is a prime larger than their number.
 */
static void order_init(const struct objcache *cache, struct block *block)
{
	static const uint32_t primes[] = { 2053, 2063, 2069, 2081, 2083, 2087, 2089, 2099 };
	const uint64_t random = platform_random();

	block->line = (uint32_t)(random % cache->lines);
	block->stride = primes[(random >> 32) % ARRAY_LENGTH(primes)] % cache->lines;
}

_Static_assert(BLOCK_BYTES / OBJCACHE_OBJECT_MIN / LINE_STATES < 2053, "lines of a block");

static void objects_each(const struct objcache *cache, struct block *block, void (*visit)(void *object, void *context))
{
	char *objects = objcache_objects(cache, block);

	for (uint32_t i = 0; visit && i < cache->objects_per_block; i++)
		visit(objects + (size_t)i * cache->config.object_bytes, cache->config.context);
}

/* Prepares a fresh block; it is in no list yet. False: no memory. */
static bool block_prepare(struct objcache *cache, struct block *block)
{
	uint8_t *states = metadata_heap_alloc(cache->config.metadata, states_bytes(cache));

	if (!states)
		return false;
	memset(states, OBJECT_FREE, cache->objects_per_block);
	memset(states + cache->objects_per_block, OBJECT_NONE, states_bytes(cache) - cache->objects_per_block);
	block->states = states;
	block->role = OBJCACHE_NONE;
	order_init(cache, block);
	if (OBJCACHE_DEBUG)
		objcache_debug_block(cache, block);
	objects_each(cache, block, cache->config.construct);
	block->holder = cache->parent ? cache->parent : cache;
	block->cache = cache;
	return true;
}

void objcache_block_give(struct objcache *cache, struct block *block)
{
	const struct objcache_config *config = &cache->config;
	const struct phys_addr address = block_address(cache->heap, block);

	assert(block->cache == cache && objcache_block_used(block) == 0 && block->role == OBJCACHE_NONE);
	objects_each(cache, block, config->destroy);
	if (OBJCACHE_DEBUG)
		objcache_debug_block_end(cache, block);
	block->cache = NULL;
	block->holder = NULL;
	metadata_heap_free(config->metadata, block->states, states_bytes(cache));
	config->source->give(config->source, address);
}

/* Lists ---------------------------------------------------------------------------------------- */

static void list_leave(struct objcache *cache, struct block *block)
{
	list_remove(&block->link);
	if (list_is_empty(&cache->blocks[block->role]))
		cache->roles &= ~(1u << block->role);
	if (block->role == OBJCACHE_EMPTY) {
		cache->counts.empty_blocks--;
		cache->empty_low = MIN(cache->empty_low, cache->counts.empty_blocks);
		atomic_fetch_sub_explicit(&cache->group->empty_blocks, 1, memory_order_relaxed);
	}
}

static void list_enter(struct objcache *cache, struct block *block, enum objcache_role role)
{
	block->role = (uint8_t)role;
	list_insert_first(&cache->blocks[role], &block->link);
	cache->roles |= 1u << role;
	if (role == OBJCACHE_EMPTY) {
		cache->counts.empty_blocks++;
		atomic_fetch_add_explicit(&cache->group->empty_blocks, 1, memory_order_relaxed);
	}
}

enum objcache_role objcache_role_of(const struct objcache *cache, uint32_t used, uint32_t *floor)
{
	const uint32_t nearly_all = cache->objects_per_block - cache->worthwhile_objects;
	const uint32_t bucket = (MAX(used, 1u) - 1) / cache->bucket_objects;

	*floor = bucket * cache->bucket_objects;
	if (used == 0)
		return OBJCACHE_EMPTY;
	if (used <= nearly_all)
		return OBJCACHE_PARTIAL + bucket;
	*floor = used == cache->objects_per_block ? used - 1 : nearly_all;
	return used == cache->objects_per_block ? OBJCACHE_FULL : OBJCACHE_NEARLY_FULL;
}

/* Called when the cache has got its first block, or lost its last one. */
static void group_tell(struct objcache *cache)
{
	atomic_fetch_xor_explicit(&cache->group->has_blocks[cache->number / 64], 1ull << (cache->number % 64),
				  memory_order_relaxed);
}

/* Puts the block into its list, now that `used` of its objects are not free in it. */
static void settle_locked(struct objcache *cache, struct block *block, uint32_t used)
{
	uint32_t floor;
	const enum objcache_role role = objcache_role_of(cache, used, &floor);

	if (block->role != role) {
		list_leave(cache, block);
		list_enter(cache, block, role);
		block->floor = floor;
	}
	block->credit = used - block->floor;
}

status_t objcache_grow(struct objcache *cache, struct block_source *source)
{
	struct phys_addr address;
	struct block *block;
	status_t status;

	source = source ? source : cache->config.source;
	status = source->take(source, &cache->owner, 1, 0, &address);
	if (status != STATUS_OK)
		return status;
	block = block_heap_find(cache->heap, address);
	if (!block_prepare(cache, block)) {
		source->give(source, address);
		return STATUS_NO_MEMORY;
	}
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	if (cache->counts.blocks++ == 0)
		group_tell(cache);
	cache->counts.objects += cache->objects_per_block;
	(void)objcache_group_add(cache, cache->objects_per_block);
	settle_locked(cache, block, 0);
	spinlock_unlock_interrupts(&cache->lock, state);
	return STATUS_OK;
}

/* Subtracts from the group's free bytes before it compares: other CPUs drain the group, too. */
bool objcache_block_remove_locked(struct objcache *cache, struct block *block, uint64_t retain)
{
	assert(block->role == OBJCACHE_EMPTY);
	if (objcache_group_add(cache, -(int64_t)cache->objects_per_block) < retain) {
		(void)objcache_group_add(cache, cache->objects_per_block);
		return false;
	}
	list_leave(cache, block);
	block->role = OBJCACHE_NONE;
	cache->counts.objects -= cache->objects_per_block;
	if (--cache->counts.blocks == 0)
		group_tell(cache);
	return true;
}

/* Objects -------------------------------------------------------------------------------------- */

static struct block *fullest_block(struct objcache *cache)
{
	const uint32_t roles = cache->roles & ((1u << OBJCACHE_FULL) - 1);

	return roles == 0 ? NULL : container_of(cache->blocks[log2_floor(roles)].next, struct block, link);
}

struct taking {
	struct objcache_slot *next, *end;
	const struct objcache_slot *enough; /* more than half: then no further block is begun */
	char *objects;
	size_t object_bytes;
	uint8_t *states;
};

static inline char *object_of(const struct taking *taking, const uint8_t *state)
{
	return taking->objects + (size_t)(state - taking->states) * taking->object_bytes;
}

static inline void word_take_all(struct taking *taking, uint8_t *states)
{
	const size_t object_bytes = taking->object_bytes;
	struct objcache_slot *slots = taking->next;
	char *object = object_of(taking, states);

	memset(states, OBJECT_CACHED, WORD_STATES);
#pragma GCC unroll 8
	for (unsigned i = 0; i < WORD_STATES; i++) {
		slots[i].object = object;
		slots[i].state = states + i;
		object += object_bytes;
	}
	taking->next = slots + WORD_STATES;
}

static inline void word_take_some(struct taking *taking, uint8_t *states, uint64_t free)
{
	for (; free != 0 && taking->next < taking->end; free &= free - 1) {
		uint8_t *state = states + (unsigned)__builtin_ctzll(free) / 8;

		*state = OBJECT_CACHED;
		*taking->next++ = (struct objcache_slot){ object_of(taking, state), state };
	}
}

/*
 * The bits of OBJECT_FREE in a word; they change under [C] alone. The other bits change meanwhile,
 * as CPUs allocate and free these objects without the lock: hence the thread sanitizer does not
 * look.
 */
__attribute__((no_sanitize("thread"))) static inline uint64_t word_free(const uint8_t *states)
{
	uint64_t word;

	memcpy(&word, states, sizeof(word));
	return word & FREE_IN_WORD;
}

static bool line_has_free(const uint8_t *line)
{
	uint64_t any = 0;

#pragma GCC unroll 8
	for (unsigned i = 0; i < LINE_WORDS; i++)
		any |= word_free(line + i * WORD_STATES);
	return any != 0;
}

static void line_take(struct taking *taking, uint8_t *line, unsigned first)
{
	if (!line_has_free(line))
		return;
	for (unsigned i = 0; i < LINE_WORDS && taking->next < taking->end; i++) {
		uint8_t *states = line + (first + i) % LINE_WORDS * WORD_STATES;
		const uint64_t free = word_free(states);

		if (free == FREE_IN_WORD && taking->end - taking->next >= WORD_STATES)
			word_take_all(taking, states);
		else
			word_take_some(taking, states, free);
	}
}

static bool has_enough(const struct taking *taking)
{
	return taking->next >= taking->enough && taking->end - taking->next < LINE_STATES;
}

/*
 * Takes objects of a block that has free ones. It stays at a line until the line has none, and ends
 * with a whole line if it can: CPUs whose objects have their states in one line would pass it to
 * and fro.
 */
static void block_take(const struct objcache *cache, struct block *block, struct taking *taking)
{
	taking->objects = objcache_objects(cache, block);
	taking->states = block->states;
	for (uint32_t lines = cache->lines; lines > 0; lines--) {
		line_take(taking, block->states + (size_t)block->line * LINE_STATES, block->stride);
		if (taking->next == taking->end)
			break;
		block->line += block->stride;
		if (block->line >= cache->lines)
			block->line -= cache->lines;
		if (has_enough(taking))
			break;
	}
}

uint32_t objcache_take_locked(struct objcache *cache, struct objcache_slot *slots, uint32_t max)
{
	struct taking taking = {
		.next = slots,
		.end = slots + max,
		.enough = slots + max / 2 + 1,
		.object_bytes = cache->config.object_bytes,
	};
	uint32_t count = 0;
	struct block *block;

	while (taking.next < taking.enough && (block = fullest_block(cache))) {
		const struct objcache_slot *before = taking.next;

		block_take(cache, block, &taking);
		assert(taking.next > before);
		settle_locked(cache, block, objcache_block_used(block) + (uint32_t)(taking.next - before));
		count = (uint32_t)(taking.next - slots);
	}
	cache->taken += count;
	(void)objcache_group_add(cache, -(int64_t)count);
	return count;
}

void objcache_put_locked(struct objcache *cache, const struct objcache_slot *slots, uint32_t count)
{
	const uintptr_t start = cache->map.start;
	struct block *blocks = cache->map.blocks;

#pragma GCC unroll 4
	for (uint32_t i = 0; i < count; i++) {
		struct block *block = &blocks[((uintptr_t)slots[i].object - start) >> BLOCK_SHIFT];

		if (__builtin_expect(*slots[i].state != OBJECT_CACHED, 0))
			objcache_object_is_wrong(cache, slots[i].object, "was freed twice at once", NULL);
		*slots[i].state = OBJECT_FREE;
		if (__builtin_expect(--block->credit == 0, 0))
			settle_locked(cache, block, block->floor);
	}
	cache->taken -= count;
	(void)objcache_group_add(cache, count);
}

struct objcache *objcache_of(const struct block_heap *heap, const void *object)
{
	const struct block *block = block_heap_find(heap, platform_phys(object));

	return block ? block->cache : NULL;
}
