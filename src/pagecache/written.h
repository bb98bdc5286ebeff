/*
 * What was written, but may still be lost: it lies in the device's volatile cache until a device flush that begins later has
 * ended well. A device flush that fails, and a device that is reset, may lose that cache (block_device.cache_losses).
 *
 * 1. Device flushes of a volume have numbers. Data whose write ended while number n was the latest begun is durable when n + 1,
 *    or a later one, has ended well, with no loss since the write was submitted.
 * 2. A page that was written is UNFLUSHED and has that number. When it leaves the cache before it is durable, its range is
 *    noted. Direct writes are noted at once.
 * 3. After a loss, pages that are UNFLUSHED become dirty again, and LOST: the next writeback writes them. What was noted is
 *    lost, and so is a page that is LOST when it is discarded: every flush that touches it says so until it has been written
 *    again as a whole, or volume_error_clear was called.
 * 4. The ranges are bounded (ranges.h). Where two are joined, what lies between them counts as lost, too.
 *
 * A device without a volatile cache has none of this. [D] protects all; volume->flush is held by the task that sees to a loss.
 */
#pragma once

#include "page.h"
#include "ranges.h"
#include "runtime/base/block_device.h"

struct io;
struct node;
struct volume;

struct written {
	struct block_request request; /* the device flush under way */
	uint64_t running;             /* its number; 0: none */
	uint64_t begun;               /* the latest */
	uint64_t settled;             /* what has a lower number is durable, dirty again, or lost */
	uint64_t cleaned;             /* the number when pages were looked at that need not be UNFLUSHED any more */
	uint64_t noticed;             /* of the device's losses */
	uint64_t losses;              /* those that were seen to */
	uint64_t lost_before;         /* the number when the latest was noticed: what has a lower one is lost */
	bool settling;                /* pages are made dirty again: those that are UNFLUSHED do not move */
	status_t status;              /* of the latest device flush */
	struct ranges noted;          /* with the number `begun`, */
	struct ranges noted_before;   /* and with lower ones */
	struct ranges lost;
};

/* The rest of it is zero. */
void written_init(struct volume *volume);

/*
 * What began when the device's losses were `losses` has ended well; whether it may be lost again. If not, what
 * written_ended_locked gives it before [D], which is held, is released counts from before any loss that is seen later.
 */
bool written_is_lost_locked(struct volume *volume, uint64_t losses);

/* What the page, whose write has ended and is not lost, is from now on: PAGE_UNFLUSHED or nothing. [D] is held. */
uint32_t written_ended_locked(struct volume *volume, struct page *page);

/* The page was read from the device, the losses being `losses` when that began: PAGE_UNFLUSHED, PAGE_STALE, or nothing. */
uint32_t written_read(struct volume *volume, struct page *page, uint64_t losses);

/* The page is about to leave the cache; or what is in it, to be forgotten. [D] is held. */
void written_leaves_locked(struct volume *volume, const struct page *page);

/*
 * Bytes [start, start + bytes) of the volume were written past the cache, and no page of them is cached. `losses`:
 * written_losses() before the last page of them was cached that is older. Any task context.
 */
void volume_note_written(struct volume *volume, uint64_t start, uint64_t bytes, uint64_t losses);
uint64_t written_losses(const struct volume *volume);

/*
 * Runs `visit` for each cached page that may not be durable: that is dirty, being written, or UNFLUSHED. [S] and [D] are held
 * meanwhile. Where platform_may_sleep().
 */
void written_visit(struct volume *volume, void (*visit)(struct volume *volume, struct page *page, void *context),
		   void *context);

/* The number of an UNFLUSHED page's write; 0: it is durable, or has been seen to. [D] is held. */
uint64_t written_number_locked(const struct volume *volume, const struct page *page);

/*
 * Begins a device flush, if none is under way, of another volume of the device neither; the caller submits the request when
 * [D], which is held, has been released. When one ends, pagecache->progress changes.
 */
bool written_flush_begin_locked(struct volume *volume);

/*
 * Sees to the losses since the last call, and now and then clears flags that are not needed any more. Where
 * platform_may_sleep().
 */
void written_settle(struct volume *volume);

/* Whether something is lost of the node (NULL: of the volume). [D] is held. */
bool written_has_lost_locked(const struct volume *volume, const struct node *node);

/* The user knows: what is lost is not told any more. */
void volume_error_clear(struct volume *volume);
