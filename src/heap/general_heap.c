#include "general_heap.h"

#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/string.h"

static const uint32_t CLASS_BYTES[] = {
	16,   32,   48,   64,      96,      128,      192,      256,      384,       512,       768,       1024,
	1536, 2048, 3072, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, 1 * MIB,
};

static const uint32_t POWER_CLASS_BYTES[] = {
	64,       128,      256,      512,       1 * KIB,   2 * KIB,   4 * KIB, 8 * KIB,
	16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, 1 * MIB,
};

_Static_assert(ARRAY_LENGTH(CLASS_BYTES) <= GENERAL_HEAP_CLASSES_MAX, "classes fit");
_Static_assert(ARRAY_LENGTH(POWER_CLASS_BYTES) <= GENERAL_HEAP_CLASSES_MAX, "classes fit");

/* Classes within this factor of the right one stand in for it when it has no object left. */
#define STAND_IN_FACTOR 4

static size_t class_bytes(const struct general_heap *heap, unsigned class)
{
	return heap->cache[class].config.object_bytes;
}

/* The first class, from `class` on, whose objects are large enough and aligned; heap->classes: none. */
static unsigned class_find(const struct general_heap *heap, unsigned class, size_t bytes, size_t alignment)
{
	while (class < heap->classes && (class_bytes(heap, class) < bytes || !is_aligned(class_bytes(heap, class), alignment)))
		class ++;
	return class;
}

static unsigned class_of(const struct general_heap *heap, size_t bytes, size_t alignment)
{
	const unsigned first = bytes <= GENERAL_HEAP_SMALL_BYTES ? heap->small_class[divide_round_up(bytes, 16)]
								 : heap->small_class[GENERAL_HEAP_SMALL_BYTES / 16];

	return class_find(heap, first, bytes, alignment);
}

struct objcache *general_heap_cache(struct general_heap *heap, size_t bytes, size_t alignment)
{
	if (bytes == 0 || !is_power_of_two(MAX(alignment, 1)))
		return NULL;
	const unsigned class = class_of(heap, bytes, MAX(alignment, 1));
	return class < heap->classes ? &heap->cache[class] : NULL;
}

/* The class has no object and gets no block: a larger one may have an object to spare. */
static void *alloc_stand_in(struct general_heap *heap, unsigned class, size_t bytes, size_t alignment)
{
	const size_t limit = class_bytes(heap, class) * STAND_IN_FACTOR;
	void *memory = NULL;

	while (!memory && (class = class_find(heap, class + 1, bytes, alignment)) < heap->classes &&
	       class_bytes(heap, class) <= limit)
		memory = objcache_alloc_held(&heap->cache[class]);
	return memory;
}

static void *alloc_run(struct general_heap *heap, size_t bytes, size_t alignment)
{
	struct run_source *source = heap->config.runs;
	struct phys_addr run;

	if (source->take(source, &heap->runs, divide_round_up(bytes, BLOCK_BYTES), alignment, &run) != STATUS_OK)
		return NULL;
	return platform_virt(run);
}

void *general_heap_alloc(struct general_heap *heap, size_t bytes, size_t alignment)
{
	if (alignment == 0)
		alignment = OBJCACHE_OBJECT_MIN;
	if (bytes == 0 || !is_power_of_two(alignment) || block_heap_must_fail(heap->heap, heap->config.name, bytes))
		return NULL;

	const unsigned class = class_of(heap, bytes, alignment);
	if (class == heap->classes)
		return alloc_run(heap, bytes, alignment);
	void *memory = objcache_alloc(&heap->cache[class]);
	return memory ? memory : alloc_stand_in(heap, class, bytes, alignment);
}

/* The class that holds `memory`, or NULL: a run, if anything. */
static struct objcache *cache_of(struct general_heap *heap, const void *memory)
{
	struct objcache *cache = objcache_of(heap->heap, memory);

	return cache >= heap->cache && cache < heap->cache + heap->classes ? cache : NULL;
}

static struct block *run_of(struct general_heap *heap, const void *memory)
{
	struct block *block = block_heap_find(heap->heap, platform_phys(memory));

	if (!block || block->owner != &heap->runs)
		platform_panic("heap %s: %p is no memory of this heap", heap->config.name, memory);
	return block;
}

void general_heap_free(struct general_heap *heap, void *memory)
{
	struct objcache *cache;

	if (!memory)
		return;
	cache = cache_of(heap, memory);
	if (cache) {
		objcache_free(cache, memory);
	} else {
		(void)run_of(heap, memory);
		heap->config.runs->give(heap->config.runs, platform_phys(memory));
	}
}

size_t general_heap_usable_bytes(struct general_heap *heap, const void *memory)
{
	const struct objcache *cache = cache_of(heap, memory);

	return cache ? cache->config.object_bytes : (size_t)run_of(heap, memory)->run_blocks << BLOCK_SHIFT;
}

uint64_t general_heap_used_bytes(struct general_heap *heap)
{
	uint64_t bytes;

	spinlock_lock(&heap->heap->lock);
	bytes = heap->runs.blocks << BLOCK_SHIFT;
	spinlock_unlock(&heap->heap->lock);
	for (unsigned class = 0; class < heap->classes; class ++)
		bytes += objcache_count(&heap->cache[class]).used * class_bytes(heap, class);
	return bytes;
}

/* Draining -------------------------------------------------------------------------------------------------------------- */

static uint64_t free_bytes(struct general_heap *heap)
{
	uint64_t bytes = 0;

	for (unsigned class = 0; class < heap->classes; class ++) {
		const struct objcache_counts counts = objcache_count(&heap->cache[class]);

		bytes += (counts.objects - counts.used) * class_bytes(heap, class);
	}
	return bytes;
}

/* From the largest class down: its free objects are the least likely to be wanted soon. */
static uint64_t drain(struct general_heap *heap, uint64_t bytes, uint64_t retain, struct phys_addr lowest,
		      struct phys_addr highest)
{
	const uint64_t have = free_bytes(heap);
	const uint64_t spare = have > retain ? align_down(have - retain, BLOCK_BYTES) : 0;
	const uint64_t want = MIN(bytes, spare);
	uint64_t given = 0;

	for (unsigned class = heap->classes; class > 0 && given < want; class --)
		given += objcache_drain(&heap->cache[class - 1], want - given, 0, lowest, highest);
	return given;
}

static uint64_t clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	struct general_heap *heap = container_of(cleaner, struct general_heap, cleaner);

	return drain(heap, target->bytes, heap->config.retain_bytes, target->lowest, target->highest);
}

static uint64_t held_back(struct cleaner *cleaner)
{
	struct general_heap *heap = container_of(cleaner, struct general_heap, cleaner);
	uint64_t blocks = 0;

	for (unsigned class = 0; class < heap->classes; class ++)
		blocks += objcache_count(&heap->cache[class]).empty_blocks;
	return blocks << BLOCK_SHIFT;
}

static uint64_t interface_drain(struct caching_heap *caching, uint64_t bytes, uint64_t retain)
{
	struct general_heap *heap = container_of(caching, struct general_heap, caching);

	return drain(heap, bytes, retain, (struct phys_addr){ 0 }, (struct phys_addr){ 0 });
}

/* Life ------------------------------------------------------------------------------------------------------------------ */

static void *interface_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	return general_heap_alloc(container_of(heap, struct general_heap, caching.heap), bytes, alignment);
}

static void interface_free(struct heap *heap, void *memory)
{
	general_heap_free(container_of(heap, struct general_heap, caching.heap), memory);
}

static status_t class_init(struct general_heap *heap, unsigned class, uint32_t bytes)
{
	const struct objcache_config config = {
		.name = heap->class_name[class],
		.object_bytes = bytes,
		.source = heap->config.source,
		.bookkeeping = heap->config.bookkeeping,
	};

	format_text(heap->class_name[class], sizeof(heap->class_name[class]), "%s-%u", heap->config.name, bytes);
	return objcache_init(&heap->cache[class], &config);
}

void general_heap_register(struct general_heap *heap, struct cleaner_registry *cleaners)
{
	heap->config.cleaners = cleaners;
	heap->cleaner = (struct cleaner){
		.name = heap->config.name,
		.cost = CLEANER_FREE,
		.clean = clean,
		.held_back = held_back,
	};
	cleaner_register(cleaners, &heap->cleaner);
}

status_t general_heap_init(struct general_heap *heap, const struct general_heap_config *config)
{
	const uint32_t *sizes = config->powers_only ? POWER_CLASS_BYTES : CLASS_BYTES;

	memset(heap, 0, sizeof(*heap));
	heap->config = *config;
	heap->heap = config->source->heap;
	heap->caching = (struct caching_heap){ { config->name, interface_alloc, interface_free }, interface_drain };
	owner_init(&heap->runs, config->name, false);
	heap->classes = config->powers_only ? ARRAY_LENGTH(POWER_CLASS_BYTES) : ARRAY_LENGTH(CLASS_BYTES);
	for (unsigned class = 0; class < heap->classes; class ++) {
		const status_t status = class_init(heap, class, sizes[class]);

		if (status != STATUS_OK)
			return status;
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(heap->small_class); i++)
		heap->small_class[i] = (uint8_t)class_find(heap, 0, i * 16, 16);
	if (config->cleaners)
		general_heap_register(heap, config->cleaners);
	return STATUS_OK;
}

status_t general_heap_fini(struct general_heap *heap)
{
	if (general_heap_used_bytes(heap) != 0)
		return STATUS_BUSY;
	if (heap->config.cleaners)
		cleaner_unregister(heap->config.cleaners, &heap->cleaner);
	for (unsigned class = 0; class < heap->classes; class ++) {
		const status_t status = objcache_fini(&heap->cache[class]);

		assert(status == STATUS_OK);
	}
	return STATUS_OK;
}
