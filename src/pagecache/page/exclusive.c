// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access to one page: a pin for a reader, the state WRITING for a writer. A page that is not cached
 * enters the index as READING or WRITING before its content is there; other tasks that want it find
 * it and wait. So no page is read twice at the same time.
 */
#include "exclusive.h"

#include "io.h"
#include "pagecache/eviction/loan.h"
#include "pagecache/eviction/replacement.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/assert.h"

bool page_insert(struct node *node, struct page *page, enum queue queue, uint64_t number, uint32_t state)
{
	struct volume *volume = node->volume;

	if (queue == QUEUE_MAIN)
		state |= PAGE_MAIN;
	if (!index_insert(&volume->pagecache->pages.index, page, page_key_make(node->id, number), state)) {
		page_set_free(page);
		return false;
	}
	atomic_fetch_add_explicit(&volume->counts.cached_pages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.inserted_pages, 1, memory_order_relaxed);
	return true;
}

status_t page_wait_read(struct page *page)
{
	uint32_t state;

	while (page_is(state = page_state(page), PAGE_READING))
		(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
	if (!page_is(state, PAGE_GONE))
		return STATUS_OK;

	const status_t status = -(status_t)page_key(page);
	page_unpin(page);
	return status;
}

/* Reading one page ----------------------------------------------------------------------------- */

/*
 * Inserts a page that is not cached, in this state, with a frame of its own. NULL in *page: another
 * task was faster.
 */
static status_t insert_fresh(struct node *node, uint64_t number, uint32_t state, struct page **page)
{
	enum queue queue = replacement_admit(node->volume, page_key_make(node->id, number));
	struct page *fresh = frame_take(node->volume, &queue);

	if (!fresh)
		return STATUS_NO_MEMORY;
	*page = page_insert(node, fresh, queue, number, state) ? fresh : NULL;
	return STATUS_OK;
}

/* The same, and starts to read it: with a pin for the read, and one for the caller. */
static status_t start_single_read(struct node *node, uint64_t number, struct page **page)
{
	const status_t status = insert_fresh(node, number, page_state_make(PAGE_READING, 2), page);
	struct io *io;

	if (status != STATUS_OK || !*page)
		return status;
	io = io_begin(node->volume, BLOCK_READ);
	(void)io_add(io, *page);
	io_submit_read(io);
	return STATUS_OK;
}

/*
 * Gets a page for reading. A read that another task began may have failed because of another page
 * in its request, so only a read of this task's own counts.
 */
status_t page_get(struct node *node, uint64_t number, struct page **result)
{
	struct index *index = &node->volume->pagecache->pages.index;
	const uint64_t key = page_key_make(node->id, number);
	status_t status = STATUS_OK;
	bool own = false;

	while (status == STATUS_OK || !own) {
		struct lookup lookup;
		struct page *page = page_pin(node->volume, key, &lookup);

		status = page ? STATUS_OK : lookup.status;
		own = status == STATUS_NOT_FOUND;
		if (status == STATUS_BUSY) {
			index_wait(index, key, &lookup);
		} else if (own) {
			pages_count_lookups(&node->volume->pages, 0, 1, 0);
			status = start_single_read(node, number, &page);
		}
		if (!page)
			continue;
		status = page_wait_read(page);
		if (status == STATUS_OK) {
			*result = page;
			break;
		}
	}
	return status;
}

/* Writing to one page -------------------------------------------------------------------------- */

/*
 * Makes a pinned page WRITING, with the only pin. False: the pin is gone, and the caller looks the
 * page up again.
 */
static bool begin_write(struct node *node, struct page *page, uint64_t key)
{
	struct index *index = &node->volume->pagecache->pages.index;
	struct lookup lookup;
	uint32_t state;

	if (page_wait_read(page) != STATUS_OK)
		return false;
	for (;;) {
		lookup.changes = atomic_load(&index_stripe(index, key)->changes); /* before the state, as in index.c */
		state = page_state(page);
		if (page_is(state, PAGE_WRITING)) {
			page_unpin(page);
			index_wait(index, key, &lookup);
			return false;
		}
		if (page_is(state, PAGE_WRITEBACK)) {
			(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
			continue;
		}
		if (page_try_change(page, &state, page_state_with(state, PAGE_WRITING, PAGE_AHEAD, 0)))
			break;
	}
	/* Readers leave, and no new ones come. */
	while (((state = page_state(page)) & PAGE_PINS) != 1)
		(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
	return true;
}

status_t page_lock_writing(struct node *node, uint64_t number, bool whole, struct page **result)
{
	struct index *index = &node->volume->pagecache->pages.index;
	const uint64_t key = page_key_make(node->id, number);

	for (;;) {
		struct lookup lookup;
		struct page *page = page_pin(node->volume, key, &lookup);
		status_t status;

		if (!page && lookup.status == STATUS_BUSY) {
			index_wait(index, key, &lookup);
			continue;
		}
		if (!page) {
			/* A page that is overwritten as a whole needs no read. */
			status = whole ? insert_fresh(node, number, page_state_make(PAGE_WRITING, 1), result)
				       : page_get(node, number, &page);
			if (status != STATUS_OK || (whole && *result))
				return status;
			if (whole)
				continue;
		}
		if (begin_write(node, page, key)) {
			*result = page;
			return STATUS_OK;
		}
	}
}

void page_discard(struct volume *volume, struct page *page)
{
	struct index_stripe *stripe = index_lock_page(&volume->pagecache->pages.index, page);

	assert(stripe); /* WRITING pages stay in the index */
	page_forget(volume, page);
	(void)page_change(page, PAGE_TAKEN, UINT32_MAX, 0); /* without flags and the writer's pin */
	index_remove_locked(&volume->pagecache->pages.index, page);
	spinlock_unlock(&stripe->lock);
	index_wake(stripe);
	page_set_free(page);
	frame_count_evicted(volume, 1, 0);
}
