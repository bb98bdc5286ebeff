// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `log`: shows the history of the console once more, piece by piece, up to
 * where it ended when the command began. What it shows does not become part of the history again,
 * or it would never end.
 */
#include "log_command.h"

#include "runtime/base/log.h"

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

static status_t last_is_missing(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argc;
	(void)argv;
	print("No volume keeps the log: give log=VOLUME on the command line. After the next start this shows that run.\n");
	return STATUS_NOT_FOUND;
}

static struct command last_command = {
	.name = "log last",
	.help = "what the run before has shown, its panic included, where log=VOLUME keeps it",
	.run = last_is_missing,
};

void log_command_set_last(status_t (*run)(struct command *self, int argc, char **argv))
{
	last_command.run = run;
}

void log_commands_register(struct command_table *table)
{
	static struct command command = {
		.name = "log",
		.help = "what scrolled by: the latest 64 KB of all that was shown",
		.run = log_run,
	};

	command_register(table, &command);
	command_register(table, &last_command);
}
