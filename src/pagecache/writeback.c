#include "writeback.h"

#include "frame.h"
#include "runtime/base/assert.h"

static void progress(struct volume *volume)
{
	atomic_fetch_add(&volume->progress, 1);
	platform_wake(&volume->progress);
	atomic_fetch_add(&volume->pagecache->progress, 1);
	platform_wake(&volume->pagecache->progress);
}

/* Dirty -------------------------------------------------------------------------------------------------------------------- */

static void count_dirty(struct volume *volume, struct page *page)
{
	struct pagecache *pagecache = volume->pagecache;
	const uint64_t dirty = atomic_fetch_add(&pagecache->dirty_pages, 1) + 1;

	atomic_fetch_add_explicit(&volume->counts.dirty_pages, 1, memory_order_relaxed);
	atomic_fetch_add(&page_frames(page)->unclean, 1);
	if (dirty == pagecache->dirty_background_pages + 1) {
		atomic_fetch_add(&pagecache->kick, 1);
		platform_wake(&pagecache->kick);
	}
}

static void count_clean(struct volume *volume, struct page *page)
{
	atomic_fetch_sub(&page_frames(page)->unclean, 1);
	atomic_fetch_sub_explicit(&volume->counts.dirty_pages, 1, memory_order_relaxed);
	atomic_fetch_sub(&volume->pagecache->dirty_pages, 1);
}

/* `failed`: whether the page is FAILED, or will be. [D] is held. */
static void count_failed_locked(struct volume *volume, bool was, bool is)
{
	if (was == is)
		return;
	atomic_fetch_add_explicit(&volume->counts.failed_pages, is ? 1 : UINT64_MAX, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->pagecache->failed_pages, is ? 1 : UINT64_MAX, memory_order_relaxed);
}

void page_discard_locked(struct volume *volume, struct page *page)
{
	const uint32_t before = page_change(page, PAGE_DIRTY | PAGE_FAILED, 0);

	assert((before & PAGE_DIRTY) && !(before & PAGE_WRITING));
	count_failed_locked(volume, before & PAGE_FAILED, false);
	count_clean(volume, page);
}

void page_written(struct volume *volume, struct page *page)
{
	struct index_stripe *stripe = index_stripe(&volume->pagecache->index, page_node(page), page_number(page));
	uint32_t before;

	spinlock_lock(&volume->lock);
	before = page_change(page, PAGE_WRITING, PAGE_DIRTY);
	if (!(before & PAGE_DIRTY)) {
		if (list_is_empty(&volume->dirty) && list_is_empty(&volume->failed))
			volume->dirty_since_ns = platform_now_ns();
		list_insert_last(&volume->dirty, &page->dirty);
		count_dirty(volume, page);
	}
	spinlock_unlock(&volume->lock);
	page_unpin(page);
	index_wake(stripe);
	/* A flush may have found the page being written, and wait for it. */
	if (before & PAGE_DIRTY)
		progress(volume);
}

/* Claiming pages ----------------------------------------------------------------------------------------------------------- */

/* DIRTY becomes WRITEBACK, unless somebody is writing to the page. [D] is held. */
static bool claim_locked(struct page *page)
{
	uint32_t state = page_state(page);
	uint32_t after;

	do {
		if (!(state & PAGE_DIRTY) || (state & PAGE_WRITING))
			return false;
		after = (state & ~(uint32_t)PAGE_DIRTY) | PAGE_WRITEBACK;
		assert(page_state_is_legal(after));
	} while (!atomic_compare_exchange_weak_explicit(&page->state, &state, after, memory_order_acq_rel,
							memory_order_acquire));
	list_remove(&page->dirty);
	return true;
}

/*
 * Claims the first page of a write. The write is in flight from here on: a flush that does not find the page in any list any
 * more has to find the write. [D] is held.
 */
static bool write_begin_locked(struct io *io, struct page *page)
{
	struct volume *volume = io->volume;

	if (!claim_locked(page))
		return false;
	io->write = volume->next_write++;
	list_insert_last(&volume->in_flight, &io->link);
	return true;
}

struct claim {
	struct volume *volume;
	struct page *page;
};

/* [S] is held. */
static bool claim_visit(void *context, struct page *page)
{
	struct claim *claim = context;
	bool claimed;

	spinlock_lock(&claim->volume->lock);
	claimed = !(page_state(page) & PAGE_FAILED) && claim_locked(page);
	spinlock_unlock(&claim->volume->lock);
	claim->page = page;
	return claimed;
}

static struct page *claim_number(struct volume *volume, uint32_t node, uint64_t number)
{
	struct claim claim = { .volume = volume };

	return index_visit(&volume->pagecache->index, node, number, claim_visit, &claim) ? claim.page : NULL;
}

static void reverse(struct page **pages, uint32_t count)
{
	for (uint32_t i = 0; i < count / 2; i++) {
		struct page *page = pages[i];

		pages[i] = pages[count - 1 - i];
		pages[count - 1 - i] = page;
	}
}

/* Surrounds the claimed page io->pages[0] with its dirty neighbours: first those before it, then those behind. */
static void claim_neighbours(struct io *io)
{
	struct volume *volume = io->volume;
	const uint32_t node = page_node(io->pages[0]);
	const uint32_t most = io_pages_max(volume);
	struct page *page;

	while (io->count < most && io->number > 0 && (page = claim_number(volume, node, io->number - 1)) != NULL) {
		io->pages[io->count++] = page;
		io->number--;
	}
	reverse(io->pages, io->count);
	while (io->count < most && (page = claim_number(volume, node, io->number + io->count)) != NULL)
		io->pages[io->count++] = page;
}

/* Writing ------------------------------------------------------------------------------------------------------------------ */

static void write_ended_locked(struct volume *volume, struct page *page, status_t status)
{
	uint32_t before;

	if (status == STATUS_OK) {
		before = page_change(page, PAGE_WRITEBACK | PAGE_FAILED, 0);
		count_failed_locked(volume, before & PAGE_FAILED, false);
		count_clean(volume, page);
		return;
	}
	before = page_change(page, PAGE_WRITEBACK, PAGE_DIRTY | PAGE_FAILED);
	count_failed_locked(volume, before & PAGE_FAILED, true);
	if (list_is_empty(&volume->dirty) && list_is_empty(&volume->failed))
		volume->dirty_since_ns = platform_now_ns();
	list_insert_last(&volume->failed, &page->dirty);
}

static void write_done(struct block_request *request)
{
	struct io *io = container_of(request, struct io, request);
	struct volume *volume = io->volume;

	if (request->status == STATUS_OK)
		atomic_fetch_add_explicit(&volume->counts.written_bytes, block_request_bytes(request), memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&volume->counts.write_errors, 1, memory_order_relaxed);
	spinlock_lock(&volume->lock);
	if (request->status != STATUS_OK)
		volume->write_status = request->status;
	for (uint32_t i = 0; i < io->count; i++) {
		write_ended_locked(volume, io->pages[i], request->status);
		platform_wake(&io->pages[i]->state);
	}
	list_remove(&io->link);
	/* Under the lock: once the write is not in flight any more, the volume may be detached by whoever gets the lock. */
	io_end(io);
	progress(volume);
	spinlock_unlock(&volume->lock);
}

/* `page` is claimed, and the only one so far. Returns the number of pages. */
static uint32_t write_start(struct io *io, struct page *page)
{
	uint32_t count;

	(void)io_add(io, page, page_number(page));
	if (!(page_state(page) & PAGE_FAILED))
		claim_neighbours(io);
	count = io->count;
	io_submit(io, write_done);
	return count;
}

static struct page *claim_first(struct io *io, struct list *list)
{
	struct volume *volume = io->volume;
	struct page *page = NULL;

	spinlock_lock(&volume->lock);
	list_for_each_safe (link, list) {
		page = container_of(link, struct page, dirty);
		if (write_begin_locked(io, page))
			break;
		page = NULL;
	}
	spinlock_unlock(&volume->lock);
	return page;
}

uint32_t writeback_start(struct volume *volume, struct list *list)
{
	struct io *io = io_begin(&volume->node, BLOCK_WRITE);
	struct page *page = claim_first(io, list);

	if (!page) {
		io_end(io);
		return 0;
	}
	return write_start(io, page);
}

void writeback_start_page(struct volume *volume, struct page *page)
{
	struct io *io = io_begin(&volume->node, BLOCK_WRITE);
	bool claimed;

	spinlock_lock(&volume->lock);
	claimed = write_begin_locked(io, page);
	spinlock_unlock(&volume->lock);
	if (claimed)
		(void)write_start(io, page);
	else
		io_end(io);
}

/* Waiting ------------------------------------------------------------------------------------------------------------------ */

static bool is_writing(struct volume *volume)
{
	bool writing;

	spinlock_lock(&volume->lock);
	writing = !list_is_empty(&volume->in_flight);
	spinlock_unlock(&volume->lock);
	return writing;
}

bool writeback_make_progress(struct volume *volume)
{
	const uint32_t seen = atomic_load(&volume->progress);

	if (writeback_start(volume, &volume->aged) == 0 && writeback_start(volume, &volume->dirty) == 0 && !is_writing(volume))
		return false;
	(void)platform_wait(&volume->progress, seen, PLATFORM_FOREVER);
	return true;
}

void writeback_settle(struct volume *volume)
{
	for (;;) {
		const uint32_t seen = atomic_load(&volume->progress);

		if (!is_writing(volume))
			return;
		(void)platform_wait(&volume->progress, seen, PLATFORM_FOREVER);
	}
}

/* What a dead disk cannot take counts only for those who write to it: it must not stop the others. */
static bool is_beyond_limit(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	const uint64_t dirty = atomic_load(&pagecache->dirty_pages);

	if (dirty < pagecache->dirty_max_pages)
		return false;
	return atomic_load(&volume->counts.failed_pages) > 0 ||
	       dirty >= pagecache->dirty_max_pages + atomic_load(&pagecache->failed_pages);
}

status_t writeback_throttle(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	bool counted = false;

	while (is_beyond_limit(volume)) {
		const uint32_t seen = atomic_load(&pagecache->progress);

		if (!counted)
			atomic_fetch_add_explicit(&volume->counts.throttled, 1, memory_order_relaxed);
		counted = true;
		if (writeback_make_progress(volume))
			continue;
		/* What is dirty belongs to other volumes, or cannot be written. */
		if (atomic_load(&volume->counts.failed_pages) > 0)
			return volume->write_status;
		(void)platform_wait(&pagecache->progress, seen, platform_now_ns() + NS_PER_S);
	}
	return STATUS_OK;
}

/* Moves all links of `from` to the end of `to`. */
static void splice(struct list *from, struct list *to)
{
	struct list *link;

	while ((link = list_take_first(from)) != NULL)
		list_insert_last(to, link);
}

static bool writes_before_locked(const struct volume *volume, uint64_t write)
{
	const struct list *first = list_first(&volume->in_flight);

	return first && container_of(first, struct io, link)->write < write;
}

/* Looks at `syncing`, and at the writes that are older than `*end`, which it sets once `syncing` is empty. */
static bool pass_is_over(struct volume *volume, uint64_t *end)
{
	bool over;

	spinlock_lock(&volume->lock);
	if (*end == UINT64_MAX && list_is_empty(&volume->syncing))
		*end = volume->next_write;
	over = *end != UINT64_MAX && !writes_before_locked(volume, *end);
	spinlock_unlock(&volume->lock);
	return over;
}

void writeback_pass(struct volume *volume)
{
	uint64_t end = UINT64_MAX;

	assert(mutex_is_held(&volume->flush));
	spinlock_lock(&volume->lock);
	volume->dirty_since_ns = platform_now_ns();
	splice(&volume->aged, &volume->syncing);
	splice(&volume->dirty, &volume->syncing);
	splice(&volume->failed, &volume->syncing);
	spinlock_unlock(&volume->lock);
	for (;;) {
		const uint32_t seen = atomic_load(&volume->progress);

		while (writeback_start(volume, &volume->syncing) > 0)
			;
		if (pass_is_over(volume, &end))
			return;
		(void)platform_wait(&volume->progress, seen, PLATFORM_FOREVER);
	}
}

/* Pages enter `aged` when they are up to half of the age old, and again so much later at most they are on their way. */
void writeback_age(struct volume *volume)
{
	uint64_t now;

	spinlock_lock(&volume->lock);
	now = platform_now_ns();
	if (now - volume->dirty_since_ns >= volume->pagecache->config.dirty_age_ns / 2) {
		volume->dirty_since_ns = now;
		splice(&volume->dirty, &volume->aged);
		splice(&volume->failed, &volume->aged);
	}
	spinlock_unlock(&volume->lock);
}
