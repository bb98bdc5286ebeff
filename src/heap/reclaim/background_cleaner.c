// SPDX-License-Identifier: BSD-2-Clause
/*
 * The background cleaner task, its single step, and the trim of the heaps. Each pass cleans up to
 * the high watermark as it was at the start of the pass, one block per turn, so that the task
 * neither races with caches that grow meanwhile nor makes a request wait for more than a block.
 */
#include "background_cleaner.h"

#include "reclaim_internal.h"
#include "runtime/base/bits.h"

#define NAP_NS  (100 * NS_PER_MS)
#define TRIM_NS (1 * NS_PER_S)

static uint64_t missing_bytes(struct reclaim *reclaim)
{
	return align_up(reclaim_lacking(reclaim->watermarks.high_bytes, block_heap_free_bytes(reclaim->blocks)), BLOCK_BYTES);
}

uint64_t background_cleaner_step(struct reclaim *reclaim)
{
	struct reclaim_job job = {
		.reclaim = reclaim,
		.bytes = MIN(missing_bytes(reclaim), BLOCK_BYTES), /* requests wait in line behind it */
		.urgency = URGENCY_BACKGROUND,
		.deadline_ns = PLATFORM_FOREVER,
		.may_write = true,
	};

	if (job.bytes > 0)
		reclaim_drain_turn(&job);
	atomic_fetch_add_explicit(&reclaim->statistics.background_bytes, job.gained, memory_order_relaxed);
	return job.gained;
}

uint64_t background_cleaner_trim(struct reclaim *reclaim)
{
	const bool before = platform_set_cleaning(true);
	struct cleaner *cleaner = NULL;
	uint64_t given = 0;

	while ((cleaner = cleaner_next(&reclaim->cleaners, cleaner)))
		given += cleaner->trim ? cleaner->trim(cleaner) : 0;
	(void)platform_set_cleaning(before);
	atomic_fetch_add_explicit(&reclaim->statistics.background_bytes, given, memory_order_relaxed);
	return given;
}

/*
 * Cleans until free memory is at the high watermark as of now, or as far as that goes without
 * waiting. It does not race with caches that grow meanwhile.
 */
static void clean_up(struct reclaim *reclaim)
{
	const uint64_t bytes = missing_bytes(reclaim);
	uint64_t gained = 0, more = 1;

	for (; more > 0 && gained < bytes && !atomic_load(&reclaim->background.stopping); gained += more)
		more = background_cleaner_step(reclaim);
}

void background_cleaner_run(struct reclaim *reclaim)
{
	uint64_t trim_ns = 0;
	uint32_t kicks;

	while (worker_begins(&reclaim->background, &kicks)) {
		clean_up(reclaim);
		if (platform_now_ns() >= trim_ns) {
			(void)background_cleaner_trim(reclaim);
			trim_ns = platform_now_ns() + TRIM_NS;
		}
		worker_wait(&reclaim->background, kicks, platform_now_ns() + NAP_NS);
		if (block_heap_free_bytes(reclaim->blocks) >= reclaim->watermarks.low_bytes)
			worker_wait(&reclaim->background, kicks, trim_ns);
	}
}
