// SPDX-License-Identifier: BSD-2-Clause
/*
 * A set of ranges, sorted in an array that has room for one range more than the set holds. When the
 * array is full, the two ranges that lie closest become one: the set may then hold too much, never
 * too little.
 */
#include "ranges.h"

#include "runtime/base/string.h"

/* The first range that ends at `position` or behind it. */
static uint32_t find(const struct ranges *ranges, uint64_t position)
{
	uint32_t i = 0;

	while (i < ranges->count && ranges->list[i].end < position)
		i++;
	return i;
}

/*
 * Makes room for `with` new ranges in the place of `count` ones from `i` on; the caller fills them
 * in.
 */
static void splice(struct ranges *ranges, uint32_t i, uint32_t count, uint32_t with)
{
	memmove(&ranges->list[i + with], &ranges->list[i + count], (ranges->count - i - count) * sizeof(ranges->list[0]));
	ranges->count += with - count;
}

static void join_closest(struct ranges *ranges)
{
	uint32_t best = 1;

	for (uint32_t i = 2; i < ranges->count; i++)
		if (ranges->list[i].start - ranges->list[i - 1].end < ranges->list[best].start - ranges->list[best - 1].end)
			best = i;
	ranges->list[best - 1].end = ranges->list[best].end;
	splice(ranges, best, 1, 0);
}

/*
 * Adds [start, end) or removes it. On an add, one range replaces it and all ranges that it touches;
 * on a removal, up to two ranges stand for what is left.
 */
static void replace(struct ranges *ranges, uint64_t start, uint64_t end, bool in)
{
	const uint32_t first = find(ranges, start);
	struct range before = { start, start }, after = { end, end };
	uint32_t last = first;

	if (start >= end)
		return;
	for (; last < ranges->count && ranges->list[last].start <= end; last++) {
		before.start = MIN(before.start, ranges->list[last].start);
		after.end = MAX(after.end, ranges->list[last].end);
	}
	if (in)
		before.end = after.start = after.end;
	splice(ranges, first, last - first, (before.start < before.end) + (after.start < after.end));
	if (before.start < before.end)
		ranges->list[first] = before;
	if (after.start < after.end)
		ranges->list[first + (before.start < before.end)] = after;
	if (ranges->count > RANGES_MAX)
		join_closest(ranges);
}

void ranges_add(struct ranges *ranges, uint64_t start, uint64_t end)
{
	replace(ranges, start, end, true);
}

void ranges_add_all(struct ranges *ranges, const struct ranges *others)
{
	for (uint32_t i = 0; i < others->count; i++)
		ranges_add(ranges, others->list[i].start, others->list[i].end);
}

void ranges_remove(struct ranges *ranges, uint64_t start, uint64_t end)
{
	replace(ranges, start, end, false);
}

bool ranges_touch(const struct ranges *ranges, uint64_t start, uint64_t end)
{
	const uint32_t i = find(ranges, start + 1);

	return start < end && i < ranges->count && ranges->list[i].start < end;
}

uint64_t ranges_covered_bytes(const struct ranges *ranges)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < ranges->count; i++)
		bytes += ranges->list[i].end - ranges->list[i].start;
	return bytes;
}
