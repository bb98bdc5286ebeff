// SPDX-License-Identifier: BSD-2-Clause
/*
 * Eviction of many neighbouring pages from the index at once. Pages that are neighbours on the disk
 * have neighbouring buckets, so one hold of the lock of a stripe takes all of them out that belong
 * to it.
 */
#include "index_fast.h"

/* The pages to be evicted: their states differ in no bits but `hits`. */
struct evicting {
	struct page *pages;
	uint32_t frame; /* frame of the first page */
	uint32_t alike;
	uint32_t hits;
};

/*
 * Evicts from the page `first` on, which has this key, as long as the pages are neighbours on the
 * disk, too: then their buckets lie one behind the other, in one stripe, which is locked. Returns
 * where it stopped.
 */
static uint32_t evict_neighbours_locked(struct index *index, const struct evicting *evicting, uint32_t first, uint32_t end,
					uint64_t key, uint64_t *keys)
{
	const uint64_t bucket = bucket_of(index, key);
	const uint64_t lap = index->bucket_mask + 1 - (key & index->bucket_mask); /* the next lap begins at another bucket */
	_Atomic uint32_t *const buckets = &index->buckets[bucket];
	uint32_t i;

	end = MIN(end, first + (uint32_t)MIN(STRIPE_BUCKETS - bucket % STRIPE_BUCKETS, lap));
	for (i = first; i < end; i++) {
		struct page *page = &evicting->pages[i];
		const uint32_t state = page_state(page);

		/* A clean page with this key leaves the index under this lock only. */
		if (((state ^ evicting->alike) & ~evicting->hits) || page_key(page) != key + (i - first) ||
		    !page_try_leave_free(page, state))
			break;
		index_remove_at(link_of(index, &buckets[i - first], evicting->frame + i), page);
		page_set_free(page);
		keys[i] = key + (i - first);
	}
	return i;
}

uint32_t index_evict_many(struct index *index, struct page *pages, uint32_t most, uint32_t hits, uint64_t *keys)
{
	const struct evicting evicting = {
		.pages = pages,
		.frame = page_frame(pages),
		.alike = page_state(pages) & ~hits,
		.hits = hits,
	};
	uint32_t count = 0, before;

	if (!page_is_idle(evicting.alike) || (evicting.alike & (PAGE_HITS | PAGE_UNFLUSHED)))
		return 0;
	do {
		const uint64_t key = page_key(&pages[count]);
		struct index_stripe *const stripe = index_stripe(index, key);

		before = count;
		spinlock_lock(&stripe->lock);
		count = evict_neighbours_locked(index, &evicting, count, most, key, keys);
		spinlock_unlock(&stripe->lock);
	} while (count > before && count < most);
	return count;
}
