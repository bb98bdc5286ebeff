/*
 * Writeback: dirty pages go to the device, of each node in the order of its pages, merged into requests as large as the device
 * takes. A page on its way is readable and stays as it is until the write has ended.
 *
 * Which page is written next is for the caller to say, with a function that picks it from the sets of a node (dirty.h). It is
 * claimed, with what follows it, and is in flight then: it has left its set, and its write stands in volume->in_flight. A page
 * that a writer has when the writeback comes by becomes one of DIRTY_BUSY, and is claimed when the writer is done: so a page
 * that is written to again and again is written back once for each pass.
 *
 * Who dirties pages pays for it, see writeback_price: that is in writeback_throttle.c. Flushes are in flush.h.
 */
#pragma once

#include "io.h"

enum writeback {
	WRITEBACK_NOTHING,
	WRITEBACK_STARVED, /* there was no I/O object */
	WRITEBACK_STARTED,
};

/*
 * Starts one write, of what is picked of the node (NULL: of the nodes in turn, beginning where the last call has ended) and of
 * what follows up to page `end`. Does not wait. Any task context.
 *
 * `pick` returns the page of the node to be written next, or NULL. If a writer has it, it is not written, and is not picked
 * again. [D] is held.
 */
enum writeback writeback_start(struct volume *volume, struct node *node, uint64_t end,
			       struct page *(*pick)(struct node *node, void *context), void *context) MUST_CHECK;

/* The same for pages of the kind that have been old for `age_ns`, and what became ready of the busy ones. */
enum writeback writeback_start_old(struct volume *volume, enum dirty_kind kind, uint64_t age_ns) MUST_CHECK;

/* For picks: what became ready of the busy pages; the first of the old ones, which becomes busy if a writer has it. */
struct page *writeback_ready_locked(struct node *node);
struct page *writeback_old_locked(struct node *node, enum dirty_kind kind);

/* The next time on the volume's clock of passes, in nanoseconds. [D] is held. */
uint64_t writeback_clock_locked(struct volume *volume);

/*
 * Starts to write what is dirty of pages [first, end) of the node, and nothing else; those whose last write failed only if it
 * is not patient. True: there was something to be written. May wait for I/O objects, unless it is patient.
 */
bool writeback_start_range(struct node *node, uint64_t first, uint64_t end, bool patient);

/* Whether a write of the node, or of any, that began before this time is in flight. [D] is held. */
bool writeback_is_before_locked(const struct volume *volume, const struct node *node, uint64_t write);

/* Ends the writing of a page: it is DIRTY afterwards, without the flags in `clear`; drops the writer's pin. */
void page_written(struct volume *volume, struct page *page, uint32_t clear);

/*
 * The page is not UNFLUSHED any more: what was written of it is durable, or lost; then the page is dirty, and LOST. [S] and [D]
 * are held.
 */
void page_settle_locked(struct volume *volume, struct page *page, bool lost);

/*
 * Takes a page that its only user has WRITING out of the dirty set, if it is there: what is new in it is forgotten. If the
 * device has lost what was written of it before, flushes tell of that.
 */
void page_forget(struct volume *volume, struct page *page);

/* Makes all dirty pages clean without writing them; nobody uses the volume, and no write is under way. */
void writeback_discard(struct volume *volume);

/*
 * Starts a write of this page if it is dirty and has not failed, with its neighbours. Its block stays in the volume's page heap
 * meanwhile: the caller has fenced it or holds it. False: there is no I/O object for it.
 */
bool writeback_start_page(struct volume *volume, struct page *page);

/*
 * For somebody who needs clean pages: sees to it that something of the volume is being written and waits until a write has
 * ended, or an I/O object has come back if there is none, or the clock shows `deadline_ns`. False: nothing is dirty, or nothing
 * of it can be written.
 */
bool writeback_make_progress(struct volume *volume, uint64_t deadline_ns);

/* Something has ended that others may wait for. */
void writeback_progress(struct volume *volume);

/* Waits until the writes and the device flush under way have ended. Nobody starts another one meanwhile. */
void writeback_settle(struct volume *volume);

/* A cursor has met a dirty page: the background writer cleans what lies ahead. Any task context. */
void writeback_kick(struct pagecache *pagecache);

/* Probation's cursor begins a block: the same, if the volume has anything dirty. */
void writeback_turn(struct volume *volume);

/* Wakes the background writer. Any task context. */
void writeback_wake(struct pagecache *pagecache);

/*
 * What a volume may have dirty. The limit of all is dirty_max_percent of what can be dirty: of the memory that is cached, or
 * free above the low watermark. Of it, what other volumes have dirty is taken; of the rest, a volume may have all up to its
 * share of the pages that all volumes wrote lately, and half in any case, but never less than the floor, so that no other one
 * can stop it. So what is dirty settles below the limit and the floors, which are a quarter of it, or FLOOR_PAGES a volume.
 *
 * A writer waits for its own volume only, and never for what others hold that write, or have mapped. Pages that could not be
 * written take room from good ones of their volume, down to the floor. It is refused only if they fill its limit, and a
 * quarter of that of all.
 */
struct dirty_limits {
	uint64_t background; /* beyond, the background writer writes */
	uint64_t max;        /* beyond, writers wait */
	uint64_t floor;      /* that `max` never falls below */
	uint64_t all;        /* of all volumes */
};

struct dirty_limits writeback_limits(const struct volume *volume);

/* A page has become dirty: counts it, and charges it to the writers. [D] is held. */
void writeback_dirtied(struct volume *volume);

/* So many have been written. [D] is held. */
void writeback_completed(struct volume *volume, uint32_t pages);

/*
 * How many pages must be cleaned for one that is dirtied, in 256ths (PRICE_PAGE): nothing up to the middle between the
 * background's share and the limit, then ever more, up to two pages at the limit. So dirty memory settles before the limit,
 * where pages are written as fast as they come, and writers wait a little now and then, instead of going at full speed and then
 * not at all.
 */
#define PRICE_PAGE 256u
uint32_t writeback_price(uint64_t dirty, uint64_t background, uint64_t max);

/*
 * Before pages [first, first + pages) of the node are dirtied: pays what the volume's writers owe, and waits until there is
 * room for those that are not dirty yet. The status of the last failed write if the volume's pages cannot be written. Without
 * pins.
 */
status_t writeback_throttle(const struct node *node, uint64_t first, uint64_t pages) MUST_CHECK;
