/* What writers pay for dirtying pages, and where they have to wait. */
#include "writeback.h"

#include "runtime/base/bits.h"

#define PRICE_AT_LIMIT (2 * PRICE_PAGE)
#define DEBT_PAGES     32u /* paid at once */
#define DEBT_UNIT      (DEBT_PAGES * PRICE_PAGE)
#define PAY_NS         (200 * NS_PER_MS) /* waited for at most, each time */

/* What a dead disk cannot take counts only for those who write to it: it must not stop the others. */
static bool is_beyond_limit(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	const uint64_t dirty = atomic_load(&pagecache->dirty_pages);

	if (dirty < pagecache->dirty_max_pages)
		return false;
	return atomic_load(&volume->counts.failed_pages) > 0 ||
	       dirty >= pagecache->dirty_max_pages + atomic_load(&pagecache->failed_pages);
}

uint32_t writeback_price(uint64_t dirty, uint64_t background, uint64_t max)
{
	const uint64_t free_of_charge = (background + max) / 2;

	if (dirty <= free_of_charge)
		return 0;
	return (uint32_t)MIN((dirty - free_of_charge) * PRICE_AT_LIMIT / MAX(max - free_of_charge, 1u),
			     (uint64_t)PRICE_AT_LIMIT);
}

static uint32_t price_now(const struct volume *volume)
{
	const struct pagecache *pagecache = volume->pagecache;
	uint64_t dirty = atomic_load(&pagecache->dirty_pages);

	if (atomic_load(&volume->counts.failed_pages) == 0)
		dirty -= MIN(dirty, atomic_load(&pagecache->failed_pages));
	return writeback_price(dirty, pagecache->dirty_background_pages, pagecache->dirty_max_pages);
}

/* Writers of one volume pay one after the other: what was cleaned counts for one of them. */
static uint64_t due_at(struct volume *volume)
{
	const uint64_t cleaned = atomic_load(&volume->cleaned_pages);
	uint64_t paid = atomic_load(&volume->paid_pages);

	while (!atomic_compare_exchange_weak(&volume->paid_pages, &paid, MAX(paid, cleaned) + DEBT_PAGES))
		;
	return MAX(paid, cleaned) + DEBT_PAGES;
}

/* A debt is not waited for without end: the limit stands behind it. */
static void pay(struct volume *volume)
{
	const uint64_t limit_ns = platform_now_ns() + PAY_NS;
	const uint64_t due = due_at(volume);

	atomic_fetch_add_explicit(&volume->counts.throttled, 1, memory_order_relaxed);
	while (atomic_load(&volume->cleaned_pages) < due && platform_now_ns() < limit_ns)
		if (!writeback_make_progress(volume, limit_ns))
			return;
}

_Static_assert((DEBT_UNIT & (DEBT_UNIT - 1)) == 0, "the debt wraps at a multiple of what is paid at once");
_Static_assert(PRICE_AT_LIMIT <= DEBT_UNIT, "a page costs no more than what is paid at once");

/* Whoever takes the debt past a multiple of what is paid at once, pays that. */
static void charge(struct volume *volume)
{
	const uint32_t price = price_now(volume);
	uint32_t before;

	if (price == 0)
		return;
	before = atomic_fetch_add(&volume->debt, price);
	if (before / DEBT_UNIT != (before + price) / DEBT_UNIT)
		pay(volume);
}

status_t writeback_throttle(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	bool counted = false;

	charge(volume);
	while (is_beyond_limit(volume)) {
		const uint32_t seen = atomic_load(&pagecache->progress);

		if (!counted)
			atomic_fetch_add_explicit(&volume->counts.throttled, 1, memory_order_relaxed);
		counted = true;
		if (writeback_make_progress(volume, PLATFORM_FOREVER))
			continue;
		/* What is dirty belongs to other volumes, or cannot be written. */
		if (atomic_load(&volume->counts.failed_pages) > 0)
			return atomic_load(&volume->write_status);
		(void)platform_wait(&pagecache->progress, seen, platform_now_ns() + NS_PER_S);
	}
	return STATUS_OK;
}
