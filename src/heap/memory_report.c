// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which owners hold the memory, and what each cleaner was last asked for and gave. Snapshots are
 * taken under the locks and printed without.
 */
#include "holders.h"
#include "memory.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

static void report_cleaner(struct cleaner *cleaner)
{
	char asked[FORMAT_BYTES_SIZE], given[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE];

	log_warn("memory:   cleaner %-16s was last asked for %s, gave %s, holds %s back", cleaner->name,
		 format_bytes(asked, cleaner->last_asked_bytes), format_bytes(given, cleaner->last_given_bytes),
		 format_bytes(held, cleaner->held_back ? cleaner->held_back(cleaner) : 0));
}

void memory_report(struct memory *memory)
{
	struct holder holders[HOLDERS_MAX];
	const unsigned count = holders_get(&memory->blocks, holders);
	char total[FORMAT_BYTES_SIZE], part[FORMAT_BYTES_SIZE];
	struct cleaner *cleaner = NULL;

	log_warn("memory: %s of %s free", format_bytes(part, memory_free_bytes(memory)),
		 format_bytes(total, memory_total_bytes(memory)));
	for (unsigned i = 0; i < count; i++)
		log_warn("memory:   %-24s holds %s%s", holders[i].name, format_bytes(part, holders[i].blocks << BLOCK_SHIFT),
			 holders[i].movable ? ", movable" : "");
	while ((cleaner = cleaner_next(&memory->cleaners, cleaner)))
		report_cleaner(cleaner);
}

void memory_print_owners(struct memory *memory)
{
	struct holder holders[HOLDERS_MAX];
	const unsigned count = holders_get(&memory->blocks, holders);
	char part[FORMAT_BYTES_SIZE];

	for (unsigned i = 0; i < count; i++)
		print("%-24s %9s%s\n", holders[i].name, format_bytes(part, holders[i].blocks << BLOCK_SHIFT),
		      holders[i].movable ? "  movable" : "");
	print("%-24s %9s\n", "free", format_bytes(part, memory_free_bytes(memory)));
}
