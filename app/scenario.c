#include "scenario.h"

#include "runtime/base/boot_info.h"
#include "runtime/base/command.h"
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

status_t scenario_run(const struct app_environment *environment, const char *name, const char *options)
{
	const struct scenario_entry *entry = find(name);
	struct scenario scenario = { .environment = environment, .options = options };

	if (!entry) {
		print("There is no scenario \"%s\". These there are:\n", name);
		scenario_print_all();
		return STATUS_NOT_FOUND;
	}
	const status_t status = entry->run(&scenario);
	if (status != STATUS_OK)
		print("Scenario %s failed: %s.\n", name, status_text(status));
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

	if (argc < 2) {
		scenario_print_all();
		return STATUS_OK;
	}
	if (!join(options, sizeof(options), argv + 2, argc - 2))
		return STATUS_INVALID;
	return scenario_run(self->context, argv[1], options);
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
