// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ranks with Zipf's distribution: rank r is drawn in proportion to 1 / (r + 1)^0.9, as requests for
 * the pages of a hot set are.
 *
 * A table holds each of the first ranks, and further ones in groups that are narrow enough (1/64 of
 * the rank) to be taken as equals; drawing is a binary search in some 1500 entries and takes no
 * floating point.
 */
#pragma once

#include "runtime/base/random.h"
#include "runtime/base/status.h"

struct heap;

struct zipf_group {
	uint64_t first; /* rank */
	uint64_t ranks;
	uint64_t limit; /* drawn by numbers below, in parts of 2^64, and not by the group before */
};

struct zipf {
	struct heap *heap;
	struct zipf_group *groups;
	uint32_t count;
};

/* Ranks 0 to `ranks` - 1; `ranks` > 0. Uses vector registers. STATUS_NO_MEMORY. */
status_t zipf_init(struct zipf *zipf, struct heap *heap, uint64_t ranks) MUST_CHECK;
void zipf_fini(struct zipf *zipf);

uint64_t zipf_next(const struct zipf *zipf, struct random *random);

/*
 * Scatters: a permutation of [0, count), so that ranks next to each other lie far apart. The same
 * for the same count.
 */
uint64_t zipf_scatter(uint64_t rank, uint64_t count);
