// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads through the cache. A read goes through windows of pages: a cached page is copied at once
 * without a pin, what is missing is asked for together, and is copied when it arrives. It takes no
 * page that would need a wait while it holds pins.
 */
#include "exclusive.h"
#include "io.h"
#include "pagecache/eviction/loan.h"
#include "pagecache/eviction/replacement.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* The pages of a window: enough for two requests of the largest size. */
#define WINDOW_PAGES (2 * IO_PAGES_MAX)

/*
 * A page that could not be copied at once. NULL: it is left for the end, when the read holds no pin
 * any more.
 */
struct pending {
	uint64_t number;
	struct page *page; /* pinned */
};

/* One window of a read. */
struct window {
	struct node *node;
	struct stream *stream; /* the reader's, or NULL */
	uint64_t offset;
	char *buffer; /* where `offset` goes */
	size_t bytes;
	struct io *io; /* being filled */
	uint64_t hits, misses, first_uses;
	uint32_t pending_count;
	struct pending *pending; /* WINDOW_PAGES of them */
};

static void window_submit(struct window *window)
{
	if (window->io)
		io_submit_read(window->io);
	window->io = NULL;
}

static void window_read(struct window *window, struct page *page)
{
	if (window->io && io_add(window->io, page))
		return;
	window_submit(window);
	window->io = io_begin(window->node->volume, BLOCK_READ);
	(void)io_add(window->io, page);
}

static void count_hit(struct window *window, uint32_t before)
{
	window->hits++;
	window->first_uses += (before & PAGE_AHEAD) != 0;
}

/*
 * Pins a page, or takes a frame for it and starts its read. NULL: a writer has the page, or there
 * is no frame without waiting; the read waits later, without pins.
 */
static struct page *window_pin(struct window *window, uint64_t number)
{
	struct node *node = window->node;
	const uint64_t key = page_key_make(node->id, number);
	struct lookup lookup;
	struct page *page = page_pin(node->volume, key, &lookup);
	enum queue queue;

	if (page) {
		count_hit(window, lookup.before);
		return page;
	}
	if (lookup.status != STATUS_NOT_FOUND)
		return NULL;
	queue = replacement_admit(node->volume, key);
	page = frame_try_take(node->volume, &queue);
	if (!page || !page_insert(node, page, queue, number, page_state_make(PAGE_READING, 2)))
		return NULL;
	window->misses++;
	window_read(window, page);
	return page;
}

/* The part of a page that a read copies, and where it goes. */
struct part {
	size_t skip; /* in the page */
	char *target;
	size_t bytes;
};

static struct part part_of(uint64_t number, uint64_t offset, char *buffer, size_t bytes)
{
	const uint64_t page_start = number * PAGE_BYTES;
	const uint64_t start = MAX(offset, page_start);
	const uint64_t end = MIN(offset + bytes, page_start + PAGE_BYTES);

	return (struct part){ (size_t)(start - page_start), buffer + (start - offset), (size_t)(end - start) };
}

/* Copies out of a pinned page, and drops the pin. */
static void window_copy_out(struct window *window, struct page *page, uint64_t number)
{
	const struct part part = part_of(number, window->offset, window->buffer, window->bytes);

	memcpy(part.target, (const char *)page_memory(page) + part.skip, part.bytes);
	page_unpin(page);
}

/*
 * Copies the pending pages. A request fails as a whole, so each page that it could not read gets
 * another try, when the read holds no pin any more.
 */
static status_t window_copy(struct window *window)
{
	status_t status = STATUS_OK;
	uint32_t left = 0;

	for (uint32_t i = 0; i < window->pending_count; i++) {
		const struct pending pending = window->pending[i];

		if (pending.page && page_wait_read(pending.page) == STATUS_OK)
			window_copy_out(window, pending.page, pending.number);
		else
			window->pending[left++].number = pending.number;
	}
	for (uint32_t i = 0; i < left && status == STATUS_OK; i++) {
		struct page *page;

		status = page_get(window->node, window->pending[i].number, &page);
		if (status == STATUS_OK)
			window_copy_out(window, page, window->pending[i].number);
	}
	return status;
}

/* Copies a cached page without a pin. False: it has to be pinned, or read. */
static inline bool copy_seen(struct node *node, uint64_t number, const struct part *part, uint32_t *before)
{
	const uint64_t key = page_key_make(node->id, number);
	struct page_snapshot snapshot;
	const char *memory = index_snapshot(&node->volume->pagecache->pages.index, key, &snapshot);

	if (!memory)
		return false;
	memcpy_unstable(part->target, memory + part->skip, part->bytes);
	*before = snapshot.before;
	return page_snapshot_is_whole(&snapshot);
}

static status_t read_window(struct window *window)
{
	const uint64_t first = window->offset / PAGE_BYTES;
	const uint64_t end = divide_round_up(window->offset + window->bytes, PAGE_BYTES);
	uint32_t before;

	for (uint64_t number = first; number < end; number++) {
		const struct part part = part_of(number, window->offset, window->buffer, window->bytes);

		if (copy_seen(window->node, number, &part, &before))
			count_hit(window, before);
		else
			window->pending[window->pending_count++] = (struct pending){ number, window_pin(window, number) };
	}
	window_submit(window);
	pages_count_lookups(&window->node->volume->pages, window->hits, window->misses, window->first_uses);
	if (window->misses + window->first_uses > 0)
		readahead_note(window->node, window->stream, first, end, window->misses);
	return window_copy(window);
}

/* The common case: a range within one page that is cached. False: it is another case. */
static inline bool read_hit(struct node *node, struct stream *stream, uint64_t offset, void *buffer, size_t bytes)
{
	const struct part part = { offset % PAGE_BYTES, buffer, bytes };
	const uint64_t number = offset / PAGE_BYTES;
	uint32_t before;

	index_prefetch(&node->volume->pagecache->pages.index, page_key_make(node->id, number));
	if (!copy_seen(node, number, &part, &before))
		return false;
	pages_count_lookups(&node->volume->pages, 1, 0, (before & PAGE_AHEAD) != 0);
	if (before & PAGE_AHEAD)
		readahead_note(node, stream, number, number + 1, 0);
	return true;
}

status_t node_read_stream(struct node *node, struct stream *stream, uint64_t offset, void *buffer, size_t bytes)
{
	char *target = buffer;
	status_t status = node_check_range(node, offset, bytes);

	if (status == STATUS_OK && bytes > 0 && offset % PAGE_BYTES + bytes <= PAGE_BYTES &&
	    read_hit(node, stream, offset, buffer, bytes))
		return STATUS_OK;
	while (status == STATUS_OK && bytes > 0) {
		const uint64_t most = (offset / PAGE_BYTES + WINDOW_PAGES) * PAGE_BYTES - offset;
		struct pending pending[WINDOW_PAGES];
		struct window window = {
			.node = node, .stream = stream, .offset = offset, .buffer = target, .pending = pending
		};

		window.bytes = (size_t)MIN((uint64_t)bytes, most);
		status = read_window(&window);
		offset += window.bytes;
		target += window.bytes;
		bytes -= window.bytes;
	}
	return status;
}

status_t node_read(struct node *node, uint64_t offset, void *buffer, size_t bytes)
{
	return node_read_stream(node, NULL, offset, buffer, bytes);
}
