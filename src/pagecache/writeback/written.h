// SPDX-License-Identifier: BSD-2-Clause
/*
 * Written data that may still be lost: it lies in the device's volatile cache until a device flush
 * that begins later has ended well. A device flush that fails, and a device that is reset, may lose
 * that cache (block_device.cache_losses).
 *
 * 1. Device flushes of a volume have numbers. Data whose write ended while number n was the latest
 *    begun is durable when n + 1, or a later one, has ended well, with no loss since the write was
 *    submitted.
 * 2. A page that was written is UNFLUSHED and has that number. When it leaves the cache before it
 *    is durable, its range is noted. Direct writes are noted at once.
 * 3. After a loss, UNFLUSHED pages become dirty again, and LOST: the next writeback writes them.
 *    Noted ranges are lost, and so is a page that is LOST when it is discarded. Every flush that
 *    touches a lost range says so until the range has been written again as a whole, or
 *    volume_error_clear was called.
 * 4. The ranges are bounded (ranges.h). Where two are joined, the bytes between them count as lost,
 *    too.
 *
 * A device without a volatile cache has none of this. [D] protects all; the task that handles a
 * loss holds volume->writeback.flush.
 */
#pragma once

#include "pagecache/page/page.h"
#include "ranges.h"
#include "runtime/base/block_device.h"

struct node;
struct volume;

struct written {
	struct block_request request; /* the device flush under way */
	uint64_t running;             /* its number; 0: none */
	uint64_t begun;               /* the latest */
	uint64_t settled;             /* lower numbers are durable, dirty again, or lost */
	uint64_t cleaned;             /* the number at the last clearing of UNFLUSHED flags */
	uint64_t noticed;             /* the device's losses that were noticed */
	uint64_t losses;              /* the losses that were handled */
	uint64_t lost_before;         /* at the last noticed loss: lower numbers are lost */
	bool settling;                /* pages are made dirty again: UNFLUSHED ones do not move */
	status_t status;              /* of the latest device flush */
	struct ranges noted;          /* with the number `begun` */
	struct ranges noted_before;   /* with lower numbers */
	struct ranges lost;
};

/* Everything else in it is zero. */
void written_init(struct volume *volume);

/*
 * Whether what began when the device's losses were `losses`, and has ended well, may be lost again.
 * If not, the number that written_ended_locked gives before [D], which is held, is released counts
 * as older than any loss that is noticed later.
 */
bool written_is_lost_locked(struct volume *volume, uint64_t losses);

/*
 * The flags of a page whose write has ended and is not lost: PAGE_UNFLUSHED or none. [D] is held.
 */
uint32_t written_ended_locked(struct volume *volume, struct page *page);

/*
 * The flags of a page that was read from the device, with `losses` the losses when the read began:
 * PAGE_UNFLUSHED, PAGE_STALE, or none.
 */
uint32_t written_read(struct volume *volume, struct page *page, uint64_t losses);

/* Called before a page leaves the cache, or its content is discarded. [D] is held. */
void written_leaves_locked(struct volume *volume, const struct page *page);

/*
 * Bytes [start, start + bytes) of the volume were written past the cache, and no page of them is
 * cached. `losses`: written_losses() before the last older page of them was cached. Any task
 * context.
 */
void volume_note_written(struct volume *volume, uint64_t start, uint64_t bytes, uint64_t losses);
uint64_t written_losses(const struct volume *volume);

/*
 * Runs `visit` for each cached page that may not be durable: dirty, in writeback, or UNFLUSHED. [S]
 * and [D] are held meanwhile. Where platform_may_sleep().
 */
void written_visit(struct volume *volume, void (*visit)(struct volume *volume, struct page *page, void *context),
		   void *context);

/* The number of an UNFLUSHED page's write; 0: it is durable, or has been handled. [D] is held. */
uint64_t written_number_locked(const struct written *written, const struct page *page);

/*
 * Begins a device flush, unless one is under way for any volume of the device; the caller submits
 * the request when [D], which is held, has been released. When a device flush ends,
 * pagecache->pages.progress changes.
 */
bool written_flush_begin_locked(struct volume *volume);

/*
 * Handles the losses since the last call, and now and then clears UNFLUSHED flags that are out of
 * date. Where platform_may_sleep().
 */
void written_settle(struct volume *volume);

/* Whether data of the node (NULL: of the volume) is lost. [D] is held. */
bool written_has_lost_locked(const struct volume *volume, const struct node *node);

/* The user knows of the losses: flushes do not tell of them any more. */
void volume_error_clear(struct volume *volume);
