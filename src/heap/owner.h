/*
 * Who holds blocks: a name and a count, so that every block of the machine can be accounted for and a failed request can say
 * who held what. Embedded in whatever takes blocks; alive as long as it has any. The block heap lists an owner while it has
 * blocks.
 */
#pragma once

#include "runtime/base/list.h"

/*
 * Where something was taken, as "app/buffers.c:37", for what an owner's name does not tell: a constant, so that it costs one
 * word to keep, is the line itself even where code was inlined, and needs no table of symbols to be printed. For macros that
 * pass it on to the function proper (dma.h, pagecache/map.h).
 */
#define CALL_SITE_TEXT(line) #line
#define CALL_SITE_LINE(line) CALL_SITE_TEXT(line)
#define CALL_SITE            (__FILE__ ":" CALL_SITE_LINE(__LINE__))

struct owner {
	const char *name; /* [I] */
	bool movable;    /* [I] its blocks can be emptied by a cleaner; they are placed at low addresses, others at high ones */
	uint64_t blocks; /* [H] */
	uint64_t seen_blocks; /* [H] what a report has counted (heap/holders.h) */
	struct list link;     /* [H] in the block heap's list while blocks > 0 */
};

static inline void owner_init(struct owner *owner, const char *name, bool movable)
{
	*owner = (struct owner){ .name = name, .movable = movable };
	list_init(&owner->link);
}
