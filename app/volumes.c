// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two volumes that share the cache: one of low preference, and one that is dear. Memory is taken
 * bit by bit until there is no more: first the less preferred one gives, down to its keep, and only
 * then the other one, down to its own.
 *
 * They are the volumes of the data disk and of the digitizer, which have preferences and keeps for
 * it while the scenario runs; the cache holds nothing else. Options: loops=5, cheap_keep=32M,
 * dear_keep=64M, data=NAME and digitizer=NAME (see disks.h).
 */
#include "app/testbed/buffers.h"
#include "app/testbed/disks.h"
#include "app/testbed/reclaim_stats.h"
#include "pagecache/volume.h"
#include "app/testbed/pattern.h"
#include "app/testbed/report.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT    5
#define CHEAP_PREFERENCE 10
#define DEAR_PREFERENCE  90
#define CHEAP_KEEP       (32 * MIB)
#define DEAR_KEEP        (64 * MIB)
#define RETAIN_BYTES     BLOCK_BYTES
#define READ_BYTES       (1 * MIB)
#define READ_PAGES       (READ_BYTES / PAGE_BYTES)
/*
 * How far from its keep one may be, and how much one may give that should not yet: what is half
 * full or retained, and a block for each that is asked.
 */
#define SLACK_BYTES (8 * BLOCK_BYTES)

struct side {
	struct volume *volume;
	struct volume_config before; /* what it has outside of the scenario */
	uint64_t seed;
	uint64_t keep_bytes;
	uint64_t position;     /* the next page to read */
	uint64_t cached_bytes; /* when full, and when nothing more was to be had */
	uint64_t left_bytes;
};

struct volumes {
	struct testbed testbed; /* only its counts and totals */
	struct disks disks;
	struct side cheap, dear;
	struct buffers buffers;
	void *page_buffer;
	uint64_t wrong_order_bytes; /* that the dear one gave too early */
};

static uint64_t cached_bytes(const struct side *side)
{
	struct pagecache_statistics statistics;

	volume_statistics(side->volume, &statistics);
	return statistics.cached_pages * PAGE_BYTES;
}

static void begin(struct side *side, struct volume *volume, unsigned preference)
{
	const struct volume_config config = { .preference = preference,
					      .keep_bytes = side->keep_bytes,
					      .retain_bytes = RETAIN_BYTES };

	side->volume = volume;
	side->before = volume_configuration(volume);
	(void)volume_drop(volume);
	volume_configure(volume, &config);
}

/* The next megabyte of the volume, round and round. */
static void read_some(struct volumes *self, struct side *side)
{
	const uint64_t *page = self->page_buffer;
	const status_t status =
		node_read(volume_whole_node(side->volume), side->position * PAGE_BYTES, self->page_buffer, READ_BYTES);

	if (status != STATUS_OK)
		testbed_fail(&self->testbed, "reading", status);
	for (uint64_t i = 0; i < READ_PAGES && status == STATUS_OK; i++, page += PATTERN_PAGE_WORDS)
		self->testbed.bad_pages += !pattern_verify(page, side->seed, side->position + i);
	side->position = (side->position + READ_PAGES) % (volume_bytes(side->volume) / READ_BYTES * READ_PAGES);
}

/*
 * What is left to a volume when it has given all it may: its keep, and what it has loaned to the
 * guarantee.
 */
static uint64_t floor_bytes(struct volumes *self, const struct side *side)
{
	struct guarantee *guarantee = memory_guarantee(self->testbed.environment->memory);

	return side->keep_bytes + guarantee_statistics(guarantee).loaned * guarantee_piece_bytes(guarantee);
}

/* By turns, until memory is full. */
static void fill(struct volumes *self)
{
	const uint64_t most = 2 * self->testbed.environment->ram_bytes / READ_BYTES;

	for (uint64_t i = 0; i < most && reclaim_may_grow(memory_reclaim(self->testbed.environment->memory)); i++) {
		read_some(self, &self->cheap);
		read_some(self, &self->dear);
	}
	self->cheap.cached_bytes = cached_bytes(&self->cheap);
	self->dear.cached_bytes = cached_bytes(&self->dear);
}

/*
 * One buffer more; false: there is no more. What was taken from the guarantee before is not cached
 * any more.
 */
static bool take_one(struct volumes *self)
{
	(void)guarantee_refill(memory_guarantee(self->testbed.environment->memory));

	const uint64_t cheap = cached_bytes(&self->cheap), dear = cached_bytes(&self->dear);
	struct dma_request request = self->buffers.request;

	if (self->buffers.taken == self->buffers.count ||
	    dma_alloc(memory_dma(self->buffers.memory), self->buffers.device, &request,
		      &self->buffers.list[self->buffers.taken]) != STATUS_OK)
		return false;
	self->buffers.taken++;
	const uint64_t given = dear - MIN(dear, cached_bytes(&self->dear));
	/*
	 * Blocks, that is; a page may go where another one moves to, out of a block that is to be
	 * loaned.
	 */
	if (given >= BLOCK_BYTES / 2 && cheap > floor_bytes(self, &self->cheap) + SLACK_BYTES)
		self->wrong_order_bytes += given;
	return true;
}

static void expect_left(struct volumes *self, struct side *side)
{
	side->left_bytes = cached_bytes(side);
	if (side->left_bytes < side->keep_bytes)
		testbed_fail(&self->testbed, "a volume lost what it was to keep", STATUS_RANGE);
	if (side->left_bytes > floor_bytes(self, side) + SLACK_BYTES)
		testbed_fail(&self->testbed, "a volume did not give all but its keep", STATUS_RANGE);
}

static void run_loop(struct volumes *self, uint64_t loop)
{
	char cheap[2][FORMAT_BYTES_SIZE], dear[2][FORMAT_BYTES_SIZE], got[FORMAT_BYTES_SIZE];
	struct reclaim_delta delta;
	struct reclaim_stats stats;

	fill(self);
	reclaim_stats_open(&stats, self->testbed.environment);
	while (take_one(self))
		continue;
	reclaim_stats_close(&stats, &delta);
	reclaim_totals_add(&self->testbed.totals, buffers_bytes(&self->buffers), &delta);
	expect_left(self, &self->cheap);
	expect_left(self, &self->dear);
	print("volumes, loop %llu: %s taken; the less preferred one has %s of %s left, the other one %s of %s\n",
	      (unsigned long long)loop + 1, format_bytes(got, buffers_bytes(&self->buffers)),
	      format_bytes(cheap[0], self->cheap.left_bytes), format_bytes(cheap[1], self->cheap.cached_bytes),
	      format_bytes(dear[0], self->dear.left_bytes), format_bytes(dear[1], self->dear.cached_bytes));
	buffers_free(&self->buffers);
}

static status_t prepare(struct volumes *self, struct scenario *scenario)
{
	static const struct device any = { .name = "volumes", .dma_mask = UINT64_MAX };
	const struct app_environment *environment = scenario->environment;
	const struct dma_request request = buffers_piece(false);
	struct volume *digitizer;
	status_t status = disks_find(scenario, &self->disks);

	if (status != STATUS_OK)
		return status;
	self->testbed.scenario = scenario;
	self->testbed.environment = environment;
	self->cheap.seed = PATTERN_SEED_DATA;
	self->dear.seed = PATTERN_SEED_DIGITIZER;
	self->cheap.keep_bytes = options_get_number(scenario->options, "cheap_keep", CHEAP_KEEP);
	self->dear.keep_bytes = options_get_number(scenario->options, "dear_keep", DEAR_KEEP);
	digitizer = volume_find(environment->pagecache, self->disks.digitizer->name);
	if (!digitizer || MIN(volume_bytes(digitizer), volume_bytes(self->disks.data)) < READ_BYTES)
		return STATUS_NOT_FOUND;
	status = volume_flush(self->disks.data);
	if (status != STATUS_OK)
		return status;
	begin(&self->cheap, self->disks.data, CHEAP_PREFERENCE);
	begin(&self->dear, digitizer, DEAR_PREFERENCE);
	status =
		buffers_init(&self->buffers, environment->memory, &any, &request, environment->ram_bytes / BUFFERS_PIECE_BYTES);
	self->page_buffer = heap_alloc(memory_general_heap(environment->memory), READ_BYTES, PAGE_BYTES);
	return status == STATUS_OK && !self->page_buffer ? STATUS_NO_MEMORY : status;
}

static void end(struct side *side)
{
	if (side->volume)
		volume_configure(side->volume, &side->before);
}

static void finish(struct volumes *self)
{
	if (self->buffers.list)
		buffers_fini(&self->buffers);
	end(&self->cheap);
	end(&self->dear);
	heap_free(memory_general_heap(self->testbed.environment->memory), self->page_buffer);
}

SCENARIO(volumes, "the less preferred volume gives first, down to its keep: loops=5 cheap_keep=32M dear_keep=64M")
{
	static struct volumes volumes;
	uint64_t loops = MAX(options_get_number(scenario->options, "loops", LOOPS_DEFAULT), 1);
	char totals[RECLAIM_TOTALS_BYTES];
	status_t status;

	volumes = (struct volumes){ .testbed.environment = scenario->environment };
	status = prepare(&volumes, scenario);
	for (uint64_t loop = 0; status == STATUS_OK && scenario_goes_on(loop, &loops); loop++)
		run_loop(&volumes, loop);
	finish(&volumes);
	if (status != STATUS_OK)
		return status;
	if (volumes.wrong_order_bytes > 0)
		testbed_fail(&volumes.testbed, "the dear volume gave while the other one had more than its keep", STATUS_RANGE);
	scenario_result(scenario,
			"failures=%llu missed=%llu bad_pages=%llu %s loops=%llu wrong_order_bytes=%llu cheap_left_bytes=%llu "
			"cheap_keep_bytes=%llu dear_left_bytes=%llu dear_keep_bytes=%llu",
			(unsigned long long)volumes.testbed.failures, (unsigned long long)volumes.testbed.missed,
			(unsigned long long)volumes.testbed.bad_pages, reclaim_totals_format(totals, &volumes.testbed.totals),
			(unsigned long long)loops, (unsigned long long)volumes.wrong_order_bytes,
			(unsigned long long)volumes.cheap.left_bytes, (unsigned long long)volumes.cheap.keep_bytes,
			(unsigned long long)volumes.dear.left_bytes, (unsigned long long)volumes.dear.keep_bytes);
	return testbed_status(&volumes.testbed);
}
