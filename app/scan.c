// SPDX-License-Identifier: BSD-2-Clause
/*
 * A scan beside a hot set: whether pages that are read once push out those that are read again and
 * again.
 *
 * One task does both, in a fixed proportion, so that hits and misses can be told apart and the
 * proportion does not depend on speeds: a piece of the scan, then `hot_reads` single pages of the
 * hot set (30% of RAM, Zipf 0.9, scattered). The set is warm before: it was read in order
 * `warm_passes` times, and then as Zipf's distribution has it. With warm_passes=1 some of its pages
 * have been read once when the scan begins, like those of the scan, and no rule can tell them from
 * it.
 *
 *	hot_hit_before   of the last round of the warm-up
 *	hot_hit_during   of all hot reads beside the scan
 *	hot_hit_lowest   of the worst tenth of the scan
 *	hot_hit_after    of one round after the scan
 *	lost_points      from before to during or after, whichever is worse
 *
 * Options: passes=4 (to scan, in multiples of the RAM; the disk beyond the hot set, round and
 * round), warm_passes=3, warm_rounds=16 (each of as many reads as the set has pages), hot_reads=64
 * (for each 256 KB of the scan), data=NAME and digitizer=NAME (see disks.h).
 */
#include "app/testbed/disks.h"
#include "heap/memory.h"
#include "app/testbed/load.h"
#include "pagecache/volume.h"
#include "app/testbed/pattern.h"
#include "app/testbed/report.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

#define PASSES      4
#define WARM_PASSES 3
#define WARM_ROUNDS 16
#define HOT_READS   64
#define PIECE_BYTES (256 * KIB)
#define PIECE_PAGES (PIECE_BYTES / PAGE_BYTES)
#define TENTHS      10

struct scan {
	const struct app_environment *environment;
	struct loads loads; /* for their hot set; their tasks do not run */
	uint64_t passes, warm_passes, warm_rounds, hot_reads;
	uint64_t position; /* the next page of the scan */
	uint64_t scanned_pages, goal_pages;
	uint64_t before, after;               /* hits in as many reads as the hot set has pages */
	uint64_t hits[TENTHS], reads[TENTHS]; /* beside each tenth of the scan */
};

/* The set in order, `warm_passes` times. */
static void read_hot_set(struct scan *scan)
{
	struct loads *loads = &scan->loads;
	const uint64_t total_bytes = scan->warm_passes * loads->hot_pages * PAGE_BYTES;
	struct progress progress;
	uint64_t done = 0;

	progress_start(&progress, "reading the hot set", total_bytes, app_is_interactive(scan->environment));
	for (uint64_t pass = 0; pass < scan->warm_passes && !scenario_is_cancelled(); pass++) {
		for (uint64_t first = 0, count; first < loads->hot_pages; first += count) {
			count = MIN(PIECE_PAGES, loads->hot_pages - first);
			loads_read(loads, loads->hot_first + first, count, loads->buffers[0]);
			done += count;
			progress_update(&progress, done * PAGE_BYTES);
		}
	}
	progress_end(&progress, total_bytes);
}

static void warm_up(struct scan *scan)
{
	struct loads *loads = &scan->loads;
	char share[FORMAT_SHARE_BYTES];

	read_hot_set(scan);
	for (uint64_t round = 0; round < scan->warm_rounds && !scenario_is_cancelled(); round++)
		scan->before = loads_measure_hits(loads, loads->hot_pages);
	print("The hot set has %llu pages; of the last %llu hot reads, %s hit.\n", (unsigned long long)loads->hot_pages,
	      (unsigned long long)loads->hot_pages, format_share(share, scan->before, loads->hot_pages));
}

/*
 * The pages beyond the hot set, in order, and from its end on again. Only what names a page is
 * looked at.
 */
static void scan_piece(struct scan *scan)
{
	struct loads *loads = &scan->loads;
	const uint64_t count = MIN(PIECE_PAGES, loads->pages - scan->position);
	const uint64_t *page = loads->buffers[1];
	const status_t status =
		node_read(volume_whole_node(loads->volume), scan->position * PAGE_BYTES, loads->buffers[1], count * PAGE_BYTES);

	if (status != STATUS_OK) {
		loads->errors++;
		log_error("the scan's read of page %llu: %s", (unsigned long long)scan->position, status_text(status));
	}
	for (uint64_t i = 0; status == STATUS_OK && i < count; i++, page += PATTERN_PAGE_WORDS)
		if (!pattern_names(page, PATTERN_SEED_DATA, scan->position + i))
			loads->bad_pages++;
	scan->position += count;
	if (scan->position == loads->pages)
		scan->position = loads->hot_first + loads->hot_pages;
	scan->scanned_pages += count;
}

static void run(struct scan *scan)
{
	struct progress progress;

	progress_start(&progress, "scanning beside it", scan->goal_pages * PAGE_BYTES, app_is_interactive(scan->environment));
	for (unsigned tenth = 0; tenth < TENTHS; tenth++) {
		const uint64_t goal_pages = scan->goal_pages * (tenth + 1) / TENTHS;

		while (scan->scanned_pages < goal_pages && scan->loads.errors == 0 && !scenario_is_cancelled()) {
			scan_piece(scan);
			scan->hits[tenth] += loads_measure_hits(&scan->loads, scan->hot_reads);
			scan->reads[tenth] += scan->hot_reads;
			progress_update(&progress, scan->scanned_pages * PAGE_BYTES);
		}
	}
	progress_end(&progress, scan->scanned_pages * PAGE_BYTES);
}

/* All shares in parts of 10000. */
static uint64_t parts_of(uint64_t hits, uint64_t reads)
{
	return reads == 0 ? 0 : hits * 10000 / reads;
}

static void print_result(const struct scan *scan, uint64_t us)
{
	const uint64_t hot_pages = scan->loads.hot_pages;
	const uint64_t before = parts_of(scan->before, hot_pages), after = parts_of(scan->after, hot_pages);
	char text[5][FORMAT_SHARE_BYTES];
	uint64_t hits = 0, reads = 0, during, lowest = UINT64_MAX;

	for (unsigned tenth = 0; tenth < TENTHS; tenth++) {
		hits += scan->hits[tenth];
		reads += scan->reads[tenth];
		lowest = MIN(lowest, parts_of(scan->hits[tenth], scan->reads[tenth]));
	}
	during = parts_of(hits, reads);
	print("result: scan hot_hit_before=%s hot_hit_during=%s hot_hit_lowest=%s hot_hit_after=%s lost_points=%s "
	      "scanned_bytes=%llu hot_bytes=%llu hot_reads=%llu warm_passes=%llu warm_rounds=%llu bad_pages=%llu us=%llu\n",
	      format_share(text[0], before, 10000), format_share(text[1], during, 10000), format_share(text[2], lowest, 10000),
	      format_share(text[3], after, 10000), format_hundredths(text[4], before - MIN(before, MIN(during, after)), 100),
	      (unsigned long long)(scan->scanned_pages * PAGE_BYTES), (unsigned long long)(hot_pages * PAGE_BYTES),
	      (unsigned long long)reads, (unsigned long long)scan->warm_passes, (unsigned long long)scan->warm_rounds,
	      (unsigned long long)scan->loads.bad_pages, (unsigned long long)us);
}

static status_t prepare(struct scan *scan, const struct scenario *scenario)
{
	const struct app_environment *environment = scenario->environment;
	struct disks disks;
	status_t status = disks_find(scenario, &disks);

	if (status == STATUS_OK)
		status = loads_init(&scan->loads, environment, disks.data, false);
	if (status != STATUS_OK)
		return status;
	scan->environment = environment;
	scan->passes = MAX(options_get_number(scenario->options, "passes", PASSES), 1);
	scan->warm_passes = MAX(options_get_number(scenario->options, "warm_passes", WARM_PASSES), 1);
	scan->warm_rounds = MAX(options_get_number(scenario->options, "warm_rounds", WARM_ROUNDS), 1);
	scan->hot_reads = MAX(options_get_number(scenario->options, "hot_reads", HOT_READS), 1);
	scan->position = scan->loads.hot_first + scan->loads.hot_pages;
	scan->goal_pages = scan->passes * environment->ram_bytes / PAGE_BYTES;
	if (scan->loads.pages - scan->position < environment->ram_bytes / PAGE_BYTES)
		print("The disk beyond the hot set is smaller than the memory: much of the scan may hit.\n");
	return STATUS_OK;
}

SCENARIO(scan, "scan 4 x RAM beside a hot set: passes=4 warm_passes=3 warm_rounds=16 hot_reads=64")
{
	static struct scan scan;
	status_t status;

	scan = (struct scan){ 0 };
	status = prepare(&scan, scenario);
	if (status != STATUS_OK)
		return status;
	warm_up(&scan);
	const uint64_t start_ns = platform_now_ns();
	run(&scan);
	const uint64_t us = (platform_now_ns() - start_ns) / NS_PER_US;
	scan.after = loads_measure_hits(&scan.loads, scan.loads.hot_pages);
	print_result(&scan, us);
	const bool bad = scan.loads.errors > 0 || scan.loads.bad_pages > 0;
	loads_fini(&scan.loads);
	return bad ? STATUS_CORRUPT : STATUS_OK;
}
