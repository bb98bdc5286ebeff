// SPDX-License-Identifier: BSD-2-Clause
/* Memory maps of all kinds, small and extreme, beside the model of map_check.h. */
#include "host/host_test.h"

#include "fake/map_check.h"
#include "runtime/base/random.h"

#define CASES 20000u

static const uint64_t attributes[] = { 0x8, 0xf, 0x1, 0x8 | 1ull << 63, 0x8 | 0x8000, 0x8 | 0x40000, 0x8 | 0x100000, 0 };

static uint32_t random_type(struct random *random)
{
	/* Free memory more often than others, and types that are not known. */
	return random_below(random, 3) == 0 ? 7 : (uint32_t)random_below(random, 17);
}

/* Near the ends of what a number, an address and a page can be. */
static uint64_t random_extreme(struct random *random)
{
	const uint64_t base = random_below(random, 4) == 0 ? 0 : 1ull << random_below(random, 64);

	return base + random_below(random, 4 * PAGE_BYTES) - 2 * PAGE_BYTES;
}

static struct phys_range random_range(struct random *random, uint64_t pages)
{
	const uint64_t start = random_below(random, pages);

	return (struct phys_range){ { start * PAGE_BYTES }, random_below(random, pages - start + 1) * PAGE_BYTES };
}

static void case_start(struct map_case *map, struct random *random, uint64_t limit)
{
	map->count = (uint32_t)random_below(random, 20);
	map->stride_bytes = 40 + 8 * (uint32_t)random_below(random, 4);
	map->limit = limit;
	map->image = random_range(random, 200);
	map->pool = random_range(random, 200);
	map->screen = random_range(random, 300);
	map->screen.start.value += random_below(random, 2) * random_below(random, PAGE_BYTES);
}

START_TEST(small_maps_page_by_page)
{
	static struct map_case map;
	struct random random;

	random_seed(&random, 1);
	for (unsigned round = 0; round < CASES; round++) {
		case_start(&map, &random, 256 * PAGE_BYTES);
		for (uint32_t i = 0; i < map.count; i++)
			map.descriptors[i] = (struct map_descriptor){
				.type = random_type(&random),
				.start = random_below(&random, 300) * PAGE_BYTES +
					 (random_below(&random, 8) == 0 ? random_below(&random, PAGE_BYTES) : 0),
				.pages = random_below(&random, 40),
				.attributes = attributes[random_below(&random, ARRAY_LENGTH(attributes))],
			};
		map_check(&map);
	}
}
END_TEST

START_TEST(extreme_maps)
{
	static struct map_case map;
	struct random random;

	random_seed(&random, 2);
	for (unsigned round = 0; round < CASES; round++) {
		case_start(&map, &random, 1ull << (32 + random_below(&random, 16)));
		for (uint32_t i = 0; i < map.count; i++)
			map.descriptors[i] = (struct map_descriptor){
				.type = random_type(&random),
				.start = random_extreme(&random),
				.pages = random_extreme(&random) >> (random_below(&random, 2) ? 12 : 0),
				.attributes = attributes[random_below(&random, ARRAY_LENGTH(attributes))],
			};
		map_check(&map);
	}
}
END_TEST

HOST_TEST_MAIN("map convert", small_maps_page_by_page, extreme_maps)
