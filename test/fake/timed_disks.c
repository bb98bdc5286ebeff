// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests wait in a queue of their disk; the disk that is done first completes its oldest one when
 * the clock comes there.
 */
#include "timed_disks.h"

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

struct disk disks[DISKS];
static uint64_t written; /* pages, by all disks */
static void (*execute)(struct block_device *device, struct block_request *request);

static uint64_t page_count(const struct block_request *request)
{
	return block_request_bytes(request) / PAGE_BYTES;
}

static void submit(struct block_device *device, struct block_request *request)
{
	struct disk *disk = container_of(container_of(device, struct fake_block, device), struct disk, fake);

	for (uint64_t i = 0; request->operation == BLOCK_WRITE && i < page_count(request); i++)
		disk->in_flight[request->offset_bytes / PAGE_BYTES + i] = true;
	request->driver[0] = platform_now_ns();
	list_insert_last(&disk->queue, &request->link);
}

static uint64_t next_done_ns(const struct disk *disk)
{
	const struct block_request *request;

	if (disk->silent || list_is_empty(&disk->queue))
		return UINT64_MAX;
	request = container_of(disk->queue.next, struct block_request, link);
	return MAX(disk->idle_since_ns, request->driver[0]) + page_count(request) * disk->ns_per_page;
}

static bool is_bad(const struct disk *disk, const struct block_request *request)
{
	return disk->fake.fail_writes && request->offset_bytes < disk->fake.fail_end &&
	       request->offset_bytes + block_request_bytes(request) > disk->fake.fail_start;
}

/* A period ends when all disks together have written so many pages. */
static void count_written(struct disk *disk, uint64_t pages)
{
	const uint64_t before = written;

	written += pages;
	for (unsigned i = 0; before / PERIOD_PAGES != written / PERIOD_PAGES && i < DISKS; i++)
		disks[i].recent /= 2;
	disk->recent += (double)pages;
}

static void disk_complete(struct disk *disk)
{
	uint64_t cleaned = 0;
	struct block_request *request = container_of(list_take_first(&disk->queue), struct block_request, link);

	disk->idle_since_ns = platform_now_ns();
	for (uint64_t i = 0; request->operation == BLOCK_WRITE && i < page_count(request); i++) {
		const uint64_t number = request->offset_bytes / PAGE_BYTES + i;

		disk->in_flight[number] = false;
		if (!is_bad(disk, request) && disk->dirty[number]) {
			disk->dirty[number] = false;
			cleaned++;
		}
	}
	disk->dirty_count -= cleaned;
	count_written(disk, cleaned);
	execute(&disk->fake.device, request);
}

/* The disk that is done first. */
static bool disks_work(uint64_t deadline_ns)
{
	struct disk *first = &disks[0];

	for (unsigned i = 1; i < DISKS; i++)
		if (next_done_ns(&disks[i]) < next_done_ns(first))
			first = &disks[i];
	if (next_done_ns(first) == UINT64_MAX || next_done_ns(first) > deadline_ns)
		return false;
	if (next_done_ns(first) > platform_now_ns())
		host_clock_turn(next_done_ns(first) - platform_now_ns());
	disk_complete(first);
	return true;
}

void time_pass(uint64_t ns)
{
	const uint64_t until = platform_now_ns() + ns;

	while (disks_work(until))
		;
	host_clock_turn(until - platform_now_ns());
}

void disks_start(struct pagecache *pagecache, struct random *random, bool all_healthy)
{
	const struct volume_config config = { .preference = 50, .keep_bytes = BLOCK_BYTES / 2 };

	written = 0;
	host_clock_set(HOST_CLOCK_ALONE);
	host_clock_idle(disks_work);
	for (unsigned i = 0; i < DISKS; i++) {
		struct disk *disk = &disks[i];
		const char name[] = { (char)('a' + i), 0 };

		memset(disk, 0, sizeof(*disk));
		fake_block_init(&disk->fake, DISK_PAGES * PAGE_BYTES, false);
		disk->fake.fail_end = BAD_PAGES * PAGE_BYTES;
		execute = disk->fake.device.submit;
		disk->fake.device.submit = submit;
		list_init(&disk->queue);
		disk->ns_per_page = 1 + (1000ull << random_below(random, 10));
		disk->silent = !all_healthy && random_below(random, 4) == 0;
		const status_t status =
			volume_attach(&disk->volume, pagecache, &disk->fake.device, name, 0, DISK_PAGES * PAGE_BYTES, &config);

		assert(status == STATUS_OK);
	}
}

uint64_t disks_end(void)
{
	uint64_t waits = 0;

	for (unsigned i = 0; i < DISKS; i++) {
		disks[i].silent = false;
		disks[i].fake.fail_writes = false;
	}
	time_pass(NS_PER_S);
	assert(pagecache_is_valid(disks[0].volume.pagecache));
	for (unsigned i = 0; i < DISKS; i++) {
		waits += atomic_load(&disks[i].volume.counts.throttled);
		const status_t status = volume_detach(&disks[i].volume, false);

		assert(status == STATUS_OK);
		fake_block_fini(&disks[i].fake);
	}
	host_clock_idle(NULL);
	host_clock_set(HOST_CLOCK_REAL);
	return waits;
}
