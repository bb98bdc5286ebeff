// SPDX-License-Identifier: BSD-2-Clause
/*
 * Scenarios: what the image can be asked to do, by scenario=NAME on the command line or `run NAME`
 * in the monitor. Each registers itself in a linker section:
 *
 *	SCENARIO(boot, "print how long the start took")
 *	{
 *		scenario_result(scenario, "app_ns=%llu", ...scenario->environment->boot_ns);
 *		return STATUS_OK;
 *	}
 *
 * Options on the command line:
 *   scenario=NAME    what to run; where nothing is said, "main", or "capture", or the only one that there is
 *   monitor=1        stay in the monitor afterwards; without it the machine ends with the scenario's result
 *   test=all|A[,B]   run these in-image tests instead of a scenario; in the test image
 * and those that the scenarios ask for with options_get. A word that nothing asks for is an error
 * before anything runs.
 *
 * A scenario runs in a task that may sleep and use vector registers, one at a time. It prints its
 * result in one line that starts with "result: NAME", the last one if it prints others, and returns
 * STATUS_OK only if everything that it promises was kept.
 */
#pragma once

#include "app.h"
#include "runtime/base/status.h"

#define SCENARIO_RESULT_BYTES 768
#define SCENARIO_RESULTS_MAX  64

/* The result lines of several runs. */
struct scenario_results {
	struct scenario_result {
		const char *name; /* of the scenario */
		char text[SCENARIO_RESULT_BYTES];
	} lines[SCENARIO_RESULTS_MAX];
	unsigned count;
};

/* One run of a scenario. */
struct scenario {
	const struct app_environment *environment;
	const char *name;
	const char *options;              /* "key=value ..." of this run, read with options_get */
	struct scenario_results *results; /* where result lines are kept, too; NULL: nowhere */
};

struct scenario_entry {
	const char *name;
	const char *help;
	status_t (*run)(struct scenario *scenario);
};

#define SCENARIO(scenario_name, scenario_help)                                                                                 \
	static status_t scenario_run_##scenario_name(struct scenario *scenario);                                               \
	static const struct scenario_entry scenario_entry_##scenario_name = { #scenario_name, scenario_help,                   \
									      scenario_run_##scenario_name };                  \
	static const struct scenario_entry *scenario_link_##scenario_name __attribute__((section("scenarios"), used)) =        \
		&scenario_entry_##scenario_name;                                                                               \
	static status_t scenario_run_##scenario_name(struct scenario *scenario __attribute__((unused)))

/*
 * Prints "result: " and the scenario's name before the text; "key=value ...", readable with
 * options_get.
 */
void scenario_result(struct scenario *scenario, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * What app_main does unless the program has one of its own: runs the scenario that the command line
 * names, and ends the machine with its result, or stays in the monitor, whose `poweroff` then ends
 * the machine with that result.
 */
_Noreturn void scenario_main(const struct app_environment *environment);

/*
 * Runs scenario->name. STATUS_NOT_FOUND: there is none. STATUS_INVALID: its options are unknown or
 * malformed. In both cases nothing ran, and a message was printed.
 */
status_t scenario_run(struct scenario *scenario) MUST_CHECK;

/* Whether a user sits at a terminal, where lines may be redrawn: monitor=1. */
bool app_is_interactive(const struct app_environment *environment);

/*
 * The condition of a scenario's loop: whether it goes on after `done` loops. Not after all
 * `*loops`, and not after Ctrl-C, but for the first one: then *loops becomes what was done, and the
 * results are those of fewer loops.
 */
bool scenario_goes_on(uint64_t done, uint64_t *loops);

/*
 * For what has no loops to count: whether Ctrl-C came. scenario_run turns success into
 * STATUS_CANCELLED then.
 */
bool scenario_is_cancelled(void);

/* One line for each scenario. */
void scenario_print_all(void);

/* The monitor command `run`. */
void scenario_commands_register(const struct app_environment *environment);
