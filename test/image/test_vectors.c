// SPDX-License-Identifier: BSD-2-Clause
/* Vector registers of tasks that may use them: kept across preemption and moves between CPUs. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/base/string.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/cpu.h"
#include "runtime/kernel/task.h"
#include "runtime/kernel/timer.h"
#include "runtime/x86_64/cpu_registers.h"

#define TASKS           6
#define REGISTERS       16
#define FEATURE_AVX     (1u << 28) /* CPUID 1, ECX */
#define FEATURE_OSXSAVE (1u << 27)

struct vectors {
	uint8_t bytes[REGISTERS][32];
} __attribute__((aligned(32)));

struct worker {
	unsigned number;
	bool avx;
	uint32_t mxcsr;
	unsigned broken;
	unsigned checks;
};

/*
 * This file is built for general registers only, so the compiler leaves the others alone between
 * these.
 */
#define EACH_REGISTER(do)                                                                                                      \
	do                                                                                                                     \
	(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(14) do(15)

static void load_sse(const struct vectors *v)
{
#define LOAD(n) __asm__ volatile("movdqu %0, %%xmm" #n : : "m"(v->bytes[n]));
	EACH_REGISTER(LOAD)
#undef LOAD
}

static void store_sse(struct vectors *v)
{
#define STORE(n) __asm__ volatile("movdqu %%xmm" #n ", %0" : "=m"(v->bytes[n]));
	EACH_REGISTER(STORE)
#undef STORE
}

static void load_avx(const struct vectors *v)
{
#define LOAD(n) __asm__ volatile("vmovdqu %0, %%ymm" #n : : "m"(v->bytes[n]));
	EACH_REGISTER(LOAD)
#undef LOAD
}

static void store_avx(struct vectors *v)
{
#define STORE(n) __asm__ volatile("vmovdqu %%ymm" #n ", %0" : "=m"(v->bytes[n]));
	EACH_REGISTER(STORE)
#undef STORE
}

static void vector_task(void *context)
{
	struct worker *worker = context;
	struct vectors mine, seen;
	uint64_t end_ns = platform_now_ns() + 150 * NS_PER_MS;
	uint32_t mxcsr;

	memset(&mine, 0, sizeof(mine));
	for (unsigned i = 0; i < REGISTERS; i++)
		memset(mine.bytes[i], (int)(worker->number * REGISTERS + i + 1), worker->avx ? 32 : 16);
	__asm__ volatile("ldmxcsr %0" : : "m"(worker->mxcsr));
	while (platform_now_ns() < end_ns) {
		memset(&seen, 0, sizeof(seen));
		if (worker->avx)
			load_avx(&mine);
		else
			load_sse(&mine);
		if (worker->checks % 8 == 0)
			task_yield();
		else
			clock_delay_ns(2 * NS_PER_MS);
		if (worker->avx)
			store_avx(&seen);
		else
			store_sse(&seen);
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		worker->broken += memcmp(&mine, &seen, sizeof(mine)) != 0 || mxcsr != worker->mxcsr;
		worker->checks++;
	}
}

static bool have_avx(void)
{
	uint32_t low, high;

	if (~cpuid(1, 0).ecx & (FEATURE_AVX | FEATURE_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

static void run_workers(struct image_test_run *test, bool avx)
{
	struct worker workers[TASKS];
	struct task *tasks[TASKS];
	struct task_options options = { .name = "vectors", .priority = TASK_NORMAL, .vector = true, .cpu = -1 };

	for (unsigned i = 0; i < TASKS; i++) {
		/* Rounding modes differ, too. */
		workers[i] = (struct worker){ .number = i, .avx = avx, .mxcsr = 0x1f80 | (i % 4) << 13 };
		options.cpu = i % 2 ? 0 : -1;
		expect_equal(task_spawn(&options, vector_task, &workers[i], &tasks[i]), STATUS_OK);
	}
	for (unsigned i = 0; i < TASKS; i++) {
		task_join(tasks[i]);
		expect_equal(workers[i].broken, 0);
		expect(workers[i].checks > 0);
	}
}

IMAGE_TEST(vector_registers_sse_survive)
{
	run_workers(test, false);
}

IMAGE_TEST(vector_registers_avx_survive)
{
	if (!have_avx())
		skip("this CPU has no AVX");
	run_workers(test, true);
}

static void read_state(void *context)
{
	struct vectors seen = { 0 };
	const uint8_t *bytes = (const uint8_t *)&seen;

	store_sse(&seen);
	for (size_t i = 0; i < REGISTERS; i++) {
		for (size_t j = 0; j < 16; j++)
			*(bool *)context |= bytes[i * 32 + j] != 0;
	}
}

IMAGE_TEST(vector_registers_start_as_zeros)
{
	struct task_options options = { .name = "fresh", .priority = TASK_NORMAL, .vector = true, .cpu = -1 };
	bool dirty = false;
	struct task *task;

	require(task_spawn(&options, read_state, &dirty, &task) == STATUS_OK);
	task_join(task);
	expect(!dirty);
}

#define CALLBACKS 20

struct words {
	uint64_t words[8];
};

/*
 * A callback as a driver has one: it copies a struct, and looks whether vector registers are
 * forbidden meanwhile.
 */
struct callback {
	struct timer timer;
	struct words from, to;
	unsigned allowed;
	_Atomic unsigned runs;
};

static bool registers_are_allowed(void)
{
	return (cr0_read() & CR0_TASK_SWITCHED) == 0;
}

static void copy_words(struct timer *timer)
{
	struct callback *callback = container_of(timer, struct callback, timer);

	callback->to = callback->from;
	callback->allowed += registers_are_allowed();
	atomic_fetch_add(&callback->runs, 1);
}

/*
 * The callback interrupts this very task: it runs on the CPU that started the timer, and this task
 * does not leave that.
 */
static void be_interrupted(void *context)
{
	struct image_test_run *test = context;
	struct callback callback = { .from.words = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct vectors mine, seen;

	memset(&mine, 0, sizeof(mine));
	for (unsigned i = 0; i < REGISTERS; i++)
		memset(mine.bytes[i], (int)i + 1, 16);
	timer_init(&callback.timer, copy_words);
	for (unsigned i = 0; i < CALLBACKS; i++) {
		memset(&seen, 0, sizeof(seen));
		load_sse(&mine);
		timer_start(&callback.timer, platform_now_ns() + 100 * NS_PER_US);
		while (atomic_load(&callback.runs) == i)
			platform_cpu_relax();
		expect(registers_are_allowed());
		store_sse(&seen);
		expect(memcmp(&mine, &seen, sizeof(mine)) == 0);
		expect(memcmp(&callback.from, &callback.to, sizeof(callback.from)) == 0);
	}
	expect_equal(callback.allowed, 0);
}

IMAGE_TEST(vector_registers_are_forbidden_in_timer_callbacks)
{
	struct task_options options = { .name = "vectors", .priority = TASK_NORMAL, .vector = true, .cpu = 0 };
	struct task *task;

	require(task_spawn(&options, be_interrupted, test, &task) == STATUS_OK);
	task_join(task);
}

static void note_allowed(void *context)
{
	if (cpu_current()->interrupt_depth > 0)
		atomic_fetch_add((_Atomic unsigned *)context, registers_are_allowed());
}

static void work(void *context)
{
	while (!atomic_load((_Atomic bool *)context))
		platform_cpu_relax();
}

IMAGE_TEST(vector_registers_are_forbidden_in_handlers_on_all_cpus)
{
	struct task_options options = { .name = "vectors", .priority = TASK_LOW, .vector = true };
	struct task *tasks[PLATFORM_CPUS_MAX];
	_Atomic unsigned allowed = 0;
	_Atomic bool stop = false;

	for (unsigned cpu = 0; cpu < cpu_count(); cpu++) {
		options.cpu = (int)cpu;
		require(task_spawn(&options, work, &stop, &tasks[cpu]) == STATUS_OK);
	}
	for (unsigned i = 0; i < CALLBACKS; i++) {
		cpu_run_on_all(note_allowed, (void *)&allowed);
		task_sleep(NS_PER_MS);
	}
	atomic_store(&stop, true);
	for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
		task_join(tasks[cpu]);
	expect_equal(allowed, 0);
}
