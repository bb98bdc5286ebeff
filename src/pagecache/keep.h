/*
 * What a volume keeps. Pages may go for good in two ways: a drain evicts blocks, and the guarantee has blocks lent, which may
 * be gone at any moment and do not count any more. Both claim the pages first and let go of the claim when they are gone, or
 * stay: so both together never take a volume below its `keep`. While pages of a claim go one by one, others see them missing
 * twice, and may find the volume at its end a block too early.
 */
#pragma once

#include "volume.h"

/* False, and nothing is claimed: the volume would have less than `keep` bytes left. Whoever claims no page gets it. */
bool keep_claim(struct volume *volume, uint64_t keep, uint64_t pages) MUST_CHECK;
void keep_let_go(struct volume *volume, uint64_t pages);
