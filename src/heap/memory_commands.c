// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor commands of the memory. Their structs are allocated with the memory's other records,
 * so that several memories, as tests make them, each have commands of their own.
 */
#include "heap/block/block_map.h"
#include "heap/block/owner_snapshot.h"
#include "heaps_commands.h"
#include "memory.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define TRACE_SHOWN 40 /* events, by default */

struct memory_command {
	struct command command;
	void (*print)(struct memory *memory); /* or command.run is set */
};

static status_t print_run(struct command *self, int argc, char **argv)
{
	(void)argc, (void)argv;
	container_of(self, struct memory_command, command)->print(self->context);
	return STATUS_OK;
}

static void mem_print(struct memory *memory)
{
	struct memory_statistics *statistics = &memory->reclaim.statistics;
	char text[FORMAT_BYTES_SIZE];

	print("total     %s\n", format_bytes(text, memory_total_bytes(memory)));
	print("free      %s\n", format_bytes(text, memory_free_bytes(memory)));
	print("min       %s\n", format_bytes(text, memory->reclaim.watermarks.min_bytes));
	print("low       %s\n", format_bytes(text, memory->reclaim.watermarks.low_bytes));
	print("requests  %llu, of them %llu reclaimed, %llu failed\n", (unsigned long long)statistics->requests,
	      (unsigned long long)statistics->reclaims, (unsigned long long)statistics->failures);
	print("cleaned   %s", format_bytes(text, statistics->cleaned_bytes));
	print(", %llu windows tried\n", (unsigned long long)statistics->windows);
	print("metadata  %s\n", format_bytes(text, memory->metadata.used_bytes));
}

void memory_print_owners(struct memory *memory)
{
	struct owner_snapshot owners[OWNER_SNAPSHOT_MAX];
	const unsigned count = owner_snapshot_get(&memory->blocks, owners);
	char part[FORMAT_BYTES_SIZE];

	for (unsigned i = 0; i < count; i++)
		print("%-24s %9s%s\n", owners[i].name, format_bytes(part, owners[i].blocks << BLOCK_SHIFT),
		      owners[i].movable ? "  movable" : "");
	print("%-24s %9s\n", "free", format_bytes(part, memory_free_bytes(memory)));
}

static void dma_run(struct memory *memory)
{
	dma_print(&memory->dma);
}

static void map_print(struct memory *memory)
{
	block_map_print(&memory->blocks);
}

static void cleaners_print(struct memory *memory)
{
	static const char *const costs[] = { "free", "clean", "dirty", "held" };
	struct cleaner *cleaner = NULL;

	print("%-20s %5s %10s %9s %9s %9s %9s\n", "cleaner", "cost", "preference", "calls", "asked", "reported", "given");
	while ((cleaner = cleaner_next(&memory->reclaim.cleaners, cleaner))) {
		char asked[FORMAT_BYTES_SIZE], reported[FORMAT_BYTES_SIZE], given[FORMAT_BYTES_SIZE];

		print("%-20s %5s %10u %9llu %9s %9s %9s\n", cleaner->name, costs[cleaner->cost], cleaner->preference,
		      (unsigned long long)cleaner->calls, format_bytes(asked, cleaner->asked_bytes),
		      format_bytes(reported, cleaner->reported_bytes), format_bytes(given, cleaner->given_bytes));
	}
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
	trace_print(&memory->reclaim.trace, events);
	return STATUS_OK;
}

void memory_commands_register(struct memory *memory, struct command_table *table)
{
	static const struct memory_command commands[] = {
		{ { .name = "mem", .help = "memory in numbers" }, mem_print },
		{ { .name = "mem owners", .help = "how much memory each owner holds" }, memory_print_owners },
		{ { .name = "mem map", .help = "the blocks as a picture, by owner and temperature" }, map_print },
		{ { .name = "heaps", .help = "all objcaches and heaps: what is used, kept and free", .run = heaps_run }, NULL },
		{ { .name = "heaps leaks",
		    .help = "what is allocated, and by whom, as far as that is known",
		    .run = heaps_leaks_run },
		  NULL },
		{ { .name = "cleaners", .help = "what gives memory, in order, and how much each gave" }, cleaners_print },
		{ { .name = "dma", .help = "the DMA buffers of each device" }, dma_run },
		{ { .name = "drain", .arguments = "BYTES", .help = "ask the cleaners for memory (64M, 1G)", .run = drain_run },
		  NULL },
		{ { .name = "trace", .arguments = "[EVENTS]", .help = "the last events of reclaim", .run = trace_run }, NULL },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(commands); i++) {
		struct memory_command *command = metadata_heap_alloc(&memory->metadata, sizeof(*command));

		if (!command) {
			log_warn("memory: no room for the monitor commands");
			return;
		}
		*command = commands[i];
		command->command.context = memory;
		if (command->print)
			command->command.run = print_run;
		command_register(table, &command->command);
	}
}
