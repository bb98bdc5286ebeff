/* The inside of the index: buckets, stripes and links. For index.c and index_block.c only. */
#pragma once

#include "index.h"
#include "runtime/base/assert.h"

/* Consecutive buckets of one stripe: what lies one behind the other is cleared away under one lock. */
#define STRIPE_BUCKETS 64ull

#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/*
 * Where the chain of `key` begins. As many consecutive pages as there are buckets, a lap, take consecutive buckets, which share
 * cache lines, and each lap begins at a bucket of its own: what two halves of a product make of its number, and of its node.
 * One half alone is linear: some strides would meet few buckets. With this factor, no power of two costs more than a random
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

static inline struct frames *frames_of(const struct index *index, uint32_t frame)
{
	return ((struct frames *const *)index->blocks)[frame / PAGES_PER_BLOCK];
}

static inline uint32_t load(const _Atomic uint32_t *link)
{
	return atomic_load_explicit(link, memory_order_acquire);
}

/* A reader that follows the link finds what was stored in the page before. */
static inline void store(_Atomic uint32_t *link, uint32_t frame)
{
	atomic_store_explicit(link, frame, memory_order_release);
}

/* What leads to a frame that is in the bucket: the bucket, or the page before it. [S] is held. */
static inline _Atomic uint32_t *link_of(struct index *index, _Atomic uint32_t *bucket, uint32_t frame)
{
	_Atomic uint32_t *link = bucket;
	uint32_t next;

	while (UNLIKELY((next = load(link)) != frame)) {
		assert(next != PAGE_NONE);
		link = &frames_of(index, next)->pages[next % PAGES_PER_BLOCK].next;
	}
	return link;
}

static inline void remove_at(_Atomic uint32_t *link, struct page *page)
{
	store(link, load(&page->next));
	atomic_store_explicit(&page->generation, 0, memory_order_release);
}
