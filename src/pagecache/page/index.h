// SPDX-License-Identifier: BSD-2-Clause
/*
 * The index: from node and page number to the cached page. It is a hash table whose size is fixed
 * at start-up, with chains through the descriptors of the pages, by frame number, so an insert
 * cannot fail.
 *
 * A lookup takes no lock: it walks a chain as it is, and pins the page that it finds by a
 * compare-and-swap on its state. Since descriptors never go away, the worst that a change under way
 * can do is to lead the walk into another chain or past the page. A page that the walk did not
 * find, or could not pin, is looked up again under the lock. A pin counts if key and generation are
 * still the right ones after it; from then on the page cannot change.
 *
 * A reader that only copies a page does not pin it: index_snapshot, the copy,
 * page_snapshot_is_whole. That writes to nothing at all once the page has all its hits; so a page
 * that many CPUs read stays in all their caches.
 *
 * Buckets share a fixed number of stripes. A stripe's lock [S] guards its chains, and the keys and
 * generations of its pages. stripe->changes counts the ends of writing in the stripe; a task that
 * meets a page that is WRITING sleeps on it, without a pin.
 *
 * Lock order: [S] -> volume->writeback.lock [D]. Never two stripes at once.
 */
#pragma once

#include "pageblock_table.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/status.h"

#define INDEX_STRIPES 256

struct index_stripe {
	struct spinlock lock;
	_Atomic uint32_t changes;
	_Atomic uint32_t sleepers; /* on `changes` */
} __attribute__((aligned(64)));

struct index {
	uintptr_t blocks;          /* [I] address that table->blocks would have for block 0 */
	_Atomic uint32_t *buckets; /* [I] frame of the first page, or PAGE_NONE */
	uint64_t bucket_mask;      /* [I] */
	uint64_t lap_mask;         /* [I] the other bits of a key */
	struct index_stripe stripes[INDEX_STRIPES];
};

/* What index_pin found. */
struct lookup {
	uint32_t before;     /* if it returned a page: the state before the pin */
	status_t status;     /* if it returned NULL: why */
	uint32_t changes;    /* STATUS_BUSY: for index_wait */
	struct page *loaned; /* STATUS_NOT_FOUND: the page in a loaned block, or NULL */
};

/* A page snapshot: a page that is looked at without a pin. */
struct page_snapshot {
	uint32_t before; /* its state before the hit */
	uint32_t version;
	const struct page *page;
	struct pageblock *pageblock;
};

/* Bytes of bucket memory for this number of pages; a power of two. */
uint64_t index_bytes(uint64_t pages);

/* `buckets`: index_bytes(pages) of memory. */
void index_init(struct index *index, const struct pageblock_table *table, void *buckets, uint64_t bytes);

struct index_stripe *index_stripe(struct index *index, uint64_t key);

/*
 * Pins the page, counts a hit in it, and returns it. NULL with STATUS_NOT_FOUND: not cached; NULL
 * with STATUS_BUSY: WRITING; index_wait waits for the change. Any task context. It does not find
 * pages in loaned blocks; page_pin (loan.h) finds those, too.
 */
struct page *index_pin(struct index *index, uint64_t key, struct lookup *lookup);

/*
 * Finds the page, counts a hit in it, and returns its memory, whose content may change at any
 * moment. NULL: the page is not cached, or cannot be read just now. Any context, handlers included.
 */
const void *index_snapshot(const struct index *index, uint64_t key, struct page_snapshot *snapshot);

/*
 * Whether the bytes that memcpy_unstable copied since index_snapshot are those of the page,
 * unchanged.
 */
bool page_snapshot_is_whole(const struct page_snapshot *snapshot);

/*
 * Prefetches the descriptor of the page and the beginning of its content, if the page is the first
 * of its bucket; for a caller that reads the page in a moment.
 */
void index_prefetch(const struct index *index, uint64_t key);

/* The page if it is cached, as far as a look without a lock can tell. */
struct page *index_look(const struct index *index, uint64_t key);

/* Drops a pin. Any task context. The last unpin of a page that is GONE frees its frame. */
void page_unpin(struct page *page);

/*
 * Sleeps until a writer in the page's stripe has finished since the lookup. The caller has no pins.
 */
void index_wait(struct index *index, uint64_t key, const struct lookup *lookup);

/* Called by a writer in this stripe that has finished. */
void index_wake(struct index_stripe *stripe);

/*
 * Inserts a TAKEN page with `state` (pins included). False: the key is cached already; nothing was
 * done.
 */
bool index_insert(struct index *index, struct page *page, uint64_t key, uint32_t state);

/*
 * The page if it is cached, and its state; both may change at once, since there is no pin. NULL and
 * 0: it is not cached.
 */
struct page *index_find(struct index *index, uint64_t key, uint32_t *state);

/*
 * Evicts up to `most` idle pages in adjacent frames of a block; they are FREE then, and keys[] has
 * their keys. None of them is UNFLUSHED. Any task context. It goes on as long as the pages are idle
 * and have the same flags, and their counters of hits have no bits but `hits`: PAGE_HITS, any
 * count; REPLACEMENT_COLD_HITS, counts not worth a move. Returns how many pages it evicted.
 */
uint32_t index_evict_many(struct index *index, struct page *pages, uint32_t most, uint32_t hits, uint64_t *keys);

/*
 * Takes the lock of the page's stripe, even if the page changes its key meanwhile; NULL: it is in
 * no stripe any more.
 */
struct index_stripe *index_lock_page(struct index *index, const struct page *page);

/* Takes the page out of its chain; its state stays. [S] is held. */
void index_remove_locked(struct index *index, struct page *page);

/* Replaces `from` by `to`, which gets its key. [S] is held. */
void index_replace_locked(struct index *index, struct page *from, struct page *to);
