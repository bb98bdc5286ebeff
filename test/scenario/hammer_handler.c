// SPDX-License-Identifier: BSD-2-Clause
/*
 * One step of the hammer: a slot is claimed, and its object allocated, resized or freed. What an
 * object must hold is a stamp that the slot keeps, outside of the object, so damage shows wherever
 * it comes from. Interrupt handlers do the same steps as tasks.
 */
#include "hammer.h"

#include "runtime/base/log.h"

#define BURST             32 /* steps of one interrupt */
#define PAUSE_MIN_NS      (50 * NS_PER_US)
#define PAUSE_MAX_NS      NS_PER_MS
#define VIOLATIONS_LOGGED 10
#define STAMPED_WORDS     64 /* of an object, about; and the last one */
#define BUILT             0x68616d6d65726564ull

void hammer_violation(struct hammer *hammer, const char *what, const void *memory)
{
	if (atomic_fetch_add(&hammer->violations, 1) < VIOLATIONS_LOGGED)
		log_error("hammer: %s: %p", what, memory);
}

/* Stamps --------------------------------------------------------------------------------------- */

static size_t stamp_stride(size_t words)
{
	return words <= STAMPED_WORDS ? 1 : words / STAMPED_WORDS;
}

static void stamp(struct hammer_slot *slot, uint64_t value)
{
	uint64_t *words = (uint64_t *)slot->memory;
	const size_t count = slot->bytes / sizeof(*words);

	slot->stamp = value;
	for (size_t i = 0; i < count; i += stamp_stride(count))
		words[i] = value ^ i;
	if (count > 0)
		words[count - 1] = value ^ (count - 1);
	for (size_t i = count * sizeof(*words); i < slot->bytes; i++)
		slot->memory[i] = (unsigned char)value;
}

static bool is_stamped(const struct hammer_slot *slot)
{
	const uint64_t *words = (const uint64_t *)slot->memory;
	const size_t count = slot->bytes / sizeof(*words);
	bool good = count == 0 || words[count - 1] == (slot->stamp ^ (count - 1));

	for (size_t i = 0; i < count; i += stamp_stride(count))
		good = good && words[i] == (slot->stamp ^ i);
	for (size_t i = count * sizeof(*words); i < slot->bytes; i++)
		good = good && slot->memory[i] == (unsigned char)slot->stamp;
	return good;
}

static void check(struct hammer *hammer, const struct hammer_slot *slot)
{
	if (!is_stamped(slot))
		hammer_violation(hammer, "an object does not hold what was written", slot->memory);
}

/* Constructed objects -------------------------------------------------------------------------- */

static uint64_t *built_word(const struct hammer_cache *from, void *object)
{
	return (uint64_t *)object + from->cache.config.object_bytes / sizeof(uint64_t) - 1;
}

static void check_built(struct hammer_cache *from, void *object)
{
	if (*built_word(from, object) != (BUILT ^ (uintptr_t)object))
		hammer_violation(from->hammer, "an object is not constructed", object);
}

void hammer_construct(void *object, void *context)
{
	struct hammer_cache *from = context;

	*built_word(from, object) = BUILT ^ (uintptr_t)object;
	atomic_fetch_add_explicit(&from->constructed, 1, memory_order_relaxed);
}

void hammer_destroy(void *object, void *context)
{
	struct hammer_cache *from = context;

	check_built(from, object);
	*built_word(from, object) = 0;
	atomic_fetch_add_explicit(&from->destroyed, 1, memory_order_relaxed);
}

/* Steps ---------------------------------------------------------------------------------------- */

/* Small ones most, whole blocks and more now and then. */
static size_t choose_bytes(struct random *random)
{
	const uint64_t kind = random_below(random, 512);
	const unsigned shift_max = kind < 8 ? 20 : 16;

	if (kind == 0)
		return OBJCACHE_OBJECT_MAX + random_below(random, 2 * BLOCK_BYTES);
	return 1 + random_below(random, 1ull << (1 + random_below(random, shift_max)));
}

static void check_zeros(struct hammer *hammer, const unsigned char *memory, size_t bytes)
{
	bool good = true;

	for (size_t i = 0; memory && i < bytes; i += 1 + bytes / 1024)
		good = good && memory[i] == 0;
	if (!good)
		hammer_violation(hammer, "an object is not zeroed", memory);
}

static void alloc_general(struct hammer_worker *worker, struct hammer_slot *slot)
{
	struct hammer *hammer = worker->hammer;
	const size_t bytes = choose_bytes(&worker->random);
	size_t alignment = OBJCACHE_OBJECT_MIN;
	unsigned char *memory;

	switch (random_below(&worker->random, 8)) {
	case 0:
		memory = heap_alloc_zeroed(&hammer->heap->caching.heap, bytes, 0);
		check_zeros(hammer, memory, bytes);
		break;
	case 1:
		alignment <<= random_below(&worker->random, 9);
		memory = general_heap_alloc(hammer->heap, bytes, alignment);
		break;
	case 2:
		memory = heap_alloc_array(&hammer->heap->caching.heap, bytes, 1, 0);
		break;
	default:
		memory = general_heap_alloc(hammer->heap, bytes, 0);
		break;
	}
	if (memory && (platform_phys(memory).value % alignment != 0 || general_heap_usable_bytes(hammer->heap, memory) < bytes))
		hammer_violation(hammer, "an object is too small or not aligned", memory);
	slot->from = NULL;
	slot->memory = memory;
	slot->bytes = bytes;
}

static void alloc_constructed(struct hammer_worker *worker, struct hammer_slot *slot)
{
	struct hammer_cache *from = &worker->hammer->caches[random_below(&worker->random, HAMMER_CACHES)];

	slot->from = from;
	slot->memory = objcache_alloc(&from->cache);
	slot->bytes = from->cache.config.object_bytes - sizeof(uint64_t);
	if (slot->memory)
		check_built(from, slot->memory);
}

static void slot_fill(struct hammer_worker *worker, struct hammer_slot *slot)
{
	if (random_below(&worker->random, 4) == 0)
		alloc_constructed(worker, slot);
	else
		alloc_general(worker, slot);
	if (slot->memory)
		stamp(slot, random_next(&worker->random));
	else
		worker->refused++;
}

void hammer_slot_clear(struct hammer *hammer, struct hammer_slot *slot)
{
	if (!slot->memory)
		return;
	check(hammer, slot);
	if (slot->from) {
		check_built(slot->from, slot->memory);
		objcache_free(&slot->from->cache, slot->memory);
	} else {
		general_heap_free(hammer->heap, slot->memory);
	}
	slot->memory = NULL;
}

static void slot_resize(struct hammer_worker *worker, struct hammer_slot *slot)
{
	struct hammer *hammer = worker->hammer;
	const size_t bytes = choose_bytes(&worker->random);
	struct hammer_slot head = *slot;

	check(hammer, slot);
	stamp(slot, slot->stamp);
	head.memory = general_heap_resize(hammer->heap, slot->memory, bytes, 0);
	if (!head.memory) {
		worker->refused++;
		return;
	}
	/* Of the stamped words, those that have come along. */
	for (size_t i = 0; i < MIN(bytes, slot->bytes) / sizeof(uint64_t); i += stamp_stride(slot->bytes / sizeof(uint64_t)))
		if (((uint64_t *)head.memory)[i] != (slot->stamp ^ i)) {
			hammer_violation(hammer, "a resized object has lost what it held", head.memory);
			break;
		}
	slot->memory = head.memory;
	slot->bytes = bytes;
	stamp(slot, slot->stamp);
}

/* False: there was nothing to do. */
static bool slot_work(struct hammer_worker *worker, struct hammer_slot *slot)
{
	const unsigned phase = atomic_load_explicit(&worker->hammer->phase, memory_order_relaxed);

	if (!slot->memory) {
		if (phase == HAMMER_EMPTY)
			return false;
		slot_fill(worker, slot);
	} else if (!slot->from && phase != HAMMER_EMPTY && random_below(&worker->random, 4) == 0) {
		slot_resize(worker, slot);
	} else if (phase != HAMMER_FILL || random_below(&worker->random, 2) == 0) {
		hammer_slot_clear(worker->hammer, slot);
	} else {
		check(worker->hammer, slot);
	}
	return true;
}

void hammer_step(struct hammer_worker *worker)
{
	struct hammer_slot *slot = &worker->hammer->slots[random_below(&worker->random, HAMMER_SLOTS)];

	if (atomic_exchange_explicit(&slot->held, true, memory_order_acquire))
		return;
	worker->operations += slot_work(worker, slot);
	atomic_store_explicit(&slot->held, false, memory_order_release);
}

/* Handlers ------------------------------------------------------------------------------------- */

static void handle(struct timer *timer)
{
	struct hammer_worker *worker = container_of(timer, struct hammer_worker, timer);

	if (atomic_load_explicit(&worker->hammer->stop, memory_order_relaxed)) {
		atomic_store_explicit(&worker->done, true, memory_order_release);
		return;
	}
	for (unsigned i = 0; i < BURST; i++)
		hammer_step(worker);
	hammer_handler_start(worker);
}

void hammer_handler_init(struct hammer_worker *worker)
{
	timer_init(&worker->timer, handle);
}

void hammer_handler_start(struct hammer_worker *worker)
{
	timer_start(&worker->timer,
		    platform_now_ns() + PAUSE_MIN_NS + random_below(&worker->random, PAUSE_MAX_NS - PAUSE_MIN_NS));
}
