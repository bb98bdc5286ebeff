// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes and gives of the guarantee, as a handler does them: what they cost must not depend on how
 * much is guaranteed.
 */
#include "bench/bench.h"

#include <stdlib.h>

#include "fake/guarantee_fixture.h"
#include "heap/dma/dma_state.h"
#include "host/platform_host.h"

#define GUARANTEED_PIECE (4 * MIB)

static const struct device card = { .name = "card", .dma_mask = UINT64_MAX };

struct setting {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void *setup(uint64_t guarantee_bytes)
{
	const struct memory_config config = {
		.watermarks.atomic_percent = 100,
		.guarantee = { .bytes = guarantee_bytes, .piece_bytes = GUARANTEED_PIECE },
	};
	struct setting *setting = calloc(1, sizeof(*setting));
	struct phys_range range;

	must(setting);
	setting->arena = host_arena_create(4 * GIB, 4 * guarantee_bytes);
	range = host_arena_range(setting->arena);
	setting->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	must(setting->metadata && memory_init(&setting->memory, &config, &range, 1, setting->metadata) == STATUS_OK);
	must(guarantee_reserve(&setting->memory.guarantee, &card, guarantee_bytes / 2) == STATUS_OK);
	return setting;
}

static void *setup_small(void)
{
	return setup(64 * MIB);
}

static void *setup_large(void)
{
	return setup(4 * GIB);
}

static void teardown(void *context)
{
	struct setting *setting = context;

	host_arena_destroy(setting->arena);
	free(setting->metadata);
	free(setting);
}

static void take_and_give(struct setting *setting, uint64_t bytes, uint64_t operations)
{
	struct guarantee *guarantee = &setting->memory.guarantee;
	struct phys_addr start;

	for (uint64_t i = 0; i < operations; i++) {
		must(guarantee_take(guarantee, &card, bytes, false, &start));
		guarantee_give(guarantee, start);
	}
}

static void run_pieces(void *context, uint64_t operations)
{
	take_and_give(context, GUARANTEED_PIECE, operations);
}

/* One object stays, so that no piece opens and closes each time. */
static void run_objects(void *context, uint64_t operations)
{
	struct setting *setting = context;
	struct phys_addr start;

	must(guarantee_take(&setting->memory.guarantee, &card, 16 * KIB, false, &start));
	take_and_give(setting, 16 * KIB, operations);
	guarantee_give(&setting->memory.guarantee, start);
}

/* As dma_alloc does in a handler, with the buffer's record. */
static void run_buffers(void *context, uint64_t operations)
{
	const struct dma_request request = { .bytes = GUARANTEED_PIECE, .segments_max = 1 };
	struct setting *setting = context;
	struct dma_buffer *buffer;
	struct dma_plan plan;

	for (uint64_t i = 0; i < operations; i++) {
		must(dma_plan_make(&card, &request, &plan) == STATUS_OK);
		plan.site = CALL_SITE;
		must(dma_guaranteed_alloc(memory_dma(&setting->memory), &plan, &buffer) == STATUS_OK);
		dma_free(memory_dma(&setting->memory), buffer);
	}
}

static void run_refused(void *context, uint64_t operations)
{
	struct setting *setting = context;
	struct phys_addr start;

	for (uint64_t i = 0; i < operations; i++)
		bench_use(guarantee_take(&setting->memory.guarantee, &(struct device){ .name = "guest" }, 64, false, &start));
}

const struct bench benches[] = {
	{ "guarantee of 64 MB, take and give a piece", setup_small, run_pieces, teardown, false, 0 },
	{ "guarantee of 4 GB, take and give a piece", setup_large, run_pieces, teardown, false, 0 },
	{ "guarantee of 4 GB, take and give 16 KB", setup_large, run_objects, teardown, false, 0 },
	{ "guarantee of 4 GB, DMA buffer of a piece, take and free", setup_large, run_buffers, teardown, false, 0 },
	{ "guarantee of 4 GB, refuse", setup_large, run_refused, teardown, false, 0 },
	{ .name = NULL },
};
