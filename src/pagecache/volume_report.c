// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reports of a volume. What they name is copied, a bounded number of it, or counted while a lock
 * is held, and printed when it is not.
 */
#include "volume_report.h"

#include "map.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "volume.h"

#define MAPPINGS_SHOWN 8

uint64_t volume_held_back(struct cleaner *cleaner)
{
	struct volume *volume = container_of(cleaner, struct volume, eviction.cleaners[VOLUME_CLEANER_CLEAN]);

	spinlock_lock(&volume->eviction.heap.lock);
	const uint64_t empty_blocks = volume->eviction.heap.empty_blocks;
	spinlock_unlock(&volume->eviction.heap.lock);
	return MIN(atomic_load(&volume->counts.cached_pages) * PAGE_BYTES, volume->config.keep_bytes) +
	       empty_blocks * BLOCK_BYTES;
}

struct mapping_report {
	const char *site;
	uint64_t pages;
};

static uint64_t pages_within(const struct mapping *mapping, struct phys_addr lowest, struct phys_addr highest)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < mapping->page_count; i++)
		pages += page_address(mapping->pages[i]).value >= lowest.value &&
			 page_address(mapping->pages[i]).value <= highest.value;
	return pages;
}

static void explain_mappings(struct volume *volume, struct phys_addr lowest, struct phys_addr highest)
{
	struct mapping_report shown[MAPPINGS_SHOWN];
	uint64_t count = 0;

	spinlock_lock(&volume->writeback.lock);
	list_for_each (link, &volume->mappings) {
		const struct mapping *mapping = container_of(link, struct mapping, link);
		const uint64_t pages = pages_within(mapping, lowest, highest);

		if (pages == 0)
			continue;
		if (count < MAPPINGS_SHOWN)
			shown[count] = (struct mapping_report){ mapping->site, pages };
		count++;
	}
	spinlock_unlock(&volume->writeback.lock);
	for (uint64_t i = 0; i < MIN(count, MAPPINGS_SHOWN); i++)
		log_warn("memory:     %s has %llu pages mapped at %s", volume->name, (unsigned long long)shown[i].pages,
			 shown[i].site);
	if (count > MAPPINGS_SHOWN)
		log_warn("memory:     and %llu more mappings", (unsigned long long)(count - MAPPINGS_SHOWN));
}

struct state_counts {
	uint64_t dirty, moving, pinned;
};

static void count_page(struct state_counts *counts, uint32_t state)
{
	if (page_is(state, PAGE_FREE) || page_is(state, PAGE_GONE))
		return;
	if (!page_is(state, PAGE_CLEAN) && !page_is(state, PAGE_DIRTY))
		counts->moving++;
	else if (state & PAGE_PINS)
		counts->pinned++;
	else if (page_is(state, PAGE_DIRTY))
		counts->dirty++;
}

void volume_explain(struct cleaner *cleaner, struct phys_addr lowest, struct phys_addr highest)
{
	struct volume *volume = container_of(cleaner, struct volume, eviction.cleaners[VOLUME_CLEANER_CLEAN]);
	const struct pageblock_table *table = &volume->pagecache->pages.table;
	const uint64_t last = MIN(highest.value >> BLOCK_SHIFT, table->first_block + table->count - 1);
	struct state_counts counts = { 0 };

	for (uint64_t block = MAX(lowest.value >> BLOCK_SHIFT, table->first_block); block <= last; block++) {
		struct pageblock *pageblock = table->blocks[block - table->first_block];

		if (!pageblock || !atomic_load(&pageblock->ready) || atomic_load(&pageblock->volume) != volume)
			continue;
		for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
			count_page(&counts, page_state(&pageblock->pages[i]));
	}
	if (counts.dirty + counts.moving + counts.pinned > 0)
		log_warn("memory:     %s has %llu pages dirty, %llu being read or written, %llu pinned there", volume->name,
			 (unsigned long long)counts.dirty, (unsigned long long)counts.moving,
			 (unsigned long long)counts.pinned);
	explain_mappings(volume, lowest, highest);
}

bool volume_report_mapped(struct volume *volume)
{
	spinlock_lock(&volume->writeback.lock);
	const bool mapped = !list_is_empty(&volume->mappings);
	spinlock_unlock(&volume->writeback.lock);
	if (mapped) {
		log_error("%s: not detached: its pages are mapped", volume->name);
		explain_mappings(volume, (struct phys_addr){ 0 }, (struct phys_addr){ UINT64_MAX });
	}
	return mapped;
}

/* Flushes -------------------------------------------------------------------------------------- */

struct unflushed {
	struct ranges ranges;
	uint64_t dirty_pages, unflushed_pages;
};

static void add_unflushed(struct volume *volume, struct page *page, void *context)
{
	struct unflushed *unflushed = context;
	const uint64_t start = pagecache_position(volume->pagecache, page_key(page));
	const uint32_t state = page_state(page);

	if ((state & PAGE_LISTED) || page_is(state, PAGE_WRITEBACK))
		unflushed->dirty_pages++;
	else if (written_number_locked(&volume->writeback.written, page) != 0)
		unflushed->unflushed_pages++;
	else
		return;
	ranges_add(&unflushed->ranges, start, MIN(start + PAGE_BYTES, volume->bytes));
}

void volume_report_unflushed(struct volume *volume, status_t status)
{
	const struct written *written = &volume->writeback.written;
	struct unflushed unflushed = { .dirty_pages = 0 };
	const struct ranges *ranges = &unflushed.ranges;
	char lost[FORMAT_BYTES_SIZE], all[FORMAT_BYTES_SIZE];

	written_visit(volume, add_unflushed, &unflushed);
	spinlock_lock(&volume->writeback.lock);
	format_bytes(lost, ranges_covered_bytes(&written->lost));
	ranges_add_all(&unflushed.ranges, &written->lost);
	ranges_add_all(&unflushed.ranges, &written->noted);
	ranges_add_all(&unflushed.ranges, &written->noted_before);
	spinlock_unlock(&volume->writeback.lock);
	log_error("%s: flush failed: %s; %llu pages are dirty, %llu written and not flushed, %s lost; up to %s in %u ranges:",
		  volume->name, status_text(status), (unsigned long long)unflushed.dirty_pages,
		  (unsigned long long)unflushed.unflushed_pages, lost, format_bytes(all, ranges_covered_bytes(ranges)),
		  ranges->count);
	for (uint32_t i = 0; i < ranges->count; i++)
		log_error("%s:   bytes %llu to %llu", volume->name, (unsigned long long)ranges->list[i].start,
			  (unsigned long long)ranges->list[i].end - 1);
	if (status == STATUS_TIMEOUT)
		explain_mappings(volume, (struct phys_addr){ 0 }, (struct phys_addr){ UINT64_MAX });
}
