// SPDX-License-Identifier: BSD-2-Clause
/*
 * A heap sort: the largest number of what is not sorted yet is on top of a binary heap, and goes
 * behind it. It needs no other memory, and no order of the input makes it slow.
 */
#include "sort.h"

static void sift_down(uint64_t *numbers, uint64_t root, uint64_t count)
{
	for (;;) {
		uint64_t child = 2 * root + 1;

		if (child >= count)
			return;
		if (child + 1 < count && numbers[child + 1] > numbers[child])
			child++;
		if (numbers[root] >= numbers[child])
			return;
		const uint64_t number = numbers[root];
		numbers[root] = numbers[child];
		numbers[child] = number;
		root = child;
	}
}

void sort_numbers(uint64_t *numbers, uint64_t count)
{
	for (uint64_t root = count / 2; root-- > 0;)
		sift_down(numbers, root, count);
	for (uint64_t end = count; end-- > 1;) {
		const uint64_t largest = numbers[0];

		numbers[0] = numbers[end];
		numbers[end] = largest;
		sift_down(numbers, 0, end);
	}
}
