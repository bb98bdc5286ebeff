#include "heaps_commands.h"

#include "dma_state.h"
#include "memory.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define LINE_BYTES 160

/* Objcaches --------------------------------------------------------------------------------------------------------------- */

struct cache_report {
	char name[GENERAL_HEAP_NAME_BYTES];
	struct objcache_counts counts;
	uint64_t object_bytes;
	uint64_t retain_bytes;
	struct site_tally sites;
};

static void report_fill(struct cache_report *report, struct objcache *cache)
{
	format_text(report->name, sizeof(report->name), "%s", cache->config.name);
	report->counts = objcache_count(cache);
	report->object_bytes = cache->config.object_bytes;
	report->retain_bytes = cache->config.retain_bytes;
	report->sites = (struct site_tally){ .count = 0 };
	if (OBJCACHE_DEBUG)
		objcache_tally(cache, &report->sites);
}

/* The next cache in the list that has, or had, any object; false: there is none. Nothing is held when its line is printed. */
static bool report_next(struct block_heap *heap, unsigned *place, struct cache_report *report)
{
	unsigned at = 0;
	bool found = false;

	spinlock_lock(&heap->caches_lock);
	list_for_each (link, &heap->caches) {
		if (at++ < *place)
			continue;
		report_fill(report, container_of(link, struct objcache, link));
		if (report->counts.blocks == 0 && report->counts.allocs == 0)
			continue;
		*place = at;
		found = true;
		break;
	}
	spinlock_unlock(&heap->caches_lock);
	return found;
}

static void report_print(const struct cache_report *report)
{
	const struct objcache_counts *counts = &report->counts;
	char size[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE], retain[FORMAT_BYTES_SIZE];

	print("%-20s %8s %9llu %8llu %9llu %7llu %9s %8s %8llu\n", report->name, format_bytes(size, report->object_bytes),
	      (unsigned long long)counts->used, (unsigned long long)counts->cached,
	      (unsigned long long)(counts->objects - counts->used - counts->cached), (unsigned long long)counts->blocks,
	      format_bytes(held, counts->blocks << BLOCK_SHIFT), format_bytes(retain, report->retain_bytes),
	      (unsigned long long)counts->failures);
}

/* General heaps ----------------------------------------------------------------------------------------------------------- */

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

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print("%-20s %8s %9s %8s %9s %7s %9s %8s %8s\n", "cache", "object", "used", "cached", "free", "blocks", "bytes",
	      "retain", "failures");
	(void)general_heap_settle(&memory->general);
	while (report_next(&memory->blocks, &place, &report))
		report_print(&report);
	print("\n%-20s %9s %9s %9s %9s\n", "heap", "used", "held", "in runs", "retain");
	heap_print(&memory->general);
	/* Zones are only added, at the end. */
	list_for_each (link, &memory->dma->zones)
		heap_print(&container_of(link, struct dma_zone, link)->heap);
	guarded_print(&memory->general.guard);
	return STATUS_OK;
}

/* Who has what ------------------------------------------------------------------------------------------------------------ */

static void guarded_add(void *context, size_t bytes, const void *site)
{
	site_tally_add(context, site, 1, bytes);
}

/* Only debug builds know. */
static void report_sites_write(struct cache_report *report, void (*line)(const char *text))
{
	char prefix[GENERAL_HEAP_NAME_BYTES + 2];

	format_text(prefix, sizeof(prefix), "%-20s ", "");
	site_tally_write(&report->sites, prefix, line);
}

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
			    (unsigned long long)(report.counts.used * report.object_bytes));
		line(text);
		report_sites_write(&report, line);
	}
}

static void runs_write(struct memory *memory, void (*line)(const char *text))
{
	const struct general_heap *heap = &memory->general;
	char text[LINE_BYTES];

	if (heap->runs.blocks == 0)
		return;
	format_text(text, sizeof(text), "%-20s %llu bytes in runs of blocks", heap->config.name,
		    (unsigned long long)heap->runs.blocks << BLOCK_SHIFT);
	line(text);
}

void memory_leaks_write(struct memory *memory, void (*line)(const char *text))
{
	struct site_tally guarded = { .count = 0 };

	(void)general_heap_settle(&memory->general);
	owned_heaps_write(&memory->owned, line);
	caches_write(memory, line);
	runs_write(memory, line);
	guard_pool_each_live(&memory->general.guard, guarded_add, &guarded);
	site_tally_write(&guarded, "guarded              ", line);
}

status_t heaps_leaks_run(struct command *self, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	memory_leaks_write(self->context, site_tally_print);
	return STATUS_OK;
}

/* The largest ------------------------------------------------------------------------------------------------------------- */

#define TOP_MAX 16

struct top {
	struct top_entry {
		char name[GENERAL_HEAP_NAME_BYTES];
		uint64_t objects;
		uint64_t bytes;
	} entries[TOP_MAX];
	unsigned count;
};

/* The entries are in order; the least goes if there are too many. */
static void top_add(struct top *top, const char *name, uint64_t objects, uint64_t bytes)
{
	unsigned place = top->count;

	if (bytes == 0)
		return;
	while (place > 0 && top->entries[place - 1].bytes < bytes)
		place--;
	if (place == TOP_MAX)
		return;
	top->count = MIN(top->count + 1, TOP_MAX);
	for (unsigned i = top->count - 1; i > place; i--)
		top->entries[i] = top->entries[i - 1];
	top->entries[place] = (struct top_entry){ .objects = objects, .bytes = bytes };
	format_text(top->entries[place].name, sizeof(top->entries[place].name), "%s", name);
}

status_t heaps_top_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;
	struct top top = { .count = 0 };
	struct cache_report report;
	unsigned place = 0;

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	(void)general_heap_settle(&memory->general);
	while (report_next(&memory->blocks, &place, &report))
		top_add(&top, report.name, report.counts.used, report.counts.used * report.object_bytes);
	top_add(&top, "general, in runs", memory->general.runs.blocks, memory->general.runs.blocks << BLOCK_SHIFT);
	print("%-20s %9s %12s\n", "cache", "used", "bytes");
	for (unsigned i = 0; i < top.count; i++)
		print("%-20s %9llu %12llu\n", top.entries[i].name, (unsigned long long)top.entries[i].objects,
		      (unsigned long long)top.entries[i].bytes);
	return STATUS_OK;
}
