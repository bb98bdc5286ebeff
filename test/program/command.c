// SPDX-License-Identifier: BSD-2-Clause
/* A command of the monitor. */
#include "parts.h"
#include "runtime/base/command.h"
#include "runtime/base/log.h"

static status_t run(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argc;
	(void)argv;
	print("the command of a program\n");
	return STATUS_OK;
}

void parts_register(struct command_table *table)
{
	static struct command parts = { .name = "parts", .arguments = "", .help = "says that it is there", .run = run };

	command_register(table, &parts);
}
