// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writeback: dirty pages go to the device, for each node in the order of its pages, merged into
 * requests as large as the device takes. A page in writeback is readable, and stays as it is until
 * the write has ended.
 *
 * The caller decides which page is written next, by a function that picks it from the sets of a
 * node (dirty.h). The picked page and the pages that follow it are claimed: they have left their
 * set, and their write is in volume->writeback.in_flight. A page that a writer has when the
 * writeback comes by enters DIRTY_BUSY, and is claimed when the writer is done: so a page that is
 * written to again and again is written back once in each pass.
 *
 * Writers pay for the pages that they dirty, see writeback_rate.
 *
 *	writeback.c		dirty sets, claims, writes
 *	writeback_wait.c	tasks that wait for a write, and are woken
 *	writeback_throttle.c	limits, and what writers pay
 *	background.c		the background writer
 *
 * Flushes are in flush.h.
 */
#pragma once

#include "pagecache/volume.h"

enum writeback {
	WRITEBACK_NOTHING,
	WRITEBACK_STARVED, /* there was no I/O object */
	WRITEBACK_STARTED,
};

/*
 * Starts one write, of the page that is picked from the node (NULL: from the nodes in turn,
 * beginning where the last call has ended) and of the pages that follow it, up to page `end`. Does
 * not wait. Any task context.
 *
 * `pick` returns the page of the node to be written next, or NULL. If a writer has that page, it is
 * not written, and `pick` does not return it again. [D] is held.
 */
enum writeback writeback_start(struct volume *volume, struct node *node, uint64_t end,
			       struct page *(*pick)(struct node *node, void *context), void *context) MUST_CHECK;

/*
 * The same for pages of the kind that have been old for `age_ns`, and for busy pages that became
 * ready.
 */
enum writeback writeback_start_old(struct volume *volume, enum dirty_kind kind, uint64_t age_ns) MUST_CHECK;

/*
 * For picks: the first busy page that became ready; the first old page, which becomes busy if a
 * writer has it.
 */
struct page *writeback_ready_locked(struct node *node);
struct page *writeback_old_locked(struct node *node, enum dirty_kind kind);

/* The next time on the volume's clock of passes, in nanoseconds. [D] is held. */
uint64_t writeback_clock_locked(struct volume *volume);

/*
 * Starts to write the dirty pages among [first, end) of the node, and no others. A nonblocking call
 * leaves out pages whose last write failed, and does not wait for I/O objects. True: there was
 * something to be written.
 */
bool writeback_start_range(struct node *node, uint64_t first, uint64_t end, bool nonblocking);

/*
 * Whether a write of the node (NULL: of any) that began before this time is in flight. [D] is held.
 */
bool writeback_is_before_locked(const struct volume *volume, const struct node *node, uint64_t write);

/*
 * Ends a write to a page: it is DIRTY then, without the flags in `clear`, and the writer's pin is
 * dropped.
 */
void page_written(struct volume *volume, struct page *page, uint32_t clear);

/*
 * Clears UNFLUSHED of a page: its written data is durable, or lost; in the second case the page
 * becomes dirty, and LOST. [S] and [D] are held.
 */
void page_settle_locked(struct volume *volume, struct page *page, bool lost);

/*
 * Takes a page that the caller has WRITING out of the dirty set, if it is there: its new data is
 * discarded. If the device has lost earlier data of it, flushes tell of that.
 */
void page_forget(struct volume *volume, struct page *page);

/*
 * A page moves, with its key, from one frame to another, which gets `state`: its place in the dirty
 * set, and the number of its write, move, too. [S] and [D] are held.
 */
void writeback_moved_locked(struct volume *volume, struct page *from, struct page *to, uint32_t state);

/*
 * Makes all dirty pages clean without writing them. No task uses the volume, and no write is under
 * way.
 */
void writeback_discard(struct volume *volume);

/*
 * Starts a write of this page, if it is dirty and has not failed, with its neighbours. Its block
 * stays in the volume's page heap meanwhile: the caller has isolated it or holds it. False: there
 * is no I/O object for it.
 */
bool writeback_start_page(struct volume *volume, struct page *page);

/*
 * For a task that needs clean pages: sees to it that a page of the volume is being written, and
 * waits until a write has ended, an I/O object has come back if there was none, or the clock shows
 * `deadline_ns`. False: no page is dirty, or none can be written.
 */
bool writeback_make_progress(struct volume *volume, uint64_t deadline_ns);

/* Tells waiting tasks that a write or a flush has ended. */
void writeback_progress(struct volume *volume);

/*
 * Waits until the writes and the device flush under way have ended; no task starts another
 * meanwhile.
 */
void writeback_settle(struct volume *volume);

/*
 * Called when a cursor has met a dirty page, or probation's begins a block while the volume has
 * some: the background writer cleans the pages ahead. Any task context.
 */
void writeback_kick(struct pagecache *pagecache);

/* Wakes the background writer. Any task context. */
void writeback_wake(struct pagecache *pagecache);

/*
 * The dirty limits of a volume. The limit of all volumes is dirty_max_percent of the memory that
 * can be dirty: cached memory, and free memory above the low watermark. From it, the dirty pages of
 * the other volumes are subtracted. Of the rest, a volume may use all up to its share of the pages
 * that all volumes wrote lately, and half in any case, but never less than the floor, so that no
 * other volume can stop it. So dirty memory settles below the limit plus the floors, which are a
 * quarter of it together, or FLOOR_PAGES a volume.
 *
 * A writer waits for its own volume only, and never for pages that other tasks write to or have
 * mapped. Pages that could not be written take room from the good pages of their volume, down to
 * the floor. A writer is refused only if failed pages fill its volume's limit, and a quarter of the
 * limit of all.
 */
struct dirty_limits {
	uint64_t background; /* beyond, the background writer writes */
	uint64_t max;        /* beyond, writers wait */
	uint64_t floor;      /* that `max` never falls below */
	uint64_t all;        /* of all volumes */
};

struct dirty_limits writeback_limits(const struct volume *volume);

/* Counts a page that has become dirty, and charges it to the writers. [D] is held. */
void writeback_dirtied(struct volume *volume);

/* Counts pages that have been written. [D] is held. */
void writeback_completed(struct volume *volume, uint32_t pages);

/*
 * The rate: how many pages must be cleaned for a page that is dirtied, in 256ths (RATE_PAGE). It is
 * 0 up to the middle between the background's share and the limit, and grows from there to two
 * pages at the limit. So dirty memory settles before the limit, where pages are written as fast as
 * they come, and writers wait a little now and then, instead of going at full speed and then not at
 * all.
 */
#define RATE_PAGE 256u
uint32_t writeback_rate(uint64_t dirty, uint64_t background, uint64_t max);

/*
 * Called before pages [first, first + pages) of the node are dirtied: pays what the volume's
 * writers owe, and waits until there is room for those that are not dirty yet. Returns the status
 * of the last failed write if the volume's pages cannot be written. The caller has no pins.
 */
status_t writeback_throttle(const struct node *node, uint64_t first, uint64_t pages) MUST_CHECK;
