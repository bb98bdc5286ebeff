// SPDX-License-Identifier: BSD-2-Clause
/*
 * The values of config.h and weir_config.h: what is in force, and where each comes from, for the
 * monitor's `config`; and the checks that depend on the machine. The wiring has the table. It
 * changes values at boot, before other tasks run; `config` only reads.
 */
#pragma once

#include "command.h"

struct config_value {
	const char *name; /* [I] */
	const char *text; /* [I] a text, a table or a fraction; NULL: a whole number */
	unsigned long long number;
	bool is_negative; /* [I] of a number, which is then one of two's complement */
	const char *from; /* "config.h", "weir_config.h", "CONFIG=", "command line", "this machine" */
};

struct config_table {
	struct config_value *values;
	size_t count;             /* [I] */
	const char *version;      /* [I] */
	const char *command_line; /* [I] */
	struct command command;
};

/* Says what is in force instead of what was built, and why. The name is one of the table. */
void config_value_set(struct config_table *table, const char *name, uint64_t number, const char *from);

/*
 * What a value takes of the memory: panics where that is more than a `share`-th of it, and says
 * what the limit is and what to do. `bytes_each`: what 1 of the value takes; 1 for bytes.
 */
struct config_share {
	const char *name;
	uint64_t value;
	uint64_t bytes_each;
	unsigned share;
};

void config_share_check(const struct config_share *share, uint64_t memory_bytes);

/*
 * Entries of a table: of numbers, texts and fractions by their value, of tables as they are
 * written. The list that a build makes of config.h consists of these; CONFIG_NUMBER is
 * config_check.h's.
 */
#define CONFIG_AS_WRITTEN(...) #__VA_ARGS__
#define CONFIG_TEXT_OF(value, written)                                                                                         \
	_Generic((value), char * : (value), float : (written), double : (written), default : NULL)
#define CONFIG_VALUE(value, origin)                                                                                            \
	{                                                                                                                      \
		.name = #value,                                                                                                \
		.text = CONFIG_TEXT_OF(value, CONFIG_AS_WRITTEN(value)),                                                       \
		.number = (unsigned long long)CONFIG_NUMBER(value),                                                            \
		.is_negative = CONFIG_NUMBER(value) < 0,                                                                       \
		.from = (origin),                                                                                              \
	},
#define CONFIG_TEXT(value, origin) { .name = #value, .text = CONFIG_AS_WRITTEN(value), .from = (origin) },

/* Adds the command `config`. */
void config_commands_register(struct config_table *table, struct command_table *commands);
