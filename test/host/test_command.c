#include "host/host_test.h"

#include <stdio.h>
#include <string.h>

#include "host/platform_host.h"
#include "runtime/base/command.h"
#include "runtime/base/log.h"

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

static struct command commands[] = {
	{ .name = "tasks", .arguments = "[WORDS]", .help = "list tasks", .run = record },
	{ .name = "mem", .arguments = "[WORD]", .help = "memory", .run = record },
	{ .name = "mem owners", .arguments = "[NAME]", .help = "by owner", .run = record },
	{ .name = "memory", .arguments = "", .help = "other", .run = record },
	{ .name = "drain", .arguments = "BYTES", .help = "give back", .run = record, .context = &invalid },
	{ .name = "fail", .arguments = "", .help = "fail", .run = record, .context = &io_error },
};

static status_t execute(const char *text)
{
	static struct command_table table;
	static bool ready;
	char line[512];

	if (!ready) {
		command_table_init(&table);
		for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
			command_register(&table, &commands[i]);
		ready = true;
	}
	snprintf(line, sizeof(line), "%s", text);
	strcpy(called, "nothing");
	output[0] = '\0';
	host_output_capture(output, sizeof(output));
	const status_t status = command_execute(&table, line);
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

HOST_TEST_MAIN("command", words_and_quotes, empty_lines, longest_name_wins, wrong_lines_are_explained,
	       unknown_commands_get_a_hint, statuses_come_back)
