// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dirty limits of volumes, what their writers pay, and where they wait.
 *
 * The limit of all volumes is a share of the memory that can be dirty. A volume may use what the
 * others leave: all of that up to its share of the pages that were written lately, and half in any
 * case, so that a volume that begins to write has room for a burst.
 */
#include "writeback.h"

#define FLOOR_SHARE   4u    /* of the limit: the floors of all volumes together */
#define FLOOR_VOLUMES 8u    /* volumes to divide that by, if there are fewer */
#define FLOOR_PAGES   16u   /* the least floor of a volume */
#define FAILED_SHARE  4u    /* of the limit, for failed pages before writers are refused */
#define PERIOD_PAGES  8192u /* pages written by all volumes, after which older ones count half */
#define RATE_AT_LIMIT (2 * RATE_PAGE)
#define BALANCE_PAGES 32u /* paid at once */
#define BALANCE_UNIT  (BALANCE_PAGES * RATE_PAGE)
#define PAY_NS        (200 * NS_PER_MS) /* the longest wait of one payment */

/* Limits --------------------------------------------------------------------------------------- */

/*
 * The dirty limit of all volumes. Of free memory, caches may take what lies above the low
 * watermark.
 */
static uint64_t max_of_all(const struct pagecache *pagecache)
{
	const uint64_t low_bytes = reclaim_watermarks(memory_reclaim(pagecache->memory))->low_bytes;
	const uint64_t free_bytes = MAX(memory_free_bytes(pagecache->memory), low_bytes) - low_bytes;
	const uint64_t cached_bytes = atomic_load(&pagecache->eviction.blocks) * BLOCK_BYTES;

	return (cached_bytes + free_bytes) / PAGE_BYTES * pagecache->config.dirty_max_percent / 100;
}

/*
 * The pages that a volume wrote lately, halved for each period that has passed since:
 * volume->writeback.recent has the period in its upper half and the pages in its lower one.
 */
static uint64_t recent_pages(uint64_t recent, uint64_t cleaned)
{
	const uint64_t periods = cleaned / PERIOD_PAGES - (recent >> 32);

	return periods < 32 ? (uint32_t)recent >> periods : 0;
}

/*
 * The volume's share of `max`, by its part of the pages that all volumes wrote lately. All earlier
 * periods, halved again and again, add up to one.
 */
static uint64_t share_of(const struct volume *volume, uint64_t max)
{
	const uint64_t recent = atomic_load(&volume->writeback.recent);
	const uint64_t cleaned = atomic_load(&volume->pagecache->writeback.cleaned_pages);
	const uint64_t own = recent_pages(recent, cleaned);
	const uint64_t all = cleaned % PERIOD_PAGES + PERIOD_PAGES - (PERIOD_PAGES >> MIN(cleaned / PERIOD_PAGES, 31u));

	return all == 0 ? max : max * MIN(own, all) / all;
}

struct dirty_limits writeback_limits(const struct volume *volume)
{
	const struct pagecache *pagecache = volume->pagecache;
	const uint64_t max = max_of_all(pagecache);
	const uint64_t own = atomic_load(&volume->counts.dirty_pages);
	const uint64_t all = atomic_load(&pagecache->writeback.dirty_pages);
	const uint64_t room = max - MIN(max, all - MIN(own, all));
	const uint32_t volumes = MAX(atomic_load(&pagecache->volume_count), FLOOR_VOLUMES);
	struct dirty_limits limits = { .floor = MAX(max / FLOOR_SHARE / volumes, FLOOR_PAGES), .all = max };

	limits.max = MAX(MIN(room, MAX(share_of(volume, max), room / 2)), limits.floor);
	limits.background = limits.max * pagecache->config.dirty_background_percent / pagecache->config.dirty_max_percent;
	return limits;
}

void writeback_completed(struct volume *volume, uint32_t pages)
{
	const uint64_t cleaned = atomic_fetch_add(&volume->pagecache->writeback.cleaned_pages, pages) + pages;
	const uint64_t before = recent_pages(atomic_load(&volume->writeback.recent), cleaned);

	atomic_store(&volume->writeback.recent, cleaned / PERIOD_PAGES << 32 | (before + pages));
	atomic_fetch_add(&volume->writeback.cleaned_pages, pages);
}

/* Paying --------------------------------------------------------------------------------------- */

uint32_t writeback_rate(uint64_t dirty, uint64_t background, uint64_t max)
{
	const uint64_t free_of_charge = (background + max) / 2;

	if (dirty <= free_of_charge)
		return 0;
	return (uint32_t)MIN((dirty - free_of_charge) * RATE_AT_LIMIT / MAX(max - free_of_charge, 1u), (uint64_t)RATE_AT_LIMIT);
}

void writeback_dirtied(struct volume *volume)
{
	const struct dirty_limits limits = writeback_limits(volume);
	const uint64_t dirty = atomic_fetch_add(&volume->counts.dirty_pages, 1) + 1;

	atomic_fetch_add(&volume->pagecache->writeback.dirty_pages, 1);
	atomic_fetch_add(&volume->writeback.balance, writeback_rate(dirty, limits.background, limits.max));
	if (dirty > limits.background && !atomic_exchange(&volume->writeback.beyond_background, true))
		writeback_wake(volume->pagecache);
}

/*
 * Pays what the writers of the volume owe, one writer after the other: a cleaned page counts for
 * one of them. The wait is bounded: the dirty limit stands behind it.
 */
static void pay(struct volume *volume)
{
	const uint64_t cleaned = atomic_load(&volume->writeback.cleaned_pages);
	uint64_t paid = atomic_load(&volume->writeback.paid_pages), due, limit_ns;
	uint32_t balance = atomic_load(&volume->writeback.balance);

	do {
		if (balance < BALANCE_UNIT)
			return;
	} while (!atomic_compare_exchange_weak(&volume->writeback.balance, &balance, balance % BALANCE_UNIT));
	do
		due = MAX(paid, cleaned) + balance / BALANCE_UNIT * BALANCE_PAGES;
	while (!atomic_compare_exchange_weak(&volume->writeback.paid_pages, &paid, due));
	atomic_fetch_add_explicit(&volume->counts.throttled, 1, memory_order_relaxed);
	limit_ns = platform_now_ns() + PAY_NS;
	while (atomic_load(&volume->writeback.cleaned_pages) < due && platform_now_ns() < limit_ns)
		if (!writeback_make_progress(volume, limit_ns))
			return;
}

/* Waiting -------------------------------------------------------------------------------------- */

static uint64_t count_clean(const struct node *node, uint64_t first, uint64_t pages)
{
	uint64_t clean = 0;
	uint32_t state;

	for (uint64_t number = first; number < first + pages; number++) {
		(void)index_find(&node->volume->pagecache->pages.index, page_key_make(node->id, number), &state);
		clean += !page_is_newer(state);
	}
	return clean;
}

/*
 * Whether so many pages may become dirty, beside the mapped ones. STATUS_BUSY: not before a page
 * has been written. Another status: failed pages fill the volume's limit, and too much of the limit
 * of all. Until then they take room from good pages, down to the floor.
 */
static status_t check_room(const struct volume *volume, uint64_t pages)
{
	const struct dirty_limits limits = writeback_limits(volume);
	const uint64_t dirty = atomic_load(&volume->counts.dirty_pages);
	const uint64_t failed = MIN(atomic_load(&volume->counts.failed_pages), dirty);

	if (failed >= limits.max && atomic_load(&volume->pagecache->writeback.failed_pages) >= limits.all / FAILED_SHARE)
		return atomic_load(&volume->writeback.write_status);
	pages += atomic_load(&volume->writeback.mapped_pages);
	if (dirty == failed || dirty - failed + pages <= MAX(limits.max - MIN(failed, limits.max), limits.floor))
		return STATUS_OK;
	return STATUS_BUSY;
}

status_t writeback_throttle(const struct node *node, uint64_t first, uint64_t pages)
{
	struct volume *volume = node->volume;
	status_t status;

	pay(volume);
	for (bool counted = false; (status = check_room(volume, pages)) != STATUS_OK; counted = true) {
		const uint64_t clean = count_clean(node, first, pages);

		if (clean == 0 || check_room(volume, clean) == STATUS_OK)
			break;
		if (status != STATUS_BUSY)
			return status;
		if (!counted)
			atomic_fetch_add_explicit(&volume->counts.throttled, 1, memory_order_relaxed);
		/* False: writers, perhaps this one, have all pages that could be written. */
		if (!writeback_make_progress(volume, PLATFORM_FOREVER))
			break;
	}
	return STATUS_OK;
}
