// SPDX-License-Identifier: BSD-2-Clause
/*
 * A monitor command. Each lives beside its subsystem, which fills a `struct command` and adds it to
 * the table that the wiring hands over; the monitor (console/monitor.c) reads lines and runs them.
 * Commands run in the monitor's task and may sleep; they write with print(). The name has one or
 * two words ("mem owners"); the longest match wins.
 */
#pragma once

#include "list.h"
#include "status.h"

struct command {
	const char *name;      /* [I] "drain" */
	const char *arguments; /* [I] "BYTES"; NULL or "": none, and a line with some is refused */
	const char *help;      /* [I] one line */
	/* argv[0] is the name. STATUS_INVALID makes the monitor print the usage. */
	status_t (*run)(struct command *self, int argc, char **argv);
	/*
	 * [I] For Tab: the index-th text that argv[position] may be, or NULL: no more; good until
	 * the next call. NULL: none.
	 */
	const char *(*argument)(struct command *self, int position, unsigned index);
	void *context;    /* [I] the subsystem's object */
	struct list link; /* [I] in the table, sorted by name */
};

struct command_table {
	struct list commands; /* filled at start-up, read only afterwards */
};

void command_table_init(struct command_table *table);
void command_register(struct command_table *table, struct command *command);

/* Registers copies, for which the caller gives the room, with this context. */
void commands_register(struct command_table *table, struct command *copies, const struct command *commands, size_t count,
		       void *context);

#define COMMAND_ARGUMENTS_MAX 16

/*
 * The command with the longest name that the first words spell, and how many words that name has;
 * NULL: none.
 */
struct command *command_find(struct command_table *table, char *const *words, int count, int *name_words);

/* Prints how the command is called and what it does. */
void command_print_usage(const struct command *command);

/*
 * The same for all whose names begin with these words, each spelled whole; returns how many these
 * are.
 */
unsigned command_print_usages(struct command_table *table, char *const *words, int count);

/*
 * For Tab: the index-th line that the first `length` bytes of `line` may become, or NULL: no more.
 * Names of commands come first, then, behind the name of a command, what its next argument may be;
 * the caller keeps those that begin as the line does. The result is in `text`, or lives on.
 */
#define COMMAND_LINE_BYTES 256
const char *command_candidate(struct command_table *table, const char *line, size_t length, unsigned index,
			      char text[COMMAND_LINE_BYTES]);

/*
 * Splits `line` (which is modified) at blanks, except within single or double quotes, finds its
 * command and runs it; returns what the command returned. STATUS_OK: also for an empty line.
 * STATUS_INVALID: the line cannot be split, or the command is used wrongly. STATUS_NOT_FOUND: there
 * is no such command. A message was printed then.
 */
status_t command_execute(struct command_table *table, char *line);
