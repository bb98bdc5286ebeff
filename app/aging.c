// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragmentation by long use: a million allocations and frees of all kinds and sizes, by several
 * tasks, beside the loads: objects and runs of the general heap, DMA buffers, stacks of tasks,
 * mapped (pinned) pages of the cache. A quarter of what there was at the end stays. Then the
 * requests of the scenarios capture and contiguous, which were measured before, too: what is lost
 * and copied for each byte may have grown by a tenth.
 *
 * Options: operations=1000000 (in all), loops=10 (of each measurement), and those of testbed.h.
 */
#include <stdatomic.h>

#include "app/testbed/direct.h"
#include "heap/memory.h"
#include "pagecache/map.h"
#include "pagecache/volume.h"
#include "app/testbed/report.h"
#include "app/testbed/capture_loop.h"
#include "runtime/base/block_device.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "runtime/kernel/task.h"

#define OPERATIONS     1000000
#define LOOPS_DEFAULT  10
#define AGERS_MAX      8
#define SLOTS          256 /* of each task */
#define HELD_PART      16  /* of the RAM, that all tasks together may hold */
#define HEAP_SHIFT_MIN 4   /* objects of 16 bytes ... */
#define HEAP_SHIFT_MAX 22  /* ... to runs of 4 MB */
#define DMA_SHIFT_MIN  12
#define DMA_SHIFT_MAX  22
#define PIN_PAGES_MAX  32
#define STAYING        4 /* one in so many stays */
#define GROWTH_PERCENT 110
#define SLACK_PERCENT  1 /* of what was gained, that costs may differ by in any case */

enum kind {
	KIND_NONE,
	KIND_HEAP,
	KIND_DMA,
	KIND_PIN,
	KIND_TASK,
};

struct slot {
	enum kind kind;
	uint64_t bytes;
	void *memory; /* of its kind */
};

struct ager {
	struct aging *aging;
	struct random random;
	struct task *task;
	uint64_t operations;
	uint64_t held_bytes;
	uint64_t refused; /* by the general heap, which promises nothing in a full machine */
	struct slot slots[SLOTS];
};

struct aging {
	struct testbed testbed;
	struct device device;
	unsigned count;
	uint64_t held_max; /* bytes, of each */
	_Atomic uint64_t done;
	struct ager agers[AGERS_MAX];
};

static uint64_t random_size(struct random *random, unsigned shift_min, unsigned shift_max)
{
	const uint64_t most = 1ull << (shift_min + random_below(random, shift_max - shift_min + 1));

	return most - random_below(random, most / 2);
}

static void idle_task(void *context)
{
	(void)context;
	task_yield();
}

static void put(struct ager *ager, struct slot *slot)
{
	struct memory *memory = ager->aging->testbed.environment->memory;

	switch (slot->kind) {
	case KIND_HEAP:
		heap_free(memory_general_heap(memory), slot->memory);
		break;
	case KIND_DMA:
		dma_free(memory_dma(memory), slot->memory);
		break;
	case KIND_PIN:
		node_unmap(slot->memory);
		break;
	case KIND_TASK:
		task_join(slot->memory);
		break;
	case KIND_NONE:
		break;
	}
	ager->held_bytes -= slot->bytes;
	*slot = (struct slot){ .kind = KIND_NONE };
}

static void get_heap(struct ager *ager, struct slot *slot)
{
	const uint64_t bytes = random_size(&ager->random, HEAP_SHIFT_MIN, HEAP_SHIFT_MAX);
	unsigned char *memory = heap_alloc(memory_general_heap(ager->aging->testbed.environment->memory), bytes, 0);

	if (!memory) {
		ager->refused++;
		return;
	}
	memory[0] = memory[bytes - 1] = 1;
	*slot = (struct slot){ KIND_HEAP, bytes, memory };
}

static void get_dma(struct ager *ager, struct slot *slot)
{
	const struct dma_request request = {
		.bytes = random_size(&ager->random, DMA_SHIFT_MIN, DMA_SHIFT_MAX),
		.segments_max = random_below(&ager->random, 2) ? 1 : 0,
		.wait = MEMORY_WAIT_DEADLINE,
		.deadline_ns = platform_now_ns() + TESTBED_TAKE_NS,
	};
	struct dma_buffer *buffer;
	const status_t status =
		dma_alloc(memory_dma(ager->aging->testbed.environment->memory), &ager->aging->device, &request, &buffer);

	if (status != STATUS_OK)
		testbed_fail(&ager->aging->testbed, "a DMA buffer while ageing", status);
	else
		*slot = (struct slot){ KIND_DMA, request.bytes, buffer };
}

/* Not where the writer writes: it would wait for us. */
static void get_pin(struct ager *ager, struct slot *slot)
{
	const struct loads *loads = &ager->aging->testbed.loads;
	const uint64_t pages = 1 + random_below(&ager->random, PIN_PAGES_MAX);
	const uint64_t first = random_below(&ager->random, loads->write_first - pages);
	struct mapping *mapping;
	const status_t status =
		node_map(volume_whole_node(loads->volume), first * PAGE_BYTES, pages * PAGE_BYTES, MAP_READ, &mapping);

	if (status == STATUS_OK)
		*slot = (struct slot){ KIND_PIN, pages * PAGE_BYTES, mapping };
	else if (status == STATUS_NO_MEMORY)
		ager->refused++;
	else
		testbed_fail(&ager->aging->testbed, "mapping pages", status);
}

static void get_task(struct ager *ager, struct slot *slot)
{
	const struct task_options options = { .name = "short", .priority = TASK_NORMAL, .cpu = -1 };
	struct task *task;

	if (task_spawn(&options, idle_task, NULL, &task) == STATUS_OK)
		*slot = (struct slot){ KIND_TASK, TASK_STACK_BYTES, task };
	else
		ager->refused++;
}

static void get(struct ager *ager, struct slot *slot)
{
	const uint64_t dice = random_below(&ager->random, 100);

	if (dice < 82)
		get_heap(ager, slot);
	else if (dice < 92)
		get_dma(ager, slot);
	else if (dice < 97)
		get_pin(ager, slot);
	else
		get_task(ager, slot);
	ager->held_bytes += slot->bytes;
}

static void run_ager(void *context)
{
	struct ager *ager = context;

	for (uint64_t i = 0; i < ager->operations && !scenario_is_cancelled(); i++) {
		struct slot *slot = &ager->slots[random_below(&ager->random, SLOTS)];

		if (slot->kind != KIND_NONE)
			put(ager, slot);
		else if (ager->held_bytes < ager->aging->held_max)
			get(ager, slot);
		atomic_fetch_add_explicit(&ager->aging->done, 1, memory_order_relaxed);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (random_below(&ager->random, STAYING) != 0)
			put(ager, &ager->slots[i]);
}

static uint64_t grow_old(struct aging *aging, uint64_t operations)
{
	uint64_t refused = 0;

	for (unsigned i = 0; i < aging->count; i++) {
		const struct task_options options = { .name = "ager", .priority = TASK_NORMAL, .cpu = -1 };
		struct ager *ager = &aging->agers[i];

		ager->aging = aging;
		ager->operations = operations / aging->count;
		random_seed(&ager->random, i + 1);
		if (task_spawn(&options, run_ager, ager, &ager->task) != STATUS_OK) {
			ager->task = NULL;
			testbed_fail(&aging->testbed, "starting a task", STATUS_NO_MEMORY);
		}
	}
	for (unsigned i = 0; i < aging->count; i++) {
		if (aging->agers[i].task)
			task_join(aging->agers[i].task);
		refused += aging->agers[i].refused;
	}
	print("aging: %llu operations; %llu were refused by the general heap\n", (unsigned long long)aging->done,
	      (unsigned long long)refused);
	return refused;
}

static void forget_all(struct aging *aging)
{
	for (unsigned i = 0; i < aging->count; i++)
		for (unsigned j = 0; j < SLOTS; j++)
			put(&aging->agers[i], &aging->agers[i].slots[j]);
}

/* What the requests of one scenario cost. */
static struct reclaim_totals measure(struct testbed *testbed, const char *what, const struct dma_request *request,
				     uint64_t count)
{
	static struct capture_loop loop;
	char totals[RECLAIM_TOTALS_BYTES], figures[CAPTURE_LOOP_TEXT_BYTES];
	const status_t status = capture_loop_init(&loop, testbed, what, direct_device(testbed->disks.digitizer), request, count,
						  options_get_number(testbed->scenario->options, "loops", LOOPS_DEFAULT));

	if (status != STATUS_OK) {
		testbed_fail(testbed, "preparing", status);
		return (struct reclaim_totals){ 0 };
	}
	capture_loop_run(&loop);
	capture_loop_fini(&loop);
	scenario_result(testbed->scenario, "what=\"%s\" failures=%llu %s %s", what, (unsigned long long)loop.failures,
			reclaim_totals_format(totals, &loop.totals), capture_loop_format(figures, &loop));
	return loop.totals;
}

/* A tenth more for each byte that was gained, and a little that may be chance. */
static void expect_cost(struct testbed *testbed, const char *what, uint64_t before, uint64_t before_gained, uint64_t after,
			uint64_t after_gained)
{
	const uint64_t limit = before_gained == 0 ? 0 : before * GROWTH_PERCENT / before_gained;

	testbed_expect_share(testbed, what, after, after_gained, limit + SLACK_PERCENT);
}

static void compare(struct testbed *testbed, const char *lost, const char *copied, const struct reclaim_totals *before,
		    const struct reclaim_totals *after)
{
	expect_cost(testbed, lost, (uint64_t)MAX(before->lost_bytes, 0), before->gained_bytes,
		    (uint64_t)MAX(after->lost_bytes, 0), after->gained_bytes);
	expect_cost(testbed, copied, before->moved_pages * PAGE_BYTES, before->gained_bytes, after->moved_pages * PAGE_BYTES,
		    after->gained_bytes);
}

static uint64_t run(struct aging *aging, uint64_t bytes)
{
	struct testbed *testbed = &aging->testbed;
	const uint64_t operations = options_get_number(testbed->scenario->options, "operations", OPERATIONS);
	const struct dma_request piece = buffers_piece(false), one = { .bytes = bytes, .segments_max = 1 };
	const uint64_t pieces = bytes / BUFFERS_PIECE_BYTES;
	struct reclaim_totals before[2], after[2];

	before[0] = measure(testbed, "capture before", &piece, pieces);
	before[1] = measure(testbed, "contiguous before", &one, 1);
	const uint64_t refused = grow_old(aging, operations);
	testbed_refill_rest(testbed);
	after[0] = measure(testbed, "capture after", &piece, pieces);
	after[1] = measure(testbed, "contiguous after", &one, 1);
	forget_all(aging);
	compare(testbed, "lost/gained of capture after", "copied/gained of capture after", &before[0], &after[0]);
	compare(testbed, "lost/gained of contiguous after", "copied/gained of contiguous after", &before[1], &after[1]);
	return refused;
}

SCENARIO(aging, "a million allocations of all kinds, then capture and contiguous: operations=1000000 loops=10")
{
	static struct aging aging;
	uint64_t bytes = testbed_scale(scenario->environment, GIB, 4, 16 * BLOCK_BYTES);
	char text[TESTBED_TEXT_BYTES];
	status_t status;

	aging = (struct aging){ .device = { .name = "aging", .dma_mask = UINT64_MAX } };
	aging.count = MIN(platform_cpu_count() + 1, AGERS_MAX);
	aging.held_max = scenario->environment->ram_bytes / HELD_PART / aging.count;
	status = testbed_begin(&aging.testbed, scenario, bytes);
	if (status != STATUS_OK)
		return status;
	testbed_warm(&aging.testbed); /* as it will be after the million */
	bytes = MIN(bytes, aging.testbed.disks.digitizer->size_bytes);
	const uint64_t refused = run(&aging, bytes);
	testbed_end(&aging.testbed);
	scenario_result(scenario, "%s operations=%llu refused=%llu", testbed_format(text, &aging.testbed),
			(unsigned long long)aging.done, (unsigned long long)refused);
	return testbed_status(&aging.testbed);
}
