// SPDX-License-Identifier: BSD-2-Clause
/*
 * What volumes may have dirty. One thread on the test's clock writes to disks of any speed, some of
 * them silent, some with a bad part, while memory comes and goes; disks work while it waits. Beside
 * them stands a model: which pages are dirty, and what each is charged. A wait that nothing can end
 * is a panic.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fake/timed_disks.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

#define TAKEN_MAX    32 /* blocks that others take, of 40 */
#define ROUNDS       6
#define STEPS        3000
#define BALANCE_UNIT (32 * RATE_PAGE)

static struct cache_machine machine;
static struct random seed;
static struct phys_addr taken[TAKEN_MAX];
static unsigned taken_count;
static uint64_t writes, refused, waits;
static struct owner owner;
static struct phys_addr block; /* for direct I/O */

static uint64_t below(uint64_t bound)
{
	return random_below(&seed, bound);
}

/* Model ---------------------------------------------------------------------------------------- */

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

/*
 * What others leave: all of it up to the disk's share of what was written lately, and half in any
 * case.
 */
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

/*
 * The sums and the limits are those of the model; shares may be off by a request at the end of a
 * period.
 */
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
	ck_assert_uint_eq(atomic_load(&machine.pagecache.writeback.dirty_pages), all);
	ck_assert_uint_eq(atomic_load(&machine.pagecache.writeback.failed_pages), failed);
	ck_assert_uint_le(floors, MAX(any.all / 4, DISKS * 16u));
}

/*
 * What the page at the end of an operation was charged: nothing, if it was dirty. Counts it as
 * dirty.
 */
static uint32_t charge_of(struct disk *disk, uint64_t number, uint64_t dirty_then)
{
	const struct dirty_limits limits = limits_of(disk);

	if (disk->dirty[number])
		return 0;
	disk->dirty[number] = true;
	disk->dirty_count++;
	return writeback_rate(dirty_then, limits.background, limits.max);
}

/* What is left of the balance when writers have paid. */
static uint32_t after_paying(uint32_t balance)
{
	return balance < BALANCE_UNIT ? balance : balance % BALANCE_UNIT;
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
 * However other disks fare, a writer waits for no more than its own disk's work for what is dirty
 * there, and for thrice what it writes. If pages became dirty, they had room; a wait may have
 * changed the limits since.
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

/*
 * Only for pages that cannot be written, if they fill this disk's limit, and are a quarter of what
 * all may have dirty.
 */
static void check_refused(const struct disk *disk, status_t status)
{
	const struct dirty_limits limits = limits_of(disk);

	ck_assert_int_eq(status, STATUS_IO_ERROR);
	ck_assert_uint_ge(failed_of(disk), limits.max);
	ck_assert_uint_ge(atomic_load(&machine.pagecache.writeback.failed_pages), limits.all / 4);
	refused++;
}

/* Operations ----------------------------------------------------------------------------------- */

/* A page, or a part of one. Of a silent disk only what needs no answer. */
static void run_write(struct disk *disk)
{
	static char page[PAGE_BYTES];
	const uint64_t number = below(2) == 0 ? below(DISK_PAGES) : below(DISK_PAGES / 16);
	const bool whole = below(3) > 0;
	const struct before before = look(disk);
	const uint32_t balance = atomic_load(&disk->volume.writeback.balance);
	status_t status;

	if (disk->silent && (balance >= BALANCE_UNIT || is_in_flight(disk, number, 1) || !(whole || disk->dirty[number]) ||
			     !(disk->dirty[number] || has_room(disk, 1))))
		return;
	status = node_write(&disk->volume.node, number * PAGE_BYTES + !whole, page, whole ? PAGE_BYTES : 16);
	if (status != STATUS_OK) {
		check_refused(disk, status);
		return;
	}
	const uint32_t charge = charge_of(disk, number, disk->dirty_count + 1);
	ck_assert_uint_eq(atomic_load(&disk->volume.writeback.balance), after_paying(balance) + charge);
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
	uint32_t balance;

	if (disk->silent &&
	    (after_paying(atomic_load(&disk->volume.writeback.balance)) != atomic_load(&disk->volume.writeback.balance) ||
	     is_in_flight(disk, first, pages) || !has_room(disk, pages)))
		return;
	status = node_map(&disk->volume.node, first * PAGE_BYTES, pages * PAGE_BYTES, MAP_WRITE, &mapping);
	if (status != STATUS_OK) {
		check_refused(disk, status);
		return;
	}
	balance = atomic_load(&disk->volume.writeback.balance);
	node_unmap(mapping);
	for (uint64_t i = 0; i < pages; i++)
		balance += charge_of(disk, first + i, disk->dirty_count + 1);
	ck_assert_uint_eq(atomic_load(&disk->volume.writeback.balance), balance);
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

static void machine_start(bool all_healthy)
{
	cache_machine_init(&machine, 2 * MIB, false);
	disks_start(&machine.pagecache, &seed, all_healthy);
	owner_init(&owner, "others", false);
	ck_assert_int_eq(memory_blocks_alloc(
				 &machine.memory,
				 &(struct memory_request){ .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER }, &block),
			 STATUS_OK);
}

static void machine_end(void)
{
	while (taken_count > 0)
		memory_blocks_free(&machine.memory, taken[--taken_count]);
	memory_blocks_free(&machine.memory, block);
	waits += disks_end();
	cache_machine_fini(&machine);
}

START_TEST(volumes_keep_their_limits_and_wait_for_themselves_only)
{
	host_log_level(LOG_ERROR); /* requests of others may fail */
	random_seed(&seed, 8);
	for (unsigned round = 0; round < ROUNDS; round++) {
		machine_start(false);
		for (unsigned step = 0; step < STEPS; step++) {
			operations[below(ARRAY_LENGTH(operations))](&disks[below(DISKS)]);
			check();
		}
		machine_end();
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

		if (!has_room(disk, 1) || atomic_load(&disk->volume.writeback.balance) >= BALANCE_UNIT)
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
 * The first disk says nothing any more, with as much dirty as may be; memory is taken before or
 * afterwards. The others are read: each keeps some pages, as the wiring has it.
 */
static void read_with_little_memory(unsigned taken_first)
{
	machine_start(true);
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
	machine_end();
}

START_TEST(reads_work_beside_a_silent_disk_while_memory_is_taken)
{
	host_log_level(LOG_ERROR);
	random_seed(&seed, 3);
	read_with_little_memory(0);
	read_with_little_memory(1);
}
END_TEST

HOST_TEST_MAIN("dirty_limits", volumes_keep_their_limits_and_wait_for_themselves_only,
	       reads_work_beside_a_silent_disk_while_memory_is_taken)
