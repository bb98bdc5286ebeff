// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that QEMU's blkdebug makes fail: reads of page 100 always, the first read of page 400, the
 * first write of page 200, the first four of page 300, the first flush of its cache. Only where the
 * command line names it: faulty=virtio0.
 */
#include "faulty_disk.h"
#include "runtime/base/string.h"

#define UNREADABLE_PAGE 100
#define UNWRITABLE_PAGE 200 /* once */
#define STUBBORN_PAGE   300 /* one of its sectors, and only that, fails this often: */
#define STUBBORN_WRITES 4
#define SHY_PAGE        400 /* can be read at the second attempt */
#define RUN_PAGES       8

static char page[PAGE_BYTES];

static status_t read_page(struct volume *volume, uint64_t number)
{
	return node_read(&volume->node, number * PAGE_BYTES, page, PAGE_BYTES);
}

static uint64_t failed_pages(struct volume *volume)
{
	struct pagecache_statistics statistics;

	volume_statistics(volume, &statistics);
	return statistics.failed_pages;
}

static uint64_t dirty_pages(struct volume *volume)
{
	struct pagecache_statistics statistics;

	volume_statistics(volume, &statistics);
	return statistics.dirty_pages;
}

IMAGE_TEST(faulty_disk_read_error_reaches_the_reader)
{
	static char pages[4 * PAGE_BYTES];
	struct volume *volume = faulty_disk_volume(test, "faulty");

	if (!volume)
		skip("no faulty disk");
	expect_equal(node_read(&volume->node, (UNREADABLE_PAGE - 2) * PAGE_BYTES, pages, sizeof(pages)), STATUS_IO_ERROR);
	expect_equal(read_page(volume, UNREADABLE_PAGE), STATUS_IO_ERROR);
	expect_equal(read_page(volume, UNREADABLE_PAGE - 1), STATUS_OK);
	expect_equal(read_page(volume, UNREADABLE_PAGE + 1), STATUS_OK);
	expect_equal(node_write(&volume->node, UNREADABLE_PAGE * PAGE_BYTES + 1, page, 1), STATUS_IO_ERROR);
}

/*
 * A reader of one page after the other is read ahead for; the bad page must not fail those that
 * were asked for with it.
 */
IMAGE_TEST(faulty_disk_read_error_stays_with_its_page)
{
	struct volume *volume = faulty_disk_volume(test, "faulty");

	if (!volume)
		skip("no faulty disk");
	(void)volume_drop(volume);
	for (uint64_t number = UNREADABLE_PAGE - 64; number < UNREADABLE_PAGE + 64; number++)
		expect_equal(read_page(volume, number), number == UNREADABLE_PAGE ? STATUS_IO_ERROR : STATUS_OK);
	if (read_page(volume, SHY_PAGE) != STATUS_OK) /* where it was not read with others, and then again */
		expect_equal(read_page(volume, SHY_PAGE), STATUS_OK);
}

/* The page is written; it is the disk's own flush that fails. */
static void fail_flush(struct image_test_run *test, struct volume *volume)
{
	require(faulty_disk_write(volume, 0, 1) == STATUS_OK);
	expect_equal(volume_flush(volume), STATUS_IO_ERROR);
	expect_equal(failed_pages(volume), 0);
	expect_equal(volume_flush(volume), STATUS_OK);
	expect(faulty_disk_holds(test, volume, 0, 1));
}

/*
 * The write fails once. If it was the flush's own, the flush tries the page again and has nothing
 * to tell; if the background writer was quicker, it tells, and the next one writes the page.
 */
static void fail_write(struct image_test_run *test, struct volume *volume)
{
	status_t status;

	require(faulty_disk_write(volume, UNWRITABLE_PAGE, 2) == STATUS_OK);
	status = volume_flush(volume);
	if (status != STATUS_OK) {
		expect_equal(status, STATUS_IO_ERROR);
		expect_equal(failed_pages(volume), 1);
		expect_equal(dirty_pages(volume), 1);
		expect(faulty_disk_reads(volume, UNWRITABLE_PAGE, 2));
		status = volume_flush(volume);
	}
	expect_equal(status, STATUS_OK);
	expect_equal(failed_pages(volume), 0);
	expect(faulty_disk_holds(test, volume, UNWRITABLE_PAGE, 2));
}

static void expect_run(struct image_test_run *test, struct volume *volume, bool with_stubborn)
{
	for (uint64_t number = STUBBORN_PAGE - RUN_PAGES / 2; number < STUBBORN_PAGE + RUN_PAGES / 2; number++)
		if (number != STUBBORN_PAGE || with_stubborn)
			expect(faulty_disk_holds(test, volume, number, 3));
}

/*
 * One bad sector in a request of eight pages. The first flush may leave all of them to the next
 * one, which writes each by itself; from then on only the bad page is dirty, is reported by each
 * flush, and is written when the disk has healed.
 */
static void fail_writes(struct image_test_run *test, struct volume *volume)
{
	unsigned reports = 1;
	status_t status;

	for (uint64_t number = STUBBORN_PAGE - RUN_PAGES / 2; number < STUBBORN_PAGE + RUN_PAGES / 2; number++)
		require(faulty_disk_write(volume, number, 3) == STATUS_OK);
	expect_equal(volume_flush(volume), STATUS_IO_ERROR);
	for (; (status = volume_flush(volume)) != STATUS_OK && reports <= STUBBORN_WRITES; reports++) {
		expect_equal(status, STATUS_IO_ERROR);
		expect_equal(failed_pages(volume), 1);
		expect_equal(dirty_pages(volume), 1);
		expect_run(test, volume, false);
		expect(!faulty_disk_holds(test, volume, STUBBORN_PAGE, 3));
		expect(faulty_disk_reads(volume, STUBBORN_PAGE, 3));
	}
	expect(reports >= 2 && reports <= STUBBORN_WRITES); /* a flush tries it once or twice */
	expect_equal(status, STATUS_OK);
	expect_equal(dirty_pages(volume), 0);
	expect_run(test, volume, true);
}

/* In one test, as the disk fails the first flush, whosever it is. */
IMAGE_TEST(faulty_disk_write_error_is_reported_and_nothing_lost)
{
	struct volume *volume = faulty_disk_volume(test, "faulty");

	if (!volume)
		skip("no faulty disk");
	fail_flush(test, volume);
	fail_write(test, volume);
	fail_writes(test, volume);
}
