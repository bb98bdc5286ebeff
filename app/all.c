// SPDX-License-Identifier: BSD-2-Clause
/*
 * All scenarios about taking memory, one after the other, in one boot, and a table of their results
 * at the end.
 *
 * Each does as many loops as fit into half an hour for all of them on an emulated machine with 4
 * GB. Options: loops=1 (so many times as many of each), short=1 (as few as tell whether it works at
 * all), only=A,B (these), and those of the scenarios, which go to all.
 */
#include "app/testbed/report.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "scenario.h"

#define CELL_BYTES 40

/* In this order: what leaves memory in pieces comes last. */
static const struct part {
	const char *name;
	uint64_t loops, short_loops;
	const char *options, *short_options;
} parts[] = {
	{ "capture", 20, 2, "baseline=1", "hot_reads=20000" },
	{ "contiguous", 8, 1, "baseline=1", "hot_reads=20000" },
	{ "churn", 100, 5, "baseline=1", "hot_reads=20000" },
	{ "crowd", 10, 2, "", "hot_reads=20000" },
	{ "storm", 5000, 300, "", "hot_reads=20000" },
	{ "starve", 5, 1, "", "hot_reads=20000" },
	{ "volumes", 3, 1, "", "" },
	{ "deadline", 40, 5, "", "" },
	{ "burst", 4, 1, "", "hot_reads=20000" },
	{ "aging", 5, 1, "", "hot_reads=20000 operations=20000" },
};

#define PARTS ARRAY_LENGTH(parts)

struct verdict {
	status_t status;
	uint64_t seconds;
	bool run;
};

/*
 * Columns: the head, the key in the result line, and the unit that its number is divided by; 0: as
 * it stands.
 */
static const struct column {
	const char *head;
	const char *key;
	uint64_t unit;
	int width;
} columns[] = {
	{ "failures", "failures", 0, 8 },           { "missed", "missed", 0, 6 },
	{ "gained MB", "gained_bytes", MIB, 9 },    { "lost/gained", "lost_per_gained", 0, 11 },
	{ "evicted MB", "evicted_bytes", MIB, 10 }, { "copied", "copied_pages", 0, 9 },
	{ "p50 us", "alloc_us_p50", 0, 9 },         { "max us", "alloc_us_max", 0, 9 },
};

static void print_cell(const struct column *column, const char *text)
{
	char cell[CELL_BYTES];
	uint64_t value;

	if (!options_read(text, column->key, cell, sizeof(cell)))
		print(" %*s", column->width, "-");
	else if (column->unit != 0 && parse_number(cell, &value) == STATUS_OK)
		print(" %*llu", column->width, (unsigned long long)(value / column->unit));
	else
		print(" %*s", column->width, cell);
}

static void print_row(const struct scenario_result *result)
{
	char name[2 * CELL_BYTES], detail[CELL_BYTES] = "";

	if (!options_read(result->text, "way", detail, sizeof(detail)))
		options_read(result->text, "what", detail, sizeof(detail));
	format_text(name, sizeof(name), "%s%s", detail[0] ? "  " : "", detail[0] ? detail : result->name);
	print("%-24s", name);
	for (unsigned i = 0; i < ARRAY_LENGTH(columns); i++)
		print_cell(&columns[i], result->text);
}

/*
 * The last line of a scenario is its own, those before it are its parts and what it is compared
 * with.
 */
static void print_table(const struct scenario_results *results, const struct verdict *verdicts)
{
	print("\n%-24s", "scenario");
	for (unsigned i = 0; i < ARRAY_LENGTH(columns); i++)
		print(" %*s", columns[i].width, columns[i].head);
	print("  seconds\n");
	for (unsigned i = 0; i < PARTS; i++) {
		bool printed = false;

		for (unsigned j = 0; j < results->count; j++) {
			if (strcmp(results->lines[j].name, parts[i].name) != 0)
				continue;
			print("%s", printed ? "\n" : "");
			print_row(&results->lines[j]);
			printed = true;
		}
		if (!printed && verdicts[i].run)
			print("%-24s", parts[i].name);
		if (verdicts[i].run)
			print(" %8llu  %s\n", (unsigned long long)verdicts[i].seconds, status_text(verdicts[i].status));
	}
}

/* Whether `name` stands in the list "a,b,c". */
static bool is_listed(const char *list, const char *name)
{
	const size_t length = strlen(name);

	for (const char *at = list; *at != '\0'; at++) {
		if ((at == list || at[-1] == ',') && strncmp(at, name, length) == 0 &&
		    (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return false;
}

static void run_part(struct scenario *scenario, const struct part *part, uint64_t times, struct scenario_results *results,
		     struct verdict *verdict)
{
	static char options[BOOT_COMMAND_LINE_BYTES + CELL_BYTES];
	struct scenario one = {
		.environment = scenario->environment, .name = part->name, .options = options, .results = results
	};
	const bool short_form = options_get_number(scenario->options, "short", 0) != 0;
	const uint64_t start_ns = platform_now_ns();

	format_text(options, sizeof(options), "%s %s loops=%llu", short_form ? part->short_options : part->options,
		    scenario->options, (unsigned long long)((short_form ? part->short_loops : part->loops) * times));
	print("\n== %s\n", part->name);
	verdict->run = true;
	verdict->status = scenario_run(&one);
	verdict->seconds = (platform_now_ns() - start_ns) / NS_PER_S;
}

SCENARIO(all, "all scenarios about taking memory, and a table: loops=1 (times as many of each) short=1 only=A,B")
{
	static struct scenario_results results;
	struct verdict verdicts[PARTS] = { 0 };
	const uint64_t times = MAX(options_get_number(scenario->options, "loops", 1), 1);
	const uint64_t start_ns = platform_now_ns();
	uint64_t failed = 0, missed = 0, run = 0;
	char only[128] = "";

	results.count = 0;
	options_get(scenario->options, "only", only, sizeof(only));
	for (unsigned i = 0; i < PARTS && !scenario_is_cancelled(); i++) {
		if (only[0] != '\0' && !is_listed(only, parts[i].name))
			continue;
		run_part(scenario, &parts[i], times, &results, &verdicts[i]);
		run++;
		failed += verdicts[i].status != STATUS_OK;
	}
	for (unsigned i = 0; i < results.count; i++)
		missed += options_read_number(results.lines[i].text, "missed", 0);
	print_table(&results, verdicts);
	scenario_result(scenario, "scenarios=%llu failures=%llu missed=%llu seconds=%llu", (unsigned long long)run,
			(unsigned long long)failed, (unsigned long long)missed,
			(unsigned long long)((platform_now_ns() - start_ns) / NS_PER_S));
	if (run == 0)
		return STATUS_NOT_FOUND;
	return failed == 0 ? STATUS_OK : STATUS_CORRUPT;
}
