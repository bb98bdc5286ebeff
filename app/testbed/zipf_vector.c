// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of a Zipf distribution, made once. It needs roots, and so vector registers, which only
 * files with this name may use; drawing from it is in zipf.c and needs none.
 */
#include "zipf.h"

#include "runtime/base/heap.h"

#define SINGLE_RANKS 1024 /* that have an entry of their own */
#define GROUP_SHARE  64

static uint64_t group_ranks(uint64_t first, uint64_t ranks)
{
	return first < SINGLE_RANKS ? 1 : MIN(first / GROUP_SHARE, ranks - first);
}

static uint32_t count_groups(uint64_t ranks)
{
	uint32_t count = 0;

	for (uint64_t first = 0; first < ranks; first += group_ranks(first, ranks))
		count++;
	return count;
}

/* The tenth root of `x` by Newton's method, from a guess that is near it. */
static double tenth_root(double x, double guess)
{
	for (unsigned i = 0; i < 4; i++) {
		const double square = guess * guess;
		const double fourth = square * square;

		guess = (9 * guess + x / (fourth * fourth * guess)) / 10;
	}
	return guess;
}

/*
 * The sum of all shares; with `groups`, it also enters there how much of `total` each makes
 * together with those before.
 */
static double weigh(struct zipf_group *groups, uint64_t ranks, double total)
{
	double sum = 0, root = 1;
	uint32_t group = 0;

	for (uint64_t first = 0; first < ranks; first += group_ranks(first, ranks), group++) {
		const uint64_t width = group_ranks(first, ranks);
		const double middle = (double)first + 0.5 * (double)(width + 1);

		root = tenth_root(middle, root);
		sum += (double)width * root / middle;
		if (groups)
			groups[group] = (struct zipf_group){ first, width, (uint64_t)(sum / total * 0x1p63) * 2 };
	}
	return sum;
}

status_t zipf_init(struct zipf *zipf, struct heap *heap, uint64_t ranks)
{
	const uint32_t count = count_groups(ranks);
	struct zipf_group *groups = heap_alloc(heap, count * sizeof(*groups), 0);

	if (!groups)
		return STATUS_NO_MEMORY;
	weigh(groups, ranks, weigh(NULL, ranks, 1));
	groups[count - 1].limit = UINT64_MAX;
	*zipf = (struct zipf){ .heap = heap, .groups = groups, .count = count };
	return STATUS_OK;
}
