// SPDX-License-Identifier: BSD-2-Clause
/*
 * One buffer of a block for the task, one for a panic. Where a block lies on the device is computed
 * in one function, which checks that it is one of the area.
 */
#include "log_disk.h"

#include "runtime/base/assert.h"
#include "runtime/base/block_device.h"
#include "runtime/base/heap.h"
#include "runtime/base/log.h"
#include "runtime/base/mutex.h"
#include "runtime/base/string.h"

#include "panic.h"
#include "runtime/console/console.h"
#include "runtime/console/log_command.h"
#include "runtime/console/monitor.h"
#include "task.h"

#define WRITE_PERIOD_NS NS_PER_S
#define LAST_BYTES      (128 * KIB)

static struct {
	struct mutex lock;
	struct log_disk_config config; /* [I] */
	struct log_area area;          /* [lock] next; the rest [I] */
	uint64_t written;              /* [lock] position up to which the history is on the disk */
	bool failed;                   /* [lock] */
	bool started;                  /* [I] after start-up */
	char *block;                   /* [lock] */
	char *panic_block;             /* the panic's */
} disk;

static uint64_t block_offset(uint32_t index)
{
	assert(index < log_area_blocks(&disk.area));
	return disk.config.start_bytes + (uint64_t)index * LOG_BLOCK_BYTES;
}

static struct phys_range block_range(const char *block)
{
	return (struct phys_range){ platform_phys(block), LOG_BLOCK_BYTES };
}

static status_t block_transfer(enum block_operation operation, uint32_t index)
{
	const struct phys_range range = block_range(disk.block);

	return block_device_transfer(disk.config.device, operation, block_offset(index), &range, 1);
}

static status_t block_read(void *context, uint32_t index, const void **block)
{
	(void)context;
	*block = disk.block;
	return block_transfer(BLOCK_READ, index);
}

/* One block of the history from *position on, for the ring or a panic; false: there is no more. */
static bool history_block(char *block, uint64_t *position)
{
	static char texts[2][LOG_TEXT_BYTES]; /* the task's, which a panic may have interrupted, and the panic's */
	char *text = texts[panic_is_active()];
	const size_t bytes = console_history_read(position, text, LOG_TEXT_BYTES);

	if (bytes > 0)
		log_block_write(block, disk.area.run, *position - bytes, text, bytes);
	return bytes > 0;
}

/* All that is new by now. What comes meanwhile has its turn: a write that logs would never end. */
static status_t history_write_locked(void)
{
	const uint64_t end = console_history_end();
	status_t status = STATUS_OK;

	if (disk.written == end)
		return STATUS_OK;
	while (status == STATUS_OK && disk.written < end && history_block(disk.block, &disk.written))
		status = block_transfer(BLOCK_WRITE, log_area_next(&disk.area));
	if (status == STATUS_OK)
		status = disk.config.flush(disk.config.device);
	return status;
}

static void history_write(void)
{
	status_t status = STATUS_OK;

	mutex_lock(&disk.lock);
	if (!disk.failed)
		status = history_write_locked();
	disk.failed |= status != STATUS_OK;
	mutex_unlock(&disk.lock);
	if (status != STATUS_OK)
		log_error("log: %s cannot be written: %s; this run's log ends here", disk.config.name, status_text(status));
}

static void write_task(void *context)
{
	(void)context;
	for (;;) {
		history_write();
		task_sleep(WRITE_PERIOD_NS);
	}
}

void log_disk_finish(void)
{
	if (disk.started)
		history_write();
}

/* Polled --------------------------------------------------------------------------------------- */

static status_t panic_transfer(enum block_operation operation, uint32_t index)
{
	const struct phys_range range = block_range(disk.panic_block);
	struct block_request request = {
		.operation = operation,
		.offset_bytes = operation == BLOCK_FLUSH ? 0 : block_offset(index),
		.segments = &range,
		.segment_count = operation == BLOCK_FLUSH ? 0 : 1,
	};

	return disk.config.device->panic_transfer(disk.config.device, &request);
}

static void panic_write(void)
{
	const uint64_t end = console_history_end();
	const uint64_t room = (uint64_t)disk.area.panic_blocks * LOG_TEXT_BYTES;
	uint64_t position = end > room ? end - room : 0;
	status_t status = STATUS_OK;

	for (uint32_t i = 0; status == STATUS_OK && i < disk.area.panic_blocks; i++) {
		if (!history_block(disk.panic_block, &position))
			break;
		status = panic_transfer(BLOCK_WRITE, 1 + disk.area.ring_blocks + i);
	}
	if (status == STATUS_OK)
		status = panic_transfer(BLOCK_FLUSH, 0);
	if (status == STATUS_OK)
		print("The report is kept on %s; `log last` shows it after the next start.\n", disk.config.name);
	else
		print("The report could not be kept on %s: %s.\n", disk.config.name, status_text(status));
}

/* Start ---------------------------------------------------------------------------------------- */

static status_t last_run(struct command *self, int argc, char **argv)
{
	char text[256];
	uint64_t position = 0;
	size_t bytes;

	(void)self;
	(void)argc;
	(void)argv;
	if (disk.area.last.end == 0)
		print("No earlier run is in the log.\n");
	while ((bytes = log_ring_read(&disk.area.last, &position, text, sizeof(text))) > 0) {
		if (console_break_requested())
			return STATUS_CANCELLED;
		monitor_replay(text, bytes);
	}
	return STATUS_OK;
}

static bool is_reachable(const struct device *device, const char *block)
{
	const uint64_t start = platform_phys(block).value;

	return !device || (start >= device->dma_lowest && start + LOG_BLOCK_BYTES - 1 <= device->dma_mask);
}

static status_t buffers_alloc(void)
{
	char *last = heap_alloc(disk.config.heap, LAST_BYTES, 0);

	disk.block = heap_alloc(disk.config.heap, LOG_BLOCK_BYTES, PAGE_BYTES);
	disk.panic_block = heap_alloc(disk.config.heap, LOG_BLOCK_BYTES, PAGE_BYTES);
	log_ring_init(&disk.area.last, last, LAST_BYTES);
	if (!last || !disk.block || !disk.panic_block)
		return STATUS_NO_MEMORY;
	return is_reachable(disk.config.device->device, disk.block) &&
			       is_reachable(disk.config.device->device, disk.panic_block)
		       ? STATUS_OK
		       : STATUS_UNSUPPORTED;
}

static void buffers_free(void)
{
	heap_free(disk.config.heap, disk.block);
	heap_free(disk.config.heap, disk.panic_block);
	heap_free(disk.config.heap, disk.area.last.text);
}

/* A marker is durable before any other block is. */
static status_t marker_write(void)
{
	status_t status;

	log_marker_write(disk.block);
	status = block_transfer(BLOCK_WRITE, 0);
	return status == STATUS_OK ? disk.config.flush(disk.config.device) : status;
}

static status_t area_open(void)
{
	const uint64_t blocks = MIN(disk.config.bytes, LOG_DISK_BYTES_MAX) / LOG_BLOCK_BYTES;
	status_t status;

	if (disk.config.bytes < LOG_DISK_BYTES_MIN)
		return STATUS_RANGE;
	disk.area.panic_blocks = disk.config.device->panic_transfer ? LOG_PANIC_BLOCKS : 0;
	disk.area.ring_blocks = (uint32_t)blocks - 1 - disk.area.panic_blocks;
	status = log_area_load(&disk.area, block_read, NULL);
	if (status == STATUS_OK && disk.area.is_new)
		status = marker_write();
	return status;
}

static status_t disk_open(void)
{
	static const struct task_options options = { .name = "log", .priority = TASK_NORMAL, .cpu = -1 };
	status_t status = buffers_alloc();

	if (status == STATUS_OK)
		status = area_open();
	return status == STATUS_OK ? task_spawn(&options, write_task, NULL, NULL) : status;
}

static void failure_log(status_t status)
{
	if (status == STATUS_BUSY)
		log_error("log: %s has something else in its first megabyte, which must be all zero at first; there is no log",
			  disk.config.name);
	else
		log_error("log: %s cannot be used: %s", disk.config.name, status_text(status));
}

status_t log_disk_start(const struct log_disk_config *config)
{
	status_t status = block_device_get(config->device);

	disk.config = *config;
	mutex_init(&disk.lock, "log disk");
	if (status == STATUS_OK) {
		status = disk_open();
		if (status != STATUS_OK) {
			buffers_free();
			block_device_put(config->device);
		}
	}
	if (status != STATUS_OK) {
		failure_log(status);
		return status;
	}
	disk.started = true;
	if (disk.area.panic_blocks > 0)
		panic_set_writer(panic_write);
	log_command_set_last(last_run);
	log_info("log: run %llu on %s%s", (unsigned long long)disk.area.run, config->name,
		 disk.area.has_panic ? "; the run before ended in a panic, which `log last` shows" : "");
	return STATUS_OK;
}
