// SPDX-License-Identifier: BSD-2-Clause
/*
 * Prints and checks values of config.h. Each value has a line of its own; where the machine or the
 * command line decided, the line says what they decided, so a user sees what is in force and not
 * only what was built.
 */
#include "config_value.h"

#include "assert.h"
#include "format.h"
#include "log.h"
#include "platform.h"
#include "string.h"

#define COLUMNS "%-36s %-20s %s\n"

void config_value_set(struct config_table *table, const char *name, uint64_t number, const char *from)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->values[i].name, name) != 0)
			continue;
		table->values[i].number = number;
		table->values[i].from = from;
		return;
	}
	assert(false);
}

void config_share_check(const struct config_share *share, uint64_t memory_bytes)
{
	const uint64_t most = memory_bytes / share->share / share->bytes_each;
	char memory[FORMAT_BYTES_SIZE];

	if (share->value > most)
		platform_panic(
			"%s=%llu is too much for this machine: with %s of memory it is at most %llu. Set it in config.h, "
			"weir_config.h or CONFIG=, or give the machine more memory",
			share->name, (unsigned long long)share->value, format_bytes(memory, memory_bytes),
			(unsigned long long)most);
}

static void value_print(const struct config_value *value)
{
	char number[24];

	if (!value->text)
		format_text(number, sizeof(number), value->is_negative ? "%lld" : "%llu", value->number);
	print(COLUMNS, value->name, value->text ? value->text : number, value->from);
}

static status_t config_run(struct command *self, int argc, char **argv)
{
	const struct config_table *table = self->context;

	(void)argc;
	(void)argv;
	print("%-36s %s\n", "version", table->version);
	for (size_t i = 0; i < table->count; i++)
		value_print(&table->values[i]);
	print("%-36s %s\n", "command line", table->command_line);
	return STATUS_OK;
}

void config_commands_register(struct config_table *table, struct command_table *commands)
{
	table->command = (struct command){
		.name = "config",
		.arguments = "",
		.help = "the version, and each value of config.h and weir_config.h in force, and where it comes from",
		.run = config_run,
		.context = table,
	};
	command_register(commands, &table->command);
}
