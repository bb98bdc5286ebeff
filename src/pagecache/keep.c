#include "keep.h"

/* Whether so much is cached where it counts, besides what is claimed. */
static bool has_more(struct volume *volume, uint64_t bytes)
{
	const uint64_t others = atomic_load(&volume->heap.lent_pages) + atomic_load(&volume->claimed_pages);
	const uint64_t cached = atomic_load(&volume->counts.cached_pages);

	return cached >= others && (cached - others) * PAGE_BYTES >= bytes;
}

bool keep_claim(struct volume *volume, uint64_t keep, uint64_t pages)
{
	if (pages == 0)
		return true;
	atomic_fetch_add(&volume->claimed_pages, pages);
	if (has_more(volume, keep))
		return true;
	keep_let_go(volume, pages);
	return false;
}

void keep_let_go(struct volume *volume, uint64_t pages)
{
	atomic_fetch_sub(&volume->claimed_pages, pages);
}
