// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests that may not wait: each CPU has a device, which reserves its part of the guarantee. Its
 * interrupt handler takes 4 KB to 4 MB at a time, in bursts that together are the whole guarantee,
 * and gives them back a moment later, while a writer dirties pages as fast as it can.
 *
 * Where there is no guarantee (guarantee=0 on the command line) the same requests are made, and how
 * many are refused is reported. Options: loops=5000 (bursts of each CPU), and those of testbed.h.
 */
#include "storm.h"

#include "app/testbed/report.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT  5000
#define CPUS_MAX       8
#define PIECES_WITHOUT 16 /* asked for in all where nothing is guaranteed */
#define PIECE_WITHOUT  (4 * MIB)
#define POLL_NS        (10 * NS_PER_MS)

struct storm {
	struct testbed testbed;
	struct device devices[CPUS_MAX]; /* one for each CPU, with a reservation of its own */
	unsigned count;
	struct storm_cpu cpus[CPUS_MAX];
	uint64_t ns[CPUS_MAX * STORM_SAMPLES_MAX]; /* of all, sorted */
	uint64_t samples;
};

static void start_here(void *context)
{
	storm_cpu_start(context);
}

static void start_cpu(struct storm *storm, unsigned id)
{
	const struct task_options options = { .name = "storm", .priority = TASK_HIGH, .cpu = (int)id };
	struct task *task;
	const status_t status = task_spawn(&options, start_here, &storm->cpus[id], &task);

	if (status == STATUS_OK) {
		task_join(task);
		return;
	}
	testbed_fail(&storm->testbed, "starting a task", status);
	storm->cpus[id].done = true;
}

/* As much as a burst takes: at most a piece for each buffer. */
static void reserve(struct storm *storm, unsigned i, uint64_t bytes)
{
	struct memory *memory = storm->testbed.environment->memory;
	status_t status = STATUS_OK;

	storm->devices[i] = (struct device){ .name = "storm", .dma_mask = UINT64_MAX };
	if (guarantee_total_bytes(memory_guarantee(memory)) > 0 && bytes > 0)
		status = dma_guarantee_reserve(memory_dma(memory), &storm->devices[i], bytes);
	if (status != STATUS_OK)
		testbed_fail(&storm->testbed, "reserving a part of the guarantee", status);
}

/* The pieces of the guarantee, dealt out to the CPUs. */
static void prepare(struct storm *storm, uint64_t loops)
{
	struct memory *memory = storm->testbed.environment->memory;
	const uint64_t guaranteed_bytes = guarantee_total_bytes(memory_guarantee(memory));
	const uint64_t piece_bytes = guaranteed_bytes > 0 ? guarantee_piece_bytes(memory_guarantee(memory)) : PIECE_WITHOUT;
	const uint32_t pieces = (uint32_t)(guaranteed_bytes / piece_bytes);
	const uint32_t wanted = pieces > 0 ? pieces : PIECES_WITHOUT;

	for (unsigned i = 0; i < storm->count; i++) {
		struct storm_cpu *cpu = &storm->cpus[i];

		cpu->memory = memory;
		cpu->device = &storm->devices[i];
		cpu->size_shift_max = log2_floor(MIN(piece_bytes, PIECE_WITHOUT));
		cpu->burst = MIN(wanted / storm->count + (i < wanted % storm->count), STORM_BURST_MAX);
		cpu->bursts = loops;
		random_seed(&cpu->random, i + 1);
		reserve(storm, i, cpu->burst * piece_bytes);
		storm_cpu_init(cpu);
	}
	print("storm: %u CPUs, bursts of %u buffers in all, %llu MB guaranteed\n", storm->count, wanted,
	      (unsigned long long)(pieces * piece_bytes / MIB));
}

/* False: the handlers do not get on. */
static bool wait_for_end(struct storm *storm)
{
	for (unsigned i = 0; i < storm->count; i++) {
		uint64_t done = 0, since_ns = platform_now_ns();

		while (!atomic_load_explicit(&storm->cpus[i].done, memory_order_acquire)) {
			const uint64_t now = __atomic_load_n(&storm->cpus[i].done_bursts, __ATOMIC_RELAXED);

			if (now != done) {
				done = now;
				since_ns = platform_now_ns();
			} else if (platform_now_ns() - since_ns > TESTBED_PATIENCE_NS) {
				return false;
			}
			task_sleep(POLL_NS);
		}
	}
	return true;
}

static void sort_samples(struct storm *storm)
{
	for (unsigned i = 0; i < storm->count; i++)
		for (uint64_t j = 0; j < storm->cpus[i].samples; j++)
			storm->ns[storm->samples++] = storm->cpus[i].ns[j];
	sort_numbers(storm->ns, storm->samples);
}

static uint64_t percentile(const struct storm *storm, uint64_t per_mille)
{
	return storm->samples == 0 ? 0 : storm->ns[(storm->samples - 1) * per_mille / 1000];
}

static void print_result(struct storm *storm, uint64_t requests, uint64_t refused, uint64_t overwritten, uint64_t bytes)
{
	struct memory *memory = storm->testbed.environment->memory;
	const struct guarantee_statistics statistics = guarantee_statistics(memory_guarantee(memory));
	char text[TESTBED_TEXT_BYTES];

	scenario_result(storm->testbed.scenario,
			"%s cpus=%u requests=%llu taken_bytes=%llu refused=%llu overwritten=%llu guarantee_bytes=%llu "
			"steps_max=%llu exchanged=%llu "
			"alloc_ns_p50=%llu alloc_ns_p999=%llu alloc_ns_max=%llu",
			testbed_format(text, &storm->testbed), storm->count, (unsigned long long)requests,
			(unsigned long long)bytes, (unsigned long long)refused, (unsigned long long)overwritten,
			(unsigned long long)guarantee_total_bytes(memory_guarantee(memory)),
			(unsigned long long)statistics.steps_max, (unsigned long long)statistics.exchanged,
			(unsigned long long)percentile(storm, 500), (unsigned long long)percentile(storm, 999),
			(unsigned long long)percentile(storm, 1000));
}

/* The handlers rest. */
static void judge(struct storm *storm)
{
	struct memory *memory = storm->testbed.environment->memory;
	uint64_t requests = 0, refused = 0, overwritten = 0, bytes = 0;

	for (unsigned i = 0; i < storm->count; i++) {
		requests += storm->cpus[i].requests;
		refused += storm->cpus[i].refused;
		overwritten += storm->cpus[i].overwritten;
		bytes += storm->cpus[i].bytes;
		storm->testbed.failures += dma_device_leaks(memory_dma(memory), &storm->devices[i]);
		dma_guarantee_end(memory_dma(memory), &storm->devices[i]);
	}
	if (guarantee_total_bytes(memory_guarantee(memory)) > 0 && refused > 0) {
		print("FAILED: %llu of %llu requests within the guarantee were refused\n", (unsigned long long)refused,
		      (unsigned long long)requests);
		storm->testbed.failures += refused;
	}
	storm->testbed.failures += overwritten;
	sort_samples(storm);
	print_result(storm, requests, refused, overwritten, bytes);
}

SCENARIO(storm, "interrupt handlers on every CPU take the whole guarantee in bursts: loops=5000")
{
	static struct storm storm;
	bool ended;
	status_t status;

	storm = (struct storm){ .samples = 0 };
	storm.count = MIN(platform_cpu_count(), CPUS_MAX);
	status = testbed_begin(&storm.testbed, scenario, PIECES_WITHOUT * PIECE_WITHOUT);
	if (status != STATUS_OK)
		return status;
	/* The writer never finds that enough is dirty: the page cache has to stop it. */
	storm.testbed.loads.dirty_goal_pages = UINT64_MAX;
	prepare(&storm, MAX(options_get_number(scenario->options, "loops", LOOPS_DEFAULT), 1));
	for (unsigned i = 0; i < storm.count; i++)
		start_cpu(&storm, i);
	ended = wait_for_end(&storm);
	if (!ended)
		testbed_fail(&storm.testbed, "the handlers make no progress", STATUS_TIMEOUT);
	testbed_end(&storm.testbed);
	judge(&storm);
	return ended ? testbed_status(&storm.testbed) : STATUS_TIMEOUT;
}
