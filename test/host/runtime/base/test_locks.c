// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <string.h>

#include "host/platform_host.h"
#include "runtime/base/completion.h"
#include "runtime/base/mutex.h"
#include "runtime/base/spinlock.h"

#define THREADS 4
#define ROUNDS  20000
#define PASSES  20

struct shared {
	struct spinlock spinlock;
	struct mutex mutex;
	uint64_t plain; /* under the lock of the test */
	_Atomic uint32_t round;
	struct completion completions[THREADS];
};

static void shared_init(struct shared *shared)
{
	memset(shared, 0, sizeof(*shared));
	spinlock_init(&shared->spinlock, "test");
	mutex_init(&shared->mutex, "test");
	for (unsigned i = 0; i < THREADS; i++)
		completion_init(&shared->completions[i]);
}

static void count_with_spinlock(void *context, unsigned index)
{
	struct shared *shared = context;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if ((i + index) % 3 == 0) {
			while (!spinlock_try_lock(&shared->spinlock))
				platform_cpu_relax();
		} else {
			spinlock_lock(&shared->spinlock);
		}
		shared->plain++;
		spinlock_unlock(&shared->spinlock);
	}
}

START_TEST(spinlock_excludes_threads)
{
	struct shared shared;

	shared_init(&shared);
	host_threads_run(THREADS, count_with_spinlock, &shared);
	ck_assert_uint_eq(shared.plain, THREADS * ROUNDS);
	ck_assert(!spinlock_is_held(&shared.spinlock));
}
END_TEST

START_TEST(spinlock_holds_preemption)
{
	struct shared shared;

	shared_init(&shared);
	ck_assert(platform_may_sleep());
	spinlock_lock(&shared.spinlock);
	ck_assert(!platform_may_sleep());
	ck_assert(spinlock_is_held(&shared.spinlock));
	ck_assert(!spinlock_try_lock(&shared.spinlock));
	spinlock_unlock(&shared.spinlock);
	ck_assert(platform_may_sleep());

	const uint64_t state = spinlock_lock_interrupts(&shared.spinlock);
	ck_assert(!platform_may_sleep());
	spinlock_unlock_interrupts(&shared.spinlock, state);
	ck_assert(platform_may_sleep());
}
END_TEST

static void lock_twice(void *context)
{
	struct shared *shared = context;

	spinlock_lock(&shared->spinlock);
	spinlock_lock(&shared->spinlock);
}

static void unlock_foreign(void *context)
{
	struct shared *shared = context;

	spinlock_unlock(&shared->spinlock);
}

static void mutex_twice(void *context)
{
	struct shared *shared = context;

	mutex_lock(&shared->mutex);
	mutex_lock(&shared->mutex);
}

static void mutex_under_spinlock(void *context)
{
	struct shared *shared = context;

	spinlock_lock(&shared->spinlock);
	mutex_lock(&shared->mutex);
}

START_TEST(misuse_is_reported)
{
	struct shared shared;
	char message[256];

	shared_init(&shared);
	ck_assert(host_panics(lock_twice, &shared, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "takes it twice"));
	ck_assert(host_panics(unlock_foreign, &shared, message, sizeof(message)));
	ck_assert(host_panics(mutex_twice, &shared, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "takes it twice"));
	ck_assert(host_panics(mutex_under_spinlock, &shared, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "platform_may_sleep"));
}
END_TEST

static void count_with_mutex(void *context, unsigned index)
{
	struct shared *shared = context;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if ((i + index) % 3 == 0) {
			while (!mutex_try_lock(&shared->mutex))
				platform_yield();
		} else {
			mutex_lock(&shared->mutex);
		}
		ck_assert(mutex_is_held(&shared->mutex));
		shared->plain++;
		/* Others should find it held now and then, and have to wait. */
		if (i % 512 == 0)
			platform_yield();
		mutex_unlock(&shared->mutex);
	}
}

START_TEST(mutex_excludes_threads)
{
	struct shared shared;

	shared_init(&shared);
	host_threads_run(THREADS, count_with_mutex, &shared);
	ck_assert_uint_eq(shared.plain, THREADS * ROUNDS);
	ck_assert(!mutex_is_held(&shared.mutex));
	ck_assert(mutex_try_lock(&shared.mutex));
	ck_assert(!mutex_try_lock(&shared.mutex));
	mutex_unlock(&shared.mutex);
}
END_TEST

static bool is_waited_for(struct mutex *mutex)
{
	return atomic_load(&mutex->came) != atomic_load(&mutex->left);
}

/*
 * Thread 0 has the mutex, but for one hold of the other one in each round. A while after that one
 * has come, it is asleep.
 */
static void pass_mutex_on(void *context, unsigned index)
{
	struct shared *shared = context;

	if (index == 0)
		mutex_lock(&shared->mutex);
	for (unsigned round = 1; round <= PASSES; round++) {
		if (index == 0) {
			atomic_store(&shared->round, round);
			while (!is_waited_for(&shared->mutex))
				platform_yield();
			(void)platform_wait(&shared->round, round, platform_now_ns() + 1);
			mutex_pass_on(&shared->mutex);
			ck_assert_uint_eq(shared->plain, round);
		} else {
			while (atomic_load(&shared->round) != round)
				platform_yield();
			mutex_lock(&shared->mutex);
			shared->plain++;
			mutex_unlock(&shared->mutex);
		}
	}
	if (index == 0)
		mutex_unlock(&shared->mutex);
}

/* The clock stands still: a wait that is limited by time is as long as it takes. */
START_TEST(a_mutex_that_is_passed_on_goes_to_threads_that_wait)
{
	struct shared shared;

	shared_init(&shared);
	host_clock_set(HOST_CLOCK_MANUAL);
	host_threads_run(2, pass_mutex_on, &shared);
	host_clock_set(HOST_CLOCK_REAL);
	ck_assert_uint_eq(shared.plain, PASSES);
	ck_assert(!is_waited_for(&shared.mutex));
}
END_TEST

static void pass_on_or_give_up(void *context, unsigned index)
{
	struct shared *shared = context;
	const uint64_t now = platform_now_ns();

	if (index == 1) {
		ck_assert_int_eq(completion_wait(&shared->completions[0], PLATFORM_FOREVER), STATUS_OK);
		ck_assert_int_eq(mutex_lock_until(&shared->mutex, now), STATUS_TIMEOUT);
		completion_signal(&shared->completions[1]);
		return;
	}
	mutex_lock(&shared->mutex);
	completion_signal(&shared->completions[0]);
	ck_assert_int_eq(completion_wait(&shared->completions[1], PLATFORM_FOREVER), STATUS_OK);
	mutex_pass_on(&shared->mutex);
	ck_assert_uint_eq(platform_now_ns(), now);
	mutex_unlock(&shared->mutex);
}

/* A wait would move the clock. */
START_TEST(a_mutex_is_not_passed_on_to_threads_that_gave_up)
{
	struct shared shared;

	shared_init(&shared);
	host_clock_set(HOST_CLOCK_SKIPPING);
	host_threads_run(2, pass_on_or_give_up, &shared);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/* Thread 0 starts a chain: each waits for its predecessor. */
static void pass_on(void *context, unsigned index)
{
	struct shared *shared = context;

	if (index > 0)
		ck_assert_int_eq(completion_wait(&shared->completions[index - 1], PLATFORM_FOREVER), STATUS_OK);
	ck_assert_uint_eq(shared->plain, index);
	shared->plain++;
	completion_signal(&shared->completions[index]);
}

START_TEST(completion_orders_threads)
{
	for (unsigned i = 0; i < 200; i++) {
		struct shared shared;

		shared_init(&shared);
		host_threads_run(THREADS, pass_on, &shared);
		ck_assert_uint_eq(shared.plain, THREADS);
	}
}
END_TEST

/* The first thread wakes the others only when all have run its call. */
struct calls {
	struct completion done;
	_Atomic unsigned waiting;
	_Atomic unsigned run;
};

static void note_call(void *context)
{
	atomic_fetch_add(&((struct calls *)context)->run, 1);
}

static void call_or_wait(void *context, unsigned index)
{
	struct calls *calls = context;

	(void)platform_cpu(); /* from here on it can be called */
	if (index > 0) {
		atomic_fetch_add(&calls->waiting, 1);
		(void)completion_wait(&calls->done, PLATFORM_FOREVER);
		return;
	}
	while (atomic_load(&calls->waiting) < THREADS - 1)
		platform_yield();
	/* Once they are asleep: sooner or later. */
	for (unsigned i = 0; i < 100; i++) {
		platform_run_on_all_cpus(note_call, calls);
		platform_yield();
	}
	completion_signal(&calls->done);
}

START_TEST(calls_reach_threads_asleep)
{
	struct calls calls = { .run = 0 };

	completion_init(&calls.done);
	host_threads_run(THREADS, call_or_wait, &calls);
	ck_assert_uint_ge(atomic_load(&calls.run), 100 * THREADS);
}
END_TEST

START_TEST(completion_times_out)
{
	struct completion completion;

	completion_init(&completion);
	const uint64_t start = platform_now_ns();
	ck_assert_int_eq(completion_wait(&completion, start + 20 * NS_PER_MS), STATUS_TIMEOUT);
	ck_assert_uint_ge(platform_now_ns(), start + 20 * NS_PER_MS);
	completion_signal(&completion);
	ck_assert_int_eq(completion_wait(&completion, 0), STATUS_OK);
}
END_TEST

HOST_TEST_MAIN("locks", spinlock_excludes_threads, spinlock_holds_preemption, misuse_is_reported, mutex_excludes_threads,
	       a_mutex_that_is_passed_on_goes_to_threads_that_wait, a_mutex_is_not_passed_on_to_threads_that_gave_up,
	       completion_orders_threads, calls_reach_threads_asleep, completion_times_out)
