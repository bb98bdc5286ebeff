// SPDX-License-Identifier: BSD-2-Clause
/*
 * Slots of pages that are hidden from the CPU unless the slot has an object. Each object ends at
 * the end of its last page, so an access behind it reaches a hidden page and faults; an access
 * before it changes a pattern, which the free checks. The slot of an address follows by division.
 */
#include "guard_pool.h"

#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define LARGE_SHARE   4 /* of the pages, for large slots */
#define CALLER_SHARE  8 /* of the slots of a kind, for one call site */
#define PATTERN       0xc7
#define PATTERN_BYTES 128 /* before an object, at most */

/* Places --------------------------------------------------------------------------------------- */

/* The slot to which the page of the address belongs, hidden or not; NULL: behind all slots. */
static struct guard_slot *slot_at(const struct guard_pool *pool, const void *address)
{
	const uint64_t page = ((uintptr_t)address - (uintptr_t)pool->range.start) / PAGE_BYTES;
	const uint64_t large_pages = (uint64_t)pool->first[GUARD_SMALL] * (GUARD_LARGE_PAGES + 1);
	const uint64_t number =
		page < large_pages ? page / (GUARD_LARGE_PAGES + 1) : pool->first[GUARD_SMALL] + (page - large_pages) / 2;

	return number < pool->first[GUARD_KINDS] ? &pool->slots[number] : NULL;
}

static char *pages_of(const struct guard_slot *slot)
{
	return (char *)align_down((uintptr_t)slot->object, PAGE_BYTES);
}

static uint64_t pages_bytes(const struct guard_slot *slot)
{
	return (uint64_t)(slot->end - pages_of(slot));
}

/* Reports -------------------------------------------------------------------------------------- */

static _Noreturn void object_is_wrong(const struct guard_pool *pool, const struct guard_slot *slot, const void *object,
				      const char *what, const void *site)
{
	char now[CODE_SITE_BYTES], allocated[CODE_SITE_BYTES], freed[CODE_SITE_BYTES];

	platform_panic("heap %s: guarded object %p of %u bytes %s%s%s%s", pool->name, object, slot->bytes, what,
		       code_site_format(now, "freed now by", site),
		       code_site_format(allocated, "allocated by", slot->allocated_by),
		       code_site_format(freed, "freed before by", slot->freed_by));
}

/* How far the address is from the object; 0: within. */
static uint64_t distance(const struct guard_slot *slot, const char *address)
{
	if (slot->state == GUARD_UNUSED)
		return UINT64_MAX;
	if (address < slot->object)
		return (uint64_t)(slot->object - address);
	return address < slot->object + slot->bytes ? 0 : (uint64_t)(address - (slot->object + slot->bytes)) + 1;
}

/*
 * The slot of the object that an access probably meant: the slot of the address, or the next one if
 * its object is nearer.
 */
static const struct guard_slot *slot_meant(const struct guard_pool *pool, const char *address)
{
	const struct guard_slot *slot = slot_at(pool, address);
	const struct guard_slot *next = slot ? slot + 1 : NULL;

	if (!slot || next == pool->slots + pool->first[GUARD_KINDS])
		return slot;
	return distance(next, address) < distance(slot, address) ? next : slot;
}

static void explain(const struct platform_guarded *range, const void *at, char *text, size_t size)
{
	const struct guard_pool *pool = container_of(range, const struct guard_pool, range);
	const char *address = at;
	const struct guard_slot *slot = slot_meant(pool, address);
	char where[64] = "in", allocated[CODE_SITE_BYTES], freed[CODE_SITE_BYTES];

	if (!slot || slot->state == GUARD_UNUSED) {
		format_text(text, size, "it is an unused guard page of heap %s", pool->name);
		return;
	}
	if (distance(slot, address) != 0)
		format_text(where, sizeof(where), "%llu bytes %s", (unsigned long long)distance(slot, address),
			    address < slot->object ? "before the start of" : "behind the last one of");
	format_text(text, size, "it is %s an object of %u bytes of heap %s%s%s%s", where, slot->bytes, pool->name,
		    slot->freed_by ? " that has been freed" : "",
		    code_site_format(allocated, "allocated by", slot->allocated_by),
		    code_site_format(freed, "freed by", slot->freed_by));
}

/* Patterns ------------------------------------------------------------------------------------- */

static char *pattern_start(const struct guard_slot *slot)
{
	return slot->object - MIN((uint64_t)(slot->object - pages_of(slot)), (uint64_t)PATTERN_BYTES);
}

static void patterns_write(const struct guard_slot *slot)
{
	char *start = pattern_start(slot), *end = slot->object + slot->bytes;

	memset(start, PATTERN, (size_t)(slot->object - start));
	memset(end, PATTERN, (size_t)(slot->end - end));
}

static void patterns_check(const struct guard_pool *pool, const struct guard_slot *slot, const void *site)
{
	const char *start = pattern_start(slot), *end = slot->object + slot->bytes;

	if (!memory_is_filled(start, PATTERN, (size_t)(slot->object - start)))
		object_is_wrong(pool, slot, slot->object, "was written to before its start", site);
	if (!memory_is_filled(end, PATTERN, (size_t)(slot->end - end)))
		object_is_wrong(pool, slot, slot->object, "was written to behind its end", site);
}

/* Alloc and free ------------------------------------------------------------------------------- */

static uint8_t bucket_of(const void *site)
{
	return (uint8_t)((uintptr_t)site * 0x9e3779b97f4a7c15ull >> 58);
}

_Static_assert(GUARD_BUCKETS == 1 << (64 - 58), "as many as bucket_of tells apart");

/*
 * Starts the countdown at random, with at least half of `one_in`, so that no repeated pattern of
 * allocations is guarded always, or never.
 */
static void count_down(struct guard_pool *pool, unsigned slot)
{
	const uint64_t one_in = pool->one_in;

	atomic_store_explicit(&pool->countdown[slot].left,
			      (int64_t)(one_in == 0 ? INT64_MAX : one_in / 2 + platform_random() % one_in),
			      memory_order_relaxed);
}

bool guard_pool_choose(struct guard_pool *pool)
{
	const unsigned slot = platform_cpu_slot();

	count_down(pool, slot);
	return platform_now_ns() >= atomic_load_explicit(&pool->countdown[slot].next_ns, memory_order_relaxed);
}

static struct guard_slot *slot_take(struct guard_pool *pool, size_t bytes, const void *site)
{
	const enum guard_kind kind = bytes <= PAGE_BYTES ? GUARD_SMALL : GUARD_LARGE;
	const uint32_t slots = pool->first[kind + 1] - pool->first[kind];
	const uint8_t bucket = bucket_of(site);
	const uint64_t state = spinlock_lock_interrupts(&pool->lock);
	struct guard_slot *slot = NULL;

	if (pool->live_slots[kind] < slots / 2 && pool->live[kind][bucket] < MAX(slots / CALLER_SHARE, 1u)) {
		slot = container_of(list_take_first(&pool->free[kind]), struct guard_slot, link);
		slot->bucket = bucket;
		slot->bytes = (uint32_t)bytes;
		pool->live_slots[kind]++;
		pool->live[kind][bucket]++;
		pool->counts.live++;
		pool->counts.live_bytes += bytes;
		pool->counts.allocs++;
	}
	spinlock_unlock_interrupts(&pool->lock, state);
	return slot;
}

void *guard_pool_alloc(struct guard_pool *pool, size_t bytes, size_t alignment, const void *site)
{
	struct guard_slot *slot;

	if (bytes > GUARD_BYTES_MAX || alignment > PAGE_BYTES || platform_in_handler() || platform_is_cleaning())
		return NULL;
	slot = slot_take(pool, bytes, site);
	if (!slot)
		return NULL;
	slot->object = (char *)align_down((uintptr_t)slot->end - bytes, MAX(alignment, 16u));
	slot->allocated_by = site;
	slot->freed_by = NULL;
	platform_show(pages_of(slot), pages_bytes(slot));
	patterns_write(slot);
	slot->state = GUARD_LIVE;
	atomic_store_explicit(&pool->countdown[platform_cpu_slot()].next_ns, platform_now_ns() + pool->interval_ns,
			      memory_order_relaxed);
	return slot->object;
}

/* Makes the slot FREED: it is the caller's from then on. */
static struct guard_slot *slot_leave(struct guard_pool *pool, const void *object, const void *site)
{
	struct guard_slot *slot = slot_at(pool, object);
	const uint64_t state = spinlock_lock_interrupts(&pool->lock);

	if (!slot || slot->state == GUARD_UNUSED)
		platform_panic("heap %s: %p is no memory of this heap", pool->name, object);
	if (object != slot->object)
		object_is_wrong(pool, slot, object, "is not the start of an object", site);
	if (slot->state != GUARD_LIVE)
		object_is_wrong(pool, slot, object, "is free already", site);
	slot->state = GUARD_FREED;
	spinlock_unlock_interrupts(&pool->lock, state);
	return slot;
}

void guard_pool_free(struct guard_pool *pool, void *object, const void *site)
{
	struct guard_slot *slot = slot_leave(pool, object, site);
	const enum guard_kind kind = slot < pool->slots + pool->first[GUARD_SMALL] ? GUARD_LARGE : GUARD_SMALL;

	patterns_check(pool, slot, site);
	slot->freed_by = site;
	platform_hide(pages_of(slot), pages_bytes(slot));
	const uint64_t state = spinlock_lock_interrupts(&pool->lock);
	pool->live_slots[kind]--;
	pool->live[kind][slot->bucket]--;
	pool->counts.live--;
	pool->counts.live_bytes -= slot->bytes;
	list_insert_last(&pool->free[kind], &slot->link);
	spinlock_unlock_interrupts(&pool->lock, state);
}

size_t guard_pool_usable_bytes(const struct guard_pool *pool, const void *object)
{
	const struct guard_slot *slot = slot_at(pool, object);

	if (!slot || slot->object != object || slot->state != GUARD_LIVE)
		platform_panic("heap %s: %p is no memory of this heap", pool->name, object);
	return slot->bytes;
}

/* Reports of what there is --------------------------------------------------------------------- */

struct guard_counts guard_pool_count(struct guard_pool *pool)
{
	const uint64_t state = spinlock_lock_interrupts(&pool->lock);
	const struct guard_counts counts = pool->counts;

	spinlock_unlock_interrupts(&pool->lock, state);
	return counts;
}

void guard_pool_count_sites(const struct guard_pool *pool, struct call_sites *sites)
{
	for (uint32_t i = 0; i < pool->first[GUARD_KINDS]; i++)
		if (pool->slots[i].state == GUARD_LIVE)
			call_sites_add(sites, pool->slots[i].allocated_by, 1, pool->slots[i].bytes);
}

bool guard_pool_is_valid(struct guard_pool *pool)
{
	uint64_t live = 0, bytes = 0, free = 0;

	for (uint32_t i = 0; i < pool->first[GUARD_KINDS]; i++) {
		const struct guard_slot *slot = &pool->slots[i];

		if (slot->state != GUARD_LIVE)
			continue;
		live++;
		bytes += slot->bytes;
		if (slot_at(pool, slot->object) != slot || slot->object + slot->bytes > slot->end)
			return false;
		patterns_check(pool, slot, NULL);
	}
	for (unsigned kind = 0; pool->one_in > 0 && kind < GUARD_KINDS; kind++)
		list_for_each (link, &pool->free[kind])
			free += container_of(link, struct guard_slot, link)->state != GUARD_LIVE;
	return live == pool->live_slots[GUARD_LARGE] + pool->live_slots[GUARD_SMALL] && live == pool->counts.live &&
	       bytes == pool->counts.live_bytes && live + free == pool->counts.slots;
}

/* Life ----------------------------------------------------------------------------------------- */

static uint64_t slots_bytes(const struct guard_pool *pool)
{
	return pool->first[GUARD_KINDS] * sizeof(*pool->slots);
}

static void slots_init(struct guard_pool *pool)
{
	char *end = pool->range.start;

	for (unsigned kind = 0; kind < GUARD_KINDS; kind++) {
		list_init(&pool->free[kind]);
		for (uint32_t i = pool->first[kind]; i < pool->first[kind + 1]; i++) {
			end += (kind == GUARD_LARGE ? GUARD_LARGE_PAGES + 1 : 2) * PAGE_BYTES;
			pool->slots[i].end = end - PAGE_BYTES;
			list_insert_last(&pool->free[kind], &pool->slots[i].link);
		}
	}
	pool->counts.slots = pool->first[GUARD_KINDS];
	platform_hide(pool->range.start, pool->range.bytes);
}

static status_t memory_take(struct guard_pool *pool, uint64_t bytes)
{
	const struct run_request request = { .blocks = bytes >> BLOCK_SHIFT, .owner = &pool->owner };
	const uint64_t pages = bytes / PAGE_BYTES, large = pages / LARGE_SHARE / (GUARD_LARGE_PAGES + 1);
	struct phys_addr run;
	status_t status = block_heap_alloc(pool->heap, &request, &run);

	if (status != STATUS_OK)
		return status;
	pool->range = (struct platform_guarded){ .start = platform_virt(run), .bytes = bytes, .explain = explain };
	pool->first[GUARD_SMALL] = (uint32_t)large;
	pool->first[GUARD_KINDS] = (uint32_t)(large + (pages - large * (GUARD_LARGE_PAGES + 1)) / 2);
	pool->slots = metadata_heap_alloc(pool->metadata, slots_bytes(pool));
	status = pool->slots ? platform_guard(&pool->range) : STATUS_NO_MEMORY;
	if (status == STATUS_OK)
		slots_init(pool);
	return status;
}

static void memory_give(struct guard_pool *pool)
{
	if (pool->range.bytes == 0)
		return;
	metadata_heap_free(pool->metadata, pool->slots, slots_bytes(pool));
	(void)block_heap_free(pool->heap, platform_phys(pool->range.start));
	pool->range.bytes = 0;
	pool->first[GUARD_SMALL] = pool->first[GUARD_KINDS] = 0;
}

void guard_pool_init(struct guard_pool *pool, const char *name, const struct guard_config *config, struct block_heap *heap,
		     struct metadata_heap *metadata)
{
	const bool wanted = config->one_in != 0 && config->bytes != 0;
	status_t status = STATUS_OK;

	*pool = (struct guard_pool){ .name = name, .heap = heap, .metadata = metadata };
	spinlock_init(&pool->lock, "guard pool");
	owner_init(&pool->owner, "guarded objects", false);
	if (wanted)
		status = memory_take(pool, config->bytes);
	if (status != STATUS_OK) {
		log_warn("heap %s: no object is guarded: %s", name, status_text(status));
		memory_give(pool);
	} else if (wanted) {
		pool->one_in = config->one_in;
		pool->interval_ns = config->interval_ns;
	}
	for (unsigned slot = 0; slot < ARRAY_LENGTH(pool->countdown); slot++)
		count_down(pool, slot);
}

void guard_pool_fini(struct guard_pool *pool)
{
	if (pool->one_in != 0)
		platform_unguard(&pool->range);
	pool->one_in = 0;
	memory_give(pool);
}
