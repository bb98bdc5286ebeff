// SPDX-License-Identifier: BSD-2-Clause
/*
 * The timer's handler of one CPU: every other turn takes a burst of buffers, and the next one
 * checks and frees them. Only its CPU uses its struct, so it needs no lock; the pause between
 * turns is random, so CPUs drift against each other.
 */
#include "runtime/base/bits.h"
#include "storm.h"

#define SIZE_SHIFT_MIN 12
#define PAUSE_MIN_NS   (100 * NS_PER_US)
#define PAUSE_MAX_NS   (2 * NS_PER_MS)

/* The first and the last word say whose buffer it is. */
static void stamp(const struct dma_buffer *buffer)
{
	uint64_t *words = buffer->memory;

	words[0] = words[buffer->bytes / sizeof(*words) - 1] = (uint64_t)(uintptr_t)buffer;
}

static bool is_stamped(const struct dma_buffer *buffer)
{
	const uint64_t *words = buffer->memory;

	return words[0] == (uint64_t)(uintptr_t)buffer && words[buffer->bytes / sizeof(*words) - 1] == words[0];
}

static void give_back(struct storm_cpu *cpu)
{
	while (cpu->held > 0) {
		struct dma_buffer *buffer = cpu->buffers[--cpu->held];

		cpu->overwritten += !is_stamped(buffer);
		dma_free(memory_dma(cpu->memory), buffer);
	}
}

static void take_one(struct storm_cpu *cpu)
{
	const struct dma_request request = {
		.bytes = 1ull << (SIZE_SHIFT_MIN + random_below(&cpu->random, cpu->size_shift_max - SIZE_SHIFT_MIN + 1)),
		.segments_max = 1,
		.wait = MEMORY_WAIT_NEVER,
	};
	const uint64_t before_ns = platform_now_ns();
	const status_t status = dma_alloc(memory_dma(cpu->memory), cpu->device, &request, &cpu->buffers[cpu->held]);
	const uint64_t ns = platform_now_ns() - before_ns;

	cpu->requests++;
	if (cpu->samples < STORM_SAMPLES_MAX)
		cpu->ns[cpu->samples++] = (uint32_t)MIN(ns, UINT32_MAX);
	if (status != STATUS_OK) {
		cpu->refused++;
		return;
	}
	cpu->bytes += request.bytes;
	stamp(cpu->buffers[cpu->held++]);
}

/* Every other turn takes, the one between gives back. */
static void handle(struct timer *timer)
{
	struct storm_cpu *cpu = container_of(timer, struct storm_cpu, timer);

	if (cpu->held > 0) {
		give_back(cpu);
	} else if (cpu->done_bursts < cpu->bursts) {
		for (uint32_t i = 0; i < cpu->burst; i++)
			take_one(cpu);
		cpu->done_bursts++;
	} else {
		atomic_store_explicit(&cpu->done, true, memory_order_release);
		return;
	}
	storm_cpu_start(cpu);
}

void storm_cpu_init(struct storm_cpu *cpu)
{
	timer_init(&cpu->timer, handle);
}

void storm_cpu_start(struct storm_cpu *cpu)
{
	timer_start(&cpu->timer, platform_now_ns() + PAUSE_MIN_NS + random_below(&cpu->random, PAUSE_MAX_NS - PAUSE_MIN_NS));
}
