// SPDX-License-Identifier: BSD-2-Clause
/* Tasks: birth, end, order, preemption, and many of them. */
#include "image_test.h"

#include <stdatomic.h>

#include "heap/reclaim/fair_mutex.h"
#include "runtime/base/completion.h"
#include "runtime/base/string.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/cpu.h"
#include "runtime/kernel/task.h"

#define MANY 500

static const struct task_options normal = { .name = "test", .priority = TASK_NORMAL, .cpu = -1 };

static struct task *start(struct image_test_run *test, const struct task_options *options, void (*run)(void *), void *context)
{
	struct task *task = NULL;

	expect_equal(task_spawn(options, run, context, &task), STATUS_OK);
	return task;
}

static void count_up(void *context)
{
	atomic_fetch_add((_Atomic unsigned *)context, 1);
}

IMAGE_TEST(task_join_waits_for_the_end)
{
	_Atomic unsigned count = 0;
	struct task *task = start(test, &normal, count_up, (void *)&count);

	require(task);
	task_join(task);
	expect_equal(count, 1);
}

IMAGE_TEST(task_spawn_refuses_what_cannot_be)
{
	struct task_options options = normal;

	options.cpu = (int)platform_cpu_count();
	expect_equal(task_spawn(&options, count_up, NULL, NULL), STATUS_INVALID);
	options = normal;
	options.name = NULL;
	expect_equal(task_spawn(&options, count_up, NULL, NULL), STATUS_INVALID);
	options = normal;
	options.priority = TASK_PRIORITIES;
	expect_equal(task_spawn(&options, count_up, NULL, NULL), STATUS_INVALID);
	options = normal;
	options.stack_bytes = GIB;
	expect_equal(task_spawn(&options, count_up, NULL, NULL), STATUS_INVALID);
}

IMAGE_TEST(task_name_is_cut)
{
	struct task_options options = normal;
	_Atomic unsigned count = 0;
	struct task *task;

	options.name = "a name that is much too long for a task";
	task = start(test, &options, count_up, (void *)&count);
	require(task);
	expect(strlen(task_name(task)) == TASK_NAME_BYTES - 1);
	task_join(task);
}

static void note_cpu(void *context)
{
	*(int *)context = (int)platform_cpu();
}

IMAGE_TEST(task_pinned_runs_on_its_cpu)
{
	for (unsigned cpu = 0; cpu < platform_cpu_count(); cpu++) {
		struct task_options options = normal;
		int ran_on = -1;
		struct task *task;

		options.cpu = (int)cpu;
		task = start(test, &options, note_cpu, &ran_on);
		require(task);
		task_join(task);
		expect_equal(ran_on, cpu);
	}
}

struct sleeper {
	uint64_t ns;
	_Atomic unsigned *order;
	unsigned place;
	uint64_t slept_ns;
};

static void sleep_and_note(void *context)
{
	struct sleeper *sleeper = context;
	uint64_t start_ns = platform_now_ns();

	task_sleep(sleeper->ns);
	sleeper->slept_ns = platform_now_ns() - start_ns;
	sleeper->place = atomic_fetch_add(sleeper->order, 1);
}

IMAGE_TEST(task_sleep_ends_in_order)
{
	static const uint64_t ms[] = { 90, 30, 60 };
	static const unsigned places[] = { 2, 0, 1 };
	struct sleeper sleepers[ARRAY_LENGTH(ms)];
	struct task *tasks[ARRAY_LENGTH(ms)];
	_Atomic unsigned order = 0;

	for (unsigned i = 0; i < ARRAY_LENGTH(ms); i++) {
		sleepers[i] = (struct sleeper){ .ns = ms[i] * NS_PER_MS, .order = &order };
		tasks[i] = start(test, &normal, sleep_and_note, &sleepers[i]);
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(ms); i++) {
		task_join(tasks[i]);
		expect_equal(sleepers[i].place, places[i]);
		expect(sleepers[i].slept_ns >= sleepers[i].ns);
	}
}

struct spinner {
	_Atomic bool stop;
	_Atomic uint64_t turns;
};

static void spin(void *context)
{
	struct spinner *spinner = context;

	while (!atomic_load(&spinner->stop))
		atomic_fetch_add(&spinner->turns, 1);
}

IMAGE_TEST(task_that_spins_is_preempted_by_equals)
{
	struct task_options options = normal;
	struct spinner spinners[3] = { 0 };
	struct task *tasks[3];

	options.cpu = 0;
	for (unsigned i = 0; i < 3; i++)
		tasks[i] = start(test, &options, spin, &spinners[i]);
	task_sleep(200 * NS_PER_MS);
	for (unsigned i = 0; i < 3; i++) {
		expect(atomic_load(&spinners[i].turns) > 0);
		atomic_store(&spinners[i].stop, true);
	}
	for (unsigned i = 0; i < 3; i++)
		task_join(tasks[i]);
}

static void note_time(void *context)
{
	*(uint64_t *)context = platform_now_ns();
}

IMAGE_TEST(task_of_higher_priority_preempts_at_once)
{
	struct task_options low = { .name = "spinner", .priority = TASK_LOW, .cpu = 0 };
	struct task_options high = { .name = "urgent", .priority = TASK_HIGH, .cpu = 0 };
	struct spinner spinner = { 0 };
	struct task *spinning = start(test, &low, spin, &spinner), *urgent;
	uint64_t asked_ns, ran_ns = 0;

	require(spinning);
	task_sleep(20 * NS_PER_MS);
	asked_ns = platform_now_ns();
	urgent = start(test, &high, note_time, &ran_ns);
	task_join(urgent);
	expect(ran_ns >= asked_ns);
	expect(ran_ns - asked_ns < 500 * NS_PER_MS);
	expect(!atomic_load(&spinner.stop));
	atomic_store(&spinner.stop, true);
	task_join(spinning);
}

IMAGE_TEST(task_of_lower_priority_waits)
{
	struct task_options high = { .name = "spinner", .priority = TASK_HIGH, .cpu = 0 };
	struct task_options low = { .name = "waiting", .priority = TASK_LOW, .cpu = 0 };
	_Atomic unsigned count = 0;
	struct spinner spinner = { 0 };
	struct task *spinning, *waiting;

	if (platform_cpu_count() < 2)
		skip("the spinner would keep the test itself from running");
	spinning = start(test, &high, spin, &spinner);
	task_sleep(10 * NS_PER_MS); /* the task that runs this may have to move first */
	waiting = start(test, &low, count_up, (void *)&count);
	task_sleep(50 * NS_PER_MS);
	expect_equal(count, 0);
	atomic_store(&spinner.stop, true);
	task_join(spinning);
	task_join(waiting);
	expect_equal(count, 1);
}

IMAGE_TEST(task_spinners_spread_over_the_cpus)
{
	struct spinner spinners[4] = { 0 };
	struct task *tasks[4];
	unsigned running = 0, wanted = MIN(platform_cpu_count(), 4u);
	struct task_report report = { 0 };

	for (unsigned i = 0; i < wanted; i++)
		tasks[i] = start(test, &normal, spin, &spinners[i]);
	task_sleep(100 * NS_PER_MS);
	while (task_report_next(report.id, &report))
		running += report.state == TASK_RUNNING && strcmp(report.name, "test") == 0;
	/* One may just have given its CPU to this one. */
	expect(running + 1 >= wanted);
	for (unsigned i = 0; i < wanted; i++)
		atomic_store(&spinners[i].stop, true);
	for (unsigned i = 0; i < wanted; i++)
		task_join(tasks[i]);
}

static void yield_often(void *context)
{
	for (unsigned i = 0; i < 100; i++) {
		atomic_fetch_add((_Atomic unsigned *)context, 1);
		task_yield();
	}
}

IMAGE_TEST(task_spawn_500)
{
	static struct task *tasks[MANY];
	static _Atomic unsigned count;

	atomic_store(&count, 0);
	for (unsigned i = 0; i < MANY; i++)
		require(task_spawn(&normal, yield_often, (void *)&count, &tasks[i]) == STATUS_OK);
	for (unsigned i = 0; i < MANY; i++)
		task_join(tasks[i]);
	expect_equal(count, MANY * 100);
}

static unsigned tasks_alive(void)
{
	struct task_report report = { 0 };
	unsigned count = 0;

	while (task_report_next(report.id, &report))
		count++;
	return count;
}

IMAGE_TEST(task_detached_frees_itself)
{
	unsigned before = tasks_alive();
	_Atomic unsigned count = 0;
	uint64_t deadline_ns;

	for (unsigned i = 0; i < 100; i++)
		expect_equal(task_spawn(&normal, count_up, (void *)&count, NULL), STATUS_OK);
	deadline_ns = platform_now_ns() + 10 * NS_PER_S;
	while ((atomic_load(&count) < 100 || tasks_alive() > before) && platform_now_ns() < deadline_ns)
		task_sleep(NS_PER_MS);
	expect_equal(count, 100);
	expect(tasks_alive() <= before);
}

static void use_stack(void *context)
{
	volatile uint8_t bytes[12 * KIB];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	*(uint64_t *)context = (uint64_t)bytes;
}

IMAGE_TEST(task_stacks_are_reused_and_watched)
{
	uint64_t first = 0, address = 0;
	struct task_report report = { 0 };
	struct task *task;

	for (unsigned i = 0; i < 200; i++) {
		task = start(test, &normal, use_stack, &address);
		require(task);
		task_join(task);
		if (i == 0)
			first = address;
		expect(address == first);
	}
	while (task_report_next(report.id, &report)) {
		if (report.stack_bytes)
			expect(report.stack_used_bytes > 0 && report.stack_used_bytes < report.stack_bytes);
	}
}

IMAGE_TEST(task_priority_can_change)
{
	task_set_priority(TASK_HIGH);
	task_yield();
	task_set_priority(TASK_NORMAL);
}

/*
 * A task of low priority has what one of high priority waits for, and one in between does not leave
 * the CPU.
 */
struct inheritance {
	struct fair_mutex mutex;
	_Atomic uint32_t held;
	_Atomic bool over;
};

static void hold_until_wanted(void *context)
{
	struct inheritance *inheritance = context;

	if (fair_mutex_lock(&inheritance->mutex, URGENCY_NORMAL, PLATFORM_FOREVER) != STATUS_OK)
		return;
	atomic_store(&inheritance->held, 1);
	platform_wake(&inheritance->held);
	while (!fair_mutex_is_wanted(&inheritance->mutex, URGENCY_NORMAL) && !atomic_load(&inheritance->over))
		platform_cpu_relax();
	fair_mutex_unlock(&inheritance->mutex);
}

static void spin_until_over(void *context)
{
	struct inheritance *inheritance = context;

	while (!atomic_load(&inheritance->over))
		platform_cpu_relax();
}

IMAGE_TEST(task_inherits_the_priority_of_the_line)
{
	static const struct task_options low = { .name = "low", .priority = TASK_LOW, .cpu = 0 };
	static const struct task_options between = { .name = "between", .priority = TASK_NORMAL, .cpu = 0 };
	struct inheritance inheritance = { .held = 0 };
	struct task *holder, *spinner;

	fair_mutex_init(&inheritance.mutex, "inheritance");
	task_set_priority(TASK_HIGH);
	holder = start(test, &low, hold_until_wanted, &inheritance);
	require(holder);
	while (atomic_load(&inheritance.held) == 0)
		(void)platform_wait(&inheritance.held, 0, PLATFORM_FOREVER);
	spinner = start(test, &between, spin_until_over, &inheritance);
	require(spinner);
	expect_equal(fair_mutex_lock(&inheritance.mutex, URGENCY_NORMAL, clock_now_ns() + 20 * NS_PER_S), STATUS_OK);
	atomic_store(&inheritance.over, true);
	if (fair_mutex_is_held(&inheritance.mutex))
		fair_mutex_unlock(&inheritance.mutex);
	task_set_priority(TASK_NORMAL);
	task_join(holder);
	task_join(spinner);
}
