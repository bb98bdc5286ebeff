// SPDX-License-Identifier: BSD-2-Clause
/*
 * Splits lines into words, finds the command that the first words name, and completes lines.
 * Commands stand in one sorted list; a name of two words is compared word by word, so blanks
 * between them do not count.
 */
#include "command.h"

#include "log.h"
#include "string.h"

void command_table_init(struct command_table *table)
{
	list_init(&table->commands);
}

void command_register(struct command_table *table, struct command *command)
{
	struct list *position = &table->commands;

	if (!command->arguments)
		command->arguments = "";
	list_for_each (link, &table->commands) {
		if (strcmp(container_of(link, struct command, link)->name, command->name) > 0)
			break;
		position = link;
	}
	list_insert_after(position, &command->link);
}

void commands_register(struct command_table *table, struct command *copies, const struct command *commands, size_t count,
		       void *context)
{
	for (size_t i = 0; i < count; i++) {
		copies[i] = commands[i];
		copies[i].context = context;
		command_register(table, &copies[i]);
	}
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Takes one word off `*line`, closing it with a NUL: up to a blank, with quoted parts taken as they
 * stand, without their quotes. Returns NULL if a quote does not end.
 */
static char *word_take(char **line)
{
	char *from = *line;
	char *word = from;
	char *to = from;
	char quote = '\0';

	for (; *from != '\0' && (quote || !is_blank(*from)); from++) {
		if (quote ? *from == quote : *from == '"' || *from == '\'')
			quote = quote ? '\0' : *from;
		else
			*to++ = *from;
	}
	if (quote)
		return NULL;
	*line = *from == '\0' ? from : from + 1;
	*to = '\0';
	return word;
}

/* Returns the number of words, or STATUS_INVALID after a message. */
static int line_split(char *line, char *words[COMMAND_ARGUMENTS_MAX])
{
	int count = 0;

	for (;;) {
		while (is_blank(*line))
			line++;
		if (*line == '\0')
			return count;
		if (count == COMMAND_ARGUMENTS_MAX) {
			print("Too many words; a line has at most %d.\n", COMMAND_ARGUMENTS_MAX);
			return STATUS_INVALID;
		}
		words[count] = word_take(&line);
		if (!words[count++]) {
			print("A quote is not closed.\n");
			return STATUS_INVALID;
		}
	}
}

/* The number of words of `name` if it is what the first words say, otherwise 0. */
static int name_match(const char *name, char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		const size_t length = strlen(words[i]);

		if (length == 0 || strncmp(name, words[i], length) != 0)
			return 0;
		name += length;
		if (*name == '\0')
			return i + 1;
		if (*name++ != ' ')
			return 0;
	}
	return 0;
}

struct command *command_find(struct command_table *table, char *const *words, int count, int *name_words)
{
	struct command *best = NULL;

	*name_words = 0;
	list_for_each (link, &table->commands) {
		struct command *command = container_of(link, struct command, link);
		const int matched = name_match(command->name, words, count);

		if (matched > *name_words) {
			*name_words = matched;
			best = command;
		}
	}
	return best;
}

void command_print_usage(const struct command *command)
{
	print("usage: %s%s%s\n       %s\n", command->name, *command->arguments ? " " : "", command->arguments, command->help);
}

/* Whether the name begins with these words. */
static bool name_begins(const char *name, char *const *words, int count)
{
	for (int i = 0; i < count; i++) {
		const size_t length = strlen(words[i]);

		if (strncmp(name, words[i], length) != 0 || (name[length] != '\0' && name[length] != ' '))
			return false;
		name += length + (name[length] == ' ' ? 1 : 0);
	}
	return true;
}

unsigned command_print_usages(struct command_table *table, char *const *words, int count)
{
	unsigned found = 0;

	list_for_each (link, &table->commands) {
		const struct command *command = container_of(link, struct command, link);

		if (!name_begins(command->name, words, count))
			continue;
		command_print_usage(command);
		found++;
	}
	return found;
}

static struct command *command_at(struct command_table *table, unsigned *index)
{
	list_for_each (link, &table->commands) {
		if ((*index)-- == 0)
			return container_of(link, struct command, link);
	}
	return NULL;
}

const char *command_candidate(struct command_table *table, const char *line, size_t length, unsigned index,
			      char text[COMMAND_LINE_BYTES])
{
	const struct command *named = command_at(table, &index); /* counts `index` down to arguments */
	char *words[COMMAND_ARGUMENTS_MAX], *at = text;
	const char *argument;
	int count = 0, name_words;

	if (named)
		return named->name;
	while (length > 0 && line[length - 1] != ' ')
		length--;
	if (length >= COMMAND_LINE_BYTES)
		return NULL;
	memcpy(text, line, length);
	text[length] = '\0';
	while (count < COMMAND_ARGUMENTS_MAX && *at != '\0') {
		words[count] = word_take(&at);
		if (!words[count])
			return NULL; /* within a quote */
		count += *words[count] != '\0';
	}
	struct command *command = command_find(table, words, count, &name_words);
	if (!command || !command->argument)
		return NULL;
	argument = command->argument(command, count - name_words + 1, index);
	if (!argument || length + strlen(argument) >= COMMAND_LINE_BYTES)
		return NULL;
	memcpy(text, line, length);
	memcpy(text + length, argument, strlen(argument) + 1);
	return text;
}

/* Names that begin as the first word does are the likely ones to be meant. */
static void unknown_print(struct command_table *table, const char *word)
{
	const char *separator = " Did you mean";
	size_t length = strlen(word);

	print("Unknown command \"%s\".", word);
	for (bool found = false; length > 0 && !found; length--) {
		list_for_each (link, &table->commands) {
			const char *name = container_of(link, struct command, link)->name;

			if (strncmp(name, word, length) != 0)
				continue;
			print("%s \"%s\"", separator, name);
			separator = ",";
			found = true;
		}
	}
	print("%s \"help\" lists all commands.\n", *separator == ',' ? "?" : "");
}

status_t command_execute(struct command_table *table, char *line)
{
	char *words[COMMAND_ARGUMENTS_MAX];
	const int count = line_split(line, words);
	int name_words;

	if (count <= 0)
		return count;
	struct command *command = command_find(table, words, count, &name_words);
	if (!command) {
		unknown_print(table, words[0]);
		return STATUS_NOT_FOUND;
	}

	/*
	 * The words of a name stand one behind the other in the line, so there is room to join
	 * them.
	 */
	char *name = words[0];
	memcpy(name, command->name, strlen(command->name) + 1);
	words[name_words - 1] = name;

	status_t status = STATUS_INVALID;
	if (*command->arguments != '\0' || count == name_words)
		status = command->run(command, count - name_words + 1, words + name_words - 1);
	if (status == STATUS_INVALID)
		command_print_usage(command);
	return status;
}
