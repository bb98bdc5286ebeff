// SPDX-License-Identifier: BSD-2-Clause
/*
 * An owner of blocks: a name and a count, so that every block of the machine is accounted for and
 * the report of a failed request can name the owners. It is embedded in the structure that takes
 * blocks, and lives as long as it has any. The block heap lists an owner while it has blocks.
 */
#pragma once

#include "runtime/base/list.h"

/*
 * The line that took something, as "app/testbed/buffers.c:37", where the name of an owner does not
 * tell enough. It is a constant, so it costs one word to keep, names the right line even in inlined
 * code, and needs no symbol table to be printed. Macros pass it on to the function proper (dma.h,
 * pagecache/map.h).
 */
#define CALL_SITE_TEXT(line) #line
#define CALL_SITE_LINE(line) CALL_SITE_TEXT(line)
#define CALL_SITE            (__FILE__ ":" CALL_SITE_LINE(__LINE__))

struct owner {
	const char *name;     /* [I] */
	bool movable;         /* [I] cleaners can empty its blocks; they may lie at low addresses */
	uint64_t blocks;      /* [H] */
	uint64_t seen_blocks; /* [H] counted by a report (heap/block/owner_snapshot.h) */
	struct list link;     /* [H] in the block heap's list while blocks > 0 */
};

static inline void owner_init(struct owner *owner, const char *name, bool movable)
{
	*owner = (struct owner){ .name = name, .movable = movable };
	list_init(&owner->link);
}
