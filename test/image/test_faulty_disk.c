/*
 * A disk that QEMU's blkdebug makes fail: reads of page 100 always, the first write of page 200, the first flush of its cache.
 * Only where the command line names it: faulty=virtio0.
 */
#include "heap/dma.h"
#include "image_test.h"
#include "pagecache/volume.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

#define UNREADABLE_PAGE 100
#define UNWRITABLE_PAGE 200

static char page[PAGE_BYTES], expected[PAGE_BYTES];

static struct volume *faulty_volume(const struct image_test_run *test)
{
	char name[VOLUME_NAME_BYTES];

	if (!options_get(test->environment->command_line, "faulty", name, sizeof(name)))
		return NULL;
	return volume_find(test->environment->pagecache, name);
}

static status_t read_page(struct volume *volume, uint64_t number)
{
	return node_read(&volume->node, number * PAGE_BYTES, page, PAGE_BYTES);
}

/* Reads past the cache. */
static status_t read_disk(struct image_test_run *test, struct volume *volume, uint64_t number)
{
	const struct device *device = volume->device->device;
	const struct dma_request request = { .bytes = PAGE_BYTES, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	struct memory *memory = test->environment->memory;
	struct dma_buffer *buffer;
	status_t status = dma_alloc(memory, device, &request, &buffer);

	if (status != STATUS_OK)
		return status;
	status = block_device_transfer(volume->device, BLOCK_READ, number * PAGE_BYTES, buffer->pieces, 1);
	memcpy(page, buffer->memory, PAGE_BYTES);
	dma_free(memory, buffer);
	return status;
}

IMAGE_TEST(faulty_disk_read_error_reaches_the_reader)
{
	static char pages[4 * PAGE_BYTES];
	struct volume *volume = faulty_volume(test);

	if (!volume)
		skip("no faulty disk");
	expect_equal(node_read(&volume->node, (UNREADABLE_PAGE - 2) * PAGE_BYTES, pages, sizeof(pages)), STATUS_IO_ERROR);
	expect_equal(read_page(volume, UNREADABLE_PAGE), STATUS_IO_ERROR);
	expect_equal(read_page(volume, UNREADABLE_PAGE - 1), STATUS_OK);
	expect_equal(read_page(volume, UNREADABLE_PAGE + 1), STATUS_OK);
	expect_equal(node_write(&volume->node, UNREADABLE_PAGE * PAGE_BYTES + 1, page, 1), STATUS_IO_ERROR);
}

IMAGE_TEST(faulty_disk_write_error_is_reported_and_nothing_lost)
{
	struct volume *volume = faulty_volume(test);
	struct pagecache_statistics statistics;

	if (!volume)
		skip("no faulty disk");
	/* This page is written; it is the disk's own flush that fails. */
	require(node_write(&volume->node, 0, expected, PAGE_BYTES) == STATUS_OK);
	expect_equal(volume_flush(volume), STATUS_IO_ERROR);
	expect_equal(volume_flush(volume), STATUS_OK);
	memset(expected, 0x5a, sizeof(expected));
	require(node_write(&volume->node, UNWRITABLE_PAGE * PAGE_BYTES, expected, PAGE_BYTES) == STATUS_OK);
	expect_equal(volume_flush(volume), STATUS_IO_ERROR);
	volume_statistics(volume, &statistics);
	expect_equal(statistics.failed_pages, 1);
	expect_equal(statistics.dirty_pages, 1);
	expect(read_page(volume, UNWRITABLE_PAGE) == STATUS_OK && memcmp(page, expected, PAGE_BYTES) == 0);
	expect_equal(volume_flush(volume), STATUS_OK);
	volume_statistics(volume, &statistics);
	expect_equal(statistics.failed_pages, 0);
	expect(read_disk(test, volume, UNWRITABLE_PAGE) == STATUS_OK && memcmp(page, expected, PAGE_BYTES) == 0);
}
