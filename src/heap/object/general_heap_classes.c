// SPDX-License-Identifier: BSD-2-Clause
/*
 * The size classes of the general heap: which there are, and whether a class serves itself or the
 * next power of two serves it.
 *
 * No record says which class an object of a power of two belongs to. But each time that the power
 * of two has to be loaded, about once for a magazine, the class that asked is counted. Its share of
 * these samples is taken for its share of the objects that are there.
 */
#include "general_heap_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"

/* Sizes ---------------------------------------------------------------------------------------- */

#define CLASS_STEPS     8u /* for each doubling */
#define STEP_SHIFT      3u /* CLASS_STEPS */
#define STEPPED_MAX     MIN(256 * KIB, OBJCACHE_OBJECT_MAX)
#define FIRST_STEP_MAX  (16 * CLASS_STEPS)
#define FIRST_SHIFT     7u /* FIRST_STEP_MAX */
#define POWER_CLASS_MIN 64u

_Static_assert(FIRST_STEP_MAX == 1u << FIRST_SHIFT && CLASS_STEPS == 1u << STEP_SHIFT, "shifts");
_Static_assert(OBJCACHE_OBJECT_MAX == FIRST_STEP_MAX << (GENERAL_HEAP_STEPS / CLASS_STEPS - 1), "the steps reach all classes");

/* The size of the class after that of `bytes`, or 0 if that is the last one. */
static uint32_t next_bytes(const struct general_heap *heap, uint32_t bytes)
{
	if (bytes == OBJCACHE_OBJECT_MAX)
		return 0;
	if (heap->config.powers_only)
		return MAX(bytes * 2, POWER_CLASS_MIN);
	if (bytes < FIRST_STEP_MAX)
		return bytes + 16;
	if (bytes < STEPPED_MAX)
		return bytes + (1u << (log2_floor(bytes) - STEP_SHIFT));
	/* `in_block` objects fit into a block; the next size is what one object less allows. */
	const uint32_t in_block = (uint32_t)(BLOCK_BYTES / bytes);
	return (uint32_t)align_down(BLOCK_BYTES / (in_block - 1), PAGE_BYTES);
}

unsigned general_heap_class_find(const struct general_heap *heap, unsigned class, size_t bytes, size_t alignment)
{
	while (class < heap->classes &&
	       (general_heap_class_bytes(heap, class) < bytes || !is_aligned(general_heap_class_bytes(heap, class), alignment)))
		class ++;
	return class;
}

/* The step of a size: the upper bits of the offset of its last byte. */
static unsigned step_of(size_t bytes)
{
	if (bytes <= FIRST_STEP_MAX)
		return (unsigned)(bytes - 1) / 16;
	const unsigned log = log2_floor(bytes - 1);
	return (log - FIRST_SHIFT + 1) * CLASS_STEPS + (unsigned)((bytes - 1) >> (log - STEP_SHIFT)) % CLASS_STEPS;
}

unsigned general_heap_class_of(const struct general_heap *heap, size_t bytes, size_t alignment)
{
	if (bytes > OBJCACHE_OBJECT_MAX)
		return heap->classes;
	return general_heap_class_find(heap, heap->steps[step_of(bytes)], bytes, alignment);
}

/* Which class serves --------------------------------------------------------------------------- */

#define SAMPLES_MIN 4  /* of a class, before they count */
#define SAMPLES_MAX 16 /* of all classes of a power of two: then all are halved */
#define OWN_SHARE   32 /* of the machine's blocks: so many classes are own at once */

static bool own_is_affordable(const struct general_heap *heap)
{
	return heap->own_classes < heap->heap->total_blocks / OWN_SHARE;
}

/*
 * The bytes that so many objects of the class take more than they need where the power of two
 * serves them.
 */
static uint64_t waste_bytes(const struct general_heap *heap, unsigned class, uint64_t objects)
{
	return objects *
	       (general_heap_class_bytes(heap, heap->class_info[class].power) - general_heap_class_bytes(heap, class));
}

static void server_set(struct general_heap *heap, unsigned class, bool is_own)
{
	const size_t below = class > 0 ? general_heap_class_bytes(heap, class - 1) : 0;
	const size_t end = MIN(general_heap_class_bytes(heap, class), (size_t)GENERAL_HEAP_SMALL_BYTES);

	atomic_store_explicit(&heap->class_info[class].is_own, is_own, memory_order_relaxed);
	for (size_t i = below / 16; i < end / 16; i++)
		atomic_store_explicit(&heap->small[i], &heap->cache[general_heap_server(heap, class)], memory_order_relaxed);
}

/* Changes which class serves this one, unless another CPU has done so. */
static void own_change(struct general_heap *heap, unsigned class, bool is_own)
{
	spinlock_lock(&heap->class_lock);
	if (heap->class_info[class].is_own != is_own) {
		server_set(heap, class, is_own);
		heap->class_info[class].samples = 0;
		heap->own_classes += is_own ? 1 : -1;
	}
	spinlock_unlock(&heap->class_lock);
}

/*
 * The sum of the samples of all classes that this power of two may serve; halves them all when it
 * is large.
 */
static uint32_t samples_all(struct general_heap *heap, unsigned power)
{
	uint32_t all = 0;

	for (unsigned i = power + 1; i > 0 && heap->class_info[i - 1].power == power; i--)
		all += heap->class_info[i - 1].samples;
	for (unsigned i = power + 1; all >= SAMPLES_MAX && i > 0 && heap->class_info[i - 1].power == power; i--)
		heap->class_info[i - 1].samples /= 2;
	return all;
}

/* Approximate, as the samples are: other CPUs may count at the same time. */
static bool own_would_save_a_block(struct general_heap *heap, unsigned class)
{
	const unsigned power = heap->class_info[class].power;
	const uint64_t samples = ++heap->class_info[class].samples;
	const uint64_t all = samples_all(heap, power);

	if (samples < SAMPLES_MIN || all < samples)
		return false;
	const struct objcache_counts counts = objcache_count(&heap->cache[power]);
	return waste_bytes(heap, class, (counts.used + counts.cached) * samples / all) >= BLOCK_BYTES;
}

unsigned general_heap_server_choose(struct general_heap *heap, unsigned class)
{
	const bool is_power = heap->class_info[class].power == class;

	if (general_heap_server(heap, class) == class && !is_power)
		return class;
	if ((own_is_affordable(heap) || own_would_save_a_block(heap, class)) && !is_power && !platform_in_handler())
		own_change(heap, class, true);
	return general_heap_server(heap, class);
}

void general_heap_classes_review(struct general_heap *heap)
{
	for (unsigned class = 0; class < heap->classes && !own_is_affordable(heap); class ++) {
		struct general_heap_class *info = &heap->class_info[class];

		if (info->power == class || general_heap_server(heap, class) != class)
			continue;
		const uint64_t used = objcache_count(&heap->cache[class]).used;
		if (used <= atomic_exchange(&info->used_before, used) && waste_bytes(heap, class, used) < BLOCK_BYTES / 4)
			own_change(heap, class, false);
	}
}

/* Life ----------------------------------------------------------------------------------------- */

static void class_init(struct general_heap *heap, unsigned class, uint32_t bytes)
{
	struct objcache *cache = &heap->cache[class];
	char *name = heap->class_info[class].name;
	const struct objcache_config config = {
		.name = name,
		.object_bytes = bytes,
		.source = heap->config.source,
		.metadata = heap->config.metadata,
	};

	format_text(name, GENERAL_HEAP_NAME_BYTES, "%s-%u", heap->config.name, bytes);
	const status_t status = objcache_init(cache, &config);
	assert(status == STATUS_OK);
	cache->parent = heap;
	cache->group = &heap->group;
	cache->number = class;
}

static size_t caches_bytes(const struct general_heap *heap)
{
	return heap->classes * sizeof(*heap->cache);
}

status_t general_heap_classes_init(struct general_heap *heap)
{
	unsigned class = 0, step = 0;

	for (uint32_t bytes = 0; (bytes = next_bytes(heap, bytes)) != 0;)
		heap->classes++;
	assert(heap->classes <= GENERAL_HEAP_CLASSES_MAX);
	heap->cache = metadata_heap_alloc(heap->config.metadata, caches_bytes(heap));
	if (!heap->cache)
		return STATUS_NO_MEMORY;
	spinlock_init(&heap->class_lock, "size classes");
	for (uint32_t bytes = 0; (bytes = next_bytes(heap, bytes)) != 0; class ++) {
		class_init(heap, class, bytes);
		while (step <= step_of(bytes))
			heap->steps[step++] = (uint8_t) class;
	}
	for (class = 0; class < heap->classes; class ++) {
		const size_t power = 1ull << log2_ceil(general_heap_class_bytes(heap, class));

		heap->class_info[class].power = (uint8_t)general_heap_class_find(heap, class, power, 1);
		server_set(heap, class, false);
	}
	return STATUS_OK;
}

void general_heap_classes_fini(struct general_heap *heap)
{
	for (unsigned class = 0; class < heap->classes; class ++) {
		const status_t status = objcache_fini(&heap->cache[class]);

		assert(status == STATUS_OK);
	}
	metadata_heap_free(heap->config.metadata, heap->cache, caches_bytes(heap));
}
