// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdio.h>
#include <string.h>

#include "host/platform_host.h"
#include "runtime/base/command.h"
#include "runtime/base/log.h"
#include "runtime/base/random.h"

static char output[4096];
static char called[256]; /* the last command's words, in brackets */

static status_t record(struct command *self, int argc, char **argv)
{
	called[0] = '\0';
	for (int i = 0; i < argc; i++)
		snprintf(called + strlen(called), sizeof(called) - strlen(called), "[%s]", argv[i]);
	return self->context ? *(status_t *)self->context : STATUS_OK;
}

static status_t invalid = STATUS_INVALID;
static status_t io_error = STATUS_IO_ERROR;

/* The first argument is a disk, the second one what is done to it. */
static const char *argument(struct command *self, int position, unsigned index)
{
	static const char *const words[2][3] = { { "nvme0n1", "virtio0", NULL }, { "clear", "flush all", NULL } };

	(void)self;
	return position <= 2 ? words[position - 1][index] : NULL;
}

static struct command commands[] = {
	{ .name = "tasks", .arguments = "[WORDS]", .help = "list tasks", .run = record },
	{ .name = "mem", .arguments = "[WORD]", .help = "memory", .run = record },
	{ .name = "mem owners", .arguments = "[NAME]", .help = "by owner", .run = record, .argument = argument },
	{ .name = "memory", .arguments = "", .help = "other", .run = record },
	{ .name = "drain", .arguments = "BYTES", .help = "give back", .run = record, .context = &invalid },
	{ .name = "fail", .arguments = "", .help = "fail", .run = record, .context = &io_error },
};

static struct command_table *commands_table(void)
{
	static struct command_table table;
	static bool ready;

	if (!ready) {
		command_table_init(&table);
		for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
			command_register(&table, &commands[i]);
		ready = true;
	}
	return &table;
}

static status_t execute(const char *text)
{
	char line[512];

	snprintf(line, sizeof(line), "%s", text);
	strcpy(called, "nothing");
	output[0] = '\0';
	host_output_capture(output, sizeof(output));
	const status_t status = command_execute(commands_table(), line);
	host_output_capture(NULL, 0);
	return status;
}

START_TEST(words_and_quotes)
{
	ck_assert_int_eq(execute("tasks"), STATUS_OK);
	ck_assert_str_eq(called, "[tasks]");
	ck_assert_int_eq(execute("  tasks \t a  b\r\n"), STATUS_OK);
	ck_assert_str_eq(called, "[tasks][a][b]");
	ck_assert_int_eq(execute("tasks \"a b\" 'c \"d' e\" f\"g ''"), STATUS_OK);
	ck_assert_str_eq(called, "[tasks][a b][c \"d][e fg][]");
}
END_TEST

START_TEST(empty_lines)
{
	ck_assert_int_eq(execute(""), STATUS_OK);
	ck_assert_int_eq(execute("   \t "), STATUS_OK);
	ck_assert_str_eq(called, "nothing");
	ck_assert_str_eq(output, "");
}
END_TEST

START_TEST(longest_name_wins)
{
	execute("mem");
	ck_assert_str_eq(called, "[mem]");
	execute("mem owner");
	ck_assert_str_eq(called, "[mem][owner]");
	execute("mem owners");
	ck_assert_str_eq(called, "[mem owners]");
	execute("mem   owners  nvme x");
	ck_assert_str_eq(called, "[mem owners][nvme][x]");
	execute("\"mem\" 'owners' y");
	ck_assert_str_eq(called, "[mem owners][y]");
	execute("memory");
	ck_assert_str_eq(called, "[memory]");
}
END_TEST

START_TEST(wrong_lines_are_explained)
{
	ck_assert_int_eq(execute("tasks \"open"), STATUS_INVALID);
	ck_assert_str_eq(called, "nothing");
	ck_assert_ptr_nonnull(strstr(output, "quote"));
	ck_assert_int_eq(execute("tasks 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"), STATUS_OK);
	ck_assert_int_eq(execute("tasks 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), STATUS_INVALID);
	ck_assert_ptr_nonnull(strstr(output, "at most 16"));
	ck_assert_int_eq(execute("memory owners"), STATUS_INVALID); /* it has no arguments */
	ck_assert_str_eq(called, "nothing");
	ck_assert_ptr_nonnull(strstr(output, "usage: memory\n"));
}
END_TEST

START_TEST(unknown_commands_get_a_hint)
{
	ck_assert_int_eq(execute("memo"), STATUS_NOT_FOUND);
	ck_assert_str_eq(called, "nothing");
	ck_assert_ptr_nonnull(strstr(output, "Did you mean \"memory\"?"));
	ck_assert_int_eq(execute("drian 5"), STATUS_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(output, "\"drain\""));
	ck_assert_int_eq(execute("zz"), STATUS_NOT_FOUND);
	ck_assert_str_eq(output, "Unknown command \"zz\". \"help\" lists all commands.\n");
}
END_TEST

START_TEST(statuses_come_back)
{
	ck_assert_int_eq(execute("drain lots"), STATUS_INVALID);
	ck_assert_ptr_nonnull(strstr(output, "usage: drain BYTES"));
	ck_assert_int_eq(execute("fail"), STATUS_IO_ERROR);
}
END_TEST

/* Which names the words begin, in the order of the list. */
static const char *usages(char *const *words, int count)
{
	output[0] = '\0';
	host_output_capture(output, sizeof(output));
	snprintf(called, sizeof(called), "%u:", command_print_usages(commands_table(), words, count));
	host_output_capture(NULL, 0);
	for (const char *at = output; (at = strstr(at, "usage: ")) != NULL; at++)
		snprintf(called + strlen(called), sizeof(called) - strlen(called), "[%.*s]", (int)strcspn(at + 7, "\n"),
			 at + 7);
	return called;
}

START_TEST(usages_of_all_that_begin_so)
{
	ck_assert_str_eq(usages((char *[]){ "mem" }, 1), "2:[mem [WORD]][mem owners [NAME]]");
	ck_assert_str_eq(usages((char *[]){ "mem", "owners" }, 2), "1:[mem owners [NAME]]");
	ck_assert_str_eq(usages((char *[]){ "memory" }, 1), "1:[memory]");
	ck_assert_str_eq(usages((char *[]){ "me" }, 1), "0:");
	ck_assert_str_eq(usages((char *[]){ "memory", "owners" }, 2), "0:");
	ck_assert_str_eq(usages((char *[]){ "mem", "own" }, 2), "0:");
}
END_TEST

/* All that the line may become, in brackets. */
static const char *candidates(const char *line)
{
	const size_t length = strlen(line);
	char text[COMMAND_LINE_BYTES];
	const char *candidate;

	called[0] = '\0';
	for (unsigned i = 0; (candidate = command_candidate(commands_table(), line, length, i, text)) != NULL; i++) {
		if (strncmp(candidate, line, length) == 0)
			snprintf(called + strlen(called), sizeof(called) - strlen(called), "[%s]", candidate);
	}
	return called;
}

START_TEST(lines_are_completed)
{
	ck_assert_str_eq(candidates(""), "[drain][fail][mem][mem owners][memory][tasks]");
	ck_assert_str_eq(candidates("mem"), "[mem][mem owners][memory]");
	ck_assert_str_eq(candidates("mem o"), "[mem owners]");
	ck_assert_str_eq(candidates("mem owners "), "[mem owners nvme0n1][mem owners virtio0]");
	ck_assert_str_eq(candidates("mem  owners v"), "[mem  owners virtio0]");
	ck_assert_str_eq(candidates("mem owners virtio0 "), "[mem owners virtio0 clear][mem owners virtio0 flush all]");
	ck_assert_str_eq(candidates("mem owners 'a b' c"), "[mem owners 'a b' clear]");
	ck_assert_str_eq(candidates("mem owners 1 2 "), "");
	ck_assert_str_eq(candidates("tasks "), "");
	ck_assert_str_eq(candidates("nothing v"), "");
	ck_assert_str_eq(candidates("mem owners 'v "), "");
}
END_TEST

/* Any bytes: each candidate fits, and there is an end. */
START_TEST(lines_of_any_bytes_are_completed)
{
	static const char bytes[] = "mem owners 'v\"\t";
	char line[COMMAND_LINE_BYTES + 50], text[COMMAND_LINE_BYTES];
	struct random random;

	random_seed(&random, 1);
	for (unsigned i = 0; i < 5000; i++) {
		const size_t length = random_below(&random, sizeof(line));
		const char *candidate;
		unsigned count = 0;

		for (size_t j = 0; j < length; j++)
			line[j] = j < 11 && i % 2 ? bytes[j] : bytes[random_below(&random, sizeof(bytes) - 1)];
		while ((candidate = command_candidate(commands_table(), line, length, count, text)) != NULL) {
			ck_assert_uint_lt(strlen(candidate), COMMAND_LINE_BYTES);
			ck_assert_uint_lt(++count, 20);
		}
	}
}
END_TEST

HOST_TEST_MAIN("command", words_and_quotes, empty_lines, longest_name_wins, wrong_lines_are_explained,
	       unknown_commands_get_a_hint, statuses_come_back, usages_of_all_that_begin_so, lines_are_completed,
	       lines_of_any_bytes_are_completed)
