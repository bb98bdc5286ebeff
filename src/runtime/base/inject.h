// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lies of firmware and hardware that no emulator tells: a build with debug checks tells them
 * itself, to each place that would believe them, when its command line names them
 * (inject=NAME,NAME). So the code that has to survive a broken machine runs in a test. In other
 * builds INJECTED is constant and false, and the option is refused.
 *
 * The place that lies names its lie with INJECTED, in a linker section: so a wrong name on the
 * command line is an error that lists the right ones. A name is a word of small letters, digits and
 * hyphens ("bridges-off").
 */
#pragma once

#include "types.h"

struct injection {
	const char *name;
};

/* Whether the command line asks for this lie. `injection_name` is a literal. Any context. */
#ifdef WEIR_DEBUG
#define INJECTED(injection_name)                                                                                               \
	({                                                                                                                     \
		static const struct injection injection = { injection_name };                                                  \
		static const struct injection *injection_link __attribute__((section("injections"), used)) = &injection;       \
		inject_is_asked(injection_name);                                                                               \
	})
#else
#define INJECTED(injection_name) false
#endif

/*
 * Keeps what the command line says, before any place asks. Once, by the loader; NULL: nothing is
 * injected.
 */
void inject_begin(const char *command_line);

bool inject_is_asked(const char *name);
