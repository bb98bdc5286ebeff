// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ranges of virtual addresses: one list, sorted by address, of pieces that are either free or
 * mapped, without gaps. A record is allocated when a range is cut off a free one, so giving a
 * range back needs no memory.
 */
#include "address_space.h"

#include "cpu.h"
#include "range_layout.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/heap.h"
#include "runtime/base/list.h"
#include "runtime/base/log.h"
#include "runtime/base/mutex.h"
#include "runtime/x86_64/paging.h"

#define ALIGN_LARGE_BYTES BLOCK_BYTES /* ranges that may have large pages start at a multiple of this */

struct range {
	struct list link; /* [lock] */
	uint64_t start;   /* [lock] */
	uint64_t bytes;   /* [lock] */
	bool mapped;      /* [lock] */
};

static struct heap *memory;
static struct mutex lock; /* before the locks of page tables and heap */
static struct list ranges;

static struct range *range_create(uint64_t start, uint64_t bytes)
{
	struct range *range = heap_alloc(memory, sizeof(*range), 0);

	if (range)
		*range = (struct range){ .start = start, .bytes = bytes };
	return range;
}

static void range_delete(struct range *range)
{
	list_remove(&range->link);
	heap_free(memory, range);
}

/* Splits `range` so that it ends after `bytes`. False: no memory. */
static bool range_split(struct range *range, uint64_t bytes)
{
	struct range *rest;

	if (range->bytes == bytes)
		return true;
	rest = range_create(range->start + bytes, range->bytes - bytes);
	if (!rest)
		return false;
	range->bytes = bytes;
	list_insert_after(&range->link, &rest->link);
	return true;
}

static struct range *free_neighbour(struct list *link)
{
	struct range *range = container_of(link, struct range, link);

	return link != &ranges && !range->mapped ? range : NULL;
}

/* Frees a range and joins it with free neighbours. */
static void range_release(struct range *range)
{
	struct range *next = free_neighbour(range->link.next), *previous = free_neighbour(range->link.previous);

	range->mapped = false;
	if (next) {
		range->bytes += next->bytes;
		range_delete(next);
	}
	if (previous) {
		previous->bytes += range->bytes;
		range_delete(range);
	}
}

/* First fit; NULL: no addresses or no memory. */
static struct range *range_take(uint64_t bytes)
{
	uint64_t alignment = bytes >= ALIGN_LARGE_BYTES ? ALIGN_LARGE_BYTES : PAGE_BYTES;

	list_for_each (link, &ranges) {
		struct range *range = container_of(link, struct range, link);
		uint64_t skip = align_up(range->start, alignment) - range->start;

		if (range->mapped || range->bytes < skip || range->bytes - skip < bytes)
			continue;
		if (skip) {
			if (!range_split(range, skip))
				return NULL;
			range = container_of(range->link.next, struct range, link);
		}
		if (!range_split(range, bytes)) {
			range_release(range);
			return NULL;
		}
		range->mapped = true;
		return range;
	}
	return NULL;
}

static struct range *range_find(uint64_t start)
{
	list_for_each (link, &ranges) {
		struct range *range = container_of(link, struct range, link);

		if (range->start == start)
			return range;
	}
	return NULL;
}

status_t address_space_init(struct heap *heap)
{
	struct range *range;

	memory = heap;
	mutex_init(&lock, "address space");
	list_init(&ranges);
	range = range_create(RANGE_START, RANGE_END - RANGE_START);
	if (!range)
		return STATUS_NO_MEMORY;
	list_insert_last(&ranges, &range->link);
	return STATUS_OK;
}

struct flush {
	uint64_t start;
	uint64_t bytes;
};

static void flush_range(void *context)
{
	const struct flush *flush = context;

	paging_flush(flush->start, flush->bytes);
}

void address_space_drop(uint64_t start, uint64_t bytes)
{
	struct flush flush = { start, bytes };

	paging_unmap(start, bytes);
	cpu_run_on_all(flush_range, &flush);
}

static status_t map_pieces(uint64_t start, const struct phys_range *pieces, uint32_t count, unsigned flags)
{
	uint64_t position = start;

	for (uint32_t i = 0; i < count; i++) {
		status_t status = paging_map(position, pieces[i].start, pieces[i].bytes, flags);

		if (status != STATUS_OK) {
			if (position > start)
				address_space_drop(start, position - start);
			return status;
		}
		position += pieces[i].bytes;
	}
	return STATUS_OK;
}

status_t address_space_map(const struct phys_range *pieces, uint32_t count, unsigned flags, void **mapped)
{
	struct range *range;
	status_t status;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++) {
		assert(is_aligned(pieces[i].start.value | pieces[i].bytes, PAGE_BYTES) && pieces[i].bytes > 0);
		bytes += pieces[i].bytes;
	}
	assert(bytes > 0);
	mutex_lock(&lock);
	range = range_take(bytes);
	mutex_unlock(&lock);
	if (!range)
		return STATUS_NO_MEMORY;
	status = map_pieces(range->start, pieces, count, flags);
	if (status == STATUS_OK) {
		*mapped = (void *)range->start;
		return STATUS_OK;
	}
	mutex_lock(&lock);
	range_release(range);
	mutex_unlock(&lock);
	return status;
}

void address_space_unmap(void *mapped, uint64_t bytes)
{
	struct range *range;

	mutex_lock(&lock);
	range = range_find((uint64_t)mapped);
	mutex_unlock(&lock);
	assert(range && range->mapped && range->bytes == bytes);
	address_space_drop(range->start, bytes);
	mutex_lock(&lock);
	range_release(range);
	mutex_unlock(&lock);
}
