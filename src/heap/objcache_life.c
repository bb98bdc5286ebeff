/* The beginning, the end, and the draining of an objcache, its counts, and its side of struct heap. */
#include "objcache_internal.h"
#include "objcache_magazine.h"
#include "runtime/base/string.h"

/* Counts ---------------------------------------------------------------------------------------------------------------- */

struct objcache_cpu_counts objcache_cpu_count(struct objcache *cache, unsigned cpu)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	const struct objcache_cpu_counts counts = objcache_cpu_count_locked(cache, cpu + 1);

	spinlock_unlock_interrupts(&cache->lock, state);
	return counts;
}

/*
 * What has been loaded and is not there any more was allocated. The CPUs go on meanwhile: frees are taken from the other
 * figures, so that these fit each other at any moment.
 */
struct objcache_counts objcache_count(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	struct objcache_counts counts = cache->counts;

	counts.cached = cache->depot_objects;
	for (unsigned slot = 1; slot < cache->own_end; slot++) {
		const struct objcache_cpu_counts own = objcache_cpu_count_locked(cache, slot);

		counts.cached += own.cached;
		counts.allocs += own.allocs;
	}
	counts.cached = MIN(counts.cached, cache->taken);
	counts.used = cache->taken - counts.cached;
	counts.frees = counts.allocs - MIN(counts.used, counts.allocs);
	spinlock_unlock_interrupts(&cache->lock, state);
	return counts;
}

uint64_t objcache_taken(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	const uint64_t taken = cache->taken;

	spinlock_unlock_interrupts(&cache->lock, state);
	return taken;
}

/* Draining -------------------------------------------------------------------------------------------------------------- */

static uint64_t free_bytes_locked(const struct objcache *cache)
{
	return (cache->counts.objects - cache->taken) * cache->config.object_bytes;
}

static struct block *empty_take_locked(struct objcache *cache, uint64_t retain, struct phys_addr lowest,
				       struct phys_addr highest)
{
	const uint64_t block_bytes = cache->objects_per_block * cache->config.object_bytes;

	if (cache->counts.objects < cache->config.reserve_objects + cache->objects_per_block ||
	    free_bytes_locked(cache) < retain + block_bytes)
		return NULL;
	list_for_each (link, &cache->empty) {
		struct block *block = container_of(link, struct block, link);

		if (!objcache_block_is_within(cache, block, lowest, highest))
			continue;
		objcache_block_remove_locked(cache, block);
		cache->counts.drained_blocks++;
		return block;
	}
	return NULL;
}

uint64_t objcache_drain_empty(struct objcache *cache, uint64_t bytes, uint64_t retain, struct phys_addr lowest,
			      struct phys_addr highest)
{
	uint64_t given = 0;

	while (given < bytes) {
		const uint64_t state = spinlock_lock_interrupts(&cache->lock);
		struct block *block = empty_take_locked(cache, retain, lowest, highest);

		spinlock_unlock_interrupts(&cache->lock, state);
		if (!block)
			break;
		objcache_block_give(cache, block);
		given += BLOCK_BYTES;
	}
	return given;
}

/* The lists are in order of fill: beyond a bucket that starts above `cached`, no block can have only cached objects. */
bool objcache_flush_is_worthwhile(struct objcache *cache, uint64_t *cached_bytes)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	const uint64_t cached = cache->depot_objects + objcache_cpus_cached_locked(cache);
	bool found = cached >= cache->objects_per_block;

	for (unsigned i = 0; !found && i < OBJCACHE_BUCKETS && (uint64_t)i * cache->bucket_objects < cached; i++)
		list_for_each (link, &cache->buckets[i])
			found = found || objcache_block_used(container_of(link, struct block, link)) <= cached;
	spinlock_unlock_interrupts(&cache->lock, state);
	*cached_bytes = cached * cache->config.object_bytes;
	return found;
}

#define FLUSH_ROUNDS 4 /* a CPU in the middle of something is soon done */

struct flush {
	uint64_t number;
	/* Which CPUs were in the middle of something: perhaps of an operation on a magazine. */
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

static void detach(struct objcache *cache, uint64_t flush)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	objcache_detach_locked(cache, flush);
	spinlock_unlock_interrupts(&cache->lock, state);
}

/*
 * Empties the magazines of those that were not busy. Who has come for the lock since has done so itself, and may be at its
 * magazines again: its own are not detached any more, or by another flush. Returns how many are left.
 */
static unsigned flush_cache(struct objcache *cache, const struct flush *flush)
{
	struct list surplus;
	unsigned left = 0;
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	list_init(&surplus);
	objcache_depot_empty_locked(cache);
	for (unsigned slot = 1; flush && slot < cache->own_end; slot++) {
		struct objcache_cpu *own = cache->own[slot];

		if (!own || own->detached != flush->number)
			continue;
		if (atomic_load_explicit(&flush->busy[slot - 1], memory_order_relaxed)) {
			left++;
			continue;
		}
		objcache_own_empty_locked(cache, own);
		objcache_attach_locked(cache, slot);
	}
	objcache_surplus_locked(cache, &surplus);
	spinlock_unlock_interrupts(&cache->lock, state);
	objcache_blocks_give(cache, &surplus);
	return left;
}

static bool may_have_cached(const struct objcache *cache)
{
	return !cache->group || objcache_group_bit(cache->group->in_use, cache->number);
}

static unsigned flush_round(struct objcache *caches, unsigned count)
{
	struct flush flush = { .number = flush_number(caches->heap) };
	unsigned left = 0;

	for (unsigned i = 0; i < count; i++)
		if (may_have_cached(&caches[i]))
			detach(&caches[i], flush.number);
	/* Afterwards, each CPU either sees that it is detached, or was interrupted while it was at something. */
	platform_run_on_all_cpus(flush_note, &flush);
	for (unsigned i = 0; i < count; i++)
		if (may_have_cached(&caches[i]))
			left += flush_cache(&caches[i], &flush);
	return left;
}

void objcaches_flush(struct objcache *caches, unsigned count)
{
	if (!platform_may_sleep()) {
		for (unsigned i = 0; i < count && !platform_in_handler(); i++)
			if (may_have_cached(&caches[i]))
				(void)flush_cache(&caches[i], NULL);
		return;
	}
	for (unsigned round = 0; round < FLUSH_ROUNDS && flush_round(caches, count) > 0; round++)
		platform_cpu_relax();
}

uint64_t objcache_drain(struct objcache *cache, uint64_t bytes, uint64_t retain, struct phys_addr lowest,
			struct phys_addr highest)
{
	uint64_t given = objcache_drain_empty(cache, bytes, retain, lowest, highest);
	uint64_t cached_bytes;

	if (given < bytes && objcache_flush_is_worthwhile(cache, &cached_bytes)) {
		objcaches_flush(cache, 1);
		given += objcache_drain_empty(cache, bytes - given, retain, lowest, highest);
	}
	return given;
}

static uint64_t interface_drain(struct caching_heap *heap, uint64_t bytes, uint64_t retain)
{
	struct objcache *cache = container_of(heap, struct objcache, caching);

	return objcache_drain(cache, bytes, retain, (struct phys_addr){ 0 }, (struct phys_addr){ 0 });
}

static uint64_t clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	struct objcache *cache = container_of(cleaner, struct objcache, cleaner);

	return objcache_drain(cache, target->bytes, cache->config.retain_bytes, target->lowest, target->highest);
}

static uint64_t held_back(struct cleaner *cleaner)
{
	return objcache_count(container_of(cleaner, struct objcache, cleaner)).empty_blocks << BLOCK_SHIFT;
}

void objcaches_detach(struct block_heap *heap)
{
	const uint64_t number = flush_number(heap);

	spinlock_lock(&heap->caches_lock);
	list_for_each (link, &heap->caches)
		detach(container_of(link, struct objcache, link), number);
	spinlock_unlock(&heap->caches_lock);
}

/* Life ------------------------------------------------------------------------------------------------------------------ */

static void *interface_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	struct objcache *cache = container_of(heap, struct objcache, caching.heap);

	if (bytes == 0 || bytes > cache->config.object_bytes || !is_power_of_two(MAX(alignment, 1)) ||
	    alignment > cache->config.alignment)
		return NULL;
	return objcache_alloc(cache);
}

static void interface_free(struct heap *heap, void *object)
{
	objcache_free(container_of(heap, struct objcache, caching.heap), object);
}

static bool config_is_valid(const struct objcache_config *config)
{
	if (!config->name || !config->source || !config->bookkeeping)
		return false;
	if (config->object_bytes == 0 || config->object_bytes > OBJCACHE_OBJECT_MAX)
		return false;
	if (config->alignment > OBJCACHE_OBJECT_MAX || !is_power_of_two(MAX(config->alignment, 1)))
		return false;
	return true;
}

static void lists_init(struct objcache *cache)
{
	for (unsigned i = 0; i < OBJCACHE_BUCKETS; i++)
		list_init(&cache->buckets[i]);
	list_init(&cache->empty);
	list_init(&cache->nearly_full);
	list_init(&cache->full);
}

#define WORTHWHILE_SHARE 256         /* of a block's objects: fewer free ones are not looked for if there are others */
#define MAGAZINE_BYTES   (512 * KIB) /* of objects, in one */

static void sizes_init(struct objcache *cache)
{
	const struct objcache_config *config = &cache->config;
	const uint32_t all = (uint32_t)(BLOCK_BYTES / config->object_bytes);
	const uint32_t with_rest = all + (all * config->object_bytes != BLOCK_BYTES);

	cache->objects_per_block = all;
	cache->inverse = UINT64_MAX / config->object_bytes + 1;
	cache->lines = (uint32_t)divide_round_up(with_rest, 64);
	cache->bucket_objects = (uint32_t)divide_round_up(all, OBJCACHE_BUCKETS);
	cache->worthwhile_objects = MAX(all / WORTHWHILE_SHARE, 1u);
	if (config->reserve_objects == 0 && config->object_bytes <= OBJCACHE_MAGAZINE_OBJECT_MAX) {
		cache->magazine_slots =
			(uint32_t)align_down(MIN(MAGAZINE_BYTES / config->object_bytes, OBJCACHE_MAGAZINE_SLOTS), 8);
	}
}

static void map_init(struct objcache *cache)
{
	cache->map = (struct objcache_map){
		.start = (uintptr_t)platform_virt((struct phys_addr){ cache->heap->first_block << BLOCK_SHIFT }),
		.bytes = cache->heap->count << BLOCK_SHIFT,
		.blocks = cache->heap->blocks,
	};
}

static status_t reserve_fill(struct objcache *cache)
{
	status_t status = STATUS_OK;

	while (status == STATUS_OK && objcache_count(cache).objects < cache->config.reserve_objects)
		status = objcache_grow(cache, NULL);
	return status;
}

static void reserve_add(struct objcache *cache, uint32_t objects)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	cache->config.reserve_objects += objects;
	spinlock_unlock_interrupts(&cache->lock, state);
}

/* What is drained meanwhile respects the new reserve already. */
status_t objcache_reserve(struct objcache *cache, uint32_t objects)
{
	status_t status;

	assert(cache->magazine_slots == 0);
	reserve_add(cache, objects);
	status = reserve_fill(cache);
	if (status != STATUS_OK)
		objcache_unreserve(cache, objects);
	return status;
}

void objcache_unreserve(struct objcache *cache, uint32_t objects)
{
	reserve_add(cache, -objects);
}

static void give_all(struct objcache *cache)
{
	cache->config.reserve_objects = 0;
	(void)objcache_drain_empty(cache, UINT64_MAX, 0, (struct phys_addr){ 0 }, (struct phys_addr){ 0 });
}

status_t objcache_init(struct objcache *cache, const struct objcache_config *config)
{
	status_t status;

	if (!config_is_valid(config))
		return STATUS_INVALID;
	memset(cache, 0, sizeof(*cache));
	cache->config = *config;
	cache->config.alignment = MAX(config->alignment, OBJCACHE_OBJECT_MIN);
	cache->config.object_bytes = align_up(config->object_bytes, cache->config.alignment);
	cache->heap = config->source->heap;
	cache->caching = (struct caching_heap){ { config->name, interface_alloc, interface_free }, interface_drain };
	sizes_init(cache);
	map_init(cache);
	spinlock_init(&cache->lock, config->name);
	owner_init(&cache->owner, config->name, false);
	lists_init(cache);
	objcache_magazines_init(cache);
	objcache_depot_init(cache);

	status = reserve_fill(cache);
	if (status != STATUS_OK) {
		give_all(cache);
		return status;
	}
	spinlock_lock(&cache->heap->caches_lock);
	list_insert_last(&cache->heap->caches, &cache->link);
	spinlock_unlock(&cache->heap->caches_lock);
	if (config->cleaners) {
		cache->cleaner = (struct cleaner){
			.name = config->name,
			.cost = CLEANER_FREE,
			.clean = clean,
			.held_back = held_back,
		};
		cleaner_register(config->cleaners, &cache->cleaner);
	}
	return STATUS_OK;
}

/* Nobody uses the cache any more. */
static void magazines_empty(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	objcache_depot_empty_locked(cache);
	for (unsigned slot = 1; slot < cache->own_end; slot++)
		if (cache->own[slot])
			objcache_own_empty_locked(cache, cache->own[slot]);
	spinlock_unlock_interrupts(&cache->lock, state);
}

status_t objcache_fini(struct objcache *cache)
{
	if (objcache_count(cache).used != 0)
		return STATUS_BUSY;
	if (cache->config.cleaners)
		cleaner_unregister(cache->config.cleaners, &cache->cleaner);
	spinlock_lock(&cache->heap->caches_lock);
	list_remove(&cache->link);
	spinlock_unlock(&cache->heap->caches_lock);

	magazines_empty(cache);
	give_all(cache);
	objcache_magazines_fini(cache);
	objcache_depot_fini(cache);
	return STATUS_OK;
}
