// SPDX-License-Identifier: BSD-2-Clause
/*
 * The watch of a disk, with a thread as its task: an alarm is a look at once, a period without an
 * alarm is one, too, and the end is none.
 */
#include <pthread.h>
#include <unistd.h>

#include "block/disk_watch.h"
#include "host/host_test.h"
#include "runtime/base/platform.h"

#define LOOKS 100

static struct {
	struct disk_watch watch;
	_Atomic unsigned looks;
	pthread_t thread;
} watched;

static void look(struct disk_watch *self)
{
	ck_assert_ptr_eq(self, &watched.watch);
	atomic_fetch_add(&watched.looks, 1);
}

static void *run(void *watch)
{
	disk_watch_run(watch);
	return NULL;
}

static void start(uint64_t period_ns)
{
	atomic_store(&watched.looks, 0);
	disk_watch_init(&watched.watch, period_ns, look);
	ck_assert_int_eq(pthread_create(&watched.thread, NULL, run, &watched.watch), 0);
}

static void await_looks(unsigned count)
{
	while (atomic_load(&watched.looks) < count)
		platform_yield();
}

static void end(void)
{
	disk_watch_end(&watched.watch);
	ck_assert_int_eq(pthread_join(watched.thread, NULL), 0);
}

START_TEST(threads_an_alarm_is_a_look_at_once)
{
	start(3600 * NS_PER_S);
	for (unsigned i = 0; i < LOOKS; i++) {
		ck_assert_uint_eq(atomic_load(&watched.looks), i);
		disk_watch_alarm(&watched.watch);
		await_looks(i + 1);
	}
	end();
	ck_assert_uint_eq(atomic_load(&watched.looks), LOOKS);
}
END_TEST

START_TEST(threads_a_silent_disk_is_looked_at_in_each_period)
{
	start(NS_PER_MS);
	await_looks(3);
	end();
}
END_TEST

/* As when a task is preempted between the event that it raises and the wake-up. */
START_TEST(threads_a_wake_without_an_alarm_is_no_look)
{
	start(3600 * NS_PER_S);
	for (unsigned i = 0; i < LOOKS; i++) {
		platform_wake(&watched.watch.events);
		usleep(100);
	}
	ck_assert_uint_eq(atomic_load(&watched.looks), 0);
	end();
}
END_TEST

/* Ended before the task has begun: it never looks. */
START_TEST(a_watch_that_has_ended_does_not_look)
{
	disk_watch_init(&watched.watch, NS_PER_MS, look);
	atomic_store(&watched.looks, 0);
	disk_watch_alarm(&watched.watch);
	disk_watch_end(&watched.watch);
	disk_watch_run(&watched.watch);
	ck_assert_uint_eq(atomic_load(&watched.looks), 0);
}
END_TEST

HOST_TEST_MAIN("disk_watch", threads_an_alarm_is_a_look_at_once, threads_a_silent_disk_is_looked_at_in_each_period,
	       threads_a_wake_without_an_alarm_is_no_look, a_watch_that_has_ended_does_not_look)
