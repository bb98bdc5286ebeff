#include "scenario.h"

#include "runtime/base/boot_info.h"
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

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

status_t scenario_run(struct scenario *scenario)
{
	const struct scenario_entry *entry = find(scenario->name);

	if (!entry) {
		print("There is no scenario \"%s\". These there are:\n", scenario->name);
		scenario_print_all();
		return STATUS_NOT_FOUND;
	}
	const status_t status = entry->run(scenario);
	if (status != STATUS_OK)
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

void scenario_commands_register(const struct app_environment *environment)
{
	static struct command run = {
		.name = "run",
		.arguments = "[SCENARIO [key=value...]]",
		.help = "run a scenario; without one, list them",
		.run = command_run,
	};

	run.context = (void *)environment;
	command_register(environment->commands, &run);
}
