/*
 * Writeback: dirty pages go to the device in the order of the disk, merged into requests as large as the device takes. A page
 * on its way is readable and stays as it is until the write has ended.
 *
 * A pass writes what was dirty when it began: it ends the volume's epoch, sweeps over the dirty set in disk order, and leaves
 * alone what has become dirty later, except where that lies between pages it writes anyway. A page whose write fails becomes
 * one of the present epoch: the pass does not try it again, the next one does.
 *
 * Who dirties pages pays for it, see writeback_price: that is in writeback_throttle.c, all else in writeback.c.
 */
#pragma once

#include "io.h"

/* What becomes of pages whose last write failed. Each is a write by itself, so that it does not spoil another one's. */
enum sweep_failed {
	SWEEP_FAILED_NOT,
	SWEEP_FAILED_TOO,
	SWEEP_FAILED_ONLY,
};

/* Which pages are to be written. */
struct sweep {
	const struct node *node; /* of this node only; NULL: all */
	uint64_t position;       /* from here on, in bytes of the volume, */
	uint64_t end;            /* and up to here; 0: to the end */
	bool patient;            /* rather nothing than what others need to read: half of the I/O objects are left */
	bool at_once;            /* rather nothing than waiting for an I/O object */
	bool starved;            /* set: there was none */
	uint16_t epoch;          /* dirty since this epoch or an earlier one, */
	bool any_epoch;          /* or since any */
	enum sweep_failed failed;
	bool busy; /* set: a page of these is being written to, and has to be looked at again */
};

/* Ends the writing of a page: it is DIRTY afterwards; drops the writer's pin. */
void page_written(struct volume *volume, struct page *page);

/* Takes a page that its only user has WRITING out of the dirty set, if it is there: what is new in it is forgotten. */
void page_forget(struct volume *volume, struct page *page);

/* Makes all dirty pages clean without writing them; nobody uses the volume, and no write is under way. */
void writeback_discard(struct volume *volume);

/*
 * Starts the write of the next pages of the sweep, which goes on behind them. Returns their number; 0: there are no more. May
 * wait for an I/O object, unless the sweep is patient or at_once.
 */
uint32_t writeback_start(struct volume *volume, struct sweep *sweep);

/*
 * Starts to write what is dirty of pages [first, end) of the node, and nothing else; those whose last write failed only if it
 * is not patient. Returns how many pages these are. May wait for I/O objects, unless it is patient.
 */
uint32_t writeback_start_range(const struct node *node, uint64_t first, uint64_t end, bool patient);

/*
 * Starts a write of this page if it is dirty, with its neighbours. Its block stays in the volume's page heap meanwhile: the
 * caller has fenced it or holds it. False: there is no I/O object for it.
 */
bool writeback_start_page(struct volume *volume, struct page *page);

/*
 * For somebody who needs clean pages: sees to it that something of the volume is being written and waits until a write has
 * ended, or the clock shows `deadline_ns`. False: nothing is dirty, or nothing of it can be written.
 */
bool writeback_make_progress(struct volume *volume, uint64_t deadline_ns);

/* Waits until the writes under way have ended. Nobody starts another one meanwhile. */
void writeback_settle(struct volume *volume);

/* Writes everything of the node (NULL: of the volume) that is dirty now, failed pages included, and waits. volume->flush is
 * held. */
void writeback_pass(struct volume *volume, const struct node *node);

/* A cursor has met a dirty page: the background writer cleans what lies ahead. Any task context. */
void writeback_kick(struct pagecache *pagecache);

/* Probation's cursor begins a block: the same, if the volume has anything dirty. */
void writeback_turn(struct volume *volume);

/* Wakes the background writer. Any task context. */
void writeback_wake(struct pagecache *pagecache);

/*
 * What a volume may have dirty. The limit of all is dirty_max_percent of what can be dirty: of the memory that is cached, or free
 * above the low watermark. Of it, what other volumes have dirty is taken; of the rest, a volume may have all up to its share of
 * the pages that all volumes wrote lately, and half in any case, but never less than the floor, so that no other one can stop
 * it. So what is dirty settles below the limit and the floors, which are a quarter of it, or FLOOR_PAGES a volume.
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
 * Before pages [first, first + pages) of the node are dirtied: pays what the volume's writers owe, and waits until there is room
 * for those that are not dirty yet. The status of the last failed write if the volume's pages cannot be written. Without pins.
 */
status_t writeback_throttle(const struct node *node, uint64_t first, uint64_t pages) MUST_CHECK;
