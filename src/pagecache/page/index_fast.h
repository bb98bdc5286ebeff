// SPDX-License-Identifier: BSD-2-Clause
/*
 * The inside of the index: buckets, stripes and links. For the files of the index, and for frame.c,
 * which evicts a page at each miss.
 */
#pragma once

#include "index.h"
#include "runtime/base/assert.h"

/*
 * Consecutive buckets of one stripe: one hold of its lock evicts pages that lie one behind the
 * other on the disk.
 */
#define STRIPE_BUCKETS 64ull

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/*
 * The bucket of `key`. As many consecutive pages as there are buckets, a lap, take consecutive
 * buckets, which share cache lines. Each lap begins at a bucket of its own, which the two halves of
 * a product make of the number of the lap and of the node. One half alone is linear: some strides
 * would meet few buckets. With this factor, no power of two as a stride costs more than a random
 * hash.
 */
static inline uint64_t bucket_of(const struct index *index, uint64_t key)
{
	const unsigned __int128 product = (unsigned __int128)(key & index->lap_mask) * 0xfe8c9c8b17c55019ull;

	return (key + ((uint64_t)(product >> 64) ^ (uint64_t)product >> PAGE_NUMBER_BITS)) & index->bucket_mask;
}

static inline struct index_stripe *stripe_of(struct index *index, uint64_t bucket)
{
	return &index->stripes[bucket / STRIPE_BUCKETS % INDEX_STRIPES];
}

static inline struct pageblock *pageblock_of_frame(const struct index *index, uint32_t frame)
{
	return ((struct pageblock *const *)index->blocks)[frame / PAGES_PER_BLOCK];
}

static inline uint32_t load(const _Atomic uint32_t *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

/* Publishes a link: a reader that follows it finds what was stored in the page before. */
static inline void store(_Atomic uint32_t *link, uint32_t frame)
{
	atomic_store_explicit(link, frame, memory_order_release);
}

/*
 * The link to a frame that is in the bucket: the bucket itself, or in the page before it. [S] is
 * held.
 */
static inline _Atomic uint32_t *link_of(struct index *index, _Atomic uint32_t *bucket, uint32_t frame)
{
	_Atomic uint32_t *link = bucket;
	uint32_t next;

	while (UNLIKELY((next = load(link)) != frame)) {
		assert(next != PAGE_NONE);
		link = &pageblock_of_frame(index, next)->pages[next % PAGES_PER_BLOCK].next;
	}
	return link;
}

/* Whether the descriptor is the entry of `key`: neither another page's, nor in a revoked block. */
static inline bool is_entry(const struct pageblock *pageblock, const struct page *page, uint64_t key)
{
	return page_key(page) == key &&
	       atomic_load_explicit(&page->generation, memory_order_relaxed) == pageblock_generation(pageblock);
}

/* The page, and the link to it: the bucket, or in the page before it. */
static inline struct page *find_link_locked(struct index *index, uint64_t bucket, uint64_t key, _Atomic uint32_t **link)
{
	uint32_t frame;

	for (*link = &index->buckets[bucket]; (frame = load(*link)) != PAGE_NONE;) {
		struct pageblock *pageblock = pageblock_of_frame(index, frame);
		struct page *page = &pageblock->pages[frame % PAGES_PER_BLOCK];

		if (is_entry(pageblock, page, key) && page_content(page_state(page)) >= PAGE_WRITING)
			return page;
		*link = &page->next;
	}
	return NULL;
}

/* Where a page is found: its stripe, which is locked, and the link to it. */
struct index_entry {
	struct index_stripe *stripe;
	_Atomic uint32_t *link;
};

/*
 * The page if it is cached. In any case the lock of its stripe is held afterwards, and the caller
 * releases it.
 */
static inline struct page *index_lock_key(struct index *index, uint64_t key, struct index_entry *entry)
{
	const uint64_t bucket = bucket_of(index, key);

	entry->stripe = stripe_of(index, bucket);
	spinlock_lock(&entry->stripe->lock);
	return find_link_locked(index, bucket, key, &entry->link);
}

/* Takes a page that index_lock_key has found out of its chain; its state stays. [S] is held. */
static inline void index_remove_at(_Atomic uint32_t *link, struct page *page)
{
	store(link, load(&page->next));
	atomic_store_explicit(&page->generation, 0, memory_order_release);
}
