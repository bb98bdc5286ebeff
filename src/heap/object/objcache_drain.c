// SPDX-License-Identifier: BSD-2-Clause
/*
 * Draining. All blocks that go back to the source go through give_empty_of, one at a time, and are
 * counted there. A drain of a cache, a drain of all classes of a general heap, the surplus after a
 * free, and the trim of idle blocks differ only in what they ask for. Magazines are emptied in
 * steps, too, so that no lock is held for more than one of them.
 */
#include "objcache_internal.h"
#include "objcache_magazine.h"

/* The caches are neighbours in one group. */
struct drain {
	struct objcache *caches;
	unsigned count;
	const struct reclaim_target *target;
	uint64_t retain; /* bytes that stay free in the blocks of the group, */
	uint64_t spared; /* ... and empty blocks that stay in each cache */
	uint64_t given;
};

static inline bool wants_more(const struct drain *drain)
{
	return drain->given < drain->target->bytes;
}

static inline bool goes_on(const struct drain *drain)
{
	const uint64_t deadline_ns = drain->target->deadline_ns;

	return wants_more(drain) && (deadline_ns == PLATFORM_FOREVER || platform_now_ns() < deadline_ns) &&
	       !(drain->given > 0 && reclaim_target_is_wanted(drain->target));
}

/*
 * The last cache of a number below `end` that has blocks; NULL: none, or the target has been met.
 */
static struct objcache *cache_below(const struct drain *drain, unsigned end)
{
	const unsigned first = drain->caches->number;

	while (end > first && wants_more(drain)) {
		const unsigned word = (end - 1) / 64;
		const uint64_t below = ~0ull >> (63 - (end - 1) % 64);
		const uint64_t bits =
			atomic_load_explicit(&drain->caches->group->has_blocks[word], memory_order_relaxed) & below;

		end = word * 64 + (bits == 0 ? 0 : log2_floor(bits));
		if (bits != 0 && end >= first)
			return &drain->caches[end - first];
	}
	return NULL;
}

/* Goes from the largest class down: its free objects are the least likely to be wanted soon. */
#define for_each_cache(cache, drain)                                                                                           \
	for (struct objcache *cache = cache_below(drain, (drain)->caches->number + (drain)->count); cache;                     \
	     cache = cache_below(drain, cache->number))

static struct block *empty_take_locked(struct objcache *cache, const struct drain *drain)
{
	const uint64_t reserve = cache->config.reserve_objects;

	if (cache->counts.empty_blocks <= drain->spared || cache->counts.objects < reserve + cache->objects_per_block)
		return NULL;
	list_for_each (link, &cache->blocks[OBJCACHE_EMPTY]) {
		struct block *block = container_of(link, struct block, link);

		if (reclaim_target_has(drain->target, block_address(cache->heap, block)))
			return objcache_block_remove_locked(cache, block, drain->retain) ? block : NULL;
	}
	return NULL;
}

/* The one place where blocks are given to the source, one at a time. */
static void give_empty_of(struct drain *drain, struct objcache *cache)
{
	while (goes_on(drain)) {
		const uint64_t state = spinlock_lock_interrupts(&cache->lock);
		struct block *block = empty_take_locked(cache, drain);

		spinlock_unlock_interrupts(&cache->lock, state);
		if (!block)
			return;
		objcache_block_give(cache, block);
		drain->given += BLOCK_BYTES;
	}
}

static void give_empty(struct drain *drain)
{
	if (atomic_load_explicit(&drain->caches->group->empty_blocks, memory_order_relaxed) > 0)
		for_each_cache (cache, drain)
			give_empty_of(drain, cache);
}

uint64_t objcache_give_empty(struct objcache *cache, uint64_t spared, uint64_t retain)
{
	struct drain drain = { cache, 1, &reclaim_all, .retain = retain, .spared = spared };

	give_empty_of(&drain, cache);
	return drain.given;
}

/* Flushes -------------------------------------------------------------------------------------- */

struct flush {
	uint64_t number;
	/*
	 * Whether each CPU was in the middle of something: perhaps of an operation on a magazine.
	 */
	_Atomic bool busy[PLATFORM_CPUS_MAX];
};

static void flush_note(void *context)
{
	struct flush *flush = context;

	atomic_store_explicit(&flush->busy[platform_cpu()], platform_preempt_count() != 0, memory_order_relaxed);
}

static uint64_t flush_number(struct block_heap *heap)
{
	return atomic_fetch_add_explicit(&heap->flushes, 1, memory_order_relaxed) + 1;
}

/*
 * Empties the magazines of a CPU that was not busy. A busy CPU does so itself at its next
 * operation. A CPU that has come for the lock since then may be at its magazines again: they are
 * attached, or detached by another flush.
 */
static void flush_cpu(struct objcache *cache, unsigned slot, const struct flush *flush)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	struct objcache_cpu *own = cache->own[slot];

	if (own && own->detached == flush->number && !atomic_load_explicit(&flush->busy[slot - 1], memory_order_relaxed))
		(void)objcache_attach_locked(cache, own, slot);
	spinlock_unlock_interrupts(&cache->lock, state);
}

static void flush_cpus(struct drain *drain)
{
	struct flush flush = { .number = flush_number(drain->caches->heap) };

	for_each_cache (cache, drain)
		objcache_detach(cache, flush.number);
	/*
	 * Afterwards, each CPU either sees that it is detached, or was interrupted in the middle of
	 * something.
	 */
	platform_run_on_all_cpus(flush_note, &flush);
	for_each_cache (cache, drain) {
		for (unsigned slot = 1; slot <= platform_cpu_count() && goes_on(drain); slot++) {
			flush_cpu(cache, slot, &flush);
			give_empty_of(drain, cache);
		}
	}
}

/*
 * Empties magazines and gives what becomes empty, until the target has been met: those of the
 * depots first.
 */
static void flush_and_give(struct drain *drain)
{
	for_each_cache (cache, drain)
		while (goes_on(drain) && objcache_depot_flush(cache))
			give_empty_of(drain, cache);
	if (platform_may_sleep() && goes_on(drain))
		flush_cpus(drain);
}

void objcache_flush(struct objcache *cache)
{
	flush_and_give(&(struct drain){ cache, 1, &reclaim_all, .spared = cache->spared_blocks });
}

void objcaches_detach(struct block_heap *heap)
{
	const uint64_t number = flush_number(heap);

	spinlock_lock(&heap->caches_lock);
	list_for_each (link, &heap->caches)
		objcache_detach(container_of(link, struct objcache, link), number);
	spinlock_unlock(&heap->caches_lock);
}

/* Drains --------------------------------------------------------------------------------------- */

#define LOOKS_MAX 256 /* so many nearly empty blocks: one of them may well become empty */

static uint64_t cached_locked(const struct objcache *cache)
{
	uint64_t cached = objcache_depot_objects(cache);

	for (unsigned slot = 1; slot < cache->own_end; slot++)
		cached += objcache_cpu_count_locked(cache, slot).cached;
	return cached;
}

/*
 * Whether emptying magazines with so many cached objects may empty a block. A block that is full,
 * or nearly, has at least objects_per_block - worthwhile_objects in use: only as many cached ones
 * could be all of them. The other lists are in order of fill: no block of a list behind the one for
 * `cached` objects can have only cached ones.
 */
static bool may_empty_a_block_locked(const struct objcache *cache, uint64_t cached)
{
	unsigned looks = 0;
	uint32_t roles, floor;

	if (cached + cache->worthwhile_objects > cache->objects_per_block)
		return true;
	for (roles = cache->roles & ((2u << objcache_role_of(cache, (uint32_t)cached, &floor)) - (1u << OBJCACHE_PARTIAL));
	     roles != 0; roles &= roles - 1)
		list_for_each (link, &cache->blocks[__builtin_ctz(roles)])
			if (objcache_block_used(container_of(link, struct block, link)) <= cached || ++looks == LOOKS_MAX)
				return true;
	return false;
}

/* Whether blocks may become empty, and enough would be free then. */
static bool flush_is_worthwhile(const struct drain *drain)
{
	uint64_t have = atomic_load_explicit(&drain->caches->group->free_bytes, memory_order_relaxed);
	uint64_t block_bytes = UINT64_MAX;

	for_each_cache (cache, drain) {
		const uint64_t state = spinlock_lock_interrupts(&cache->lock);
		const uint64_t cached = cached_locked(cache);
		const bool worthwhile = may_empty_a_block_locked(cache, cached);

		spinlock_unlock_interrupts(&cache->lock, state);
		have += cached * cache->config.object_bytes;
		if (worthwhile)
			block_bytes = MIN(block_bytes, cache->objects_per_block * cache->config.object_bytes);
		if (have >= block_bytes && have - block_bytes >= drain->retain)
			return true;
	}
	return false;
}

/* Whether a CPU has cached objects, and has allocated and freed none since the last call. */
static bool cpu_is_idle_locked(struct objcache *cache, unsigned slot)
{
	const struct objcache_cpu_counts counts = objcache_cpu_count_locked(cache, slot);
	struct objcache_cpu *own = cache->own[slot];
	const bool is_idle = counts.cached > 0 && own->operations == counts.allocs + counts.frees;

	if (own)
		own->operations = counts.allocs + counts.frees;
	return is_idle;
}

/*
 * Empties the magazines that have been idle since the last call, without regard to what is
 * retained: only so do their objects count as free. Notes how many empty blocks were in use
 * meanwhile.
 */
static void trim_magazines(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	uint32_t magazines = cache->depot.low;
	bool is_idle = false;

	cache->depot.low = atomic_load_explicit(&cache->depot.count, memory_order_relaxed);
	cache->recent_blocks = cache->counts.empty_blocks - cache->empty_low;
	cache->empty_low = cache->counts.empty_blocks;
	for (unsigned slot = 1; slot < cache->own_end; slot++)
		is_idle |= cpu_is_idle_locked(cache, slot);
	is_idle = is_idle && may_empty_a_block_locked(cache, cached_locked(cache));
	spinlock_unlock_interrupts(&cache->lock, state);

	while (magazines-- > 0 && objcache_depot_flush(cache))
		continue;
	objcache_spare_delete(cache);
	if (is_idle)
		flush_cpus(&(struct drain){ cache, 1, &reclaim_all, .spared = UINT64_MAX });
}

/* The cleaner of a group ----------------------------------------------------------------------- */

#define SLACK_BYTES BLOCK_BYTES /* beyond what is retained: a block that comes and goes */

uint64_t objcache_group_drain(struct objcache_group *group, const struct reclaim_target *target, uint64_t retain)
{
	struct drain drain = { .caches = group->caches, .count = group->count, .target = target, .retain = retain };

	if (group->settle)
		drain.given = group->settle(group, target);
	give_empty(&drain);
	if (goes_on(&drain) && flush_is_worthwhile(&drain)) {
		flush_and_give(&drain);
		give_empty(&drain); /* of classes that were flushed before enough was free */
	}
	return drain.given;
}

static uint64_t clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	struct objcache_group *group = container_of(cleaner, struct objcache_group, cleaner);

	return objcache_group_drain(group, target, group->retain_bytes);
}

static uint64_t trim(struct cleaner *cleaner)
{
	struct objcache_group *group = container_of(cleaner, struct objcache_group, cleaner);
	const uint64_t retain = MIN(group->retain_bytes, UINT64_MAX - SLACK_BYTES) + SLACK_BYTES;
	uint64_t given = group->settle ? group->settle(group, &reclaim_all) : 0;

	for (unsigned i = 0; i < group->count; i++)
		trim_magazines(&group->caches[i]);
	for (unsigned i = group->count; i-- > 0;)
		given += objcache_give_empty(&group->caches[i], group->caches[i].recent_blocks, retain);
	return given;
}

static uint64_t held_back(struct cleaner *cleaner)
{
	struct objcache_group *group = container_of(cleaner, struct objcache_group, cleaner);

	return atomic_load_explicit(&group->empty_blocks, memory_order_relaxed) << BLOCK_SHIFT;
}

void objcache_group_register(struct objcache_group *group, const char *name, struct cleaner_registry *cleaners)
{
	group->cleaner = (struct cleaner){
		.name = name,
		.cost = CLEANER_FREE,
		.clean = clean,
		.trim = trim,
		.held_back = held_back,
	};
	if (cleaners)
		cleaner_register(cleaners, &group->cleaner);
}
