/*
 * The index: from node and page number to the cached page. A hash table whose size is fixed at start-up, with chains through
 * the descriptors of the pages, by frame number, so inserting cannot fail. Buckets share a fixed number of stripes; a stripe's
 * lock [S] guards its chains and the identity of their pages, and is what every new pin is taken under.
 *
 * stripe->changes counts the ends of writing in it; who meets a page that is WRITING sleeps there, without a pin.
 *
 * Lock order: [S] -> volume->lock. Never two stripes at once.
 */
#pragma once

#include "frame_table.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/status.h"

#define INDEX_STRIPES 256

struct index_stripe {
	struct spinlock lock;
	_Atomic uint32_t changes;
	_Atomic uint32_t sleepers; /* on `changes` */
} __attribute__((aligned(64)));

struct index {
	const struct frame_table *table; /* [I] */
	uint32_t *buckets;               /* frame of the first page, or PAGE_NONE */
	uint64_t bucket_mask;
	struct index_stripe stripes[INDEX_STRIPES];
};

/* Bytes of bucket memory for this number of pages; a power of two. */
uint64_t index_bytes(uint64_t pages);

/* `buckets`: index_bytes(pages) of memory. */
void index_init(struct index *index, const struct frame_table *table, void *buckets, uint64_t bytes);

struct index_stripe *index_stripe(struct index *index, uint32_t node, uint64_t number);

/*
 * Pins and returns the page. NULL with STATUS_NOT_FOUND: not cached; NULL with STATUS_BUSY: WRITING, and *changes is what
 * index_wait wants (set in any case). Any task context.
 */
struct page *index_pin(struct index *index, uint32_t node, uint64_t number, status_t *status, uint32_t *changes);

/* Sleeps until a writer in the page's stripe has finished since `changes` was read. Without pins. */
void index_wait(struct index *index, uint32_t node, uint64_t number, uint32_t changes);

/* A writer in this stripe has finished. */
void index_wake(struct index_stripe *stripe);

/*
 * Inserts `page`, whose identity is not set, with `state` (pins included). False: that page is cached already; then nothing was
 * done.
 */
bool index_insert(struct index *index, struct page *page, uint32_t node, uint64_t number, uint32_t state);

/* Runs `visit` on the page, if it is cached, under [S], and returns its result; else false. */
bool index_visit(struct index *index, uint32_t node, uint64_t number, bool (*visit)(void *context, struct page *page),
		 void *context);

/* Takes the page out of its chain and leaves its state alone. [S] is held. */
void index_remove_locked(struct index *index, struct page *page);

/* Puts `to` in the place of `from`, with its identity. [S] is held. */
void index_replace_locked(struct index *index, struct page *from, struct page *to);
