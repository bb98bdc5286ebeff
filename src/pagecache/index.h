/*
 * The index: from node and page number to the cached page. A hash table whose size is fixed at start-up, with chains through
 * the descriptors of the pages, by frame number, so inserting cannot fail.
 *
 * Looking up takes no lock: a chain is walked as it is, and the page found is pinned by a compare-and-swap on its state. Since
 * descriptors never go away, the worst that a change under way can do is to lead the walk into another chain or past the page:
 * what the walk did not find, or could not pin, is looked up again under the lock. A pin counts if, once it is there, key and
 * generation are still the right ones; from then on the page cannot change. Who only wants to copy what is in the page does not
 * pin it: index_see, the copy, index_saw_whole. That writes to nothing at all, once the page has all its hits; so what many
 * CPUs read stays in all their caches.
 *
 * Buckets share a fixed number of stripes. A stripe's lock [S] guards its chains, the keys and generations of its pages.
 * stripe->changes counts the ends of writing in it; who meets a page that is WRITING sleeps there, without a pin.
 *
 * Lock order: [S] -> volume->lock [D]. Never two stripes at once.
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
	uintptr_t blocks;          /* [I] where the table's `blocks` would have that of block 0 */
	_Atomic uint32_t *buckets; /* [I] frame of the first page, or PAGE_NONE */
	uint64_t bucket_mask;      /* [I] */
	uint64_t lap_mask;         /* [I] the other bits of a key */
	struct index_stripe stripes[INDEX_STRIPES];
};

/* What index_pin found. */
struct lookup {
	uint32_t before;   /* it returned a page: its state before the pin */
	status_t status;   /* it returned NULL: why */
	uint32_t changes;  /* STATUS_BUSY: for index_wait */
	struct page *lent; /* STATUS_NOT_FOUND: it is cached in a block that is lent; NULL: not at all */
};

/* Whether nobody had used a page that was read ahead; by its state before. */
static inline bool page_is_first_use(uint32_t before)
{
	return before & PAGE_AHEAD;
}

/* A page that is looked at without a pin. */
struct sight {
	uint32_t before; /* its state before the hit */
	uint32_t version;
	const struct page *page;
	struct frames *frames;
};

/* Bytes of bucket memory for this number of pages; a power of two. */
uint64_t index_bytes(uint64_t pages);

/* `buckets`: index_bytes(pages) of memory. */
void index_init(struct index *index, const struct frame_table *table, void *buckets, uint64_t bytes);

struct index_stripe *index_stripe(struct index *index, uint64_t key);

/*
 * Pins the page, counts a hit in it, and returns it. NULL with STATUS_NOT_FOUND: not cached; NULL with STATUS_BUSY: WRITING;
 * index_wait waits for the change. Any task context. Pages in blocks that are lent are not found; page_pin (frame.h) is for
 * those who want them, too.
 */
struct page *index_pin(struct index *index, uint64_t key, struct lookup *lookup);

/*
 * Finds the page, counts a hit in it, and returns its memory; it may become something else at any moment. NULL: it is not
 * cached, or cannot be read just now. Any context, handlers included.
 */
const void *index_see(const struct index *index, uint64_t key, struct sight *sight);

/* Whether what memcpy_unstable has got from the page since index_see was the page, whole. */
bool index_saw_whole(const struct sight *sight);

/*
 * Has the processor fetch the descriptor of the page, and the beginning of what it contains, if it is the first of its bucket:
 * for those who read it in a moment.
 */
void index_prefetch(const struct index *index, uint64_t key);

/* The page, if it is cached, at this moment and as far as can be told without a lock. */
struct page *index_look(const struct index *index, uint64_t key);

/* Any task context. The last unpin of a page that is GONE returns its frame. */
void page_unpin(struct page *page);

/* Sleeps until a writer in the page's stripe has finished since the lookup. Without pins. */
void index_wait(struct index *index, uint64_t key, const struct lookup *lookup);

/* A writer in this stripe has finished. */
void index_wake(struct index_stripe *stripe);

/* Inserts a page that is TAKEN, with `state` (pins included). False: that key is cached already; then nothing was done. */
bool index_insert(struct index *index, struct page *page, uint64_t key, uint32_t state);

/* The page, if it is cached, and its state, at this moment: without a pin, either may change at once. NULL, 0: it is not. */
struct page *index_find(struct index *index, uint64_t key, uint32_t *state);

/*
 * Takes out up to `most` idle pages whose frames lie one behind the other in a block; they are FREE then, and keys[] has their
 * keys. None of them is UNFLUSHED. Any task context. It goes on as long as they are idle and have the same flags, and their
 * counters of hits have no other bits than `hits`: PAGE_HITS, all of them; REPLACEMENT_COLD_HITS, those not worth moving.
 * Returns how many they were.
 */
uint32_t index_evict_many(struct index *index, struct page *pages, uint32_t most, uint32_t hits, uint64_t *keys);

/* Takes the lock of the page's stripe, whatever becomes of the page meanwhile; NULL: it is not in the index any more. */
struct index_stripe *index_lock_page(struct index *index, const struct page *page);

/* Takes the page out of its chain and leaves its state alone. [S] is held. */
void index_remove_locked(struct index *index, struct page *page);

/* Puts `to` in the place of `from`, with its key. [S] is held. */
void index_replace_locked(struct index *index, struct page *from, struct page *to);
