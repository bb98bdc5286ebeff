// SPDX-License-Identifier: BSD-2-Clause
/*
 * The main function of a host test: HOST_TEST_MAIN("suite", test_one, test_two, ...) at the end of
 * the file. With HOST_TEST_ONLY in the environment it runs only the tests with that word in their
 * names. Tests of several threads have "threads" in theirs: these run under the thread sanitizer,
 * too.
 */
#pragma once

#include <check.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static inline int host_test_run(const char *name, const TTest *const *tests, size_t count)
{
	const char *only = getenv("HOST_TEST_ONLY");
	Suite *suite = suite_create(name);
	TCase *test_case = tcase_create(name);

	for (size_t i = 0; i < count; i++) {
		if (!only || strstr(tests[i]->name, only))
			tcase_add_test(test_case, tests[i]);
	}
	suite_add_tcase(suite, test_case);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#define HOST_TEST_MAIN(name, ...)                                                                                              \
	int main(void)                                                                                                         \
	{                                                                                                                      \
		const TTest *const tests[] = { __VA_ARGS__ };                                                                  \
                                                                                                                               \
		return host_test_run(name, tests, sizeof(tests) / sizeof(tests[0]));                                           \
	}
