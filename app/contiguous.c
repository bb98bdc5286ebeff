// SPDX-License-Identifier: BSD-2-Clause
/*
 * One piece out of a full cache: 1 GB in one segment, 50 times, beside the loads; then 256 MB, 64 MB, and 1 GB below 4 GB. On a
 * smaller machine a quarter of its RAM, and parts of that; and where all memory lies below 4 GB, below the largest power of two
 * that cuts through it.
 *
 * Each size has a line of its own, "result: contiguous what=...", and all together the last one. Options: loops=50 (for each
 * size), contiguous_bytes=1G, baseline=1 (the largest size the naive ways, see baseline.c), and those of trial.h.
 */
#include "baseline.h"
#include "direct.h"
#include "heap/memory.h"
#include "report.h"
#include "rounds.h"
#include "runtime/base/bits.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

#define LOOPS_DEFAULT    50
#define LOST_MAX_PERCENT 110
#define NAME_BYTES       32

static void run_size(struct trial *trial, const struct device *device, uint64_t bytes, const char *what, uint64_t loops)
{
	static struct rounds rounds;
	const struct dma_request request = { .bytes = bytes, .segments_max = 1 };
	char books[BOOKS_TEXT_BYTES], figures[ROUNDS_TEXT_BYTES], name[NAME_BYTES + 32];
	const status_t status = rounds_init(&rounds, trial, what, device, &request, 1, loops);

	if (status != STATUS_OK) {
		trial_fail(trial, "preparing", status);
		return;
	}
	rounds_run(&rounds);
	rounds_fini(&rounds);
	format_text(name, sizeof(name), "lost/gained of %s", what);
	trial_expect_lost(trial, name, &rounds.books, LOST_MAX_PERCENT);
	scenario_result(trial->scenario, "what=\"%s\" failures=%llu %s %s", what, (unsigned long long)rounds.failures,
			books_format(books, &rounds.books), rounds_format(figures, &rounds));
}

/* 4 GB, if there is memory beyond; else the largest power of two below which there is not all of it. */
static uint64_t low_end(const struct memory *memory)
{
	const uint64_t end = (memory->blocks.first_block + memory->blocks.count) << BLOCK_SHIFT;

	return end > 4 * GIB ? 4 * GIB : 1ull << log2_floor(end - 1);
}

static void run_below(struct trial *trial, const struct device *device, uint64_t bytes, uint64_t loops)
{
	const uint64_t end = low_end(trial->environment->memory);
	char what[NAME_BYTES], size[FORMAT_BYTES_SIZE], limit[FORMAT_BYTES_SIZE];
	struct device low = *device;

	low.name = "below";
	low.dma_mask = end - 1;
	format_text(what, sizeof(what), "%s below %s", format_bytes(size, bytes), format_bytes(limit, end));
	run_size(trial, &low, bytes, what, loops);
}

static void run_sizes(struct trial *trial, const struct device *device, uint64_t bytes)
{
	const uint64_t loops = options_get_number(trial->scenario->options, "loops", LOOPS_DEFAULT);

	for (uint64_t part = 1; part <= 16; part *= 4) {
		char what[FORMAT_BYTES_SIZE];

		run_size(trial, device, bytes / part, format_bytes(what, bytes / part), loops);
	}
	run_below(trial, device, bytes, loops);
}

SCENARIO(contiguous, "1 GB in one piece out of a full cache, also 256 MB and 64 MB: loops=50 contiguous_bytes=1G baseline=0")
{
	static struct trial trial;
	uint64_t bytes = options_get_number(scenario->options, "contiguous_bytes", GIB);
	char text[TRIAL_TEXT_BYTES];
	status_t status;

	bytes = trial_scale(scenario->environment, bytes, 4, 16 * BLOCK_BYTES);
	status = trial_begin(&trial, scenario, bytes);
	if (status != STATUS_OK)
		return status;
	const struct device *device = direct_device(trial.disks.digitizer);
	const struct dma_request request = { .bytes = MIN(bytes, trial.disks.digitizer->size_bytes), .segments_max = 1 };
	run_sizes(&trial, device, request.bytes);
	trial_end(&trial);
	baseline_beside(&trial, device, &request, 1);
	scenario_result(scenario, "%s", trial_format(text, &trial));
	return trial_status(&trial);
}
