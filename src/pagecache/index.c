#include "index.h"

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* At most one page a bucket on the average, when all memory is cached. */
uint64_t index_bytes(uint64_t pages)
{
	return (1ull << log2_ceil(MAX(pages, (uint64_t)INDEX_STRIPES))) * sizeof(uint32_t);
}

void index_init(struct index *index, const struct frame_table *table, void *buckets, uint64_t bytes)
{
	index->table = table;
	index->buckets = buckets;
	index->bucket_mask = bytes / sizeof(uint32_t) - 1;
	memset(buckets, 0xff, bytes); /* PAGE_NONE */
	for (unsigned i = 0; i < INDEX_STRIPES; i++) {
		spinlock_init(&index->stripes[i].lock, "page index");
		atomic_init(&index->stripes[i].changes, 0);
		atomic_init(&index->stripes[i].sleepers, 0);
	}
}

/* Consecutive numbers go to consecutive buckets, which share cache lines; nodes are spread by a multiplication. */
static uint64_t bucket_of(const struct index *index, uint32_t node, uint64_t number)
{
	return (number + node * 0x9e3779b97f4a7c15ull) & index->bucket_mask;
}

struct index_stripe *index_stripe(struct index *index, uint32_t node, uint64_t number)
{
	return &index->stripes[bucket_of(index, node, number) % INDEX_STRIPES];
}

static struct page *find_locked(struct index *index, uint32_t node, uint64_t number)
{
	uint32_t frame = index->buckets[bucket_of(index, node, number)];

	while (frame != PAGE_NONE) {
		struct page *page = frame_table_page(index->table, frame);

		if (page_number(page) == number && page_node(page) == node)
			return page;
		frame = page->next;
	}
	return NULL;
}

struct page *index_pin(struct index *index, uint32_t node, uint64_t number, status_t *status, uint32_t *changes)
{
	struct index_stripe *const stripe = index_stripe(index, node, number);
	struct page *page;

	spinlock_lock(&stripe->lock);
	/* Read before the state: a writer ends without this lock, first in the state, then in `changes`. */
	*changes = atomic_load_explicit(&stripe->changes, memory_order_acquire);
	page = find_locked(index, node, number);
	if (!page) {
		*status = STATUS_NOT_FOUND;
	} else if (page_state(page) & PAGE_WRITING) {
		*status = STATUS_BUSY;
		page = NULL;
	} else {
		/* A writer sets WRITING under this lock, so it does not begin before the pin. */
		const uint32_t before = atomic_fetch_add_explicit(&page->state, 1, memory_order_acquire);

		assert((before & PAGE_PINS) != PAGE_PINS);
		if (!(before & PAGE_HIT))
			atomic_fetch_or_explicit(&page->state, PAGE_HIT, memory_order_relaxed);
		*status = STATUS_OK;
	}
	spinlock_unlock(&stripe->lock);
	return page;
}

void index_wait(struct index *index, uint32_t node, uint64_t number, uint32_t changes)
{
	struct index_stripe *const stripe = index_stripe(index, node, number);

	atomic_fetch_add(&stripe->sleepers, 1);
	(void)platform_wait(&stripe->changes, changes, PLATFORM_FOREVER);
	atomic_fetch_sub(&stripe->sleepers, 1);
}

void index_wake(struct index_stripe *stripe)
{
	atomic_fetch_add(&stripe->changes, 1);
	if (atomic_load(&stripe->sleepers) != 0)
		platform_wake(&stripe->changes);
}

bool index_insert(struct index *index, struct page *page, uint32_t node, uint64_t number, uint32_t state)
{
	uint32_t *const bucket = &index->buckets[bucket_of(index, node, number)];
	struct index_stripe *const stripe = index_stripe(index, node, number);
	bool inserted = false;

	assert(page_state(page) == 0 && page_state_is_legal(state));
	spinlock_lock(&stripe->lock);
	if (!find_locked(index, node, number)) {
		page_set_identity(page, node, number);
		page->next = *bucket;
		*bucket = page->frame;
		atomic_store_explicit(&page->state, state, memory_order_release);
		inserted = true;
	}
	spinlock_unlock(&stripe->lock);
	return inserted;
}

bool index_visit(struct index *index, uint32_t node, uint64_t number, bool (*visit)(void *context, struct page *page),
		 void *context)
{
	struct index_stripe *const stripe = index_stripe(index, node, number);
	struct page *page;
	bool result;

	spinlock_lock(&stripe->lock);
	page = find_locked(index, node, number);
	result = page && visit(context, page);
	spinlock_unlock(&stripe->lock);
	return result;
}

/* What leads to the page: its bucket, or the page before it. */
static uint32_t *link_of(struct index *index, const struct page *page)
{
	uint32_t *link = &index->buckets[bucket_of(index, page_node(page), page_number(page))];

	while (*link != page->frame) {
		assert(*link != PAGE_NONE);
		link = &frame_table_page(index->table, *link)->next;
	}
	return link;
}

void index_remove_locked(struct index *index, struct page *page)
{
	*link_of(index, page) = page->next;
}

void index_replace_locked(struct index *index, struct page *from, struct page *to)
{
	uint32_t *const link = link_of(index, from);

	page_set_identity(to, page_node(from), page_number(from));
	to->next = from->next;
	*link = to->frame;
}
