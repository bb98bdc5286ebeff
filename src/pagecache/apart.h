/*
 * Blocks set apart for pages that are pinned for long, the mapped ones (map.h): so that one of these does not hold up a window
 * of blocks that a large request needs. A page is moved into such a block before it is mapped.
 *
 *	memory --> APART, frames taken in address order --at its end, nothing mapped--> QUEUED, an ordinary block of the volume
 *
 * 1. A block that is APART belongs to an owner that is not movable: it is placed beside other memory that stays, and windows go
 *    round it. It is the page heap's, but in none of its queues; who unmaps a page leaves it cached there.
 * 2. frames->mapped counts mapped pages, and those on their way there. As long as it is not 0, the block stays APART.
 * 3. A cursor goes over the open block, as those of the queues do over theirs, and takes frames whose pages are not mapped
 *    (any more). At the end it begins once more with a block that is mapped by half at most, else with a fresh one.
 * 4. The open block stays when nothing is mapped any more, for the next ones, until somebody drains the volume (apart_settle).
 * 5. A page that cannot be moved, since others use it, or there is no memory for a block, is mapped where it is. While it is,
 *    its block costs BLOCK_COST_FIXED: windows go round it, too, and the guarantee does not borrow it.
 *
 * Everything here is under [R], the lock of the page heap.
 */
#pragma once

#include "volume.h"

/*
 * Makes *page a mapped page, in a block that is set apart if possible: then *page is the new one. The caller has pinned it, or
 * has it WRITING, with the only pin; that stays. If there is no frame for it, *no_frames is set, and for further pages none is
 * looked for any more. Ends by apart_leave. Where platform_may_sleep().
 */
void apart_enter(struct volume *volume, struct page **page, bool *no_frames);

/* The page is not mapped any more; its pin is still there. Any task context. */
void apart_leave(struct volume *volume, const struct page *page);

/* Blocks without mapped pages become ordinary ones. Any task context. */
void apart_settle(struct volume *volume);
