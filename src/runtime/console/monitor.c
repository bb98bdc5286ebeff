// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads a line with the line editor and runs the command that it names, for good. It also has the
 * command `help`, which lists the table that all commands register in.
 */
#include "monitor.h"

#include <stdatomic.h>

#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"

#include "console.h"
#include "line_editor.h"
#include "pager.h"

static struct {
	struct pager pager;
	const void *_Atomic task; /* that runs a command; NULL: none */
	unsigned page_lines;      /* 0: depends on where the line was typed */
	bool replaying;           /* the command's text is of the history */
} monitor;

void monitor_set_page(unsigned lines)
{
	monitor.page_lines = lines;
}

static void text_write(const char *text, size_t bytes)
{
	if (monitor.replaying)
		console_replay(text, bytes);
	else
		console_write(text, bytes);
}

/* A Ctrl-C here is for the question, and not for the next command. */
static char key_read(void)
{
	const char key = console_read_character();

	if (key == CONSOLE_BREAK)
		console_break_clear();
	return key;
}

bool monitor_takes(const char *text, size_t bytes)
{
	const void *task = atomic_load_explicit(&monitor.task, memory_order_relaxed);

	if (!task || task != platform_task() || !platform_may_sleep())
		return false;
	pager_write(&monitor.pager, text, bytes);
	return true;
}

void monitor_replay(const char *text, size_t bytes)
{
	monitor.replaying = true;
	if (!monitor_takes(text, bytes))
		console_replay(text, bytes);
}

static status_t command_run(struct command_table *table, char *line)
{
	const unsigned lines = monitor.page_lines ? monitor.page_lines : console_keyboard_lines();
	status_t status;

	monitor.replaying = false;
	pager_begin(&monitor.pager, lines);
	atomic_store(&monitor.task, platform_task());
	status = command_execute(table, line);
	atomic_store(&monitor.task, NULL);
	pager_end(&monitor.pager);
	return status;
}

static const char *candidate(void *context, const char *line, size_t length, unsigned index)
{
	static char text[COMMAND_LINE_BYTES];

	return command_candidate(context, line, length, index, text);
}

static void help_print_all(struct command_table *table)
{
	char call[40];

	list_for_each (link, &table->commands) {
		const struct command *command = container_of(link, struct command, link);

		format_text(call, sizeof(call), "%s %s", command->name, command->arguments);
		print("  %-28s %s\n", call, command->help);
	}
	print("Tab completes names, the arrow keys bring back earlier lines.\n");
}

static status_t help_run(struct command *self, int argc, char **argv)
{
	struct command_table *table = self->context;

	if (argc == 1) {
		help_print_all(table);
		return STATUS_OK;
	}
	if (command_print_usages(table, argv + 1, argc - 1) > 0)
		return STATUS_OK;
	print("There is no such command; \"help\" lists all.\n");
	return STATUS_NOT_FOUND;
}

static const char *help_argument(struct command *self, int position, unsigned index)
{
	char text[COMMAND_LINE_BYTES];

	/* Without a line there are only the names. */
	return position == 1 ? command_candidate(self->context, "", 0, index, text) : NULL;
}

void monitor_commands_register(struct command_table *table)
{
	static struct command help = {
		.name = "help",
		.arguments = "[COMMAND]",
		.help = "list all commands, or show how those are called whose names begin so",
		.run = help_run,
		.argument = help_argument,
	};

	help.context = table;
	command_register(table, &help);
}

static void line_read(struct line_editor *editor)
{
	unsigned interruptions = console_interruptions();

	line_editor_start(editor);
	for (;;) {
		const char character = console_read_character();

		/*
		 * Clears the Ctrl-C that belongs to this line; one that comes when the line is
		 * complete is for its command.
		 */
		if (character == CONSOLE_BREAK)
			console_break_clear();

		/* The log came in between: show again what the key will change. */
		if (console_interruptions() != interruptions) {
			interruptions = console_interruptions();
			line_editor_show(editor);
		}
		if (line_editor_put(editor, character))
			return;
	}
}

void monitor_run(struct command_table *table)
{
	static struct line_editor editor;

	monitor.pager.write = text_write;
	monitor.pager.read = key_read;
	line_editor_init(&editor, "weir> ", console_write, candidate, table);
	print("\n\"help\" lists the commands.\n");
	for (;;) {
		line_read(&editor);
		const status_t status = command_run(table, editor.line);
		if (status != STATUS_OK && status != STATUS_INVALID && status != STATUS_NOT_FOUND && status != STATUS_CANCELLED)
			print("%s\n", status_text(status));
	}
}
