/* Reading through the cache: windows of pages, pinned or asked for together, then copied. */
#include "exclusive.h"
#include "io.h"
#include "replacement.h"
#include "runtime/base/string.h"

/* Pages that one read pins at a time: enough for two requests of the largest size. */
#define WINDOW_PAGES (2 * IO_PAGES_MAX)

/* What a read has in hand. A page that is NULL is left for the end, when no pin is held any more: page by page, then. */
struct window {
	struct node *node;
	uint64_t first;
	uint32_t count;
	struct io *io; /* being filled */
	uint64_t hits, misses, first_uses;
	struct page *pages[WINDOW_PAGES];
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

/*
 * Pins one page, or takes a frame for it. NULL: it is being written to, or there is no frame without waiting; waiting has to be
 * done without pins.
 */
static struct page *window_pin(struct window *window, uint64_t number)
{
	struct node *node = window->node;
	const uint64_t key = page_key_make(node->id, number);
	struct lookup lookup;
	struct page *page;
	enum lane lane;

	page = index_pin(&node->volume->pagecache->index, key, &lookup);
	if (page) {
		window->hits++;
		window->first_uses += lookup_is_first_use(&lookup);
		return page;
	}
	if (lookup.status != STATUS_NOT_FOUND)
		return NULL;
	lane = replacement_admit(node->volume, key);
	page = frame_try_take(node->volume, &lane);
	if (!page || !page_insert(node, page, lane, number, page_state_make(PAGE_READING, 2)))
		return NULL;
	window->misses++;
	window_read(window, page);
	return page;
}

/* Copies the part of page `number` that [offset, offset + bytes) covers. `buffer` is where `offset` goes. */
static void copy_out(const struct page *page, uint64_t number, uint64_t offset, char *buffer, size_t bytes)
{
	const uint64_t page_start = number * PAGE_BYTES;
	const uint64_t start = MAX(offset, page_start);
	const uint64_t end = MIN(offset + bytes, page_start + PAGE_BYTES);

	memcpy(buffer + (start - offset), (const char *)page_memory(page) + (start - page_start), end - start);
}

/* A request fails as a whole, so each page that it could not read gets another try. */
static void window_copy(struct window *window, uint64_t offset, char *buffer, size_t bytes)
{
	for (uint32_t i = 0; i < window->count; i++) {
		struct page *page = window->pages[i];

		if (!page)
			continue;
		if (page_wait_read(page) != STATUS_OK) {
			window->pages[i] = NULL;
			continue;
		}
		copy_out(page, window->first + i, offset, buffer, bytes);
		page_unpin(page);
	}
}

static status_t window_copy_rest(struct window *window, uint64_t offset, char *buffer, size_t bytes)
{
	for (uint32_t i = 0; i < window->count; i++) {
		struct page *page;
		status_t status;

		if (window->pages[i])
			continue;
		status = page_get(window->node, window->first + i, &page);
		if (status != STATUS_OK)
			return status;
		copy_out(page, window->first + i, offset, buffer, bytes);
		page_unpin(page);
	}
	return STATUS_OK;
}

static status_t read_window(struct window *window, uint64_t offset, char *buffer, size_t bytes)
{
	for (uint32_t i = 0; i < window->count; i++)
		window->pages[i] = window_pin(window, window->first + i);
	window_submit(window);
	volume_count_lookups(window->node->volume, window->hits, window->misses, window->first_uses);
	if (window->misses + window->first_uses > 0)
		readahead_note(window->node, window->first, window->count);
	window_copy(window, offset, buffer, bytes);
	return window_copy_rest(window, offset, buffer, bytes);
}

/* The common case: within one page, and cached. False: it is another one. */
static bool read_hit(struct node *node, uint64_t offset, void *buffer, size_t bytes)
{
	const uint64_t number = offset / PAGE_BYTES;
	const uint64_t key = page_key_make(node->id, number);
	struct index *index = &node->volume->pagecache->index;
	struct lookup lookup;
	struct page *page;

	index_prefetch(index, key);
	page = index_pin(index, key, &lookup);
	if (!page)
		return false;
	volume_count_lookups(node->volume, 1, 0, lookup_is_first_use(&lookup));
	if (lookup_is_first_use(&lookup))
		readahead_note(node, number, 1);
	if (page_wait_read(page) != STATUS_OK)
		return false;
	copy_out(page, number, offset, buffer, bytes);
	page_unpin(page);
	return true;
}

status_t node_read(struct node *node, uint64_t offset, void *buffer, size_t bytes)
{
	char *target = buffer;
	status_t status = node_check_range(node, offset, bytes);

	if (status == STATUS_OK && bytes > 0 && offset % PAGE_BYTES + bytes <= PAGE_BYTES &&
	    read_hit(node, offset, buffer, bytes))
		return STATUS_OK;
	while (status == STATUS_OK && bytes > 0) {
		struct window window;
		size_t length;

		window.node = node;
		window.first = offset / PAGE_BYTES;
		window.io = NULL;
		window.hits = window.misses = window.first_uses = 0;
		length = (size_t)MIN((uint64_t)bytes, (window.first + WINDOW_PAGES) * PAGE_BYTES - offset);
		window.count = (uint32_t)((offset + length - 1) / PAGE_BYTES - window.first + 1);
		status = read_window(&window, offset, target, length);
		offset += length;
		target += length;
		bytes -= length;
	}
	return status;
}
