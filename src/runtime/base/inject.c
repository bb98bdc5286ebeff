// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lies on request. The names stay as the command line has them, with commas between them: a place
 * asks a few times in a run, and needs no table. The check of the option finds the known names in
 * their linker section.
 */
#include "inject.h"

#include "log.h"
#include "options.h"
#include "string.h"

#define LIST_BYTES 256

/* None where no place of the program lies. */
extern const struct injection *__start_injections[] __attribute__((weak)), *__stop_injections[] __attribute__((weak));

static char asked[LIST_BYTES];

/* Takes the first name off a list. NULL: there is none left. */
static const char *name_next(const char **list, size_t *length)
{
	const char *name = *list;

	while (*name == ',')
		name++;
	*length = 0;
	while (name[*length] != '\0' && name[*length] != ',')
		++*length;
	*list = name + *length;
	return *length > 0 ? name : NULL;
}

static bool is_name(const char *name, size_t length, const char *other)
{
	return strlen(other) == length && strncmp(name, other, length) == 0;
}

#ifdef WEIR_DEBUG
static bool is_known(const char *name, size_t length)
{
	for (const struct injection **known = __start_injections; known != __stop_injections; known++)
		if (is_name(name, length, (*known)->name))
			return true;
	return false;
}

static bool are_known(const char *names)
{
	const char *name;
	bool good = true;
	size_t length;

	while ((name = name_next(&names, &length)) != NULL) {
		if (is_known(name, length))
			continue;
		good = false;
		log_error("inject=%.*s: there is no such injection; there are:", (int)length, name);
		for (const struct injection **known = __start_injections; known != __stop_injections; known++)
			log_error("  %s", (*known)->name);
	}
	return good;
}
#else
static bool are_known(const char *names)
{
	log_error("inject=%s: only a build with debug checks injects faults (make DEBUG=1)", names);
	return false;
}
#endif

void inject_begin(const char *command_line)
{
	OPTION_NAME_CHECKED("inject", false, are_known);
	asked[0] = '\0';
	if (command_line)
		(void)options_read(command_line, "inject", asked, sizeof(asked));
}

bool inject_is_asked(const char *name)
{
	const char *names = asked, *found;
	size_t length;

	while ((found = name_next(&names, &length)) != NULL)
		if (is_name(found, length, name))
			return true;
	return false;
}
