#include "node.h"

#include "frame.h"
#include "io.h"
#include "runtime/base/assert.h"
#include "runtime/base/string.h"
#include "writeback.h"

/* Pages that one read pins at a time: enough for two requests of the largest size. */
#define WINDOW_PAGES (2 * IO_PAGES_MAX)

static struct index *index_of(const struct node *node)
{
	return &node->volume->pagecache->index;
}

static void count_inserted(struct volume *volume)
{
	atomic_fetch_add_explicit(&volume->counts.cached_pages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.inserted_pages, 1, memory_order_relaxed);
}

static void count_lookups(struct volume *volume, uint64_t hits, uint64_t misses)
{
	struct volume_lookups *lookups = &volume->lookups[platform_cpu()];

	if (hits > 0)
		atomic_fetch_add_explicit(&lookups->hits, hits, memory_order_relaxed);
	if (misses > 0)
		atomic_fetch_add_explicit(&lookups->misses, misses, memory_order_relaxed);
}

static status_t check_range(const struct node *node, uint64_t offset, size_t bytes)
{
	return offset <= node->bytes && bytes <= node->bytes - offset ? STATUS_OK : STATUS_RANGE;
}

/* Waits until a pinned page has been read. On failure the pin is gone. */
static status_t wait_read(struct page *page)
{
	uint32_t state;

	while ((state = page_state(page)) & PAGE_READING)
		(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
	if (state & PAGE_CACHED)
		return STATUS_OK;

	const status_t status = -(status_t)page_number(page);
	page_unpin(page);
	return status;
}

/* One page ----------------------------------------------------------------------------------------------------------------- */

/* Puts `page` into the index, READING, with a pin for the caller and one for its read. False: another one was quicker. */
static bool insert_reading(struct node *node, struct page *page, uint64_t number)
{
	if (!index_insert(index_of(node), page, node->id, number, PAGE_CACHED | PAGE_READING | 2)) {
		frame_return(page);
		return false;
	}
	count_inserted(node->volume);
	return true;
}

/* Reads one page that is not cached. False: another one was quicker. The caller gets a pin. */
static status_t start_single_read(struct node *node, uint64_t number, struct page **page)
{
	struct page *fresh = frame_take(node->volume);
	struct io *io;

	*page = NULL;
	if (!fresh)
		return STATUS_NO_MEMORY;
	io = io_begin(node, BLOCK_READ);
	if (!insert_reading(node, fresh, number)) {
		io_end(io);
		return STATUS_OK;
	}
	(void)io_add(io, fresh, number);
	io_submit_read(io);
	*page = fresh;
	return STATUS_OK;
}

/*
 * Pins a page that is cached and read. Holds no other pin. A read that somebody else began may have failed because of another
 * page of the same request, so only the failure of one's own counts.
 */
static status_t page_get(struct node *node, uint64_t number, struct page **result)
{
	status_t status = STATUS_OK;
	bool own = false;

	while (status == STATUS_OK || !own) {
		uint32_t changes;
		struct page *page = index_pin(index_of(node), node->id, number, &status, &changes);

		own = status == STATUS_NOT_FOUND;
		if (status == STATUS_BUSY) {
			index_wait(index_of(node), node->id, number, changes);
		} else if (own) {
			count_lookups(node->volume, 0, 1);
			status = start_single_read(node, number, &page);
		}
		if (!page)
			continue;
		status = wait_read(page);
		if (status == STATUS_OK) {
			*result = page;
			break;
		}
	}
	return status;
}

/* Reading ------------------------------------------------------------------------------------------------------------------ */

/* What a read has in hand. A page that is NULL is left for the end, when no pin is held any more: page by page, then. */
struct window {
	struct node *node;
	uint64_t first;
	uint32_t count;
	struct io *io; /* being filled */
	uint64_t hits, misses;
	struct page *pages[WINDOW_PAGES];
};

static void window_submit(struct window *window)
{
	if (window->io)
		io_submit_read(window->io);
	window->io = NULL;
}

static void window_read(struct window *window, struct page *page, uint64_t number)
{
	if (window->io && io_add(window->io, page, number))
		return;
	window_submit(window);
	window->io = io_begin(window->node, BLOCK_READ);
	(void)io_add(window->io, page, number);
}

/*
 * Pins one page, or takes a frame for it. NULL: it is being written to, or there is no frame without waiting; waiting has to be
 * done without pins.
 */
static struct page *window_pin(struct window *window, uint64_t number)
{
	struct node *node = window->node;
	struct page *page;
	uint32_t changes;
	status_t status;

	page = index_pin(index_of(node), node->id, number, &status, &changes);
	if (page)
		window->hits++;
	if (status != STATUS_NOT_FOUND)
		return page;
	page = frame_try_take(node->volume);
	if (!page || !insert_reading(node, page, number))
		return NULL;
	window->misses++;
	window_read(window, page, number);
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
		if (wait_read(page) != STATUS_OK) {
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
	count_lookups(window->node->volume, window->hits, window->misses);
	window_copy(window, offset, buffer, bytes);
	return window_copy_rest(window, offset, buffer, bytes);
}

status_t node_read(struct node *node, uint64_t offset, void *buffer, size_t bytes)
{
	char *target = buffer;
	status_t status = check_range(node, offset, bytes);

	while (status == STATUS_OK && bytes > 0) {
		struct window window;
		size_t length;

		window.node = node;
		window.first = offset / PAGE_BYTES;
		window.io = NULL;
		window.hits = window.misses = 0;
		length = (size_t)MIN((uint64_t)bytes, (window.first + WINDOW_PAGES) * PAGE_BYTES - offset);
		window.count = (uint32_t)((offset + length - 1) / PAGE_BYTES - window.first + 1);
		status = read_window(&window, offset, target, length);
		offset += length;
		target += length;
		bytes -= length;
	}
	return status;
}

/* Writing ------------------------------------------------------------------------------------------------------------------ */

/*
 * Makes a pinned page WRITING, once it is neither read nor written back, and waits for the readers to leave. False: the pin is
 * gone, the page has to be looked up again.
 */
static bool page_begin_write(struct node *node, struct page *page)
{
	struct index_stripe *stripe;
	uint32_t state, changes;

	if (wait_read(page) != STATUS_OK)
		return false;
	stripe = index_stripe(index_of(node), page_node(page), page_number(page));
	for (;;) {
		spinlock_lock(&stripe->lock);
		changes = atomic_load(&stripe->changes); /* before the state, as in index_pin */
		state = page_state(page);
		if (!(state & (PAGE_WRITING | PAGE_WRITEBACK)) &&
		    atomic_compare_exchange_strong(&page->state, &state, state | PAGE_WRITING)) {
			spinlock_unlock(&stripe->lock);
			break;
		}
		spinlock_unlock(&stripe->lock);
		if (state & PAGE_WRITING) {
			const uint64_t number = page_number(page);

			page_unpin(page);
			index_wait(index_of(node), node->id, number, changes);
			return false;
		}
		if (state & PAGE_WRITEBACK)
			(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
	}
	while (((state = page_state(page)) & PAGE_PINS) != 1)
		(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
	return true;
}

/* A page that will be overwritten as a whole needs no reading. NULL in *page: another one was quicker. */
static status_t insert_writing(struct node *node, uint64_t number, struct page **page)
{
	struct page *fresh = frame_take(node->volume);

	*page = NULL;
	if (!fresh)
		return STATUS_NO_MEMORY;
	if (!index_insert(index_of(node), fresh, node->id, number, PAGE_CACHED | PAGE_WRITING | 1)) {
		frame_return(fresh);
		return STATUS_OK;
	}
	count_inserted(node->volume);
	*page = fresh;
	return STATUS_OK;
}

/* Gives the page, WRITING, with the only pin. */
static status_t page_get_writing(struct node *node, uint64_t number, bool whole, struct page **result)
{
	struct page *page;
	uint32_t changes;
	status_t status;

	for (;;) {
		page = index_pin(index_of(node), node->id, number, &status, &changes);
		if (status == STATUS_BUSY) {
			index_wait(index_of(node), node->id, number, changes);
			continue;
		}
		if (status == STATUS_NOT_FOUND && whole) {
			status = insert_writing(node, number, result);
			if (status != STATUS_OK || *result)
				return status;
			continue;
		}
		if (status == STATUS_NOT_FOUND) {
			status = page_get(node, number, &page);
			if (status != STATUS_OK)
				return status;
		}
		if (page_begin_write(node, page)) {
			*result = page;
			return STATUS_OK;
		}
	}
}

static status_t write_page(struct node *node, uint64_t offset, const char *data, size_t bytes)
{
	const uint64_t number = offset / PAGE_BYTES;
	const uint64_t valid = node_page_bytes(node, number);
	struct page *page = NULL;
	status_t status;

	status = writeback_throttle(node->volume);
	if (status == STATUS_OK)
		status = page_get_writing(node, number, bytes == valid, &page);
	if (status != STATUS_OK)
		return status;
	memcpy((char *)page_memory(page) + offset % PAGE_BYTES, data, bytes);
	if (bytes == valid)
		memset((char *)page_memory(page) + valid, 0, PAGE_BYTES - valid);
	page_written(node->volume, page);
	return STATUS_OK;
}

status_t node_write(struct node *node, uint64_t offset, const void *buffer, size_t bytes)
{
	const char *data = buffer;
	status_t status = check_range(node, offset, bytes);

	if (status == STATUS_OK && node->volume->device->read_only)
		status = STATUS_READ_ONLY;
	while (status == STATUS_OK && bytes > 0) {
		const size_t length = (size_t)MIN((uint64_t)bytes, PAGE_BYTES - offset % PAGE_BYTES);

		status = write_page(node, offset, data, length);
		offset += length;
		data += length;
		bytes -= length;
	}
	return status;
}

/* Eviction ----------------------------------------------------------------------------------------------------------------- */

struct eviction {
	struct volume *volume;
	struct page *page;
};

/* [S] is held. */
static bool evict_visit(void *context, struct page *page)
{
	struct eviction *eviction = context;

	eviction->page = page;
	return page_evict_locked(eviction->volume, page);
}

bool node_evict_page(struct node *node, uint64_t number)
{
	struct eviction eviction = { .volume = node->volume };

	if (!index_visit(index_of(node), node->id, number, evict_visit, &eviction))
		return false;
	frame_return(eviction.page);
	return true;
}
