// SPDX-License-Identifier: BSD-2-Clause
/*
 * The index from keys to pages: chains of frame numbers in a hash table. Readers walk a chain
 * without a lock and check the key and the generation of what they found afterwards; the lock of a
 * stripe is for changes, and for readers that found nothing. Neighbours on the disk have
 * neighbouring buckets.
 */
#include "index_fast.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* The longest walk without the lock: a longer one has left its chain. */
#define WALK_MAX 32

#define PREFETCH_LINES 8 /* lines; then the processor prefetches by itself */

/* On the average at most one page in a bucket, even when all memory is cached. */
uint64_t index_bytes(uint64_t pages)
{
	return (1ull << log2_ceil(MAX(pages, (uint64_t)INDEX_STRIPES))) * sizeof(uint32_t);
}

void index_init(struct index *index, const struct pageblock_table *table, void *buckets, uint64_t bytes)
{
	index->blocks = (uintptr_t)table->blocks - table->first_block * sizeof(table->blocks[0]);
	index->buckets = buckets;
	index->bucket_mask = bytes / sizeof(uint32_t) - 1;
	index->lap_mask = ~index->bucket_mask;
	memset(buckets, 0xff, bytes); /* PAGE_NONE */
	for (unsigned i = 0; i < INDEX_STRIPES; i++) {
		spinlock_init(&index->stripes[i].lock, "page index");
		atomic_init(&index->stripes[i].changes, 0);
		atomic_init(&index->stripes[i].sleepers, 0);
	}
}

struct index_stripe *index_stripe(struct index *index, uint64_t key)
{
	return stripe_of(index, bucket_of(index, key));
}

/*
 * is_entry, and besides the block is not loaned, so its pages can be pinned. The block's generation
 * is read first: if the block was on loan when the pin came, and the page has left it since, and
 * the block came back, then the page is seen to be no entry any more (loan.h).
 */
static bool is_entry_to_pin(const struct pageblock *pageblock, const struct page *page, uint64_t key)
{
	const uint32_t generation = atomic_load_explicit(&pageblock->generation, memory_order_acquire);

	return page_key(page) == key && atomic_load_explicit(&page->generation, memory_order_relaxed) == generation;
}

/* Pinning -------------------------------------------------------------------------------------- */

/* The state after a hit; the first use of a page that was read ahead is no hit. */
static uint32_t state_hit(uint32_t state)
{
	if (LIKELY(!(state & PAGE_AHEAD)))
		return (state & PAGE_HITS) == PAGE_HITS ? state : state + PAGE_HIT;
	return state - PAGE_AHEAD;
}

/*
 * Pins the page, whichever it is; false: it cannot be pinned now. Pins fit their field: each
 * reading task has one, and mappings have MAP_PINS_MAX at most.
 */
static inline bool try_pin(struct page *page, uint32_t *before)
{
	uint32_t state = load(&page->state);

	do {
		if (UNLIKELY(state < PAGE_PINNABLE))
			return false;
	} while (UNLIKELY(!atomic_compare_exchange_weak_explicit(&page->state, &state, state_hit(state) + 1,
								 memory_order_acq_rel, memory_order_acquire)));
	*before = state;
	return true;
}

/*
 * Looks up under [S]. A page that is found, cannot be pinned, and is not WRITING has just been
 * evicted; one whose entry does not count any more was in a block that has just been revoked
 * (loan.h). Under [S] no other page takes its key.
 */
static __attribute__((noinline)) struct page *pin_slowly(struct index *index, uint64_t key, struct lookup *lookup)
{
	struct index_entry entry;
	struct page *page = index_lock_key(index, key, &entry);

	lookup->loaned = NULL;
	lookup->status = STATUS_NOT_FOUND;
	/*
	 * Read before the state: a writer ends without this lock, first in the state, then in
	 * `changes`.
	 */
	lookup->changes = load(&entry.stripe->changes);
	for (; page; page = find_link_locked(index, bucket_of(index, key), key, &entry.link)) {
		if (page_is(page_state(page), PAGE_WRITING)) {
			lookup->status = STATUS_BUSY;
			page = NULL;
			break;
		}
		if (!try_pin(page, &lookup->before))
			continue;
		if (is_entry_to_pin(pageblock_of(page), page, key))
			break;
		page_unpin(page);
		if (pageblock_is_loaned(pageblock_of(page))) {
			lookup->loaned = page;
			page = NULL;
			break;
		}
	}
	spinlock_unlock(&entry.stripe->lock);
	return page;
}

/* Walks the chain without the lock to the page's descriptor; NULL: it finds none. */
static inline struct page *walk(const struct index *index, uint64_t key, struct pageblock **pageblock)
{
	uint32_t frame = load(&index->buckets[bucket_of(index, key)]);

	for (unsigned steps = 0; frame != PAGE_NONE && steps < WALK_MAX; steps++) {
		struct page *page;

		*pageblock = pageblock_of_frame(index, frame);
		page = &(*pageblock)->pages[frame % PAGES_PER_BLOCK];
		if (LIKELY(page_key(page) == key))
			return page;
		frame = load(&page->next);
	}
	return NULL;
}

/* The page became another one before the pin was there. */
static __attribute__((noinline)) struct page *pin_again(struct index *index, uint64_t key, struct lookup *lookup,
							struct page *page)
{
	page_unpin(page);
	return pin_slowly(index, key, lookup);
}

struct page *index_pin(struct index *index, uint64_t key, struct lookup *lookup)
{
	struct pageblock *pageblock;
	struct page *page = walk(index, key, &pageblock);

	if (UNLIKELY(!page || !try_pin(page, &lookup->before)))
		return pin_slowly(index, key, lookup);
	if (UNLIKELY(!is_entry_to_pin(pageblock, page, key)))
		return pin_again(index, key, lookup, page);
	return page;
}

/* Reading without a pin ------------------------------------------------------------------------ */

/*
 * Counts a hit in a page of this state; a page that has all its hits already is not written to.
 * False: it cannot be read any more, and *state says why.
 */
/* NOLINTNEXTLINE(readability-non-const-parameter): a failed exchange writes to it. */
static inline bool count_hit(struct page *page, uint32_t *state)
{
	while (state_hit(*state) != *state)
		if (LIKELY(atomic_compare_exchange_weak_explicit(&page->state, state, state_hit(*state), memory_order_acquire,
								 memory_order_acquire)))
			break;
		else if (!page_is_readable(*state))
			return false;
	return true;
}

const void *index_snapshot(const struct index *index, uint64_t key, struct page_snapshot *snapshot)
{
	struct page *const page = walk(index, key, &snapshot->pageblock);

	if (UNLIKELY(!page))
		return NULL;
	snapshot->page = page;
	snapshot->version = load(&page->version); /* before the state: readable afterwards is whole */
	snapshot->before = load(&page->state);
	if (UNLIKELY(!page_is_readable(snapshot->before) || !is_entry(snapshot->pageblock, page, key)))
		return NULL;
	if (UNLIKELY(!count_hit(page, &snapshot->before)))
		return NULL;
	return (const char *)platform_virt(snapshot->pageblock->block) +
	       (size_t)(page - snapshot->pageblock->pages) * PAGE_BYTES;
}

bool page_snapshot_is_whole(const struct page_snapshot *snapshot)
{
	return load(&snapshot->page->version) == snapshot->version &&
	       atomic_load_explicit(&snapshot->page->generation, memory_order_relaxed) ==
		       pageblock_generation(snapshot->pageblock);
}

void index_prefetch(const struct index *index, uint64_t key)
{
	const uint32_t frame = load(&index->buckets[bucket_of(index, key)]);
	const struct page *page;
	const char *memory;

	if (frame == PAGE_NONE)
		return;
	page = &pageblock_of_frame(index, frame)->pages[frame % PAGES_PER_BLOCK];
	memory = platform_virt((struct phys_addr){ (uint64_t)frame << PAGE_SHIFT });
	__builtin_prefetch(page);
	for (unsigned line = 0; line < PREFETCH_LINES; line++)
		__builtin_prefetch(memory + (size_t)line * 64);
}

struct page *index_look(const struct index *index, uint64_t key)
{
	struct pageblock *pageblock;
	struct page *page = walk(index, key, &pageblock);

	return page && is_entry(pageblock, page, key) && page_content(page_state(page)) >= PAGE_WRITING ? page : NULL;
}

static __attribute__((noinline)) void unpin_slowly(struct page *page, uint32_t before)
{
	if (page_is(before, PAGE_WRITING) && (before & PAGE_PINS) == 2)
		platform_wake(&page->state);
	else if (page_is(before, PAGE_GONE) && (before & PAGE_PINS) == 1)
		atomic_store_explicit(&page->state, page_state_make(PAGE_FREE, 0), memory_order_release);
}

void page_unpin(struct page *page)
{
	const uint32_t before = atomic_fetch_sub_explicit(&page->state, 1, memory_order_acq_rel);

	assert((before & PAGE_PINS) != 0);
	if (UNLIKELY(before < PAGE_PINNABLE))
		unpin_slowly(page, before);
}

void index_wait(struct index *index, uint64_t key, const struct lookup *lookup)
{
	struct index_stripe *const stripe = index_stripe(index, key);

	atomic_fetch_add(&stripe->sleepers, 1);
	(void)platform_wait(&stripe->changes, lookup->changes, PLATFORM_FOREVER);
	atomic_fetch_sub(&stripe->sleepers, 1);
}

void index_wake(struct index_stripe *stripe)
{
	atomic_fetch_add(&stripe->changes, 1);
	if (atomic_load(&stripe->sleepers) != 0)
		platform_wake(&stripe->changes);
}

/* Changing ------------------------------------------------------------------------------------- */

static void set_entry(struct page *page, uint64_t key)
{
	atomic_store_explicit(&page->key, key, memory_order_relaxed);
	atomic_store_explicit(&page->generation, pageblock_generation(pageblock_of(page)), memory_order_relaxed);
}

bool index_insert(struct index *index, struct page *page, uint64_t key, uint32_t state)
{
	const uint64_t bucket = bucket_of(index, key);
	struct index_stripe *const stripe = stripe_of(index, bucket);
	_Atomic uint32_t *const first = &index->buckets[bucket];
	_Atomic uint32_t *link;
	bool inserted = false;

	assert(page_is(page_state(page), PAGE_TAKEN));
	spinlock_lock(&stripe->lock);
	if (!find_link_locked(index, bucket, key, &link)) {
		set_entry(page, key);
		store(&page->next, load(first));
		page_set(page, state);
		store(first, page_frame(page));
		inserted = true;
	}
	spinlock_unlock(&stripe->lock);
	return inserted;
}

struct page *index_find(struct index *index, uint64_t key, uint32_t *state)
{
	struct index_entry entry;
	struct page *page = index_lock_key(index, key, &entry);

	*state = page ? page_state(page) : 0;
	spinlock_unlock(&entry.stripe->lock);
	return page;
}

struct index_stripe *index_lock_page(struct index *index, const struct page *page)
{
	/* The page may become another one before the lock is there. */
	for (;;) {
		struct index_stripe *const stripe = index_stripe(index, page_key(page));
		bool there;

		spinlock_lock(&stripe->lock);
		there = atomic_load_explicit(&page->generation, memory_order_relaxed) != 0;
		if (there && stripe == index_stripe(index, page_key(page)))
			return stripe;
		spinlock_unlock(&stripe->lock);
		if (!there)
			return NULL;
	}
}

static _Atomic uint32_t *link_of_page(struct index *index, const struct page *page)
{
	return link_of(index, &index->buckets[bucket_of(index, page_key(page))], page_frame(page));
}

void index_remove_locked(struct index *index, struct page *page)
{
	index_remove_at(link_of_page(index, page), page);
}

void index_replace_locked(struct index *index, struct page *from, struct page *to)
{
	set_entry(to, page_key(from));
	store(&to->next, load(&from->next));
	store(link_of_page(index, from), page_frame(to));
	atomic_store_explicit(&from->generation, 0, memory_order_relaxed);
}
