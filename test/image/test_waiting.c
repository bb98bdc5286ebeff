// SPDX-License-Identifier: BSD-2-Clause
/* Waiting and waking, mutexes, and calls to all CPUs. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/base/completion.h"
#include "runtime/base/mutex.h"
#include "runtime/base/spinlock.h"
#include "runtime/kernel/task.h"
#include "runtime/kernel/timer.h"

#define WORKERS_MAX 8

static const struct task_options normal = { .name = "test", .priority = TASK_NORMAL, .cpu = -1 };

/* Starts `run(context)` in `count` tasks and waits for all. */
static void run_tasks(struct image_test_run *test, unsigned count, void (*run)(void *), void *context)
{
	struct task *tasks[WORKERS_MAX];

	for (unsigned i = 0; i < count; i++)
		expect_equal(task_spawn(&normal, run, context, &tasks[i]), STATUS_OK);
	for (unsigned i = 0; i < count; i++)
		task_join(tasks[i]);
}

struct contended {
	struct mutex mutex;
	struct spinlock lock;
	unsigned under_mutex;
	unsigned under_lock;
};

static void contend(void *context)
{
	struct contended *contended = context;

	for (unsigned i = 0; i < 2000; i++) {
		mutex_lock(&contended->mutex);
		contended->under_mutex++;
		if (i % 64 == 0)
			platform_yield();
		mutex_unlock(&contended->mutex);
		spinlock_lock(&contended->lock);
		contended->under_lock++;
		spinlock_unlock(&contended->lock);
	}
}

IMAGE_TEST(locks_exclude_on_all_cpus)
{
	struct contended contended = { 0 };

	mutex_init(&contended.mutex, "test");
	spinlock_init(&contended.lock, "test");
	run_tasks(test, WORKERS_MAX, contend, &contended);
	expect_equal(contended.under_mutex, WORKERS_MAX * 2000);
	expect_equal(contended.under_lock, WORKERS_MAX * 2000);
}

IMAGE_TEST(wait_times_out)
{
	_Atomic uint32_t word = 7;
	uint64_t before_ns = platform_now_ns(), deadline_ns = before_ns + 20 * NS_PER_MS;

	expect_equal(platform_wait(&word, 7, deadline_ns), STATUS_TIMEOUT);
	expect(platform_now_ns() >= deadline_ns);
	expect_equal(platform_wait(&word, 7, before_ns), STATUS_TIMEOUT);
	expect_equal(platform_wait(&word, 8, PLATFORM_FOREVER), STATUS_OK);
}

struct ping {
	_Atomic uint32_t word;
	unsigned rounds;
	uint32_t parity;
};

static void ping_pong(struct ping *ping, uint32_t parity)
{
	for (unsigned i = 0; i < ping->rounds; i++) {
		uint32_t seen;

		while ((seen = atomic_load(&ping->word)) % 2 != parity)
			(void)platform_wait(&ping->word, seen, PLATFORM_FOREVER);
		atomic_store(&ping->word, seen + 1);
		platform_wake(&ping->word);
	}
}

static void pong(void *context)
{
	ping_pong(context, 1);
}

IMAGE_TEST(wake_is_never_lost)
{
	struct ping ping = { .rounds = 5000 };
	struct task *task;

	require(task_spawn(&normal, pong, &ping, &task) == STATUS_OK);
	ping_pong(&ping, 0);
	task_join(task);
	expect_equal(ping.word, 10000);
}

static void ping_with_deadlines(void *context)
{
	struct ping *ping = context;

	for (unsigned i = 0; i < 300; i++)
		(void)platform_wait(&ping->word, 0, platform_now_ns() + (platform_random() % 200) * NS_PER_US);
}

static void wake_often(void *context)
{
	struct ping *ping = context;

	for (unsigned i = 0; i < 3000; i++) {
		platform_wake(&ping->word);
		if (i % 16 == 0)
			platform_yield();
	}
}

static void wake_or_wait(void *context)
{
	struct ping *ping = context;

	if (__atomic_fetch_add(&ping->rounds, 1, __ATOMIC_SEQ_CST) % 2)
		wake_often(context);
	else
		ping_with_deadlines(context);
}

IMAGE_TEST(wakes_and_deadlines_may_meet)
{
	struct ping ping = { 0 };

	run_tasks(test, WORKERS_MAX, wake_or_wait, &ping);
}

struct alarm {
	struct timer timer;
	struct completion done;
};

static void alarm_run(struct timer *timer)
{
	completion_signal(&container_of(timer, struct alarm, timer)->done);
}

IMAGE_TEST(completion_is_signalled_by_an_interrupt)
{
	struct alarm alarm;

	completion_init(&alarm.done);
	timer_init(&alarm.timer, alarm_run);
	timer_start(&alarm.timer, platform_now_ns() + 10 * NS_PER_MS);
	expect_equal(completion_wait(&alarm.done, platform_now_ns() + 10 * NS_PER_S), STATUS_OK);
	(void)timer_cancel(&alarm.timer); /* until the handler has returned */
}

static void mark_cpu(void *context)
{
	atomic_fetch_or((_Atomic uint64_t *)context, 1ull << platform_cpu());
}

IMAGE_TEST(run_on_all_cpus_reaches_each_once)
{
	unsigned count = platform_cpu_count();

	for (unsigned i = 0; i < 100; i++) {
		_Atomic uint64_t seen = 0;

		platform_run_on_all_cpus(mark_cpu, (void *)&seen);
		expect_equal(seen, count == 64 ? UINT64_MAX : (1ull << count) - 1);
	}
}

static void call_all(void *context)
{
	for (unsigned i = 0; i < 100; i++)
		platform_run_on_all_cpus(mark_cpu, context);
}

IMAGE_TEST(run_on_all_cpus_from_many_tasks)
{
	_Atomic uint64_t seen = 0;

	run_tasks(test, WORKERS_MAX, call_all, (void *)&seen);
}

IMAGE_TEST(context_is_known)
{
	uint64_t state;

	expect(platform_may_sleep());
	platform_preempt_disable();
	expect(!platform_may_sleep());
	platform_preempt_enable();
	state = platform_interrupts_save();
	expect(!platform_may_sleep());
	platform_interrupts_restore(state);
	expect(platform_may_sleep());
}
