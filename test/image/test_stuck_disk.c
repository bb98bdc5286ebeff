// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that stops answering, by QEMU's throttle filter: after a write, writes wait for a second
 * for each 1.5 KB that it had, but at least for one; so for nearly three after a page. The image
 * gives a disk one second, so the driver resets it, and gives a request three attempts. Only where
 * the command line names it: stuck=virtio0.
 */
#include "faulty_disk.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define FIRST_PAGE  0    /* after which there is silence */
#define SECOND_PAGE 1024 /* meets it */
#define OTHER_PAGE  2048 /* is only read */
#define SECTOR_PAGE 3072
#define SILENCE_NS  (4 * NS_PER_S)
#define PATIENCE_NS (60 * NS_PER_S)

static uint64_t failed_pages(struct volume *volume)
{
	struct pagecache_statistics statistics;

	volume_statistics(volume, &statistics);
	return statistics.failed_pages;
}

/* Flushes until that succeeds; each one before has to say that the disk did not answer. */
static status_t flush_patiently(struct image_test_run *test, struct volume *volume)
{
	const uint64_t deadline_ns = platform_now_ns() + PATIENCE_NS;
	status_t status;

	while ((status = volume_flush(volume)) != STATUS_OK && platform_now_ns() < deadline_ns) {
		expect_equal(status, STATUS_TIMEOUT);
		task_sleep(SILENCE_NS);
	}
	return status;
}

/* From here on the disk is silent. */
static status_t silence_begin(struct image_test_run *test, struct volume *volume, unsigned seed)
{
	const status_t status = faulty_disk_write(volume, FIRST_PAGE, seed);

	return status == STATUS_OK ? flush_patiently(test, volume) : status;
}

/*
 * Writes a sector past the cache; so small, it is through before the time of its last attempt is
 * over.
 */
static status_t write_sector(struct image_test_run *test, struct volume *volume, unsigned seed)
{
	struct block_device *device = volume->device;
	const struct dma_request request = { .bytes = PAGE_BYTES, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	struct dma_buffer *buffer;
	status_t status = dma_alloc(memory_dma(test->environment->memory), device->device, &request, &buffer);

	if (status != STATUS_OK)
		return status;
	faulty_disk_fill(buffer->memory, SECTOR_PAGE, seed);
	const struct phys_range sector = { buffer->pieces[0].start, device->sector_bytes };
	status = block_device_transfer(device, BLOCK_WRITE, SECTOR_PAGE * PAGE_BYTES, &sector, 1);
	if (status == STATUS_OK)
		status = block_device_transfer(device, BLOCK_READ, SECTOR_PAGE * PAGE_BYTES, buffer->pieces, 1);
	if (status == STATUS_OK && *(uint64_t *)buffer->memory != ((uint64_t)SECTOR_PAGE << 32 | seed << 16))
		status = STATUS_CORRUPT;
	dma_free(memory_dma(test->environment->memory), buffer);
	return status;
}

IMAGE_TEST(stuck_disk_answers_in_the_end)
{
	struct volume *volume = faulty_disk_volume(test, "stuck");

	if (!volume)
		skip("no disk that stops answering");
	task_sleep(SILENCE_NS); /* until what was before is over */
	require(silence_begin(test, volume, 1) == STATUS_OK);
	const uint64_t before_ns = platform_now_ns();
	expect_equal(write_sector(test, volume, 1), STATUS_OK);
	expect(platform_now_ns() - before_ns >= NS_PER_S);
	expect(faulty_disk_holds(test, volume, FIRST_PAGE, 1));
}

IMAGE_TEST(stuck_disk_times_out_and_loses_nothing)
{
	struct volume *volume = faulty_disk_volume(test, "stuck");
	uint64_t word;

	if (!volume)
		skip("no disk that stops answering");
	require(silence_begin(test, volume, 2) == STATUS_OK);
	require(faulty_disk_write(volume, SECOND_PAGE, 2) == STATUS_OK);
	const uint64_t before_ns = platform_now_ns();
	const status_t status = volume_flush(volume);
	/* The write had no answer; what the resets may have cost is told, too. */
	expect(status == STATUS_TIMEOUT || status == STATUS_IO_ERROR);
	expect(platform_now_ns() - before_ns < PATIENCE_NS);
	expect_equal(failed_pages(volume), 1);
	expect(faulty_disk_reads(volume, SECOND_PAGE, 2));
	/* The disk is there again, and reads are not held back. */
	expect_equal(node_read(&volume->node, OTHER_PAGE * PAGE_BYTES, &word, sizeof(word)), STATUS_OK);
	task_sleep(SILENCE_NS);
	expect_equal(flush_patiently(test, volume), STATUS_OK);
	expect_equal(failed_pages(volume), 0);
	expect(faulty_disk_holds(test, volume, FIRST_PAGE, 2));
	expect(faulty_disk_holds(test, volume, SECOND_PAGE, 2));
}
