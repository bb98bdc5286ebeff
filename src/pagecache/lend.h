/*
 * Blocks lent to the guarantee (heap/guarantee.h). Their pages stay cached, but may be gone at any moment:
 *
 * 1. Every page in a lent block is CLEAN without pins, or FREE. Pages are read without pins (index.h): the copy counts only if
 *    the block's generation is still the same. Whoever wants to write, map, or pin a page moves it out first (page_pin).
 * 2. GENERATION_LENT is set, under [R], on a fenced block whose pages are as in 1., and these are looked at once more
 *    afterwards. Pins are taken first and look for the flag afterwards. So no pin that counts is in a lent block.
 * 3. A block is revoked by a new generation, without any lock. Until it is settled its pages are entries of the index that do
 *    not count; its role is LENT, and only `settle` changes it.
 */
#pragma once

#include "volume.h"

/* One page cache of a memory can be the lender: the first one. */
void lend_init(struct pagecache *pagecache);
void lend_fini(struct pagecache *pagecache);
