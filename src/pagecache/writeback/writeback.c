// SPDX-License-Identifier: BSD-2-Clause
/*
 * Claiming and writing dirty pages. Every dirty page is in a set of its node, or in a write in
 * flight; it goes from the one to the other under [D].
 */
#include "writeback.h"

#include "pagecache/page/io.h"

#define CLAIM_PAGES 64u /* pages claimed in one hold of the lock */

uint64_t writeback_clock_locked(struct volume *volume)
{
	volume->writeback.clock = MAX(volume->writeback.clock + 1, platform_now_ns());
	return volume->writeback.clock;
}

/* Dirty ---------------------------------------------------------------------------------------- */

static struct node *node_of(const struct volume *volume, const struct page *page)
{
	return pagecache_node(volume->pagecache, page_key(page));
}

/*
 * Puts the page into a set of its node; a node is among the dirty ones as long as its sets have a
 * page.
 */
static void list_locked(struct volume *volume, struct page *page, enum dirty_kind kind)
{
	struct node *node = node_of(volume, page);

	if (node->dirty.root == PAGE_NONE)
		list_insert_last(&volume->writeback.dirty_nodes, &node->dirty_link);
	dirty_insert(&node->dirty, kind, page);
}

static void unlist_locked(struct volume *volume, struct page *page)
{
	struct node *node = node_of(volume, page);

	dirty_remove(&node->dirty, page);
	if (node->dirty.root == PAGE_NONE)
		list_remove(&node->dirty_link);
}

/*
 * Ends a write, or a page's being dirty: `set` has its flags of LISTED, FAILED and LOST from now
 * on. The counts come first: once the page is CLEAN, it may be evicted, and its node be closed. [D]
 * is held.
 */
static void end_locked(struct volume *volume, struct page *page, enum page_content content, uint32_t set)
{
	const uint32_t before = page_state(page);
	const uint64_t fails = (set & PAGE_FAILED ? 1u : 0u) - (uint64_t)(before & PAGE_FAILED ? 1 : 0);

	if (fails != 0) {
		atomic_fetch_add_explicit(&node_of(volume, page)->failed_pages, fails, memory_order_relaxed);
		atomic_fetch_add_explicit(&volume->counts.failed_pages, fails, memory_order_relaxed);
		atomic_fetch_add_explicit(&volume->pagecache->writeback.failed_pages, fails, memory_order_relaxed);
	}
	if (before & PAGE_LISTED)
		unlist_locked(volume, page);
	if (!(set & PAGE_LISTED)) {
		atomic_fetch_sub_explicit(&volume->counts.dirty_pages, 1, memory_order_relaxed);
		atomic_fetch_sub(&volume->pagecache->writeback.dirty_pages, 1);
	}
	(void)page_change(page, content, PAGE_LISTED | PAGE_FAILED | PAGE_LOST, set);
	if (set & PAGE_LISTED)
		list_locked(volume, page, set & PAGE_FAILED ? DIRTY_FAILED : DIRTY_WAITING);
}

void page_forget(struct volume *volume, struct page *page)
{
	bool listed;

	spinlock_lock(&volume->writeback.lock);
	written_leaves_locked(volume, page);
	listed = page_state(page) & PAGE_LISTED;
	if (listed)
		end_locked(volume, page, PAGE_WRITING, 0);
	spinlock_unlock(&volume->writeback.lock);
	/* As in page_written: a flush may wait for this page. */
	if (listed)
		writeback_progress(volume);
}

void page_settle_locked(struct volume *volume, struct page *page, bool lost)
{
	uint32_t state = page_state(page), after;

	do {
		after = state & ~PAGE_UNFLUSHED;
		if (lost)
			after = page_state_with(after, page_is(state, PAGE_CLEAN) ? PAGE_DIRTY : page_content(state),
						PAGE_AHEAD, PAGE_LOST | (page_is_newer(state) ? 0 : PAGE_LISTED));
	} while (!page_try_change(page, &state, after));
	if (!lost || page_is_newer(state))
		return; /* it is written in any case */
	list_locked(volume, page, page_is(after, PAGE_DIRTY) ? DIRTY_WAITING : DIRTY_BUSY);
	writeback_dirtied(volume);
}

void writeback_moved_locked(struct volume *volume, struct page *from, struct page *to, uint32_t state)
{
	struct node *node = node_of(volume, from);

	node->moves++;
	if (state & PAGE_LISTED)
		dirty_replace(&node->dirty, from, to);
	to->flush = from->flush;
}

/* Claiming pages ------------------------------------------------------------------------------- */

/* Makes a DIRTY page WRITEBACK; false: a writer has it. [D] is held. */
static bool claim_locked(struct volume *volume, struct page *page)
{
	uint32_t state = page_state(page);

	do {
		if (!page_is(state, PAGE_DIRTY))
			return false;
	} while (!page_try_change(page, &state, page_state_with(state, PAGE_WRITEBACK, PAGE_LISTED, 0)));
	unlist_locked(volume, page);
	return true;
}

/* The page of this key, if it is DIRTY_WAITING. [D] is held. */
static struct page *waiting_locked(const struct volume *volume, uint64_t key)
{
	struct node *node = pagecache_node(volume->pagecache, key);
	struct page *page = dirty_first(&node->dirty, DIRTY_WAITING, page_key_number(key));

	return page && page_key(page) == key ? page : NULL;
}

/*
 * The page behind the last one of the write, if it is to be written and follows on the disk. [D] is
 * held.
 */
static struct page *next_locked(const struct io *io, uint64_t end)
{
	const uint64_t key = page_key(io->pages[io->count - 1]) + 1;
	const bool room = page_key_number(key) < end && io->count < io_pages_max(io->volume);
	struct page *page = room ? waiting_locked(io->volume, key) : NULL;

	return page && pagecache_position(io->volume->pagecache, key) == io->end ? page : NULL;
}

/*
 * Claims this page and those that follow it, up to page `end` of its node; a page that has failed
 * is written by itself, so that it does not make other pages' writes fail. The write is in flight
 * from here on: a flush that does not find the page in the dirty set any more has to find the
 * write. NULL: a writer has the page, or it is DIRTY and there is no I/O object. [D] is held.
 */
static struct io *begin_locked(struct volume *volume, struct page *page, uint64_t end)
{
	struct io *io = page_is(page_state(page), PAGE_DIRTY) ? io_try_begin(volume, BLOCK_WRITE, 0) : NULL;

	if (!io)
		return NULL;
	if (!claim_locked(volume, page)) {
		io_end(io);
		return NULL;
	}
	io->node = node_of(volume, page);
	io->write = writeback_clock_locked(volume);
	list_insert_last(&volume->writeback.in_flight, &io->link);
	volume->writeback.writes++;
	(void)io_add(io, page);
	while (!(page_state(page) & PAGE_FAILED) && (page = next_locked(io, end)) != NULL && claim_locked(volume, page)) {
		(void)io_add(io, page);
		if (io->count % CLAIM_PAGES == 0)
			spinlock_give_way(&volume->writeback.lock);
	}
	return io;
}

bool writeback_is_before_locked(const struct volume *volume, const struct node *node, uint64_t write)
{
	list_for_each (link, &volume->writeback.in_flight) {
		const struct io *io = container_of(link, struct io, link);

		if (io->write >= write)
			break;
		if (!node || io->node == node)
			return true;
	}
	return false;
}

/*
 * Goes back from a dirty page to where a write that reaches it, or goes on behind it, should begin.
 * [D] is held.
 */
static struct page *begin_run_locked(const struct volume *volume, struct page *page)
{
	const struct pagecache *pagecache = volume->pagecache;

	for (uint32_t i = 1; i < io_pages_max(volume) / 2 && page_key_number(page_key(page)) > 0; i++) {
		const uint64_t key = page_key(page) - 1;
		struct page *before = waiting_locked(volume, key);

		if (!before || !page_is(page_state(before), PAGE_DIRTY) ||
		    pagecache_position(pagecache, key) + pagecache_page_bytes(pagecache, key) !=
			    pagecache_position(pagecache, key + 1))
			break;
		page = before;
	}
	return page;
}

/* Writing -------------------------------------------------------------------------------------- */

static void write_ended_locked(struct volume *volume, struct page *page, status_t status, bool lost)
{
	if (status != STATUS_OK)
		end_locked(volume, page, PAGE_DIRTY, (page_state(page) & PAGE_LOST) | PAGE_FAILED | PAGE_LISTED);
	else if (lost)
		end_locked(volume, page, PAGE_DIRTY, PAGE_LOST | PAGE_LISTED);
	else
		end_locked(volume, page, PAGE_CLEAN, written_ended_locked(volume, page));
}

static void write_done(struct block_request *request)
{
	struct io *io = container_of(request, struct io, request);
	struct volume *volume = io->volume;
	bool lost;

	if (request->status == STATUS_OK)
		atomic_fetch_add_explicit(&volume->counts.written_bytes, block_request_bytes(request), memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&volume->counts.write_errors, 1, memory_order_relaxed);
	spinlock_lock(&volume->writeback.lock);
	if (request->status != STATUS_OK) {
		atomic_store(&volume->writeback.write_status, request->status);
		volume->writeback.retry_ns = platform_now_ns() + volume->pagecache->config.retry_ns;
	} else {
		writeback_completed(volume, io->count);
	}
	lost = written_is_lost_locked(volume, io->losses);
	for (uint32_t i = 0; i < io->count; i++) {
		write_ended_locked(volume, io->pages[i], request->status, lost);
		platform_wake(&io->pages[i]->state);
	}
	list_remove(&io->link);
	volume->writeback.writes--;
	/*
	 * Under the lock: once the write is not in flight any more, a task that gets the lock may
	 * detach the volume.
	 */
	io_end(io);
	writeback_progress(volume);
	spinlock_unlock(&volume->writeback.lock);
}

/*
 * Picks a page of all nodes in turn; after a page that has failed, another node has its turn. [D]
 * is held.
 */
static struct page *pick_of_all_locked(struct volume *volume, struct page *(*pick)(struct node *, void *), void *context)
{
	list_for_each (link, &volume->writeback.dirty_nodes) {
		struct page *page = pick(container_of(link, struct node, dirty_link), context);

		if (!page)
			continue;
		list_remove(&volume->writeback.dirty_nodes);
		list_insert_after(page_state(page) & PAGE_FAILED ? link : link->previous, &volume->writeback.dirty_nodes);
		return page;
	}
	return NULL;
}

enum writeback writeback_start(struct volume *volume, struct node *node, uint64_t end,
			       struct page *(*pick)(struct node *, void *), void *context)
{
	struct io *io = NULL;
	struct page *page;
	bool starved;

	do {
		spinlock_lock(&volume->writeback.lock);
		page = node ? pick(node, context) : pick_of_all_locked(volume, pick, context);
		if (page)
			io = begin_locked(volume, page, end);
		starved = page && !io && page_is(page_state(page), PAGE_DIRTY);
		spinlock_unlock(&volume->writeback.lock);
	} while (page && !io && !starved);
	if (io)
		io_submit(io, write_done);
	return io ? WRITEBACK_STARTED : starved ? WRITEBACK_STARVED : WRITEBACK_NOTHING;
}

/* Picks ---------------------------------------------------------------------------------------- */

struct page *writeback_ready_locked(struct node *node)
{
	struct dirty *dirty = &node->dirty;
	struct page *page = dirty->ready == UINT64_MAX ? NULL : dirty_first(dirty, DIRTY_BUSY, dirty->ready);

	dirty->ready = page ? page_key_number(page_key(page)) + !page_is(page_state(page), PAGE_DIRTY) : UINT64_MAX;
	return page;
}

struct page *writeback_old_locked(struct node *node, enum dirty_kind kind)
{
	struct page *page = dirty_first_old(&node->dirty, kind);

	if (page && !page_is(page_state(page), PAGE_DIRTY))
		dirty_make_busy(&node->dirty, page);
	return page;
}

struct old {
	enum dirty_kind kind;
	uint64_t age_ns;
};

static struct page *pick_old(struct node *node, void *context)
{
	const struct old *old = context;
	const uint64_t *turned = &node->dirty.sets[old->kind].turned;
	const uint64_t now = writeback_clock_locked(node->volume);
	struct page *page = writeback_ready_locked(node);

	if (!page && now - *turned >= old->age_ns)
		dirty_turn(&node->dirty, old->kind, now);
	return page || now - *turned < old->age_ns ? page : writeback_old_locked(node, old->kind);
}

enum writeback writeback_start_old(struct volume *volume, enum dirty_kind kind, uint64_t age_ns)
{
	return writeback_start(volume, NULL, UINT64_MAX, pick_old, &(struct old){ kind, age_ns });
}

struct range_pick {
	uint64_t first, end;
	enum dirty_kind last_kind;
};

/* Picks the next dirty page of the range. */
static struct page *pick_of_range(struct node *node, void *context)
{
	struct range_pick *range = context;
	struct page *page = NULL;

	for (enum dirty_kind kind = DIRTY_WAITING; kind <= range->last_kind; kind++) {
		struct page *other = dirty_first(&node->dirty, kind, range->first);

		page = !page || (other && page_key(other) < page_key(page)) ? other : page;
	}
	if (!page || page_key_number(page_key(page)) >= range->end)
		return NULL;
	range->first = page_key_number(page_key(page)) + 1; /* even if its write fails at once */
	return page;
}

bool writeback_start_range(struct node *node, uint64_t first, uint64_t end, bool nonblocking)
{
	struct range_pick range = { first, end, nonblocking ? DIRTY_WAITING : DIRTY_BUSY };
	struct pagecache *pagecache = node->volume->pagecache;
	bool any = false;

	while (!nonblocking || atomic_load(&pagecache->pages.requests_used) < pagecache->config.requests / 2) {
		const uint32_t progress = atomic_load(&pagecache->pages.progress);
		const enum writeback started = writeback_start(node->volume, node, end, pick_of_range, &range);

		any = any || started == WRITEBACK_STARTED;
		if (started == WRITEBACK_NOTHING || (started == WRITEBACK_STARVED && nonblocking))
			break;
		if (started == WRITEBACK_STARTED)
			continue;
		range.first--;
		(void)platform_wait(&pagecache->pages.progress, progress, PLATFORM_FOREVER);
	}
	return any;
}

static struct page *pick_around(struct node *node, void *context)
{
	struct page *page = context;
	const uint32_t state = page_state(page);

	return page_is(state, PAGE_DIRTY) && !(state & PAGE_FAILED) ? begin_run_locked(node->volume, page) : NULL;
}

bool writeback_start_page(struct volume *volume, struct page *page)
{
	/* The page may belong to any node of the volume. */
	return writeback_start(volume, &volume->node, UINT64_MAX, pick_around, page) != WRITEBACK_STARVED;
}

void writeback_discard(struct volume *volume)
{
	struct page *page;

	do {
		spinlock_lock(&volume->writeback.lock);
		page = pick_of_all_locked(volume, pick_of_range, &(struct range_pick){ 0, UINT64_MAX, DIRTY_BUSY });
		if (page)
			end_locked(volume, page, PAGE_CLEAN, 0);
		spinlock_unlock(&volume->writeback.lock);
	} while (page);
}

/* Writers -------------------------------------------------------------------------------------- */

void page_written(struct volume *volume, struct page *page, uint32_t clear)
{
	struct index_stripe *stripe = index_stripe(&volume->pagecache->pages.index, page_key(page));
	uint64_t *ready = &node_of(volume, page)->dirty.ready;
	struct io *io = NULL;
	uint32_t before;

	spinlock_lock(&volume->writeback.lock);
	before = page_change(page, PAGE_DIRTY, clear, PAGE_LISTED);
	if (!(before & PAGE_LISTED)) {
		list_locked(volume, page, DIRTY_WAITING);
		writeback_dirtied(volume);
	} else if (dirty_is_busy(page)) {
		/*
		 * The writeback has come by meanwhile: claim the page before another writer comes.
		 */
		io = begin_locked(volume, page, UINT64_MAX);
		if (!io)
			*ready = MIN(*ready, page_key_number(page_key(page)));
	}
	spinlock_unlock(&volume->writeback.lock);
	page_unpin(page);
	index_wake(stripe);
	if (io)
		io_submit(io, write_done);
	/* A flush may have found the page WRITING, and wait for it. */
	if (before & PAGE_LISTED)
		writeback_progress(volume);
}
