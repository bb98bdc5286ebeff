// SPDX-License-Identifier: BSD-2-Clause
/*
 * The cache minimum of a volume. A drain claims the pages of a block before it evicts them; a claim
 * counts at once, so two drains at the same time do not both take the last pages above the minimum.
 */
#include "cache_minimum.h"

bool cache_minimum_claim(struct volume *volume, uint64_t keep, uint64_t pages)
{
	uint64_t cached, others;

	if (pages == 0)
		return true;
	others = atomic_fetch_add(&volume->eviction.claimed_pages, pages) + pages +
		 atomic_load(&volume->eviction.heap.loaned_pages);
	cached = atomic_load(&volume->counts.cached_pages);
	if (cached >= others && (cached - others) * PAGE_BYTES >= keep)
		return true;
	cache_minimum_let_go(volume, pages);
	return false;
}

void cache_minimum_let_go(struct volume *volume, uint64_t pages)
{
	atomic_fetch_sub(&volume->eviction.claimed_pages, pages);
}
