// SPDX-License-Identifier: BSD-2-Clause
/* What the heap bench counts, beside counting region by region. */
#include "host/host_test.h"

#include <stdbool.h>

#include "bench/heap/chance.h"
#include "bench/heap/regions.h"

#define REGIONS      64
#define REGION_BYTES (1ul << REGION_SHIFT)
#define OBJECTS      500

static const void *address(uint64_t offset)
{
	return (const void *)(uintptr_t)(16 * REGION_BYTES + offset);
}

START_TEST(nothing_holds_no_region)
{
	const struct extent none[] = { { NULL, 64 }, { NULL, 0 } };

	ck_assert_uint_eq(regions_held(none, 0), 0);
	ck_assert_uint_eq(regions_held(none, 2), 0);
}
END_TEST

START_TEST(an_extent_across_a_border_holds_both_regions)
{
	const struct extent up_to[] = { { address(REGION_BYTES - 64), 64 } };
	const struct extent across[] = { { address(REGION_BYTES - 64), 65 } };

	ck_assert_uint_eq(regions_held(up_to, 1), 1);
	ck_assert_uint_eq(regions_held(across, 1), 2);
}
END_TEST

START_TEST(regions_are_counted_once)
{
	struct extent extents[OBJECTS];
	struct chance chance = { 1 };

	for (unsigned round = 0; round < 50; round++) {
		bool held[REGIONS + 1] = { false };
		uint64_t expected = 0;

		for (unsigned i = 0; i < OBJECTS; i++) {
			const uint64_t offset =
				chance_below(&chance, 1 + round) * REGION_BYTES + chance_below(&chance, REGION_BYTES);

			extents[i] = (struct extent){ i % 3 ? address(offset) : NULL, 1 + chance_below(&chance, 65536) };
			for (uint64_t byte = offset; i % 3 && byte < offset + extents[i].bytes; byte++)
				held[byte / REGION_BYTES] = true;
		}
		for (unsigned i = 0; i <= REGIONS; i++)
			expected += held[i];
		ck_assert_uint_eq(regions_held(extents, OBJECTS), expected);
	}
}
END_TEST

START_TEST(a_shuffle_leaves_out_nothing)
{
	uint32_t order[OBJECTS];
	bool seen[OBJECTS] = { false };
	struct chance chance = { 1 };
	unsigned moved = 0;

	chance_shuffle(&chance, order, OBJECTS);
	for (unsigned i = 0; i < OBJECTS; i++) {
		ck_assert_uint_lt(order[i], OBJECTS);
		ck_assert(!seen[order[i]]);
		seen[order[i]] = true;
		moved += order[i] != i;
	}
	ck_assert_uint_gt(moved, OBJECTS / 2);
}
END_TEST

HOST_TEST_MAIN("heap bench", nothing_holds_no_region, an_extent_across_a_border_holds_both_regions, regions_are_counted_once,
	       a_shuffle_leaves_out_nothing)
