// SPDX-License-Identifier: BSD-2-Clause
#include "regions.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "measure.h"

static int compare(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static uint64_t distinct(uint64_t *numbers, size_t count)
{
	uint64_t result = 0;

	qsort(numbers, count, sizeof(*numbers), compare);
	for (size_t i = 0; i < count; i++)
		result += i == 0 || numbers[i] != numbers[i - 1];
	return result;
}

uint64_t regions_held(const struct extent *extents, uint32_t count)
{
	/* Not from malloc, which is being measured. */
	const size_t bytes = ((size_t)count * 2 + 1) * sizeof(uint64_t);
	uint64_t *numbers = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t length = 0;

	if (numbers == MAP_FAILED)
		fail("mmap");
	for (uint32_t i = 0; i < count; i++) {
		if (!extents[i].start)
			continue;
		numbers[length++] = (uintptr_t)extents[i].start >> REGION_SHIFT;
		numbers[length++] = ((uintptr_t)extents[i].start + extents[i].bytes - 1) >> REGION_SHIFT;
	}

	const uint64_t result = distinct(numbers, length);
	munmap(numbers, bytes);
	return result;
}
