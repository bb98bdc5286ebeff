/*
 * The dirty set of a volume: its dirty pages in the order of the disk. A treap through the descriptors of the pages, linked by
 * frame number; a page's priority is a hash of its frame, so the tree is as good as a random one, and inserting needs no
 * memory.
 *
 * Pages are ordered by where they lie on the volume (node_position), whatever node they belong to. [D] is held for all of it.
 * Each operation looks at some 2 log2(pages) pages.
 */
#pragma once

#include "frame_table.h"

struct pagecache;

struct dirty_set {
	struct pagecache *pagecache; /* [I] */
	uint32_t root;               /* frame, or PAGE_NONE */
};

void dirty_init(struct dirty_set *set, struct pagecache *pagecache);

void dirty_insert(struct dirty_set *set, struct page *page);
void dirty_remove(struct dirty_set *set, struct page *page);

/* Puts `to`, which has the key of `from`, in its place. */
void dirty_replace(struct dirty_set *set, struct page *from, struct page *to);

/* The first page at `position`, in bytes of the volume, or behind it; the last one before it. NULL: none. */
struct page *dirty_first(const struct dirty_set *set, uint64_t position);
struct page *dirty_last_before(const struct dirty_set *set, uint64_t position);

/* Number of pages, with the order checked; UINT64_MAX: it is not right. For tests. */
uint64_t dirty_count_checked(const struct dirty_set *set);
