// SPDX-License-Identifier: BSD-2-Clause
/*
 * The cache minimum of a volume. Pages go for good in two ways: a drain evicts blocks, and the
 * guarantee borrows blocks, whose pages may be gone at any moment and do not count any more. Both
 * claim the pages first and release the claim when the pages are gone, or stay: so both together
 * never take a volume below its minimum (`keep`). While the pages of a claim go one by one, other
 * drains count them as missing twice, and may find the volume at its minimum a block too early.
 */
#pragma once

#include "pagecache/volume.h"

/*
 * Claims so many pages. False, and nothing is claimed: the volume would have less than `keep` bytes
 * left. A claim of no pages succeeds.
 */
bool cache_minimum_claim(struct volume *volume, uint64_t keep, uint64_t pages) MUST_CHECK;
void cache_minimum_let_go(struct volume *volume, uint64_t pages);
