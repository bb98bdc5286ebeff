// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes, flushes and promises for the crash test: the disk below records the order in which it was
 * written and flushed, and test/tools/crash_replay.c looks whether every state that a crash can
 * leave keeps all promises (crash_format.h). Writers write whole and partial pages and read them
 * back; flushers flush, several at once; a task takes memory away, so that pages are also written,
 * dropped and read again outside of flushes.
 *
 * Options: volume=NAME, which must hold nothing but zeros; flushes=N of each flusher; seed=N.
 */
#include "crash_format.h"
#include "app/testbed/direct.h"
#include "app/testbed/disks.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "runtime/base/crc32.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define FLUSHES        150
#define BURST_WRITES   256
#define WRITER_NAP_NS  (2 * NS_PER_MS)
#define FLUSHER_NAP_NS (20 * NS_PER_MS)
#define DRAINER_NAP_NS (15 * NS_PER_MS)
#define DRAIN_BYTES    (2 * MIB)
#define TASKS          (CRASH_WRITERS + CRASH_FLUSHERS + 1)
#define ERRORS_LOGGED  8

struct crash {
	struct memory *memory;
	struct volume *volume;
	uint64_t flushes;
	uint64_t seed;
	_Atomic uint16_t versions[CRASH_DATA_PAGES]; /* of the writes that have returned */
	_Atomic bool stop;
	_Atomic uint64_t writes, partial_writes, reads, promises;
	_Atomic uint64_t errors;
};

struct crash_task {
	struct crash *crash;
	unsigned index; /* among writers, or among flushers */
	struct random random;
	struct dma_buffer *buffer;
	struct task *task;
};

static struct crash crash;
static struct crash_task tasks[TASKS];

static bool stopping(struct crash *self)
{
	return atomic_load(&self->stop) || atomic_load(&self->errors) > 0;
}

static void report(struct crash *self, const char *what, uint64_t page, status_t status)
{
	if (atomic_fetch_add(&self->errors, 1) < ERRORS_LOGGED)
		log_error("crash: %s, page %llu: %s", what, (unsigned long long)page, status_text(status));
}

/* Writers -------------------------------------------------------------------------------------- */

/* A page of the writer; some are chosen much more often than others. */
static uint64_t choose_page(struct crash_task *writer)
{
	const uint64_t groups = CRASH_DATA_PAGES / CRASH_GROUP_PAGES / CRASH_WRITERS;
	const uint64_t group = random_below(&writer->random, 1 + random_below(&writer->random, groups));

	return (group * CRASH_WRITERS + writer->index) * CRASH_GROUP_PAGES + random_below(&writer->random, CRASH_GROUP_PAGES);
}

static void page_write_part(struct crash_task *writer, uint64_t number, uint64_t version, struct crash_slots slots)
{
	struct crash *self = writer->crash;
	uint64_t *words = writer->buffer->memory;

	for (unsigned i = 0; i < slots.count; i++)
		crash_slot_fill(words + i * CRASH_SLOT_WORDS, number, slots.first + i, version);
	const status_t status =
		node_write(volume_whole_node(self->volume), number * PAGE_BYTES + slots.first * CRASH_SLOT_BYTES, words,
			   slots.count * CRASH_SLOT_BYTES);
	if (status != STATUS_OK)
		report(self, "partial write", number, status);
	else
		atomic_store(&self->versions[number], (uint16_t)version);
	atomic_fetch_add(&self->partial_writes, 1);
}

/*
 * Whole pages, as long as the next write of the next page is one of all slots and the group goes
 * on.
 */
static void pages_write(struct crash_task *writer, uint64_t first)
{
	struct crash *self = writer->crash;
	uint64_t *words = writer->buffer->memory;
	uint64_t number = first;

	do {
		const uint64_t version = atomic_load(&self->versions[number]) + 1u;

		if (crash_slots_written(number, version).count < CRASH_SLOTS)
			break;
		for (unsigned slot = 0; slot < CRASH_SLOTS; slot++, words += CRASH_SLOT_WORDS)
			crash_slot_fill(words, number, slot, version);
		number++;
	} while (number % CRASH_GROUP_PAGES != 0);
	const status_t status = node_write(volume_whole_node(self->volume), first * PAGE_BYTES, writer->buffer->memory,
					   (number - first) * PAGE_BYTES);
	if (status != STATUS_OK) {
		report(self, "write", first, status);
		return;
	}
	for (uint64_t i = first; i < number; i++)
		atomic_fetch_add(&self->versions[i], 1);
	atomic_fetch_add(&self->writes, 1);
}

/* What the writer has written is there, also after it was dropped and read again. */
static void page_read_back(struct crash_task *writer, uint64_t number)
{
	struct crash *self = writer->crash;
	uint64_t version = 0;
	const status_t status =
		node_read(volume_whole_node(self->volume), number * PAGE_BYTES, writer->buffer->memory, PAGE_BYTES);

	if (status != STATUS_OK)
		report(self, "read", number, status);
	else if (!crash_page_verify(writer->buffer->memory, number, &version) ||
		 version != atomic_load(&self->versions[number]))
		report(self, "read something else than was written", number, STATUS_IO_ERROR);
	atomic_fetch_add(&self->reads, 1);
}

static void page_work(struct crash_task *writer, uint64_t number)
{
	const uint64_t version = atomic_load(&writer->crash->versions[number]) + 1u;
	const struct crash_slots slots = crash_slots_written(number, version);

	if (version == UINT16_MAX)
		return;
	if (slots.count < CRASH_SLOTS)
		page_write_part(writer, number, version, slots);
	else
		pages_write(writer, number);
}

/*
 * Now and then one page is written again and again: a flush that comes along meets it while it is
 * dirty and written to.
 */
static void writer_run(void *context)
{
	struct crash_task *writer = context;
	struct crash *self = writer->crash;

	while (!stopping(self)) {
		const uint64_t number = choose_page(writer);
		const uint64_t dice = random_below(&writer->random, 16);

		if (dice == 0)
			page_read_back(writer, number);
		for (unsigned i = 0; i < (dice == 1 ? BURST_WRITES : 1); i++)
			page_work(writer, number);
		if (dice < 6)
			task_sleep(random_below(&writer->random, WRITER_NAP_NS));
	}
}

/* Flushers ------------------------------------------------------------------------------------- */

static void promise_begin(struct crash *self, struct crash_promise *promise, unsigned flusher, uint64_t number)
{
	memset(promise, 0, sizeof(*promise));
	promise->magic = CRASH_MAGIC;
	promise->flusher = flusher;
	promise->number = number;
	for (unsigned i = 0; i < CRASH_DATA_PAGES; i++)
		promise->versions[i] = atomic_load(&self->versions[i]);
	promise->crc = crc32c_update(0, promise, sizeof(*promise));
}

static void flusher_run(void *context)
{
	struct crash_task *flusher = context;
	struct crash *self = flusher->crash;
	struct dma_buffer *buffer = flusher->buffer;

	for (uint64_t number = 0; number < self->flushes && !stopping(self); number++) {
		const uint64_t page = crash_promise_page(flusher->index, number);
		status_t status;

		promise_begin(self, buffer->memory, flusher->index, number);
		status = volume_flush(self->volume);
		if (status == STATUS_OK)
			status = block_device_transfer(volume_device(self->volume), BLOCK_WRITE, page * PAGE_BYTES,
						       buffer->pieces, buffer->piece_count);
		if (status != STATUS_OK)
			report(self, "flush or promise", page, status);
		else
			atomic_fetch_add(&self->promises, 1);
		task_sleep(random_below(&flusher->random, FLUSHER_NAP_NS));
	}
}

static void drainer_run(void *context)
{
	struct crash_task *drainer = context;
	struct crash *self = drainer->crash;

	while (!stopping(self)) {
		if (random_below(&drainer->random, 2) == 0)
			(void)memory_drain(self->memory, DRAIN_BYTES, true);
		else
			(void)volume_drop(self->volume);
		task_sleep(random_below(&drainer->random, DRAINER_NAP_NS));
	}
}

/* A disk that is not all zero may hold what is dear. */
static status_t check_empty(struct crash *self, void *buffer)
{
	for (uint64_t number = 0; number < CRASH_DISK_PAGES; number++) {
		const uint64_t *words = buffer;
		status_t status = node_read(volume_whole_node(self->volume), number * PAGE_BYTES, buffer, PAGE_BYTES);

		for (unsigned i = 0; status == STATUS_OK && i < PATTERN_PAGE_WORDS; i++)
			if (words[i] != 0)
				status = STATUS_INVALID;
		if (status == STATUS_OK)
			continue;
		print("Page %llu of %s cannot be read or is not zero: this scenario overwrites only disks that hold nothing.\n",
		      (unsigned long long)number, volume_name(self->volume));
		return status;
	}
	return STATUS_OK;
}

static status_t buffers_alloc(struct crash *self)
{
	const struct dma_request request = { .bytes = CRASH_GROUP_PAGES * PAGE_BYTES,
					     .alignment_bytes = PAGE_BYTES,
					     .segments_max = 1 };
	const struct dma_request promise = { .bytes = PAGE_BYTES, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	status_t status = STATUS_OK;

	for (unsigned i = 0; status == STATUS_OK && i < TASKS; i++)
		status = dma_alloc(memory_dma(self->memory), direct_device(volume_device(self->volume)),
				   i < CRASH_WRITERS ? &request : &promise, &tasks[i].buffer);
	return status;
}

static void buffers_free(struct crash *self)
{
	for (unsigned i = 0; i < TASKS; i++)
		dma_free(memory_dma(self->memory), tasks[i].buffer);
}

static status_t task_start(unsigned number, const char *name, void (*run)(void *context), unsigned index)
{
	const struct task_options options = { .name = name, .priority = TASK_NORMAL, .cpu = -1 };

	tasks[number].index = index;
	random_seed(&tasks[number].random, crash.seed * TASKS + number + 1);
	return task_spawn(&options, run, &tasks[number], &tasks[number].task);
}

static void tasks_join(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		if (tasks[i].task)
			task_join(tasks[i].task);
		tasks[i].task = NULL;
	}
}

static status_t work(struct crash *self)
{
	status_t status = task_start(TASKS - 1, "drainer", drainer_run, 0);

	for (unsigned i = 0; status == STATUS_OK && i < CRASH_WRITERS; i++)
		status = task_start(i, "writer", writer_run, i);
	for (unsigned i = 0; status == STATUS_OK && i < CRASH_FLUSHERS; i++)
		status = task_start(CRASH_WRITERS + i, "flusher", flusher_run, i);
	tasks_join(CRASH_WRITERS, CRASH_FLUSHERS);
	atomic_store(&self->stop, true);
	tasks_join(0, TASKS);
	return status;
}

SCENARIO(crash, "write and flush an empty disk, for a look at what a crash would leave: volume=NAME flushes=N seed=N")
{
	struct crash *self = &crash;
	status_t status;

	memset(self, 0, sizeof(*self));
	memset(tasks, 0, sizeof(tasks));
	self->memory = scenario->environment->memory;
	self->volume = disks_find_volume(scenario, "volume");
	if (!self->volume)
		return STATUS_NOT_FOUND;
	if (volume_bytes(self->volume) < CRASH_DISK_PAGES * PAGE_BYTES)
		return STATUS_RANGE;
	self->flushes = options_get_number(scenario->options, "flushes", FLUSHES);
	self->seed = options_get_number(scenario->options, "seed", 1);
	for (unsigned i = 0; i < TASKS; i++)
		tasks[i].crash = self;
	status = buffers_alloc(self);
	if (status == STATUS_OK)
		status = check_empty(self, tasks[0].buffer->memory);
	if (status == STATUS_OK)
		status = work(self);
	buffers_free(self);
	print("result: crash volume=%s writes=%llu partial_writes=%llu reads=%llu promises=%llu errors=%llu\n",
	      volume_name(self->volume), (unsigned long long)self->writes, (unsigned long long)self->partial_writes,
	      (unsigned long long)self->reads, (unsigned long long)self->promises, (unsigned long long)self->errors);
	return status == STATUS_OK && self->errors > 0 ? STATUS_IO_ERROR : status;
}
