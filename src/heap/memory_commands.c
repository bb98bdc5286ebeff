/* The monitor commands of the memory. Their structs come from the bookkeeping, so that each memory has its own. */
#include "block_map.h"
#include "dma_state.h"
#include "memory.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define TRACE_SHOWN 40 /* events, if nothing is said */

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (unsigned)(part * 100 / whole);
}

static status_t mem_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;
	const struct memory_statistics statistics = memory_statistics(memory);
	char text[FORMAT_BYTES_SIZE];

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print("total     %s\n", format_bytes(text, memory_total_bytes(memory)));
	print("free      %s\n", format_bytes(text, memory_free_bytes(memory)));
	print("min       %s\n", format_bytes(text, memory->config.min_bytes));
	print("low       %s\n", format_bytes(text, memory->config.low_bytes));
	print("requests  %llu, of them %llu reclaimed, %llu failed\n", (unsigned long long)statistics.requests,
	      (unsigned long long)statistics.reclaims, (unsigned long long)statistics.failures);
	print("cleaned   %s", format_bytes(text, statistics.cleaned_bytes));
	print(", %llu windows tried\n", (unsigned long long)statistics.windows);
	print("books     %s\n", format_bytes(text, memory->bookkeeping.used_bytes));
	return STATUS_OK;
}

static status_t owners_run(struct command *self, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	memory_print_owners(self->context);
	return STATUS_OK;
}

static status_t map_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	block_map_print(&memory->blocks);
	return STATUS_OK;
}

/* Objcaches ------------------------------------------------------------------------------------------------------------- */

struct cache_report {
	char name[GENERAL_HEAP_NAME_BYTES];
	struct objcache_counts counts;
	uint64_t object_bytes;
	uint64_t retain_bytes;
};

/* The cache at that place in the list; false: the list is shorter. Nothing is held when its line is printed. */
static bool cache_report_get(struct block_heap *heap, unsigned place, struct cache_report *report)
{
	bool found = false;

	spinlock_lock(&heap->caches_lock);
	list_for_each (link, &heap->caches) {
		struct objcache *cache = container_of(link, struct objcache, link);

		if (place-- > 0)
			continue;
		format_text(report->name, sizeof(report->name), "%s", cache->config.name);
		report->counts = objcache_count(cache);
		report->object_bytes = cache->config.object_bytes;
		report->retain_bytes = cache->config.retain_bytes;
		found = true;
		break;
	}
	spinlock_unlock(&heap->caches_lock);
	return found;
}

static void cache_report_print(const struct cache_report *report)
{
	const struct objcache_counts *counts = &report->counts;
	char size[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE], retain[FORMAT_BYTES_SIZE];

	print("%-20s %8s %9llu %9llu %4u%% %9s %6llu %9s %9llu\n", report->name, format_bytes(size, report->object_bytes),
	      (unsigned long long)counts->used, (unsigned long long)counts->objects, percent(counts->used, counts->objects),
	      format_bytes(held, counts->blocks << BLOCK_SHIFT), (unsigned long long)counts->empty_blocks,
	      format_bytes(retain, report->retain_bytes), (unsigned long long)counts->failures);
}

static status_t caches_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;
	struct cache_report report;

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print("%-20s %8s %9s %9s %5s %9s %6s %9s %9s\n", "cache", "object", "used", "objects", "full", "held", "empty",
	      "retain", "failures");
	for (unsigned place = 0; cache_report_get(&memory->blocks, place, &report); place++)
		if (report.counts.blocks != 0 || report.counts.allocs != 0)
			cache_report_print(&report);
	return STATUS_OK;
}

/* Heaps ----------------------------------------------------------------------------------------------------------------- */

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

static status_t heaps_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print("%-20s %9s %9s %9s %9s\n", "heap", "used", "held", "in runs", "retain");
	heap_print(&memory->general);
	/* Zones are only added, at the end. */
	list_for_each (link, &memory->dma->zones)
		heap_print(&container_of(link, struct dma_zone, link)->heap);
	return STATUS_OK;
}

static status_t cleaners_run(struct command *self, int argc, char **argv)
{
	static const char *const costs[] = { "free", "clean", "dirty", "held" };
	struct memory *memory = self->context;
	struct cleaner *cleaner = NULL;

	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print("%-20s %5s %10s %9s %9s %9s %9s\n", "cleaner", "cost", "preference", "calls", "asked", "claimed", "given");
	while ((cleaner = cleaner_next(&memory->cleaners, cleaner))) {
		char asked[FORMAT_BYTES_SIZE], claimed[FORMAT_BYTES_SIZE], given[FORMAT_BYTES_SIZE];

		print("%-20s %5s %10u %9llu %9s %9s %9s\n", cleaner->name, costs[cleaner->cost], cleaner->preference,
		      (unsigned long long)cleaner->calls, format_bytes(asked, cleaner->asked_bytes),
		      format_bytes(claimed, cleaner->claimed_bytes), format_bytes(given, cleaner->given_bytes));
	}
	return STATUS_OK;
}

static status_t dma_run(struct command *self, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	dma_print(self->context);
	return STATUS_OK;
}

static status_t drain_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;
	char text[FORMAT_BYTES_SIZE];
	uint64_t bytes;

	if (argc != 2 || parse_number(argv[1], &bytes) != STATUS_OK || bytes > memory_total_bytes(memory))
		return STATUS_INVALID;
	const uint64_t start_ns = platform_now_ns();
	const uint64_t gained = memory_drain(memory, bytes, true);
	print("%s reached the block heap in %llu us; ", format_bytes(text, gained),
	      (unsigned long long)(platform_now_ns() - start_ns) / 1000);
	print("%s are free\n", format_bytes(text, memory_free_bytes(memory)));
	return STATUS_OK;
}

static status_t trace_run(struct command *self, int argc, char **argv)
{
	struct memory *memory = self->context;
	uint64_t events = TRACE_SHOWN;

	if (argc > 2 || (argc == 2 && parse_number(argv[1], &events) != STATUS_OK))
		return STATUS_INVALID;
	trace_print(&memory->trace, events);
	return STATUS_OK;
}

void memory_commands_register(struct memory *memory, struct command_table *table)
{
	static const struct command commands[] = {
		{ .name = "mem", .arguments = "", .help = "memory in numbers", .run = mem_run },
		{ .name = "mem owners", .arguments = "", .help = "who holds how much memory", .run = owners_run },
		{ .name = "mem map",
		  .arguments = "",
		  .help = "the blocks as a picture, by owner and temperature",
		  .run = map_run },
		{ .name = "heaps", .arguments = "", .help = "the general heap and the zones for DMA", .run = heaps_run },
		{ .name = "caches", .arguments = "", .help = "all objcaches, with what they retain", .run = caches_run },
		{ .name = "cleaners",
		  .arguments = "",
		  .help = "who gives memory, in order, and what each gave",
		  .run = cleaners_run },
		{ .name = "dma", .arguments = "", .help = "the DMA buffers of each device", .run = dma_run },
		{ .name = "drain", .arguments = "BYTES", .help = "ask the cleaners for memory (64M, 1G)", .run = drain_run },
		{ .name = "trace", .arguments = "[EVENTS]", .help = "the last events of reclaim", .run = trace_run },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(commands); i++) {
		struct command *command = bookkeeping_alloc(&memory->bookkeeping, sizeof(*command));

		if (!command) {
			log_warn("memory: no room for the monitor commands");
			return;
		}
		*command = commands[i];
		command->context = memory;
		command_register(table, command);
	}
}
