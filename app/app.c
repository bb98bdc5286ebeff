// SPDX-License-Identifier: BSD-2-Clause
/*
 * The main function of a program that is a set of scenarios. It stands alone in its file: a
 * program that has an app_main of its own does not get this one from the library.
 */
#include "scenario.h"

_Noreturn void app_main(const struct app_environment *environment)
{
	scenario_main(environment);
}
