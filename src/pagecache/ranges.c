/* Sorted in an array that has room for one range more than the set: it is joined away at once. */
#include "ranges.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* The first range that ends at `position` or behind it. */
static uint32_t find(const struct ranges *ranges, uint64_t position)
{
	uint32_t i = 0;

	while (i < ranges->count && ranges->list[i].end < position)
		i++;
	return i;
}

/* Puts `with` new ranges in the place of `count` ones from `i` on; the caller fills them. */
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

void ranges_add(struct ranges *ranges, uint64_t start, uint64_t end)
{
	const uint32_t first = find(ranges, start);
	uint32_t last = first;

	if (start >= end)
		return;
	for (; last < ranges->count && ranges->list[last].start <= end; last++) {
		start = MIN(start, ranges->list[last].start);
		end = MAX(end, ranges->list[last].end);
	}
	splice(ranges, first, last - first, 1);
	ranges->list[first] = (struct range){ start, end };
	if (ranges->count > RANGES_MAX)
		join_closest(ranges);
}

void ranges_add_all(struct ranges *ranges, const struct ranges *others)
{
	for (uint32_t i = 0; i < others->count; i++)
		ranges_add(ranges, others->list[i].start, others->list[i].end);
}

void ranges_remove(struct ranges *ranges, uint64_t start, uint64_t end)
{
	for (uint32_t i = find(ranges, start); i < ranges->count && ranges->list[i].start < end;) {
		const struct range whole = ranges->list[i];
		uint32_t rest = 0;

		splice(ranges, i, 1, (whole.start < start) + (whole.end > end));
		if (whole.start < start)
			ranges->list[i + rest++] = (struct range){ whole.start, MIN(whole.end, start) };
		if (whole.end > end)
			ranges->list[i + rest++] = (struct range){ MAX(whole.start, end), whole.end };
		i += rest;
	}
	if (ranges->count > RANGES_MAX)
		join_closest(ranges);
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
