// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where the command line names a volume for the log, its command is there; test/image/log.sh looks
 * at what it shows.
 */
#include "image_test.h"
#include "pagecache/volume.h"
#include "runtime/base/command.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

static status_t execute(const struct image_test_run *test, const char *text)
{
	char line[COMMAND_LINE_BYTES];

	memcpy(line, text, strlen(text) + 1);
	return command_execute(test->environment->commands, line);
}

IMAGE_TEST(log_last_is_a_command_where_there_is_a_log)
{
	char volume[32];

	if (!options_get(test->environment->command_line, "log", volume, sizeof(volume)))
		skip("no log=VOLUME");
	expect(execute(test, "log last") == STATUS_OK);
}

/* Else a program would write over the log, and the log over what the program has written. */
IMAGE_TEST(log_last_leaves_no_program_the_volume)
{
	char name[64];

	if (!options_get(test->environment->command_line, "log", name, sizeof(name)) || execute(test, "log last") != STATUS_OK)
		skip("no log=VOLUME");
	expect(volume_find(test->environment->pagecache, name) == NULL);
}
