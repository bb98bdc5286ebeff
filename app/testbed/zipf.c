// SPDX-License-Identifier: BSD-2-Clause
/*
 * Draws a rank: a binary search for the group that a random number falls into, and then any rank
 * of the group. It uses no floating point, so handlers may call it.
 */
#include "zipf.h"

#include "runtime/base/bits.h"
#include "runtime/base/heap.h"

void zipf_fini(struct zipf *zipf)
{
	if (zipf->groups)
		heap_free(zipf->heap, zipf->groups);
	*zipf = (struct zipf){ 0 };
}

uint64_t zipf_next(const struct zipf *zipf, struct random *random)
{
	const uint64_t number = random_next(random);
	uint32_t low = 0, high = zipf->count - 1;

	while (low < high) {
		const uint32_t middle = (low + high) / 2;

		if (number < zipf->groups[middle].limit)
			high = middle;
		else
			low = middle + 1;
	}
	return zipf->groups[low].first + random_below(random, zipf->groups[low].ranks);
}

/*
 * Odd multiples and folded shifts permute [0, 2^bits); what falls outside of the count goes through
 * again.
 */
uint64_t zipf_scatter(uint64_t rank, uint64_t count)
{
	const unsigned bits = log2_ceil(MAX(count, 2));
	const uint64_t mask = (1ull << bits) - 1;

	do {
		rank = (rank * 0x9e3779b97f4a7c15ull) & mask;
		rank ^= rank >> (bits + 1) / 2;
		rank = (rank * 0xd1342543de82ef95ull) & mask;
	} while (rank >= count);
	return rank;
}
