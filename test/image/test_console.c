// SPDX-License-Identifier: BSD-2-Clause
#include "image_test.h"

#include "runtime/console/console.h"
#include "runtime/kernel/task.h"

#define LINES 20
#define TASKS 4

static void write_lines(void *context)
{
	const unsigned *number = context;

	for (unsigned i = 0; i < LINES; i++)
		print("# console: task %u, line %u, which no other text may tear apart\n", *number, i);
}

static void write_line(void *context)
{
	(void)context;
	if (platform_in_handler()) /* the calling CPU runs this in its task, where interrupts are off for long enough */
		print("# console: CPU %u, in a handler, a line which no other text may tear apart\n", platform_cpu());
}

IMAGE_TEST(console_takes_lines_from_everywhere)
{
	static const struct task_options options = { .name = "writer", .priority = TASK_NORMAL, .cpu = -1 };
	unsigned numbers[TASKS];
	struct task *tasks[TASKS];

	for (unsigned i = 0; i < TASKS; i++) {
		numbers[i] = i;
		require(task_spawn(&options, write_lines, &numbers[i], &tasks[i]) == STATUS_OK);
	}
	for (unsigned i = 0; i < LINES; i++)
		platform_run_on_all_cpus(write_line, NULL);
	for (unsigned i = 0; i < TASKS; i++)
		task_join(tasks[i]);
}

/*
 * Drawing each line would take milliseconds; the bound is far above what writing to an emulated
 * port takes.
 */
IMAGE_TEST(console_survives_a_flood)
{
	const uint64_t start = platform_now_ns();

	for (unsigned i = 0; i < 300; i++)
		print("# console: flood %u\n", i);
	expect(platform_now_ns() - start < 3 * NS_PER_S);
}

IMAGE_TEST(console_starts_a_line_for_the_log)
{
	const unsigned before = console_interruptions();

	print("# console: an open line");
	log_info("the log has begun a line of its own");
	expect_equal(console_interruptions(), before + 1);
	log_info("and does not where it need not");
	expect_equal(console_interruptions(), before + 1);
}

IMAGE_TEST(console_knows_its_log_levels)
{
	enum log_level level = LOG_ERROR;

	expect_equal(console_parse_log_level("debug", &level), STATUS_OK);
	expect_equal(level, LOG_DEBUG);
	expect_equal(console_parse_log_level("loud", &level), STATUS_INVALID);
	expect_equal(level, LOG_DEBUG);
}
