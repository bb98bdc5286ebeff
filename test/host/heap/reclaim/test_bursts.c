// SPDX-License-Identifier: BSD-2-Clause
/*
 * Contiguity for years: bursts of unmovable blocks come and go in a machine whose other memory a
 * cache holds, and the longest range without one is always what it has to be. There are descriptors
 * only, no memory; the cache empties any block. The memory map has the holes that PCs have.
 * WEIR_BURSTS=200 WEIR_BURST_GB=256 in the environment: so many, of that size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/memory.h"
#include "heap/reclaim/background_cleaner.h"
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define PARTS       3
#define ONE_GB      (GIB >> BLOCK_SHIFT)
#define COST_MAX    15000
#define REACH_SLACK 20 /* a part of the most blocks that a region had, by which it may reach further */

/* A mask below 4 GB, for one in so many blocks and requests. */
#define LOW_IN 8

static const struct phys_addr below_4g = { 4 * GIB - 1 };

struct burst_block {
	struct phys_addr address;
	uint64_t came; /* step */
	bool survives; /* the burst */
};

/*
 * One machine, its cache, and the model: all blocks that are unmovable, and the peaks of each
 * part's region.
 */
static struct {
	struct memory memory;
	void *metadata;
	struct owner cache, kernel, device;
	struct cleaner cleaner;
	struct random random;
	struct phys_addr *cached; /* any order */
	uint64_t *cached_at;      /* by descriptor: its index in cached and one; 0: not cached */
	uint64_t cached_count;
	struct burst_block *held;
	uint64_t held_count, step;
	uint64_t *peaks[PARTS]; /* by step: the most blocks in the part at once since; a stack of decreasing ones */
	uint64_t *peak_steps[PARTS], peak_count[PARTS];
	uint64_t counts[PARTS];
	uint64_t requests;
} m;

static unsigned part_of(uint64_t address)
{
	return address >= 4 * GIB ? 0 : address >= 256 * MIB ? 1 : 2;
}

static uint64_t index_of(struct phys_addr address)
{
	const uint64_t number = address.value >> BLOCK_SHIFT, first = m.memory.blocks.first_block;

	return number > first ? number - first : 0;
}

/* The cache ------------------------------------------------------------------------------------ */

static void cache_drop(uint64_t i)
{
	const struct phys_addr gone = m.cached[i];

	m.cached[i] = m.cached[--m.cached_count];
	m.cached_at[index_of(m.cached[i])] = i + 1;
	m.cached_at[index_of(gone)] = 0;
	memory_blocks_free(&m.memory, gone);
}

static uint64_t clean(struct cleaner *self, const struct reclaim_target *target)
{
	const uint64_t most = m.memory.blocks.count;
	uint64_t given = 0;

	(void)self;
	if (target->unmovable) {
		for (uint64_t i = index_of(target->lowest); i < most && i <= index_of(target->highest); i++)
			if (m.cached_at[i] != 0) {
				cache_drop(m.cached_at[i] - 1);
				given += BLOCK_BYTES;
			}
		return given;
	}
	const uint64_t first = index_of(target->lowest), count = MIN(index_of(target->highest), most - 1) + 1 - first;
	const uint64_t start = random_below(&m.random, count);

	for (uint64_t i = 0; given < target->bytes && i < count; i++) {
		const uint64_t at = first + (start + i) % count;

		if (m.cached_at[at] == 0)
			continue;
		cache_drop(m.cached_at[at] - 1);
		given += BLOCK_BYTES;
	}
	return given;
}

static void cache_grow(void)
{
	struct reclaim *reclaim = &m.memory.reclaim;
	struct phys_addr block;

	while (m.memory.blocks.free_blocks > m.memory.reclaim.watermarks.low_bytes >> BLOCK_SHIFT &&
	       reclaim_cache_take(reclaim, &m.cache, &block) == STATUS_OK) {
		block_heap_set_cost(&m.memory.blocks, block, (uint32_t)(1 + random_below(&m.random, COST_MAX)));
		m.cached[m.cached_count++] = block;
		m.cached_at[index_of(block)] = m.cached_count;
	}
}

/* The background cleaner, and the cache's growth. */
static void settle(void)
{
	while (memory_free_bytes(&m.memory) < m.memory.reclaim.watermarks.low_bytes &&
	       background_cleaner_step(memory_reclaim(&m.memory)) > 0)
		;
	cache_grow();
}

/* The model ------------------------------------------------------------------------------------ */

static void peak_note(unsigned part)
{
	uint64_t *count = &m.peak_count[part];

	/* Those that were lower are not the most any more, of any time that began before. */
	uint64_t since = m.step;
	while (*count > 0 && m.peaks[part][*count - 1] <= m.counts[part])
		since = m.peak_steps[part][--*count];
	m.peaks[part][*count] = m.counts[part];
	m.peak_steps[part][(*count)++] = MIN(since, m.step);
}

/* The most blocks that the part had at once at any time from `step` on. */
static uint64_t peak_since(unsigned part, uint64_t step)
{
	uint64_t most = m.counts[part];

	for (uint64_t i = 0; i < m.peak_count[part]; i++) {
		const uint64_t until = i + 1 < m.peak_count[part] ? m.peak_steps[part][i + 1] : m.step + 1;

		if (until > step)
			most = MAX(most, m.peaks[part][i]);
	}
	return most;
}

/* Blocks from the end of the part down to its lowest unmovable one. */
static uint64_t region_reach(unsigned part)
{
	const struct block_heap *heap = &m.memory.blocks;
	uint64_t reach = 0, present = 0;

	for (uint64_t i = heap->count; i-- > 0;) {
		const struct block *block = &heap->blocks[i];

		if (!block->present || part_of(block_address(heap, block).value) != part)
			continue;
		present++;
		if (block->taken && !block->owner->movable)
			reach = present;
	}
	return reach;
}

/* Whether the memory map less all regions has a range of `blocks` in [0, highest]. */
static bool range_is_there(uint64_t blocks, struct phys_addr highest)
{
	const struct block_heap *heap = &m.memory.blocks;
	uint64_t region[PARTS], present[PARTS] = { 0 }, length = 0;

	for (unsigned part = 0; part < PARTS; part++)
		region[part] = region_reach(part);
	for (uint64_t i = heap->count; i-- > 0;) {
		const uint64_t address = block_address(heap, &heap->blocks[i]).value;
		const bool usable = heap->blocks[i].present && ++present[part_of(address)] > region[part_of(address)] &&
				    (highest.value == 0 || address < highest.value);

		length = usable ? length + 1 : 0;
		if (length == blocks)
			return true;
	}
	return false;
}

static uint64_t longest_range(void)
{
	const struct block_heap *heap = &m.memory.blocks;
	uint64_t length = 0, longest = 0;

	for (uint64_t i = 0; i < heap->count; i++) {
		const struct block *block = &heap->blocks[i];

		length = block->present && (!block->taken || block->owner->movable) ? length + 1 : 0;
		longest = MAX(longest, length);
	}
	return longest;
}

static void check_regions(void)
{
	uint64_t oldest[PARTS] = { UINT64_MAX, UINT64_MAX, UINT64_MAX };

	for (uint64_t i = 0; i < m.held_count; i++) {
		uint64_t *step = &oldest[part_of(m.held[i].address.value)];

		*step = MIN(*step, m.held[i].came);
	}
	for (unsigned part = 0; part < PARTS; part++) {
		const uint64_t peak = peak_since(part, oldest[part] == UINT64_MAX ? m.step : oldest[part]);

		ck_assert_uint_le(region_reach(part), peak + peak / REACH_SLACK);
	}
}

static void check_gigabyte(bool low)
{
	const struct memory_request request = {
		.blocks = ONE_GB,
		.owner = &m.device,
		.constraints.highest = low ? below_4g : (struct phys_addr){ 0 },
		.wait = MEMORY_WAIT_DEADLINE,
		.deadline_ns = platform_now_ns() + NS_PER_S,
	};
	struct phys_addr run;

	if (!range_is_there(ONE_GB, request.constraints.highest))
		return;
	m.requests++;
	ck_assert_int_eq(memory_blocks_alloc(&m.memory, &request, &run), STATUS_OK);
	memory_blocks_free(&m.memory, run);
	settle();
}

static void check(void)
{
	check_regions();
	check_gigabyte(false);
	check_gigabyte(true);
}

/* Bursts --------------------------------------------------------------------------------------- */

static void take(bool survives)
{
	const bool low = random_below(&m.random, LOW_IN) == 0 && m.counts[1] + m.counts[2] < ONE_GB;
	const struct memory_request request = {
		.blocks = 1,
		.owner = &m.kernel,
		.constraints.highest = low ? below_4g : (struct phys_addr){ 0 },
		.below_min = true,
		.wait = random_below(&m.random, 2) == 0 ? MEMORY_WAIT_NEVER : MEMORY_WAIT_FOREVER,
	};
	struct burst_block *block = &m.held[m.held_count];

	ck_assert_int_eq(memory_blocks_alloc(&m.memory, &request, &block->address), STATUS_OK);
	*block = (struct burst_block){ block->address, m.step, survives };
	m.held_count++;
	m.counts[part_of(block->address.value)]++;
	peak_note(part_of(block->address.value));
}

static void give(uint64_t i)
{
	const struct phys_addr gone = m.held[i].address;

	m.held[i] = m.held[--m.held_count];
	m.counts[part_of(gone.value)]--;
	peak_note(part_of(gone.value));
	memory_blocks_free(&m.memory, gone);
}

static void step(void)
{
	m.step++;
	settle();
}

/*
 * Comes up to `most` blocks, with some going meanwhile, and goes, but for those that survive for
 * some bursts.
 */
static void burst(uint64_t most)
{
	const uint64_t survivors_in = 4 + random_below(&m.random, 200);

	while (m.held_count < most) {
		if (m.held_count > 0 && random_below(&m.random, 4) == 0)
			give(random_below(&m.random, m.held_count));
		else
			take(random_below(&m.random, survivors_in) == 0);
		step();
	}
	check();
	for (uint64_t i = m.held_count; i-- > 0; step())
		if (!m.held[i].survives)
			give(i);
	check();
}

static void survivors_go(unsigned in)
{
	for (uint64_t i = m.held_count; i-- > 0;)
		if (random_below(&m.random, in) == 0) {
			give(i);
			step();
		}
	check();
}

static void run_bursts(uint64_t gb, unsigned bursts)
{
	/* Below 1 MB, ACPI's between 2 and 3 GB, and what devices have below 4 GB. */
	const struct phys_range ranges[] = {
		{ { MIB }, 2500 * MIB },
		{ { 2600 * MIB }, 472 * MIB },
		{ { 4 * GIB }, (gb - 3) * GIB },
	};
	const uint64_t bytes = gb * GIB;
	struct memory_config config = {
		.watermarks.min_bytes = MIN(MAX(bytes / 512, 8 * MIB), 64 * MIB),
		.watermarks.low_bytes = MIN(MAX(bytes / 128, 32 * MIB), 256 * MIB),
		.watermarks.atomic_percent = 50,
	};
	uint64_t longest, held_max;

	config.watermarks.high_bytes = config.watermarks.low_bytes + config.watermarks.min_bytes / 4;
	memset(&m, 0, sizeof(m));
	random_seed(&m.random, gb);
	host_log_level(LOG_ERROR);
	host_clock_set(HOST_CLOCK_ALONE);
	struct host_arena *arenas[ARRAY_LENGTH(ranges)];
	for (unsigned i = 0; i < ARRAY_LENGTH(ranges); i++)
		arenas[i] = host_arena_create(align_up(ranges[i].start.value, BLOCK_BYTES),
					      align_down(ranges[i].bytes, BLOCK_BYTES));
	m.metadata = aligned_alloc(64, align_up(memory_metadata_bytes(ranges, 3), 64));
	ck_assert_int_eq(memory_init(&m.memory, &config, ranges, 3, m.metadata), STATUS_OK);
	held_max = m.memory.blocks.total_blocks;
	m.cached = calloc(held_max, sizeof(*m.cached));
	m.cached_at = calloc(m.memory.blocks.count, sizeof(*m.cached_at));
	m.held = calloc(held_max, sizeof(*m.held));
	for (unsigned part = 0; part < PARTS; part++) {
		m.peaks[part] = calloc(held_max + 2, sizeof(uint64_t));
		m.peak_steps[part] = calloc(held_max + 2, sizeof(uint64_t));
	}
	owner_init(&m.cache, "cache", true);
	owner_init(&m.kernel, "kernel", false);
	owner_init(&m.device, "device", false);
	m.cleaner = (struct cleaner){ .name = "cache", .cost = CLEANER_CLEAN, .clean = clean };
	cleaner_register(&m.memory.reclaim.cleaners, &m.cleaner);
	cache_grow();
	longest = longest_range();
	for (unsigned i = 0; i < bursts; i++) {
		burst(held_max * (5 + random_below(&m.random, 31)) / 100);
		survivors_go(1 + (unsigned)random_below(&m.random, 4));
		if (i % 4 == 3) {
			survivors_go(1);
			ck_assert_uint_eq(m.held_count, 0);
			ck_assert_uint_eq(longest_range(), longest);
			ck_assert(block_heap_is_valid(&m.memory.blocks));
		}
	}
	printf("# %llu GB: %u bursts, %llu steps, %llu requests for 1 GB\n", (unsigned long long)gb, bursts,
	       (unsigned long long)m.step, (unsigned long long)m.requests);
	ck_assert_uint_gt(m.requests, bursts);
	cleaner_unregister(&m.memory.reclaim.cleaners, &m.cleaner);
	while (m.cached_count > 0)
		cache_drop(0);
	for (unsigned part = 0; part < PARTS; part++) {
		free(m.peaks[part]);
		free(m.peak_steps[part]);
	}
	free(m.held);
	free(m.cached_at);
	free(m.cached);
	free(m.metadata);
	for (unsigned i = 0; i < ARRAY_LENGTH(ranges); i++)
		host_arena_destroy(arenas[i]);
	host_clock_set(HOST_CLOCK_REAL);
}

static unsigned number_of(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)atoi(text) : otherwise;
}

START_TEST(regions_come_back_in_4_gb)
{
	run_bursts(number_of("WEIR_BURST_GB", 4), number_of("WEIR_BURSTS", 24));
}
END_TEST

START_TEST(regions_come_back_in_16_gb)
{
	run_bursts(16, 8);
}
END_TEST

HOST_TEST_MAIN("bursts", regions_come_back_in_4_gb, regions_come_back_in_16_gb)
