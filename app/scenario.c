// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table that SCENARIO fills, and what runs its entries: the command line at the start, and the
 * monitor's `run`. A program's main function is one of them, unless the program has an app_main of
 * its own.
 */
#include "scenario.h"

#include "runtime/base/boot_info.h"
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/nearest.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "runtime/console/console.h"
#include "runtime/console/monitor.h"
#include "runtime/kernel/power.h"
#include "runtime/kernel/task.h"

#define NAME_BYTES      64
#define READING_SECONDS 30u

extern const struct scenario_entry *__start_scenarios[], *__stop_scenarios[];

void scenario_print_all(void)
{
	for (const struct scenario_entry **entry = __start_scenarios; entry != __stop_scenarios; entry++)
		print("  %-10s %s\n", (*entry)->name, (*entry)->help);
}

static const struct scenario_entry *find(const char *name)
{
	for (const struct scenario_entry **entry = __start_scenarios; entry != __stop_scenarios; entry++)
		if (strcmp((*entry)->name, name) == 0)
			return *entry;
	return NULL;
}

/* NULL: there is none, or not only one. */
static const struct scenario_entry *find_only(void)
{
	const struct scenario_entry *only = NULL;
	unsigned count = 0;

	for (const struct scenario_entry **entry = __start_scenarios; entry != __stop_scenarios; entry++) {
		only = *entry;
		count++;
	}
	return count == 1 ? only : NULL;
}

static const char *nearest_name(const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (const struct scenario_entry **entry = __start_scenarios; entry != __stop_scenarios; entry++)
		nearest_offer(&nearest, (*entry)->name);
	return nearest.found;
}

static void print_missing(const char *name)
{
	const char *nearest = nearest_name(name);

	if (!nearest) {
		print("This image has no scenarios.\n");
		return;
	}
	if (name[0] == '\0')
		print("There is no scenario \"main\", so scenario=NAME has to name one. These there are:\n");
	else
		print("There is no scenario \"%s\"; the nearest one is \"%s\". These there are:\n", name, nearest);
	scenario_print_all();
}

PRINTF_LIKE(2, 3) void scenario_result(struct scenario *scenario, const char *format, ...)
{
	struct scenario_results *results = scenario->results;
	char text[SCENARIO_RESULT_BYTES];
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	(void)format_text_list(text, sizeof(text), format, arguments);
	__builtin_ms_va_end(arguments);
	print("result: %s %s\n", scenario->name, text);
	if (!results || results->count == SCENARIO_RESULTS_MAX)
		return;
	results->lines[results->count].name = scenario->name;
	memcpy(results->lines[results->count++].text, text, sizeof(text));
}

bool scenario_is_cancelled(void)
{
	return console_break_requested();
}

bool scenario_goes_on(uint64_t done, uint64_t *loops)
{
	if (done > 0 && done < *loops && scenario_is_cancelled())
		*loops = done;
	return done < *loops;
}

status_t scenario_run(struct scenario *scenario)
{
	const struct scenario_entry *entry = find(scenario->name);

	if (!entry) {
		print_missing(scenario->name);
		return STATUS_NOT_FOUND;
	}
	if (!options_check(scenario->options))
		return STATUS_INVALID;
	status_t status = entry->run(scenario);
	if (status == STATUS_OK && scenario_is_cancelled())
		status = STATUS_CANCELLED;
	if (status == STATUS_CANCELLED)
		print("Scenario %s was ended by Ctrl-C.\n", scenario->name);
	else if (status != STATUS_OK)
		print("Scenario %s failed: %s.\n", scenario->name, status_text(status));
	return status;
}

/* Joins `words` with blanks; false: they do not fit. */
static bool join(char *text, size_t size, char *const *words, int count)
{
	size_t length = 0;

	for (int i = 0; i < count; i++) {
		const size_t bytes = strlen(words[i]);

		if (length + bytes + 2 > size)
			return false;
		memcpy(text + length, words[i], bytes);
		length += bytes;
		text[length++] = ' ';
	}
	text[length] = '\0';
	return true;
}

static status_t command_run(struct command *self, int argc, char **argv)
{
	static char options[BOOT_COMMAND_LINE_BYTES];
	struct scenario scenario = { .environment = self->context, .options = options };

	if (argc < 2) {
		scenario_print_all();
		return STATUS_OK;
	}
	if (!join(options, sizeof(options), argv + 2, argc - 2))
		return STATUS_INVALID;
	scenario.name = argv[1];
	return scenario_run(&scenario);
}

static const char *run_argument(struct command *self, int position, unsigned index)
{
	(void)self;
	return position == 1 && index < (size_t)(__stop_scenarios - __start_scenarios) ? __start_scenarios[index]->name : NULL;
}

void scenario_commands_register(const struct app_environment *environment)
{
	static struct command run = {
		.name = "run",
		.arguments = "[SCENARIO [key=value...]]",
		.help = "run a scenario; without one, list them",
		.run = command_run,
		.argument = run_argument,
	};

	run.context = (void *)environment;
	command_register(environment->commands, &run);
}

static const char *default_name(void)
{
	const struct scenario_entry *entry = find("main");

	if (!entry)
		entry = find("capture");
	if (!entry)
		entry = find_only();
	return entry ? entry->name : "";
}

static status_t run_as_told(const struct app_environment *environment)
{
	const char *options = environment->command_line;
	struct scenario scenario = { .environment = environment, .name = default_name(), .options = options };
	char name[NAME_BYTES];

	if (options_get(options, "scenario", name, sizeof(name)))
		scenario.name = name;
	else if (options_read(options, "test", name, sizeof(name)))
		scenario.name = "test";
	return scenario_run(&scenario);
}

/*
 * Where nothing names what is to run, the monitor stays open: a medium that is just started must
 * not restart the machine.
 */
bool app_is_interactive(const struct app_environment *environment)
{
	const char *options = environment->command_line;
	char name[NAME_BYTES];
	const bool told =
		options_get(options, "scenario", name, sizeof(name)) || options_get(options, "test", name, sizeof(name));

	return options_get_number(options, "monitor", told ? 0 : 1) != 0;
}

/* Nothing restarts or switches off before its last lines could be read. */
static void reading_time_give(status_t status)
{
	if (power_has_debug_exit())
		return;
	print("The machine %s in %u seconds.\n", status == STATUS_OK ? "switches itself off" : "restarts", READING_SECONDS);
	task_sleep(READING_SECONDS * NS_PER_S);
}

void scenario_main(const struct app_environment *environment)
{
	scenario_commands_register(environment);
	log_info("app started %llu ms after boot services ended", (unsigned long long)(environment->boot_ns / NS_PER_MS));
	const status_t status = run_as_told(environment);

	power_set_result(status == STATUS_OK ? 0 : 1);
	if (app_is_interactive(environment)) {
		print("The monitor is open: help lists its commands, run the scenarios, poweroff ends.\n");
		monitor_run(environment->commands);
	}
	reading_time_give(status);
	power_exit(status == STATUS_OK ? 0 : 1);
}
