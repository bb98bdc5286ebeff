/*
 * Pageout: the blocks that reclaim came by and could not give because too many of their pages are dirty. Whoever cleans may
 * start to write such a block; the background writer does so early, when there is much dirty memory. Nobody waits: the next
 * round of reclaim finds the block clean.
 */
#pragma once

#include "frame_table.h"

#define PAGEOUT_BLOCKS 16

/* Of a volume. [D] */
struct pageout {
	struct frames *blocks[PAGEOUT_BLOCKS];
	uint32_t count;
};

struct volume;

/* A block that should be written, if there is room on the list. */
void pageout_note(struct volume *volume, struct frames *frames);

/*
 * Starts writes of the block's dirty pages, in the order of the disk, as far as there are I/O objects; those that could not be
 * written before are left alone. The block stays in the page heap meanwhile: the caller has fenced it or holds it. True: pages
 * of it are being written, or have been.
 */
bool pageout_write_block(struct volume *volume, struct frames *frames);

/* For the background writer: writes what was noted, if so much is dirty that reclaim may come to wait for it. */
void pageout_write_early(struct volume *volume);
