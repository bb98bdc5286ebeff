// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks set apart for mapped pages (map.h), which may stay for long: so they do not hold up a
 * window of blocks that a large request needs. A page is moved into such a block before it is
 * mapped.
 *
 *	memory --> LONGTERM, frames taken in address order
 *	           LONGTERM --at its end, nothing mapped--> QUEUED, an ordinary block of the volume
 *
 * 1. A block that is LONGTERM belongs to an unmovable owner: it lies beside other memory that
 *    stays, and windows go round it. It belongs to the page heap, but is in none of its queues; a
 *    page that is unmapped stays cached there.
 * 2. pageblock->mapped counts the mapped pages of a block, and those on their way to it. As long as
 *    it is not 0, the block stays LONGTERM.
 * 3. A cursor goes over the open block, as the cursors of the queues do, and takes frames whose
 *    pages are not mapped, or not any more. At the end it starts anew with a block of which at most
 *    half is mapped, else with a fresh one.
 * 4. The open block stays for the next mapped pages when no page in it is mapped any more, until a
 *    drain of the volume (longterm_settle).
 * 5. A page that cannot be moved, since other tasks use it or there is no memory for a block, is
 *    mapped where it is. Until it is unmapped, its block costs BLOCK_COST_FIXED: windows go round
 *    it, too, and the guarantee does not borrow it.
 *
 * Everything here is under [R], the lock of the page heap.
 */
#pragma once

#include "pagecache/volume.h"

/*
 * Makes *page a mapped page, in a block that is set apart if possible: then *page is the new page.
 * The caller has pinned it, or has it WRITING, with the only pin; that stays. If there is no frame,
 * *no_frames is set, and no later call with it looks for one. Ends by longterm_leave. Where
 * platform_may_sleep().
 */
void longterm_enter(struct volume *volume, struct page **page, bool *no_frames);

/* Counts a page as not mapped any more; its pin is still there. Any task context. */
void longterm_leave(struct volume *volume, const struct page *page);

/* Turns blocks without mapped pages into ordinary ones. Any task context. */
void longterm_settle(struct volume *volume);
