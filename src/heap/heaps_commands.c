// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor commands "heaps" and "heaps leaks". The list of caches is walked by number: each step
 * copies one report under the lock and prints it without, so the list may change between two lines.
 */
#include "heaps_commands.h"

#include "memory.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define LINE_BYTES 160

/* Objcaches ------------------------------------------------------------------------------------ */

struct cache_report {
	char name[GENERAL_HEAP_NAME_BYTES];
	struct objcache_counts counts;
	struct objcache_config config;
	struct call_sites sites;
};

/*
 * The next cache in the list that has, or had, any object; false: there is none. No lock is held
 * while its line is printed.
 */
static bool report_next(struct block_heap *heap, unsigned *place, struct cache_report *report)
{
	struct objcache *cache = NULL;
	struct list *link;

	spinlock_lock(&heap->caches_lock);
	do {
		link = list_at(&heap->caches, (*place)++);
		if (!link)
			break;
		cache = container_of(link, struct objcache, link);
		*report = (struct cache_report){ .counts = objcache_count(cache), .config = cache->config };
	} while (report->counts.blocks == 0 && report->counts.allocs == 0);
	if (link) {
		format_text(report->name, sizeof(report->name), "%s", cache->config.name);
		if (OBJCACHE_DEBUG)
			objcache_count_sites(cache, &report->sites);
	}
	spinlock_unlock(&heap->caches_lock);
	return link;
}

static void report_print(const struct cache_report *report)
{
	const struct objcache_counts *counts = &report->counts;
	char size[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE], retain[FORMAT_BYTES_SIZE];

	print("%-20s %8s %9llu %8llu %9llu %7llu %9s %8s %8llu\n", report->name,
	      format_bytes(size, report->config.object_bytes), (unsigned long long)counts->used,
	      (unsigned long long)counts->cached, (unsigned long long)(counts->objects - counts->used - counts->cached),
	      (unsigned long long)counts->blocks, format_bytes(held, counts->blocks << BLOCK_SHIFT),
	      format_bytes(retain, report->config.retain_bytes), (unsigned long long)counts->failures);
}

/* General heaps -------------------------------------------------------------------------------- */

static void heap_print(struct general_heap *heap)
{
	char used[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE], runs[FORMAT_BYTES_SIZE], retain[FORMAT_BYTES_SIZE];
	uint64_t blocks = heap->runs.blocks;

	for (unsigned class = 0; class < heap->classes; class ++)
		blocks += objcache_count(&heap->cache[class]).blocks;
	print("%-20s %9s %9s %9s %9s\n", heap->config.name, format_bytes(used, general_heap_used_bytes(heap)),
	      format_bytes(held, blocks << BLOCK_SHIFT), format_bytes(runs, heap->runs.blocks << BLOCK_SHIFT),
	      format_bytes(retain, heap->config.retain_bytes));
}

static void guarded_print(struct guard_pool *pool)
{
	const struct guard_counts counts = guard_pool_count(pool);

	print("guarded: one in %u objects, one in %llu ms on a CPU at most; %llu of %llu places in use, %llu bytes; %llu "
	      "objects so far\n",
	      pool->one_in, (unsigned long long)(pool->interval_ns / NS_PER_MS), (unsigned long long)counts.live,
	      (unsigned long long)counts.slots, (unsigned long long)counts.live_bytes, (unsigned long long)counts.allocs);
}

status_t heaps_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;
	struct cache_report report;
	unsigned place = 0;

	(void)argc, (void)argv;
	print("%-20s %8s %9s %8s %9s %7s %9s %8s %8s\n", "cache", "object", "used", "cached", "free", "blocks", "bytes",
	      "retain", "failures");
	(void)general_heap_settle(&memory->general);
	while (report_next(&memory->blocks, &place, &report))
		report_print(&report);
	print("\n%-20s %9s %9s %9s %9s\n", "heap", "used", "held", "in runs", "retain");
	heap_print(&memory->general);
	/* Zones are only added, at the end. */
	list_for_each (link, &memory->dma.zones)
		heap_print(&container_of(link, struct dma_zone, link)->heap);
	guarded_print(&memory->general.guard);
	return STATUS_OK;
}

/* What is allocated ---------------------------------------------------------------------------- */

static void caches_write(struct memory *memory, void (*line)(const char *text))
{
	struct cache_report report;
	char text[LINE_BYTES];
	unsigned place = 0;

	while (report_next(&memory->blocks, &place, &report)) {
		if (report.counts.used == 0)
			continue;
		format_text(text, sizeof(text), "%-20s %llu objects, %llu bytes", report.name,
			    (unsigned long long)report.counts.used,
			    (unsigned long long)(report.counts.used * report.config.object_bytes));
		line(text);
		call_sites_write(&report.sites, "                     ", line); /* debug builds only */
	}
}

void memory_leaks_write(struct memory *memory, void (*line)(const char *text))
{
	const struct general_heap *heap = &memory->general;
	struct call_sites guarded = { 0 };
	char text[LINE_BYTES];

	(void)general_heap_settle(&memory->general);
	tracked_heaps_write(&memory->tracked, TRACKED_ALL, line);
	caches_write(memory, line);
	if (heap->runs.blocks > 0) {
		format_text(text, sizeof(text), "%-20s %llu bytes in runs of blocks", heap->config.name,
			    (unsigned long long)heap->runs.blocks << BLOCK_SHIFT);
		line(text);
	}
	guard_pool_count_sites(&heap->guard, &guarded);
	call_sites_write(&guarded, "guarded              ", line);
}

status_t heaps_leaks_run(struct command *self, int argc, char **argv)
{
	(void)argc, (void)argv;
	memory_leaks_write(self->context, call_sites_print);
	return STATUS_OK;
}
