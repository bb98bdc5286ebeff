// SPDX-License-Identifier: BSD-2-Clause
/*
 * replay [-q | -g PART] TRACE [PERCENT...]: replays a trace of page references through the page
 * cache and through reference models, with caches of so many percent of the trace's pages (1 5 10
 * 20 40), and prints one line each; then, where 20 is among them, and not with -q, what it costs to
 * take blocks from the cache, singly and in one run. With -g, instead: what a guarantee of DMA
 * memory costs that is 1/PART of the cache, 2 to 1000, when it lies idle and when the cache loans
 * it (loan.h).
 *
 * Built twice, see test/test.mk: with blocks of 512 pages, for caches of at least 64 of these, and
 * with blocks of 16 pages, for smaller ones. What it costs to take blocks of 512 pages is measured
 * at any size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "loan.h"
#include "model.h"
#include "run.h"
#include "runtime/base/types.h"

#define LARGE_BLOCK_PAGES  512
#define LARGE_BLOCKS_MIN   64
#define BLOCKS_MIN         4
#define COST_BLOCKS_MIN    10
#define COST_CACHE_PERCENT 20

static const char *const sizes_all[] = { "1", "5", "10", "20", "40" };

static double percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void print_cell(const struct trace *trace, unsigned size, uint64_t blocks)
{
	static struct model *(*const models[])(const struct trace *, uint64_t) = { model_lru, model_arc, model_s3fifo,
										   model_belady };
	const struct taking nothing = { .period = 0 };
	const struct outcome outcome = run_cache(trace, blocks, &nothing, RUN_WRITER_PERIOD);

	printf("result: replay trace=%s size_pct=%u miss=%.2f", trace->name, size, percent(outcome.misses, trace->count));
	for (size_t i = 0; i < ARRAY_LENGTH(models); i++) {
		struct model *model = models[i](trace, blocks * PAGES_PER_BLOCK);
		const char *name = model->name;

		printf(" %s=%.2f", name, percent(model_misses(model, trace), trace->count));
	}
	printf(" copies_per_100=%.2f holes_pct=%.3f block_pages=%u\n", percent(outcome.copies, outcome.misses),
	       100 * outcome.holes, (unsigned)PAGES_PER_BLOCK);
	fflush(stdout);
}

struct options {
	bool quick;
	unsigned part; /* of the cache that is a guarantee; 0: none */
};

static void replay(const struct trace *trace, unsigned size, const struct options *options)
{
	const uint64_t pages = (uint64_t)trace->unique * size / 100;
	const uint64_t blocks = pages / PAGES_PER_BLOCK;
	const bool is_large = PAGES_PER_BLOCK == LARGE_BLOCK_PAGES;
	const bool is_here = is_large == (pages >= (uint64_t)LARGE_BLOCKS_MIN * LARGE_BLOCK_PAGES);

	if (is_here && blocks >= BLOCKS_MIN && options->part != 0)
		loan_print(trace, size, blocks, options->part);
	else if (is_here && blocks >= BLOCKS_MIN)
		print_cell(trace, size, blocks);
	else if (is_here)
		fprintf(stderr, "replay: %s has too few pages for a cache of %u%%\n", trace->name, size);
	if ((is_here || is_large) && !options->quick && size == COST_CACHE_PERCENT && blocks >= COST_BLOCKS_MIN)
		cost_print(trace, size, blocks);
}

static void read_or_exit(struct trace *trace, const char *file)
{
	char error[256];

	if (trace_parse(trace, file, error, sizeof(error)))
		return;
	fprintf(stderr, "replay: %s\n", error);
	exit(EXIT_FAILURE);
}

static unsigned number_or_exit(const char *text, unsigned lowest, unsigned highest, const char *what)
{
	char *end;
	const unsigned long number = strtoul(text, &end, 10);

	if (*end == '\0' && number >= lowest && number <= highest)
		return (unsigned)number;
	fprintf(stderr, "replay: %s is %s, which is not %u to %u\n", what, text, lowest, highest);
	exit(EXIT_FAILURE);
}

/* Returns the index of the first argument that is none of them. */
static int parse_options(int argc, char **argv, struct options *options)
{
	*options = (struct options){ .quick = false };
	if (argc > 1 && strcmp(argv[1], "-q") == 0) {
		options->quick = true;
		return 2;
	}
	if (argc > 2 && strcmp(argv[1], "-g") == 0) {
		options->quick = true;
		options->part = number_or_exit(argv[2], 2, 1000, "the part of the cache that is a guarantee");
		return 3;
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct options options;
	const int first = parse_options(argc, argv, &options);
	const char *const *sizes = sizes_all;
	size_t count = ARRAY_LENGTH(sizes_all);
	struct trace trace;

	if (argc <= first) {
		fprintf(stderr, "usage: replay [-q | -g PART] TRACE [PERCENT...]\n");
		return EXIT_FAILURE;
	}
	if (argc > first + 1) {
		sizes = (const char *const *)argv + first + 1;
		count = (size_t)(argc - first - 1);
	}
	read_or_exit(&trace, argv[first]);
	for (size_t i = 0; i < count; i++)
		replay(&trace, number_or_exit(sizes[i], 1, 100, "the percentage of the pages"), &options);
	trace_free(&trace);
	return EXIT_SUCCESS;
}
