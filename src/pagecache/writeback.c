#include "writeback.h"

#include "frame.h"
#include "runtime/base/assert.h"

#define EPOCHS_MAX 0x4000 /* half of what can be told apart */

static void progress(struct volume *volume)
{
	atomic_fetch_add(&volume->progress, 1);
	platform_wake(&volume->progress);
	atomic_fetch_add(&volume->pagecache->progress, 1);
	platform_wake(&volume->pagecache->progress);
	memory_notice(volume->pagecache->memory);
}

void writeback_wake(struct pagecache *pagecache)
{
	atomic_fetch_add(&pagecache->kick, 1);
	platform_wake(&pagecache->kick);
	atomic_fetch_add(&pagecache->progress, 1);
	platform_wake(&pagecache->progress);
}

void writeback_kick(struct pagecache *pagecache)
{
	if (!atomic_exchange(&pagecache->cursor_waits, true))
		writeback_wake(pagecache);
}

void writeback_turn(struct volume *volume)
{
	if (atomic_load_explicit(&volume->counts.dirty_pages, memory_order_relaxed) > 0)
		writeback_kick(volume->pagecache);
}

/* Dirty -------------------------------------------------------------------------------------------------------------------- */

static void count_clean(struct volume *volume)
{
	atomic_fetch_sub_explicit(&volume->counts.dirty_pages, 1, memory_order_relaxed);
	atomic_fetch_sub(&volume->pagecache->dirty_pages, 1);
}

/* `was`, `is`: FAILED or 0. [D] is held. */
static void count_failed_locked(struct volume *volume, const struct page *page, uint32_t was, uint32_t is)
{
	struct node *node = pagecache_node(volume->pagecache, page_key(page));

	if (was == is)
		return;
	atomic_fetch_add_explicit(&node->failed_pages, is ? 1 : UINT64_MAX, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.failed_pages, is ? 1 : UINT64_MAX, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->pagecache->failed_pages, is ? 1 : UINT64_MAX, memory_order_relaxed);
}

static void list_locked(struct volume *volume, struct page *page)
{
	page->epoch = volume->epoch;
	dirty_insert(&volume->dirty, page);
}

void page_written(struct volume *volume, struct page *page)
{
	struct index_stripe *stripe = index_stripe(&volume->pagecache->index, page_key(page));
	uint32_t before;

	spinlock_lock(&volume->lock);
	before = page_change(page, PAGE_DIRTY, 0, PAGE_LISTED);
	if (!(before & PAGE_LISTED)) {
		list_locked(volume, page);
		writeback_dirtied(volume);
	}
	spinlock_unlock(&volume->lock);
	page_unpin(page);
	index_wake(stripe);
	/* A flush may have found the page being written to, and wait for it. */
	if (before & PAGE_LISTED)
		progress(volume);
}

/* [D] is held. */
static void forget_locked(struct volume *volume, struct page *page, enum page_content content)
{
	const uint32_t before = page_change(page, content, PAGE_LISTED | PAGE_FAILED, 0);

	dirty_remove(&volume->dirty, page);
	count_failed_locked(volume, page, before & PAGE_FAILED, 0);
	count_clean(volume);
}

void page_forget(struct volume *volume, struct page *page)
{
	bool listed;

	spinlock_lock(&volume->lock);
	listed = page_state(page) & PAGE_LISTED;
	if (listed)
		forget_locked(volume, page, PAGE_WRITING);
	spinlock_unlock(&volume->lock);
	/* As in page_written: a flush may wait for this page. */
	if (listed)
		progress(volume);
}

void writeback_discard(struct volume *volume)
{
	struct page *page;

	spinlock_lock(&volume->lock);
	while ((page = dirty_first(&volume->dirty, 0)) != NULL)
		forget_locked(volume, page, PAGE_CLEAN);
	spinlock_unlock(&volume->lock);
}

/* Claiming pages ----------------------------------------------------------------------------------------------------------- */

/* DIRTY becomes WRITEBACK, unless somebody is writing to the page. [D] is held. */
static bool claim_locked(struct volume *volume, struct page *page)
{
	uint32_t state = page_state(page);

	do {
		if (!page_is(state, PAGE_DIRTY))
			return false;
	} while (!page_try_change(page, &state, page_state_with(state, PAGE_WRITEBACK, PAGE_LISTED, 0)));
	dirty_remove(&volume->dirty, page);
	return true;
}

/* Epochs wrap, long after a pass over all pages has left none behind: see pass_begin. */
static bool is_since(const struct page *page, uint16_t epoch)
{
	return (int16_t)(page->epoch - epoch) <= 0;
}

static bool is_wanted(const struct sweep *sweep, const struct page *page)
{
	if (sweep->node && page_key_node(page_key(page)) != sweep->node->id)
		return false;
	if (sweep->failed == (page_state(page) & PAGE_FAILED ? SWEEP_FAILED_NOT : SWEEP_FAILED_ONLY))
		return false;
	return sweep->any_epoch || is_since(page, sweep->epoch);
}

static uint64_t position_of(const struct volume *volume, const struct page *page)
{
	return pagecache_position(volume->pagecache, page_key(page));
}

static uint64_t end_of(const struct volume *volume, const struct page *page)
{
	return position_of(volume, page) + pagecache_page_bytes(volume->pagecache, page_key(page));
}

/*
 * Claims the first page of a write. The write is in flight from here on: a flush that does not find the page in the dirty set
 * any more has to find the write. [D] is held.
 */
static bool begin_locked(struct io *io, struct page *page)
{
	struct volume *volume = io->volume;

	if (!claim_locked(volume, page))
		return false;
	io->write = volume->next_write++;
	list_insert_last(&volume->in_flight, &io->link);
	volume->writes++;
	(void)io_add(io, page);
	return true;
}

/* Claims what follows the last page, as far as it lies behind it, and before `end`, on the disk. A failed page goes by itself. [D]
 * is held. */
static void extend_locked(struct io *io, uint64_t end)
{
	struct volume *volume = io->volume;

	if (page_state(io->pages[0]) & PAGE_FAILED)
		return;
	while (io_has_room(io) && io->end < end) {
		struct page *page = dirty_first(&volume->dirty, io->end);

		if (!page || position_of(volume, page) != io->end || (page_state(page) & PAGE_FAILED) ||
		    !claim_locked(volume, page))
			return;
		(void)io_add(io, page);
	}
}

/* The first page of the sweep that can be written. [D] is held. */
static struct page *begin_sweep_locked(struct io *io, struct sweep *sweep)
{
	struct volume *volume = io->volume;
	uint64_t position = sweep->position;
	struct page *page;

	while ((page = dirty_first(&volume->dirty, position)) != NULL &&
	       (sweep->end == 0 || position_of(volume, page) < sweep->end)) {
		if (is_wanted(sweep, page)) {
			if (begin_locked(io, page))
				return page;
			sweep->busy = true;
		}
		position = position_of(volume, page) + 1;
	}
	return NULL;
}

/* Back from a dirty page to where a write that ends with it, or goes on behind it, would begin. [D] is held. */
static struct page *begin_run_locked(const struct io *io, struct page *page)
{
	const struct volume *volume = io->volume;

	for (uint32_t i = 1; i < io_pages_max(volume) / 2; i++) {
		const uint64_t position = position_of(volume, page);
		struct page *before = dirty_last_before(&volume->dirty, position);

		if (!before || end_of(volume, before) != position || !page_is(page_state(before), PAGE_DIRTY) ||
		    (page_state(before) & PAGE_FAILED))
			break;
		page = before;
	}
	return page;
}

/* Writing ------------------------------------------------------------------------------------------------------------------ */

static void write_ended_locked(struct volume *volume, struct page *page, status_t status)
{
	/* Counted first: once it is CLEAN, the page may be evicted, and its node be closed. */
	const uint32_t failed = page_state(page) & PAGE_FAILED;

	if (status == STATUS_OK) {
		count_failed_locked(volume, page, failed, 0);
		count_clean(volume);
		(void)page_change(page, PAGE_CLEAN, PAGE_FAILED, 0);
		return;
	}
	count_failed_locked(volume, page, failed, PAGE_FAILED);
	(void)page_change(page, PAGE_DIRTY, 0, PAGE_FAILED | PAGE_LISTED);
	list_locked(volume, page);
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
	if (request->status != STATUS_OK) {
		atomic_store(&volume->write_status, request->status);
		volume->retry_ns = platform_now_ns() + volume->pagecache->config.retry_ns;
	} else {
		writeback_completed(volume, io->count);
	}
	for (uint32_t i = 0; i < io->count; i++) {
		write_ended_locked(volume, io->pages[i], request->status);
		platform_wake(&io->pages[i]->state);
	}
	list_remove(&io->link);
	volume->writes--;
	/* Under the lock: once the write is not in flight any more, the volume may be detached by whoever gets the lock. */
	io_end(io);
	progress(volume);
	spinlock_unlock(&volume->lock);
}

static uint32_t submit(struct io *io)
{
	const uint32_t count = io->count;

	if (count == 0)
		io_end(io);
	else
		io_submit(io, write_done);
	return count;
}

uint32_t writeback_start(struct volume *volume, struct sweep *sweep)
{
	struct io *io;

	if (sweep->patient || sweep->at_once)
		io = io_try_begin(volume, BLOCK_WRITE, sweep->patient ? volume->pagecache->config.requests / 2 : 0);
	else
		io = io_begin(volume, BLOCK_WRITE);
	sweep->starved = !io;
	if (!io)
		return 0;
	spinlock_lock(&volume->lock);
	if (begin_sweep_locked(io, sweep)) {
		extend_locked(io, sweep->end == 0 ? UINT64_MAX : sweep->end);
		sweep->position = io->end;
	}
	spinlock_unlock(&volume->lock);
	return submit(io);
}

uint32_t writeback_start_range(const struct node *node, uint64_t first, uint64_t end, bool patient)
{
	uint32_t all = 0, pages;

	while (first < end) {
		const uint64_t run = MIN(node_run_end(node, first), end);
		struct sweep sweep = {
			.node = node,
			.position = node_position(node, first),
			.end = node_position(node, run - 1) + node_page_bytes(node, run - 1),
			.patient = patient,
			.any_epoch = true,
			.failed = patient ? SWEEP_FAILED_NOT : SWEEP_FAILED_TOO,
		};

		while ((pages = writeback_start(node->volume, &sweep)) > 0)
			all += pages;
		first = run;
	}
	return all;
}

bool writeback_start_page(struct volume *volume, struct page *page)
{
	struct io *io = io_try_begin(volume, BLOCK_WRITE, 0);
	uint32_t state;

	if (!io)
		return false;
	spinlock_lock(&volume->lock);
	state = page_state(page);
	if (page_is(state, PAGE_DIRTY) && begin_locked(io, state & PAGE_FAILED ? page : begin_run_locked(io, page)))
		extend_locked(io, UINT64_MAX);
	spinlock_unlock(&volume->lock);
	(void)submit(io);
	return true;
}

/* Waiting ------------------------------------------------------------------------------------------------------------------ */

static bool is_writing(struct volume *volume)
{
	bool writing;

	spinlock_lock(&volume->lock);
	writing = volume->writes > 0;
	spinlock_unlock(&volume->lock);
	return writing;
}

bool writeback_make_progress(struct volume *volume, uint64_t deadline_ns)
{
	const uint32_t seen = atomic_load(&volume->progress);
	struct sweep sweep = { .position = atomic_load(&volume->background.position), .any_epoch = true, .at_once = true };

	if (writeback_start(volume, &sweep) == 0) {
		sweep.position = 0;
		if (writeback_start(volume, &sweep) == 0 && !is_writing(volume))
			return false;
	}
	(void)platform_wait(&volume->progress, seen, deadline_ns);
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

/* Passes ------------------------------------------------------------------------------------------------------------------- */

static bool writes_before_locked(const struct volume *volume, uint64_t write)
{
	const struct list *first = list_first(&volume->in_flight);

	return first && container_of(first, struct io, link)->write < write;
}

/*
 * One sweep over the set; then, once no page of the pass is left in it, *end is set: the writes before that number are those
 * that the pass waits for. True: it is over.
 */
static bool pass_is_over(struct volume *volume, struct sweep *sweep, uint64_t *end)
{
	bool over;

	sweep->position = 0;
	sweep->busy = false;
	if (*end == UINT64_MAX)
		while (writeback_start(volume, sweep) > 0)
			;
	spinlock_lock(&volume->lock);
	if (!sweep->busy && *end == UINT64_MAX)
		*end = volume->next_write;
	over = *end != UINT64_MAX && !writes_before_locked(volume, *end);
	spinlock_unlock(&volume->lock);
	return over;
}

/* A pass over one node leaves the pages of others behind; before these get too old, it becomes one over all. */
static void pass_begin(struct volume *volume, struct sweep *sweep, const struct node *node)
{
	*sweep = (struct sweep){ .failed = SWEEP_FAILED_TOO };
	spinlock_lock(&volume->lock);
	sweep->epoch = volume->epoch++;
	if (node && (uint16_t)(sweep->epoch - volume->settled) < EPOCHS_MAX)
		sweep->node = node;
	spinlock_unlock(&volume->lock);
}

void writeback_pass(struct volume *volume, const struct node *node)
{
	uint64_t end = UINT64_MAX;
	struct sweep sweep;
	uint32_t seen;

	assert(mutex_is_held(&volume->flush));
	pass_begin(volume, &sweep, node);
	for (;;) {
		seen = atomic_load(&volume->progress);
		if (pass_is_over(volume, &sweep, &end))
			break;
		(void)platform_wait(&volume->progress, seen, PLATFORM_FOREVER);
	}
	if (!sweep.node)
		volume->settled = sweep.epoch;
}
