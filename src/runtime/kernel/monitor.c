#include "monitor.h"

#include "runtime/base/format.h"
#include "runtime/base/log.h"

#include "console.h"
#include "line_editor.h"

static struct command *command_at(struct command_table *table, unsigned index)
{
	list_for_each (link, &table->commands) {
		if (index-- == 0)
			return container_of(link, struct command, link);
	}
	return NULL;
}

static const char *command_name_at(void *context, unsigned index)
{
	const struct command *command = command_at(context, index);

	return command ? command->name : NULL;
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
	int words;

	if (argc == 1) {
		help_print_all(table);
		return STATUS_OK;
	}
	const struct command *command = command_find(table, argv + 1, argc - 1, &words);
	if (!command || words != argc - 1) {
		print("There is no such command; \"help\" lists all.\n");
		return STATUS_NOT_FOUND;
	}
	command_print_usage(command);
	return STATUS_OK;
}

void monitor_commands_register(struct command_table *table)
{
	static struct command help = {
		.name = "help",
		.arguments = "[COMMAND]",
		.help = "list all commands, or show how one is called",
		.run = help_run,
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

	line_editor_init(&editor, "weir> ", console_write, command_name_at, table);
	print("\n\"help\" lists the commands.\n");
	for (;;) {
		line_read(&editor);
		const status_t status = command_execute(table, editor.line);
		if (status != STATUS_OK && status != STATUS_INVALID && status != STATUS_NOT_FOUND)
			print("%s\n", status_text(status));
	}
}
