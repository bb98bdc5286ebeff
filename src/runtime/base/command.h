/*
 * A monitor command. Each lives beside its subsystem, which fills a `struct command` and adds it to the table that the wiring
 * hands over; the monitor (kernel/monitor.c) reads lines and runs them. Commands run in the monitor's task and may sleep; they
 * write with print(). The name has one or two words ("mem owners"); the longest match wins.
 */
#pragma once

#include "list.h"
#include "status.h"

struct command {
	const char *name;      /* [I] "drain" */
	const char *arguments; /* [I] "BYTES"; "" when there are none */
	const char *help;      /* [I] one line */
	/* argv[0] is the name. STATUS_INVALID makes the monitor print the usage. */
	status_t (*run)(struct command *self, int argc, char **argv);
	void *context;    /* [I] the subsystem's object */
	struct list link; /* [T] in the table, sorted by name */
};

struct command_table {
	struct list commands; /* filled at start-up, read only afterwards */
};

void command_table_init(struct command_table *table);
void command_register(struct command_table *table, struct command *command);

/* Splits `line` (which is modified), finds its command and runs it. STATUS_NOT_FOUND: no such command; a message was printed.
 */
#define COMMAND_ARGUMENTS_MAX 16
status_t command_execute(struct command_table *table, char *line);
