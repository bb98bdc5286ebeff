// SPDX-License-Identifier: BSD-2-Clause
/* The watchdog: it sees what hangs, and only that. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/kernel/clock.h"
#include "runtime/kernel/task.h"
#include "runtime/kernel/watchdog.h"

#define PATIENCE_NS (30 * NS_PER_S)

static void hold_preemption(void *context)
{
	uint64_t end_ns = platform_now_ns() + PATIENCE_NS;
	unsigned before = *(unsigned *)context;

	platform_preempt_disable();
	while (watchdog_reports() == before && platform_now_ns() < end_ns)
		platform_cpu_relax();
	platform_preempt_enable();
}

static void hold_interrupts(void *context)
{
	uint64_t end_ns = platform_now_ns() + PATIENCE_NS, state = platform_interrupts_save();
	unsigned before = *(unsigned *)context;

	while (watchdog_reports() == before && platform_now_ns() < end_ns)
		platform_cpu_relax();
	platform_interrupts_restore(state);
}

static void expect_report(struct image_test_run *test, void (*hang)(void *context), int cpu)
{
	struct task_options options = { .name = "hanging (on purpose)", .priority = TASK_NORMAL, .cpu = cpu };
	unsigned before = watchdog_reports();
	struct task *task;

	require(task_spawn(&options, hang, &before, &task) == STATUS_OK);
	task_join(task);
	expect_equal(watchdog_reports(), before + 1);
}

IMAGE_TEST(watchdog_sees_preemption_held)
{
	expect_report(test, hold_preemption, -1);
}

IMAGE_TEST(watchdog_sees_interrupts_off)
{
	if (platform_cpu_count() < 2)
		skip("one CPU alone cannot notice");
	expect_report(test, hold_interrupts, 1);
}
