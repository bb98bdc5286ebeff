// SPDX-License-Identifier: BSD-2-Clause
/* Which lies a command line asks for, and that only known ones are accepted. */
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/inject.h"
#include "runtime/base/options.h"

static bool is_thunder_asked(void)
{
	return INJECTED("thunder");
}

static bool is_rain_asked(void)
{
	return INJECTED("rain");
}

START_TEST(only_the_names_of_the_command_line_are_asked_for)
{
	static const struct {
		const char *line;
		bool thunder, rain;
	} cases[] = {
		{ "inject=thunder", true, false },
		{ "a=1 inject=rain,thunder b", true, true },
		{ "inject=thunders", false, false },
		{ "inject=thunde", false, false },
		{ "inject=", false, false },
		{ "inject=,,rain,", false, true },
		{ "inject", false, false },
		{ "thunder", false, false },
		{ "", false, false },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		inject_begin(cases[i].line);
		ck_assert_int_eq(is_thunder_asked(), cases[i].thunder);
		ck_assert_int_eq(is_rain_asked(), cases[i].rain);
	}
	inject_begin(NULL);
	ck_assert(!is_thunder_asked());
}
END_TEST

START_TEST(a_wrong_name_is_an_error_that_lists_the_right_ones)
{
	char output[256] = "";

	inject_begin(NULL);
	ck_assert(options_check("inject=rain,thunder"));
	host_output_capture(output, sizeof(output));
	ck_assert(!options_check("inject=rain,hail"));
	host_output_capture(NULL, 0);
	ck_assert_ptr_nonnull(strstr(output, "hail"));
	ck_assert_ptr_nonnull(strstr(output, "thunder"));
}
END_TEST

HOST_TEST_MAIN("inject", only_the_names_of_the_command_line_are_asked_for, a_wrong_name_is_an_error_that_lists_the_right_ones)
