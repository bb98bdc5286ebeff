// SPDX-License-Identifier: BSD-2-Clause
/* Getting the page cache full, and waiting until it is full again. */
#pragma once

#include "load.h"

/*
 * Reads the disk in order through the cache until free memory is at the low watermark, or the disk
 * ends, and verifies every page; with a progress bar. Returns the bytes that are cached then.
 */
uint64_t fill_cache(struct loads *loads);

/* What the loads have to bring about before the next request. */
struct fill_goal {
	uint64_t cached_bytes;
	uint64_t dirty_bytes;
	uint64_t patience_ns; /* without any progress */
};

/*
 * What counts as full again after `cached_bytes` were cached: less by a small part, the blocks that
 * are half full or retained and so differ from time to time.
 */
uint64_t fill_goal_bytes(uint64_t cached_bytes);

/*
 * Waits, while the loads run, until as much is cached and dirty as the goal says. STATUS_TIMEOUT:
 * no progress for so long; a message was printed.
 */
status_t fill_wait(struct loads *loads, const struct fill_goal *goal) MUST_CHECK;
