// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pageout: the blocks that reclaim could not give because too many of their pages are dirty. A
 * cleaner that may write starts to write such a block; the background writer does so early, when
 * much memory is dirty. No task waits for these writes: the next round of reclaim finds the block
 * clean.
 */
#pragma once

#include "pagecache/page/pageblock_table.h"

#define PAGEOUT_BLOCKS 16

/* The pageout list of a volume, under [D]. */
struct pageout {
	struct pageblock *blocks[PAGEOUT_BLOCKS];
	uint32_t count;
};

struct volume;

/* Notes a block that should be written, if there is room on the list. */
void pageout_note(struct volume *volume, struct pageblock *pageblock);

/*
 * Starts writes of the block's dirty pages, in the order of the disk, as far as there are I/O
 * objects; pages whose last write failed are left alone. The block stays in the page heap
 * meanwhile: the caller has isolated it or holds it. True: pages of it are being written, or have
 * been.
 */
bool pageout_write_block(struct volume *volume, struct pageblock *pageblock);

/*
 * For the background writer: writes the noted blocks, if so much is dirty that reclaim may come to
 * wait for them.
 */
void pageout_write_early(struct volume *volume);
