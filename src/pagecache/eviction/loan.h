// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks on loan to the guarantee (heap/reclaim/guarantee.h). Their pages stay cached, but may be
 * gone at any moment:
 *
 * 1. Every page in a loaned block is CLEAN without pins, or FREE. Pages are read without pins
 *    (index.h): the copy counts only if the block's generation is still the same. A task that wants
 *    to write, map, or pin a page moves it out first (page_pin).
 * 2. GENERATION_LOANED is set, under [R], on an isolated block whose pages are as in 1., and the
 *    pages are looked at once more afterwards. A reader takes its pin first and looks at the flag
 *    afterwards. So no pin that counts is in a loaned block.
 * 3. A new generation revokes a block, without any lock. Until the block is reaped, its pages are
 *    entries of the index that do not count; its role is LOANED, and only `reap` changes it.
 */
#pragma once

#include "pagecache/volume.h"

/* One page cache of a memory can be the donor: the first one. */
void loan_init(struct pagecache *pagecache);
void loan_fini(struct pagecache *pagecache);

/*
 * index_pin for every cached page: a page of a loaned block is moved out of it first. If there is
 * no frame for it, it is dropped, and not found.
 */
struct page *page_pin(struct volume *volume, uint64_t key, struct lookup *lookup);
