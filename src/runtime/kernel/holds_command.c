// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `holds`: prints the table of the longest holds, the longest first. Only
 * debug builds register it (holds_command.h), but every build compiles it, so the switch is set
 * here.
 */
#ifndef WEIR_HOLDS
#define WEIR_HOLDS
#endif
#include "holds_command.h"

#include "runtime/base/holds.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define NAME_BYTES 64

static status_t holds_run(struct command *self, int argc, char **argv)
{
	static struct hold_report reports[HOLD_SITES_MAX];
	char name[NAME_BYTES];
	uint64_t lost;

	(void)self;
	if (argc == 2 && strcmp(argv[1], "reset") == 0) {
		holds_reset();
		return STATUS_OK;
	}
	if (argc != 1)
		return STATUS_INVALID;
	const unsigned count = holds_get(reports, &lost);
	print("  longest us       count  %-24s taken at\n", "held");
	for (unsigned i = 0; i < count; i++)
		print("%8llu.%03llu  %10llu  %-24s %s\n", (unsigned long long)(reports[i].longest / NS_PER_US),
		      (unsigned long long)(reports[i].longest % NS_PER_US), (unsigned long long)reports[i].count,
		      reports[i].name, platform_code_name(name, sizeof(name), reports[i].site));
	if (lost > 0)
		print("%llu holds at further places are not listed.\n", (unsigned long long)lost);
	return STATUS_OK;
}

void holds_commands_register(struct command_table *table)
{
	static struct command holds = {
		.name = "holds",
		.arguments = "[reset]",
		.help = "the longest holds of locks, of preemption off and of interrupts off, by place",
		.run = holds_run,
	};

	command_register(table, &holds);
}
