// SPDX-License-Identifier: BSD-2-Clause
/*
 * I/O objects and reads. An object is counted before it is taken from the reserve: a share of them
 * is for reads, and each volume has a few of its own, so that neither a slow volume nor writes take
 * all. A read that fails takes its pages out of the index, and the tasks that wait for them find
 * the status.
 */
#include "io.h"

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/bounded_count.h"

/*
 * Counts an object that is taken, not one that is wanted: a task that finds none may sleep until
 * one comes back.
 */
static bool count_begun(struct volume *volume, enum block_operation operation, uint32_t left)
{
	struct pagecache *pagecache = volume->pagecache;
	const uint32_t requests = pagecache->config.requests;
	const bool reads = operation == BLOCK_READ;
	const uint32_t reserved = reads ? left : MAX(left, divide_round_up(requests, IO_READ_SHARE));

	return count_up(&pagecache->pages.requests_used, requests - MIN(reserved, requests)) ||
	       (left == 0 &&
		count_up(&volume->pages.requests[operation], reads || platform_is_cleaning() ? IO_OWN : IO_OWN - 1));
}

struct io *io_try_begin(struct volume *volume, enum block_operation operation, uint32_t left)
{
	struct pagecache *pagecache = volume->pagecache;
	struct io *io;

	if (!count_begun(volume, operation, left)) {
		atomic_store(&pagecache->pages.starved, true); /* a returned object wakes tasks then */
		if (!count_begun(volume, operation, left))
			return NULL;
	}
	io = objcache_alloc_held(&pagecache->pages.requests);
	assert(io); /* the reserve has as many as are counted */
	io->request.operation = operation;
	io->volume = volume;
	io->count = 0;
	return io;
}

struct io *io_begin(struct volume *volume, enum block_operation operation)
{
	struct pagecache *pagecache = volume->pagecache;

	for (;;) {
		const uint32_t progress = atomic_load(&pagecache->pages.progress);
		struct io *io = io_try_begin(volume, operation, 0);

		if (io)
			return io;
		(void)platform_wait(&pagecache->pages.progress, progress, PLATFORM_FOREVER);
	}
}

void io_end(struct io *io)
{
	struct volume *volume = io->volume;
	struct pagecache *pagecache = volume->pagecache;
	const enum block_operation operation = io->request.operation;

	objcache_free(&pagecache->pages.requests, io);
	/*
	 * The volume's own objects come back first, so that they are there when the shared ones are
	 * not.
	 */
	if (!count_down(&volume->pages.requests[operation]))
		atomic_fetch_sub(&pagecache->pages.requests_used, 1);
	if (atomic_exchange(&pagecache->pages.starved, false)) {
		atomic_fetch_add(&pagecache->pages.progress, 1);
		platform_wake(&pagecache->pages.progress);
	}
}

uint32_t io_pages_max(const struct volume *volume)
{
	const struct block_device *device = volume->device;
	const uint64_t pages = device->transfer_bytes_max / PAGE_BYTES;

	return (uint32_t)MIN(MIN(pages, (uint64_t)device->segments_max), (uint64_t)IO_PAGES_MAX);
}

bool io_add(struct io *io, struct page *page)
{
	const uint64_t position = pagecache_position(io->volume->pagecache, page_key(page));

	if (io->count > 0 && (io->count == io_pages_max(io->volume) || position != io->end))
		return false;
	io->end = position + pagecache_page_bytes(io->volume->pagecache, page_key(page));
	io->pages[io->count++] = page;
	return true;
}

void io_add_segment(struct phys_range *segments, uint32_t *count, struct phys_addr start, uint64_t bytes)
{
	if (*count > 0 && segments[*count - 1].start.value + segments[*count - 1].bytes == start.value)
		segments[*count - 1].bytes += bytes;
	else
		segments[(*count)++] = (struct phys_range){ start, bytes };
}

void io_submit(struct io *io, void (*done)(struct block_request *request))
{
	struct volume *volume = io->volume;
	struct block_request *request = &io->request;

	assert(io->count > 0);
	request->offset_bytes = volume->start_bytes + pagecache_position(volume->pagecache, page_key(io->pages[0]));
	request->segments = io->segments;
	request->segment_count = 0;
	for (uint32_t i = 0; i < io->count; i++)
		io_add_segment(io->segments, &request->segment_count, page_address(io->pages[i]),
			       pagecache_page_bytes(volume->pagecache, page_key(io->pages[i])));
	request->done = done;
	io->losses = written_losses(volume);
	volume->device->submit(volume->device, request);
}

/*
 * Takes the page out of the index, so the next read tries again; tasks that wait for it find the
 * status.
 */
static void read_failed(struct io *io, struct page *page, status_t status)
{
	struct volume *volume = io->volume;
	struct index *index = &volume->pagecache->pages.index;
	struct index_stripe *stripe = index_stripe(index, page_key(page));

	spinlock_lock(&stripe->lock);
	index_remove_locked(index, page);
	atomic_store_explicit(&page->key, (uint64_t)-status, memory_order_relaxed);
	(void)page_change(page, PAGE_GONE, 0, 0);
	spinlock_unlock(&stripe->lock);
	atomic_fetch_sub_explicit(&volume->counts.cached_pages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.evicted_pages, 1, memory_order_relaxed);
}

static void read_done(struct block_request *request)
{
	struct io *io = container_of(request, struct io, request);
	struct volume *volume = io->volume;

	if (request->status == STATUS_OK)
		atomic_fetch_add_explicit(&volume->counts.read_bytes, block_request_bytes(request), memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&volume->counts.read_errors, 1, memory_order_relaxed);
	for (uint32_t i = 0; i < io->count; i++) {
		struct page *page = io->pages[i];

		if (request->status == STATUS_OK)
			(void)page_change(page, PAGE_CLEAN, 0, written_read(io->volume, page, io->losses));
		else
			read_failed(io, page, request->status);
		platform_wake(&page->state);
		page_unpin(page);
	}
	io_end(io);
	/*
	 * The last access to the volume, which may be detached from here on; the wake needs only
	 * the address of the word.
	 */
	if (atomic_fetch_sub(&volume->pages.reads, 1) == 1)
		platform_wake(&volume->pages.reads);
}

void io_submit_read(struct io *io)
{
	atomic_fetch_add(&io->volume->pages.reads, 1);
	io_submit(io, read_done);
}
