// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tasks that serve the program while it runs, and how all that serves it is ended, in order,
 * when the power goes. There is one machine, so what power-off has to know of it is kept here.
 */
#include "services.h"

#include "drivers/driver.h"
#include "heap/memory.h"
#include "heap/reclaim/background_cleaner.h"
#include "heap/reclaim/oom_report.h"
#include "pagecache/pagecache.h"
#include "runtime/base/log.h"
#include "runtime/kernel/log_disk.h"
#include "runtime/kernel/panic.h"
#include "runtime/kernel/power.h"
#include "runtime/kernel/task.h"

static struct memory *served_memory;
static struct pagecache *served_pagecache;
static uint64_t flush_wait_ns; /* at power-off */

static void writeback_task(void *context)
{
	pagecache_writeback_run(context);
}

static void guarantee_task(void *context)
{
	guarantee_run(context);
}

static void cleaner_task(void *context)
{
	background_cleaner_run(memory_reclaim(context));
}

static void report_task(void *context)
{
	oom_report_run(memory_reclaim(context));
}

/* Runs as long as the machine does. */
static void start(const char *name, enum task_priority priority, void (*run)(void *context), void *context)
{
	const struct task_options options = { .name = name, .priority = priority, .cpu = -1 };

	if (task_spawn(&options, run, context, NULL) != STATUS_OK)
		platform_panic("the task \"%s\" cannot start", name);
}

/*
 * The refill task has high priority, so that memory which a handler took is replaced before
 * ordinary work goes on. So has the background cleaner: requests of high priority wait for the end
 * of its turn, and tasks that only read files must not delay that.
 */
void services_start(struct memory *memory, struct pagecache *pagecache)
{
	served_memory = memory;
	served_pagecache = pagecache;
	start("writeback", TASK_NORMAL, writeback_task, pagecache);
	if (guarantee_total_bytes(memory_guarantee(memory)) > 0)
		start("guarantee", TASK_HIGH, guarantee_task, memory_guarantee(memory));
	start("cleaner", TASK_HIGH, cleaner_task, memory);
	start("reports", TASK_NORMAL, report_task, memory);
}

static void in_use_log(const char *text)
{
	log_debug("memory: %s", text);
}

/*
 * Before the power goes: dirty pages are made durable, then the devices are told. Drivers, the page
 * cache and the program live to the end, so their memory is no leak, and only loglevel=debug lists
 * it. What a driver left behind is one.
 */
static void power_off_prepare(void)
{
	const status_t status = pagecache_flush_until(served_pagecache, platform_now_ns() + flush_wait_ns);

	if (status != STATUS_OK)
		log_error("not all that was written has reached the disks: %s", status_text(status));
	log_disk_finish();
	drivers_stop();
	memory_left_write(served_memory, call_sites_log_error);
	memory_leaks_write(served_memory, in_use_log);
}

void services_stop_at_power_off(uint64_t wait_ns)
{
	flush_wait_ns = wait_ns;
	power_set_off_hook(power_off_prepare);
	panic_set_end(drivers_panic_end);
}
