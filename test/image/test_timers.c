// SPDX-License-Identifier: BSD-2-Clause
/* Periodic timers: on their grid, for good, and gone when cancelled. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/kernel/clock.h"
#include "runtime/kernel/cpu.h"
#include "runtime/kernel/task.h"
#include "runtime/kernel/timer.h"

#define CALLS_MAX 4096

static struct beat {
	struct timer timer;
	uint64_t first_ns, period_ns;
	uint64_t called_ns[CALLS_MAX];
	uint64_t missed[CALLS_MAX]; /* as seen by that call */
	_Atomic unsigned calls;
	unsigned cancel_at; /* the call that cancels; 0: none */
	unsigned once_at;   /* the call that makes it a timer that runs once more */
	uint64_t work_ns;   /* of each call */
} beat;

static void beat_run(struct timer *timer)
{
	unsigned call = atomic_load(&beat.calls);

	if (call < CALLS_MAX) {
		beat.called_ns[call] = clock_now_ns();
		beat.missed[call] = timer->missed;
	}
	clock_delay_ns(beat.work_ns);
	atomic_store(&beat.calls, ++call);
	if (call == beat.cancel_at)
		(void)timer_cancel(timer);
	if (call == beat.once_at)
		timer_start(timer, clock_now_ns() + NS_PER_MS);
}

static void beat_prepare(uint64_t period_ns)
{
	beat = (struct beat){ .period_ns = period_ns };
	timer_init(&beat.timer, beat_run);
}

static void beat_start(void *context)
{
	(void)context;
	beat.first_ns = clock_now_ns() + 2 * NS_PER_MS;
	timer_start_periodic(&beat.timer, beat.first_ns, beat.period_ns);
}

/*
 * Call n belongs to deadline n plus those missed before it: never early, and each deadline was
 * called for or counted.
 */
static void expect_grid(struct image_test_run *test)
{
	const unsigned calls = MIN(atomic_load(&beat.calls), CALLS_MAX);
	const uint64_t period_ns = MAX(beat.period_ns, TIMER_PERIOD_MIN_NS);

	for (unsigned i = 0; i < calls; i++) {
		const uint64_t deadline_ns = beat.first_ns + (i + beat.missed[i]) * period_ns;

		expect(beat.called_ns[i] >= deadline_ns);
		if (i > 0)
			expect(beat.missed[i] >= beat.missed[i - 1] && beat.called_ns[i - 1] < deadline_ns);
	}
}

static void beat_wait(unsigned calls)
{
	while (atomic_load(&beat.calls) < calls)
		task_sleep(NS_PER_MS);
}

/* Nothing comes any more, however long the periods that pass. */
static void expect_silence(struct image_test_run *test)
{
	const unsigned calls = atomic_load(&beat.calls);

	task_sleep(20 * NS_PER_MS);
	expect_equal(beat.calls, calls);
}

IMAGE_TEST(periodic_timers_keep_their_grid)
{
	static const uint64_t periods[] = { NS_PER_MS, 333333, 7 * NS_PER_MS + 1, 100 * NS_PER_US };

	for (unsigned i = 0; i < ARRAY_LENGTH(periods); i++) {
		beat_prepare(periods[i]);
		beat_start(NULL);
		beat_wait(20);
		expect(timer_cancel(&beat.timer) || cpu_count() > 1);
		expect(!timer_cancel(&beat.timer));
		expect_grid(test);
		expect_silence(test);
	}
}

/* What interrupts that are off keep away is counted, and followed by one call and not by many. */
IMAGE_TEST(periodic_timers_count_what_they_miss)
{
	uint64_t state;
	unsigned before;

	beat_prepare(NS_PER_MS);
	state = platform_interrupts_save();
	beat_start(NULL);
	clock_delay_ns(12 * NS_PER_MS + NS_PER_MS / 2);
	before = atomic_load(&beat.calls);
	platform_interrupts_restore(state);
	expect_equal(before, 0);
	beat_wait(3);
	(void)timer_cancel(&beat.timer);
	expect_equal(beat.missed[0], 0);
	expect(beat.missed[1] >= 10);
	expect_grid(test);
}

/* A call that takes longer than the period keeps the CPU busy, but not for ever. */
IMAGE_TEST(periodic_timers_that_are_too_fast_let_tasks_run)
{
	beat_prepare(0);
	beat.work_ns = 4 * TIMER_PERIOD_MIN_NS + TIMER_PERIOD_MIN_NS / 2;
	beat_start(NULL);
	beat_wait(100);
	expect(timer_cancel(&beat.timer) || cpu_count() > 1);
	expect(beat.missed[99] >= 4 * 99);
	expect_grid(test);
	expect_silence(test);
}

IMAGE_TEST(periodic_timers_end_from_their_own_call)
{
	beat_prepare(200 * NS_PER_US);
	beat.cancel_at = 7;
	beat_start(NULL);
	beat_wait(7);
	expect_silence(test);
	expect_equal(beat.calls, 7);
	expect(!timer_cancel(&beat.timer));

	/* Started again by its call, for once. */
	beat_prepare(200 * NS_PER_US);
	beat.once_at = 5;
	beat_start(NULL);
	beat_wait(6);
	expect_silence(test);
	expect_equal(beat.calls, 6);
}

/* While a call runs on another CPU, too: cancel waits for its end, and it does not come back. */
IMAGE_TEST(periodic_timers_end_from_any_cpu)
{
	struct task_options options = { .name = "starter", .priority = TASK_HIGH };
	struct task *task;

	for (unsigned i = 0; i < 40 * cpu_count(); i++) {
		beat_prepare(20 * NS_PER_US);
		beat.work_ns = platform_random() % (100 * NS_PER_US);
		options.cpu = (int)(i % cpu_count());
		require(task_spawn(&options, beat_start, NULL, &task) == STATUS_OK);
		task_join(task);
		beat_wait(1 + i % 3);
		clock_delay_ns(platform_random() % (50 * NS_PER_US));
		(void)timer_cancel(&beat.timer);

		const unsigned calls = atomic_load(&beat.calls);

		clock_delay_ns(NS_PER_MS);
		expect_equal(beat.calls, calls);
	}
}
