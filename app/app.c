// SPDX-License-Identifier: BSD-2-Clause
/* The program that is a set of scenarios; one with an app_main of its own does without this file. */
#include "scenario.h"

_Noreturn void app_main(const struct app_environment *environment)
{
	scenario_main(environment);
}
