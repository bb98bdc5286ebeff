// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `log`: shows the history of the console once more, piece by piece, up to
 * where it ended when the command began. What it shows does not become part of the history again,
 * or it would never end.
 */
#include "log_command.h"

#include "console.h"
#include "monitor.h"

static status_t log_run(struct command *self, int argc, char **argv)
{
	const uint64_t end = console_history_end();
	char text[256];
	uint64_t position = 0;
	size_t bytes;

	(void)self;
	(void)argc;
	(void)argv;
	while (position < end && (bytes = console_history_read(&position, text, sizeof(text))) > 0) {
		if (console_break_requested())
			return STATUS_CANCELLED;
		monitor_replay(text, bytes);
	}
	return STATUS_OK;
}

void log_commands_register(struct command_table *table)
{
	static struct command command = {
		.name = "log",
		.help = "what scrolled by: the latest 64 KB of all that was shown",
		.run = log_run,
	};

	command_register(table, &command);
}
