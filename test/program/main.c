// SPDX-License-Identifier: BSD-2-Clause
/* Each part of the program has its say; the last line is what test/check/programs.sh looks for. */
#include "app/scenario.h"
#include "parts.h"
#include "runtime/base/command.h"
#include "runtime/base/options.h"

SCENARIO(main, "what this program is made of: more=1")
{
	char config[] = "config", own[] = "parts";
	struct command_table *commands = scenario->environment->commands;

	parts_register(commands);
	if (command_execute(commands, config) != STATUS_OK || command_execute(commands, own) != STATUS_OK)
		return STATUS_NOT_FOUND;
	scenario_result(scenario, "assembler=%llu library=%llu cards=%u text=%s flag=%d more=%llu",
			(unsigned long long)parts_in_assembler(), (unsigned long long)parts_in_library(), parts_cards(),
			PARTS_TEXT, PARTS_FLAG, (unsigned long long)options_get_number(scenario->options, "more", 0));
	return STATUS_OK;
}

SCENARIO(second, "one that does not run by itself")
{
	return STATUS_UNSUPPORTED;
}
