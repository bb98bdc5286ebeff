/* Vector registers of tasks that may use them: kept across preemption and moves between CPUs. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/base/string.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/task.h"
#include "runtime/x86_64/cpu_registers.h"

#define TASKS       6
#define REGISTERS   16
#define FEATURE_AVX (1u << 28) /* CPUID 1, ECX */

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

/* This file is built without vector registers, so the compiler leaves them alone between these. */
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

	if (!(cpuid(1, 0).ecx & FEATURE_AVX))
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
