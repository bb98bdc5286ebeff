// SPDX-License-Identifier: BSD-2-Clause
/*
 * Deadlines while nothing can be had in time: all memory is taken, mapped, or dirty and has to be
 * written to a disk that does a few requests a second. Requests for 4 to 64 MB with deadlines from
 * now to half a second either succeed or return when their time is over, and leave nothing behind.
 * How much later than the deadline they return is reported, beside how much later than they should
 * tasks of high priority wake up that only sleep, one on each CPU: an emulated machine does not
 * always run.
 *
 * At the end all that was written is compared. Options: loops=40 (requests), slow=NAME (see
 * disks.h), data=NAME and digitizer=NAME.
 */
#include <stdatomic.h>

#include "app/testbed/direct.h"
#include "app/testbed/disks.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "app/testbed/memhog.h"
#include "pagecache/map.h"
#include "pagecache/volume.h"
#include "app/testbed/pattern.h"
#include "app/testbed/report.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "runtime/kernel/task.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT   40
#define LOOPS_MAX       10000
#define PINS            16
#define PIN_BYTES       (1 * MIB)
#define DIRTY_PARTS     8 /* of the RAM */
#define DIRTY_MAX       (96 * MIB)
#define DEADLINE_MAX_NS (500 * NS_PER_MS)
#define OVER_MAX_MS     20 /* than the sleepers: a block's work is a millisecond, and more so where it is emulated */
#define SLEEP_NS        NS_PER_MS
#define REQUEST_SHIFT   22 /* 4 MB ... */
#define REQUEST_SIZES   5  /* ... to 64 MB */

/* A task that only sleeps. */
struct sleeper {
	struct deadline *deadline;
	struct task *task;
	uint64_t over_us_max;
};

struct deadline {
	struct testbed testbed; /* only its counts */
	struct disks disks;
	struct loads writer; /* on the slow disk */
	struct fill_goal goal;
	struct memhog memhog;
	struct mapping *pins[PINS];
	struct device device;
	struct random random;
	uint64_t timeouts, served, leaks;
	uint64_t over_us[LOOPS_MAX]; /* of those that timed out */
	uint64_t early_us_max;       /* before the deadline, which must not be */
	struct {
		uint64_t over_us, bytes, allowed_us;
	} worst; /* request */
	struct sleeper sleepers[PLATFORM_CPUS_MAX];
	_Atomic bool awake; /* the sleepers end */
};

static void sleep_and_look(void *context)
{
	struct sleeper *sleeper = context;

	while (!atomic_load(&sleeper->deadline->awake)) {
		const uint64_t end_ns = platform_now_ns() + SLEEP_NS;

		task_sleep_until(end_ns);
		sleeper->over_us_max = MAX(sleeper->over_us_max, (platform_now_ns() - end_ns) / NS_PER_US);
	}
}

static void sleepers_start(struct deadline *self)
{
	for (unsigned cpu = 0; cpu < platform_cpu_count(); cpu++) {
		struct sleeper *sleeper = &self->sleepers[cpu];
		const struct task_options options = { .name = "sleeper", .priority = TASK_HIGH, .cpu = (int)cpu };

		sleeper->deadline = self;
		if (task_spawn(&options, sleep_and_look, sleeper, &sleeper->task) != STATUS_OK)
			sleeper->task = NULL;
	}
}

/* How late one of them was, at most. */
static uint64_t sleepers_stop(struct deadline *self)
{
	uint64_t over_us_max = 0;

	atomic_store(&self->awake, true);
	for (unsigned cpu = 0; cpu < platform_cpu_count(); cpu++) {
		if (self->sleepers[cpu].task)
			task_join(self->sleepers[cpu].task);
		over_us_max = MAX(over_us_max, self->sleepers[cpu].over_us_max);
	}
	return over_us_max;
}

static void pin_some(struct deadline *self)
{
	struct node *node = volume_whole_node(self->disks.data);

	for (unsigned i = 0; i < PINS; i++) {
		const status_t status = node_map(node, i * PIN_BYTES, PIN_BYTES, MAP_READ, &self->pins[i]);

		if (status != STATUS_OK) {
			self->pins[i] = NULL;
			testbed_fail(&self->testbed, "mapping pages", status);
		}
	}
}

static void unpin_all(struct deadline *self)
{
	for (unsigned i = 0; i < PINS; i++)
		if (self->pins[i])
			node_unmap(self->pins[i]);
}

/* Neither free nor clean. What the disk has written meanwhile is taken, too. */
static void take_the_rest(struct deadline *self)
{
	(void)memhog_take_blocks(&self->memhog);
}

/* The request failed in time, or it did not; in any case nothing may be left of it. */
static void judge(struct deadline *self, const struct dma_request *request, status_t status, uint64_t allowed_us,
		  uint64_t end_ns)
{
	if (status == STATUS_TIMEOUT && end_ns < request->deadline_ns) {
		self->early_us_max = MAX(self->early_us_max, (request->deadline_ns - end_ns) / NS_PER_US);
		testbed_fail(&self->testbed, "timed out too early", status);
	} else if (status == STATUS_TIMEOUT) {
		const uint64_t over_us = (end_ns - request->deadline_ns) / NS_PER_US;

		self->over_us[self->timeouts++] = over_us;
		if (over_us >= self->worst.over_us) {
			self->worst.over_us = over_us;
			self->worst.bytes = request->bytes;
			self->worst.allowed_us = allowed_us;
		}
	} else if (status != STATUS_OK) {
		testbed_fail(&self->testbed, "a request with a deadline", status);
	}
}

static void run_request(struct deadline *self)
{
	struct memory *memory = self->testbed.environment->memory;
	const uint64_t allowed_ns = random_below(&self->random, DEADLINE_MAX_NS);
	struct dma_request request = { .bytes = 1ull << (REQUEST_SHIFT + random_below(&self->random, REQUEST_SIZES)),
				       .segments_max = random_below(&self->random, 2) ? 1 : 0,
				       .wait = MEMORY_WAIT_DEADLINE };
	struct dma_buffer *buffer = NULL;
	status_t status;

	take_the_rest(self);
	request.deadline_ns = platform_now_ns() + allowed_ns;
	status = dma_alloc(memory_dma(memory), &self->device, &request, &buffer);
	judge(self, &request, status, allowed_ns / NS_PER_US, platform_now_ns());
	if (status == STATUS_OK) {
		self->served++;
		dma_free(memory_dma(memory), buffer);
	}
	self->leaks += dma_device_leaks(memory_dma(memory), &self->device);
}

static status_t prepare(struct deadline *self, struct scenario *scenario)
{
	const struct app_environment *environment = scenario->environment;
	const uint64_t dirty_bytes = MIN(environment->ram_bytes / DIRTY_PARTS, DIRTY_MAX);
	struct volume *slow = disks_find_slow(scenario);
	status_t status = slow ? disks_find(scenario, &self->disks) : STATUS_NOT_FOUND;

	if (status == STATUS_OK)
		status = loads_init_writer(&self->writer, environment, slow, PATTERN_SEED_SLOW, dirty_bytes);
	if (status != STATUS_OK)
		return status;
	self->goal = (struct fill_goal){ .dirty_bytes = dirty_bytes / 2, .patience_ns = TESTBED_PATIENCE_NS };
	memhog_init(&self->memhog, environment->memory);
	pin_some(self);
	status = loads_start(&self->writer);
	if (status == STATUS_OK)
		status = fill_wait(&self->writer, &self->goal);
	if (status != STATUS_OK)
		testbed_fail(&self->testbed, "dirtying pages", status);
	return STATUS_OK;
}

static void finish(struct deadline *self)
{
	status_t status;

	memhog_free(&self->memhog);
	unpin_all(self);
	loads_stop(&self->writer);
	status = volume_flush(self->writer.volume);
	if (status == STATUS_OK)
		status = loads_compare(&self->writer);
	if (status != STATUS_OK)
		testbed_fail(&self->testbed, "writing and reading back", status);
	self->testbed.failures += self->writer.errors + self->leaks;
	self->testbed.bad_pages = self->writer.bad_pages;
	loads_fini(&self->writer);
}

static void print_state(const struct deadline *self)
{
	struct pagecache_statistics statistics;
	char taken[FORMAT_BYTES_SIZE], dirty[FORMAT_BYTES_SIZE], cached[FORMAT_BYTES_SIZE];

	pagecache_statistics(self->testbed.environment->pagecache, &statistics);
	print("deadline: %s taken; of %s in the cache %s are dirty\n", format_bytes(taken, self->memhog.block_bytes),
	      format_bytes(cached, statistics.cached_pages * PAGE_BYTES),
	      format_bytes(dirty, statistics.dirty_pages * PAGE_BYTES));
}

SCENARIO(deadline, "requests that cannot be served in time, beside a slow disk: loops=40")
{
	static struct deadline deadline;
	uint64_t loops = options_get_number(scenario->options, "loops", LOOPS_DEFAULT);
	status_t status;

	deadline = (struct deadline){ .device = { .name = "deadline", .dma_mask = UINT64_MAX } };
	deadline.testbed.scenario = scenario;
	deadline.testbed.environment = scenario->environment;
	random_seed(&deadline.random, 7);
	status = prepare(&deadline, scenario);
	if (status != STATUS_OK)
		return status;
	loops = MIN(MAX(loops, 1), LOOPS_MAX);
	take_the_rest(&deadline);
	print_state(&deadline);
	sleepers_start(&deadline);
	for (uint64_t loop = 0; scenario_goes_on(loop, &loops); loop++)
		run_request(&deadline);
	const uint64_t sleepers_us = sleepers_stop(&deadline);
	print_state(&deadline);
	finish(&deadline);
	sort_numbers(deadline.over_us, deadline.timeouts);
	const uint64_t last = deadline.timeouts == 0 ? 0 : deadline.timeouts - 1;
	testbed_expect_share(&deadline.testbed, "the longest time beyond a deadline, in ms,", deadline.worst.over_us, 1000,
			     100 * (OVER_MAX_MS + sleepers_us / 1000));
	scenario_result(scenario,
			"failures=%llu missed=%llu bad_pages=%llu timeouts=%llu served=%llu leaks=%llu over_us_p50=%llu "
			"over_us_max=%llu sleepers_over_us_max=%llu "
			"worst_bytes=%llu worst_allowed_us=%llu early_us_max=%llu",
			(unsigned long long)deadline.testbed.failures, (unsigned long long)deadline.testbed.missed,
			(unsigned long long)deadline.testbed.bad_pages, (unsigned long long)deadline.timeouts,
			(unsigned long long)deadline.served, (unsigned long long)deadline.leaks,
			(unsigned long long)deadline.over_us[last / 2], (unsigned long long)deadline.worst.over_us,
			(unsigned long long)sleepers_us, (unsigned long long)deadline.worst.bytes,
			(unsigned long long)deadline.worst.allowed_us, (unsigned long long)deadline.early_us_max);
	return testbed_status(&deadline.testbed);
}
