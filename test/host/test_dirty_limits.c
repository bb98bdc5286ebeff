/*
 * What volumes may have dirty. One thread on the test's clock writes to disks of any speed, some of them silent, some with a
 * bad part, while memory comes and goes; disks work while it waits. Beside them stands a model: which pages are dirty, and
 * what each is charged. A wait that nothing can end is a panic.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/io.h"
#include "pagecache/map.h"
#include "pagecache/writeback.h"
#include "runtime/base/bits.h"

#define DISKS        4
#define DISK_PAGES   (8 * PAGES_PER_BLOCK)
#define BAD_PAGES    100
#define TAKEN_MAX    32 /* blocks that others take, of 40 */
#define ROUNDS       6
#define STEPS        3000
#define DEBT_UNIT    (32 * PRICE_PAGE)
#define PERIOD_PAGES 8192

struct disk {
	struct fake_block fake;
	struct volume volume;
	uint64_t ns_per_page;
	bool silent;
	bool paused;            /* it reads, and does not write */
	struct list queue;      /* requests; driver[0]: since when */
	uint64_t idle_since_ns; /* when it completed the last one */
	bool dirty[DISK_PAGES];
	bool in_flight[DISK_PAGES];
	uint64_t dirty_count;
	double recent; /* pages written, half as many after each period */
};

static struct cache_machine machine;
static struct disk disks[DISKS];
static struct random seed;
static struct phys_addr taken[TAKEN_MAX];
static unsigned taken_count;
static uint64_t writes, refused, waits;
static uint64_t written; /* pages, by all disks */
static struct owner owner;
static struct phys_addr block; /* for direct I/O */
static void (*execute)(struct block_device *device, struct block_request *request);

static uint64_t below(uint64_t bound)
{
	return random_below(&seed, bound);
}

/* Disks ------------------------------------------------------------------------------------------------------------------- */

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

static void time_pass(uint64_t ns)
{
	const uint64_t until = platform_now_ns() + ns;

	while (disks_work(until))
		;
	host_clock_turn(until - platform_now_ns());
}

/* Model ------------------------------------------------------------------------------------------------------------------- */

static struct dirty_limits limits_of(const struct disk *disk)
{
	return writeback_limits(&disk->volume);
}

static uint64_t failed_of(const struct disk *disk)
{
	return atomic_load(&disk->volume.counts.failed_pages);
}

/* Whether a write that makes `pages` dirty goes through without a wait for the disk. */
static bool has_room(const struct disk *disk, uint64_t pages)
{
	const struct dirty_limits limits = limits_of(disk);
	const uint64_t failed = failed_of(disk), healthy = disk->dirty_count - failed;

	return healthy == 0 || healthy + pages <= MAX(limits.max - MIN(failed, limits.max), limits.floor);
}

static bool is_in_flight(const struct disk *disk, uint64_t first, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		if (disk->in_flight[first + i])
			return true;
	return false;
}

/* What others leave: all of it up to the disk's share of what was written lately, and half in any case. */
static double limit_model(const struct disk *disk)
{
	const struct dirty_limits limits = limits_of(disk);
	double others = 0, recent = 0;

	for (unsigned i = 0; i < DISKS; i++) {
		others += disk == &disks[i] ? 0 : (double)disks[i].dirty_count;
		recent += disks[i].recent;
	}
	const double room = MAX((double)limits.all - others, 0.0);
	const double share = (double)limits.all * (recent > 0 ? disk->recent / recent : 1);
	return MAX(MIN(room, MAX(share, room / 2)), (double)limits.floor);
}

/* What caches have, or may take. */
static uint64_t limit_of_all_model(void)
{
	const uint64_t low_bytes = 4 * BLOCK_BYTES, free_bytes = memory_free_bytes(&machine.memory);
	struct pagecache_statistics sum;

	pagecache_statistics(&machine.pagecache, &sum);
	return (sum.blocks * BLOCK_BYTES + (free_bytes > low_bytes ? free_bytes - low_bytes : 0)) / PAGE_BYTES * 20 / 100;
}

/* The sums and the limits are those of the model; shares may be off by a request at the end of a period. */
static void check(void)
{
	const struct dirty_limits any = limits_of(&disks[0]);
	uint64_t all = 0, failed = 0, floors = 0;

	for (unsigned i = 0; i < DISKS; i++) {
		const struct dirty_limits limits = limits_of(&disks[i]);

		ck_assert_uint_eq(atomic_load(&disks[i].volume.counts.dirty_pages), disks[i].dirty_count);
		ck_assert_uint_eq(limits.all, any.all);
		ck_assert_uint_ge(limits.max, limits.floor);
		ck_assert_double_le(fabs((double)limits.max - limit_model(&disks[i])), (double)limits.all / 16 + 1);
		ck_assert_uint_le(limits.background, limits.max);
		all += disks[i].dirty_count;
		failed += failed_of(&disks[i]);
		floors += limits.floor;
	}
	ck_assert_uint_eq(any.all, limit_of_all_model());
	ck_assert_uint_eq(atomic_load(&machine.pagecache.dirty_pages), all);
	ck_assert_uint_eq(atomic_load(&machine.pagecache.failed_pages), failed);
	ck_assert_uint_le(floors, MAX(any.all / 4, DISKS * 16u));
}

/* What the page at the end of an operation was charged: nothing, if it was dirty. Counts it as dirty. */
static uint32_t charge_of(struct disk *disk, uint64_t number, uint64_t dirty_then)
{
	const struct dirty_limits limits = limits_of(disk);

	if (disk->dirty[number])
		return 0;
	disk->dirty[number] = true;
	disk->dirty_count++;
	return writeback_price(dirty_then, limits.background, limits.max);
}

/* What is left of a debt when writers have paid. */
static uint32_t after_paying(uint32_t debt)
{
	return debt < DEBT_UNIT ? debt : debt % DEBT_UNIT;
}

struct before {
	struct dirty_limits limits;
	uint64_t dirty;
	uint64_t now_ns;
};

static struct before look(const struct disk *disk)
{
	return (struct before){ limits_of(disk), disk->dirty_count, platform_now_ns() };
}

/*
 * Whatever happens to other disks, a writer waits for no more than his own one's work for what is dirty there, and for thrice
 * what he writes. If pages became dirty, they had room; a wait may have changed the limits since.
 */
static void check_write(const struct disk *disk, const struct before *before, uint64_t pages)
{
	const struct dirty_limits limits = limits_of(disk);
	const uint64_t waited_ns = platform_now_ns() - before->now_ns;
	const uint64_t max = MAX(before->limits.max, limits.max); /* a mapping's memory makes it less */
	const uint64_t failed = failed_of(disk);

	if (!disk->silent)
		ck_assert_uint_le(waited_ns, (before->dirty + 3 * pages + 4 * IO_PAGES_MAX) * disk->ns_per_page);
	if (waited_ns == 0 && disk->dirty_count > before->dirty)
		ck_assert_uint_le(disk->dirty_count, MAX(MAX(max, limits.floor + failed), failed + pages));
}

/* Only for pages that cannot be written, if they fill this disk's limit, and are a quarter of what all may have dirty. */
static void check_refused(const struct disk *disk, status_t status)
{
	const struct dirty_limits limits = limits_of(disk);

	ck_assert_int_eq(status, STATUS_IO_ERROR);
	ck_assert_uint_ge(failed_of(disk), limits.max);
	ck_assert_uint_ge(atomic_load(&machine.pagecache.failed_pages), limits.all / 4);
	refused++;
}

/* Operations -------------------------------------------------------------------------------------------------------------- */

/* A page, or a part of one. Of a silent disk only what needs no answer. */
static void run_write(struct disk *disk)
{
	static char page[PAGE_BYTES];
	const uint64_t number = below(2) == 0 ? below(DISK_PAGES) : below(DISK_PAGES / 16);
	const bool whole = below(3) > 0;
	const struct before before = look(disk);
	const uint32_t debt = atomic_load(&disk->volume.debt);
	status_t status;

	if (disk->silent && (debt >= DEBT_UNIT || is_in_flight(disk, number, 1) || !(whole || disk->dirty[number]) ||
			     !(disk->dirty[number] || has_room(disk, 1))))
		return;
	status = node_write(&disk->volume.node, number * PAGE_BYTES + !whole, page, whole ? PAGE_BYTES : 16);
	if (status != STATUS_OK) {
		check_refused(disk, status);
		return;
	}
	const uint32_t charge = charge_of(disk, number, disk->dirty_count + 1);
	ck_assert_uint_eq(atomic_load(&disk->volume.debt), after_paying(debt) + charge);
	check_write(disk, &before, 1);
	writes++;
}

static void run_writes(struct disk *disk)
{
	for (uint64_t i = 1 + below(40); i > 0; i--)
		run_write(disk);
}

static void run_map(struct disk *disk)
{
	const uint64_t pages = 1 + below(below(4) == 0 ? 200 : 8);
	const uint64_t first = below(DISK_PAGES - pages);
	const struct before before = look(disk);
	struct mapping *mapping;
	status_t status;
	uint32_t debt;

	if (disk->silent && (after_paying(atomic_load(&disk->volume.debt)) != atomic_load(&disk->volume.debt) ||
			     is_in_flight(disk, first, pages) || !has_room(disk, pages)))
		return;
	status = node_map(&disk->volume.node, first * PAGE_BYTES, pages * PAGE_BYTES, MAP_WRITE, &mapping);
	if (status != STATUS_OK) {
		check_refused(disk, status);
		return;
	}
	debt = atomic_load(&disk->volume.debt);
	node_unmap(mapping);
	for (uint64_t i = 0; i < pages; i++)
		debt += charge_of(disk, first + i, disk->dirty_count + 1);
	ck_assert_uint_eq(atomic_load(&disk->volume.debt), debt);
	check_write(disk, &before, pages);
}

/* Past the cache. Only what is not bad, since what is dirty is written first. */
static void run_direct(struct disk *disk)
{
	const uint64_t pages = 1 + below(16);
	const uint64_t first = BAD_PAGES + below(DISK_PAGES - BAD_PAGES - pages);
	const enum block_operation operation = below(2) == 0 ? BLOCK_READ : BLOCK_WRITE;

	if (disk->silent)
		return;
	ck_assert_int_eq(node_direct(&disk->volume.node, operation, first * PAGE_BYTES,
				     &(struct phys_range){ block, pages * PAGE_BYTES }, 1),
			 STATUS_OK);
}

static void run_read(struct disk *disk)
{
	static char pages[8 * PAGE_BYTES];

	if (!disk->silent)
		ck_assert_int_eq(node_read(&disk->volume.node, below(DISK_PAGES - 8) * PAGE_BYTES, pages, sizeof(pages)),
				 STATUS_OK);
}

static void run_background(struct disk *disk)
{
	(void)disk;
	pagecache_writeback_step(&machine.pagecache);
}

static void run_time(struct disk *disk)
{
	(void)disk;
	time_pass(below(20 * NS_PER_MS));
}

/* It falls silent, or comes back; goes bad in part, or is repaired. */
static void run_state(struct disk *disk)
{
	if (below(8) == 0)
		disk->silent = !disk->silent;
	if (below(8) == 0)
		disk->fake.fail_writes = !disk->fake.fail_writes;
}

/* Others take memory, or give it back. */
static void run_take(struct disk *disk)
{
	const struct memory_request request = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };

	(void)disk;
	if (below(2) == 0 && taken_count > 0)
		memory_blocks_free(&machine.memory, taken[--taken_count]);
	else if (taken_count < TAKEN_MAX && memory_blocks_alloc(&machine.memory, &request, &taken[taken_count]) == STATUS_OK)
		taken_count++;
}

static void (*const operations[])(struct disk *disk) = { run_write, run_writes,     run_writes, run_writes, run_map, run_direct,
							 run_read,  run_background, run_time,   run_state,  run_take };

static void disks_start(bool all_healthy)
{
	const struct volume_config config = { .preference = 50, .keep_bytes = BLOCK_BYTES / 2 };

	written = 0;
	cache_machine_init(&machine, 2 * MIB, false);
	host_clock_set(HOST_CLOCK_ALONE);
	host_clock_idle(disks_work);
	owner_init(&owner, "others", false);
	ck_assert_int_eq(memory_blocks_alloc(
				 &machine.memory,
				 &(struct memory_request){ .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER }, &block),
			 STATUS_OK);
	for (unsigned i = 0; i < DISKS; i++) {
		struct disk *disk = &disks[i];
		const char name[] = { (char)('a' + i), 0 };

		memset(disk, 0, sizeof(*disk));
		fake_block_init(&disk->fake, DISK_PAGES * PAGE_BYTES, false);
		disk->fake.fail_end = BAD_PAGES * PAGE_BYTES;
		execute = disk->fake.device.submit;
		disk->fake.device.submit = submit;
		list_init(&disk->queue);
		disk->ns_per_page = 1 + (1000ull << below(10));
		disk->silent = !all_healthy && below(4) == 0;
		ck_assert_int_eq(volume_attach(&disk->volume, &machine.pagecache, &disk->fake.device, name, 0,
					       DISK_PAGES * PAGE_BYTES, &config),
				 STATUS_OK);
	}
}

static void disks_end(void)
{
	for (unsigned i = 0; i < DISKS; i++) {
		disks[i].silent = false;
		disks[i].fake.fail_writes = false;
	}
	while (taken_count > 0)
		memory_blocks_free(&machine.memory, taken[--taken_count]);
	memory_blocks_free(&machine.memory, block);
	time_pass(NS_PER_S);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	for (unsigned i = 0; i < DISKS; i++) {
		waits += atomic_load(&disks[i].volume.counts.throttled);
		ck_assert_int_eq(volume_detach(&disks[i].volume, false), STATUS_OK);
		fake_block_fini(&disks[i].fake);
	}
	host_clock_idle(NULL);
	host_clock_set(HOST_CLOCK_REAL);
	cache_machine_fini(&machine);
}

START_TEST(volumes_keep_their_limits_and_wait_for_themselves_only)
{
	host_log_level(LOG_ERROR); /* requests of others may fail */
	random_seed(&seed, 8);
	for (unsigned round = 0; round < ROUNDS; round++) {
		disks_start(false);
		for (unsigned step = 0; step < STEPS; step++) {
			operations[below(ARRAY_LENGTH(operations))](&disks[below(DISKS)]);
			check();
		}
		disks_end();
	}
	ck_assert_uint_lt(refused, writes / 50);
	ck_assert_uint_gt(waits, writes / 100);
}
END_TEST

/* As much as is given, up to 80% of the memory. */
static void take_most(void)
{
	const struct memory_request request = {
		.blocks = 1,
		.owner = &owner,
		.wait = MEMORY_WAIT_DEADLINE,
		.deadline_ns = platform_now_ns() + NS_PER_S,
	};

	while (taken_count < TAKEN_MAX && memory_blocks_alloc(&machine.memory, &request, &taken[taken_count]) == STATUS_OK)
		taken_count++;
}

/* Fills what the disk may have dirty. */
static void write_most(struct disk *disk)
{
	for (uint64_t number = 0; number < DISK_PAGES; number++) {
		static char page[PAGE_BYTES];

		if (!has_room(disk, 1) || atomic_load(&disk->volume.debt) >= DEBT_UNIT)
			break;
		ck_assert_int_eq(node_write(&disk->volume.node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
		(void)charge_of(disk, number, 0);
	}
	ck_assert_uint_gt(disk->dirty_count, limits_of(disk).max / 2);
}

static void read_anywhere(struct disk *disk)
{
	char word[8];

	for (unsigned i = 0; i < 1000; i++)
		ck_assert_int_eq(node_read(&disk->volume.node, below(DISK_PAGES) * PAGE_BYTES, word, sizeof(word)), STATUS_OK);
}

/*
 * The first disk says nothing any more, with as much dirty as may be; memory is taken before or afterwards. The others are
 * read: each keeps some pages, as the wiring has it.
 */
static void read_with_little_memory(unsigned taken_first)
{
	disks_start(true);
	for (unsigned i = 0; i < DISKS; i++)
		read_anywhere(&disks[i]);
	if (taken_first)
		take_most();
	disks[0].silent = true;
	write_most(&disks[0]);
	take_most();
	ck_assert_uint_ge(taken_count, TAKEN_MAX * 2 / 3);
	for (unsigned i = 1; i < DISKS; i++) {
		const uint64_t began_ns = platform_now_ns();

		read_anywhere(&disks[i]);
		ck_assert_uint_le(platform_now_ns() - began_ns, 1000 * 2 * IO_PAGES_MAX * disks[i].ns_per_page);
	}
	disks_end();
}

START_TEST(reads_work_beside_a_silent_disk_while_memory_is_taken)
{
	host_log_level(LOG_ERROR);
	random_seed(&seed, 3);
	read_with_little_memory(0);
	read_with_little_memory(1);
}
END_TEST

/*
 * Two write to a silent disk until they wait; then one writes many times the limit to another disk, before the first one
 * wakes.
 */
struct race {
	struct cache_machine machine;
	struct fake_block silent;
	struct volume volume;
	_Atomic uint64_t failures;
};

static void write_or_clean(void *context, unsigned index)
{
	static char page[PAGE_BYTES];
	struct race *race = context;
	struct volume *volume = index < 3 ? &race->volume : &race->machine.volume;
	const uint64_t pages = race->silent.device.size_bytes / PAGE_BYTES;

	if (index == 0) {
		pagecache_writeback_run(&race->machine.pagecache);
		return;
	}
	while (index == 3 && atomic_load(&race->volume.counts.throttled) < 2)
		platform_yield();
	for (uint64_t i = index % 2; i < pages; i += index < 3 ? 2 : 1)
		if (node_write(&volume->node, i * PAGE_BYTES, page, PAGE_BYTES) != STATUS_OK)
			atomic_fetch_add(&race->failures, 1);
	if (index == 3) {
		(void)fake_block_hold(&race->silent, false);
		pagecache_stop(&race->machine.pagecache);
	}
}

START_TEST(threads_write_beside_a_silent_disk)
{
	const struct volume_config config = { .preference = 50 };
	static struct race race;

	cache_machine_init(&race.machine, 32 * BLOCK_BYTES, true);
	fake_block_init(&race.silent, 32 * BLOCK_BYTES, true);
	ck_assert_int_eq(volume_attach(&race.volume, &race.machine.pagecache, &race.silent.device, "silent", 0,
				       32 * BLOCK_BYTES, &config),
			 STATUS_OK);
	(void)fake_block_hold(&race.silent, true);
	host_threads_run(4, write_or_clean, &race);
	ck_assert_uint_eq(atomic_load(&race.failures), 0);
	ck_assert_int_eq(volume_detach(&race.volume, false), STATUS_OK);
	memset(race.machine.model + PAGE_BYTES, 0, race.machine.disk.device.size_bytes - PAGE_BYTES);
	fake_block_fini(&race.silent);
	cache_machine_fini(&race.machine);
}
END_TEST

/* I/O objects -------------------------------------------------------------------------------------------------------------- */

static struct io *objects[64];
static unsigned object_count;
static uint64_t dirty_when_it_waited;

/* They come back when a writer would wait for ever. */
static bool objects_return(uint64_t deadline_ns)
{
	if (deadline_ns != PLATFORM_FOREVER || object_count == 0)
		return false;
	dirty_when_it_waited = atomic_load(&machine.volume.counts.dirty_pages);
	while (object_count > 0)
		io_end(objects[--object_count]);
	return true;
}

START_TEST(writers_keep_the_limit_while_there_is_no_io_object)
{
	static const char page[PAGE_BYTES];
	uint64_t limit;

	cache_machine_init(&machine, 8 * BLOCK_BYTES, false);
	host_clock_set(HOST_CLOCK_ALONE);
	host_clock_idle(objects_return);
	limit = writeback_limits(&machine.volume).max;
	while ((objects[object_count] = io_try_begin(&machine.volume, BLOCK_READ, 0)) != NULL ||
	       (objects[object_count] = io_try_begin(&machine.volume, BLOCK_WRITE, 0)) != NULL)
		object_count++;
	for (uint64_t number = 0; number < limit + 64; number++) {
		ck_assert_int_eq(node_write(&machine.volume.node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
		ck_assert_uint_le(atomic_load(&machine.volume.counts.dirty_pages), limit);
	}
	ck_assert_uint_eq(object_count, 0);
	ck_assert_uint_eq(dirty_when_it_waited, limit);
	memset(machine.model, 0, (limit + 64) * PAGE_BYTES);
	host_clock_idle(NULL);
	host_clock_set(HOST_CLOCK_REAL);
	cache_machine_fini(&machine);
}
END_TEST

/* Mappings ---------------------------------------------------------------------------------------------------------------- */

/* 1 MB of what is there already. */
static status_t map_and_fill(unsigned number, struct mapping **mapping)
{
	const status_t status = node_map(&machine.volume.node, number * MIB, MIB, MAP_WRITE, mapping);
	const unsigned char *from = machine.model + number * MIB;

	for (uint32_t i = 0; status == STATUS_OK && i < (*mapping)->segment_count; i++) {
		memcpy(platform_virt((*mapping)->segments[i].start), from, (*mapping)->segments[i].bytes);
		from += (*mapping)->segments[i].bytes;
	}
	return status;
}

START_TEST(mappings_for_writing_stay_within_the_limit)
{
	static struct mapping *mappings[DISK_BYTES / MIB], *more;
	status_t status = STATUS_OK;
	unsigned count = 0;
	uint64_t limit;

	cache_machine_init(&machine, DISK_BYTES, true);
	limit = writeback_limits(&machine.volume).max;
	(void)fake_block_hold(&machine.disk, true);
	while (status == STATUS_OK) {
		ck_assert_uint_lt(count, ARRAY_LENGTH(mappings));
		status = map_and_fill(count, &mappings[count]);
		count += status == STATUS_OK;
	}
	ck_assert_int_eq(status, STATUS_BUSY);
	ck_assert_uint_gt((count + 1) * MIB / PAGE_BYTES, limit);
	node_unmap(mappings[--count]);
	ck_assert_uint_le(atomic_load(&machine.volume.counts.dirty_pages), limit);
	while (count > 0)
		node_unmap(mappings[--count]);
	ck_assert_uint_le(atomic_load(&machine.volume.counts.dirty_pages), limit);
	ck_assert_uint_eq(atomic_load(&machine.volume.mapped_pages), 0);
	(void)fake_block_hold(&machine.disk, false);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(map_and_fill(0, &more), STATUS_OK);
	node_unmap(more);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("dirty_limits", volumes_keep_their_limits_and_wait_for_themselves_only,
	       reads_work_beside_a_silent_disk_while_memory_is_taken, threads_write_beside_a_silent_disk,
	       writers_keep_the_limit_while_there_is_no_io_object, mappings_for_writing_stay_within_the_limit)
