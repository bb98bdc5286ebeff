// SPDX-License-Identifier: BSD-2-Clause
/*
 * The harness for tests within the image: on the real kernel, with real (emulated) devices. A test
 * registers itself:
 *
 *	IMAGE_TEST(task_sleeps)
 *	{
 *		const uint64_t before = platform_now_ns();
 *
 *		task_sleep(NS_PER_MS);
 *		expect(platform_now_ns() - before >= NS_PER_MS);
 *	}
 *
 * Names are unique in the image. A test runs in a task that may sleep and use vector registers,
 * after everything that came before it has ended; it cleans up after itself. Results go to the
 * console as TAP; the machine ends with status 0 only if no test failed. test=all or test=NAME,NAME
 * on the command line chooses; NAME may end with * for all that start so.
 */
#pragma once

#include "app/app.h"
#include "runtime/base/log.h"
#include "runtime/base/status.h"

/* One run of one test. */
struct image_test_run {
	const struct app_environment *environment;
	unsigned failures;
	const char *skipped; /* why, or NULL */
};

struct image_test {
	const char *name;
	void (*run)(struct image_test_run *test);
};

#define IMAGE_TEST(test_name)                                                                                                  \
	static void image_test_run_##test_name(struct image_test_run *test);                                                   \
	static const struct image_test image_test_##test_name = { #test_name, image_test_run_##test_name };                    \
	static const struct image_test *image_test_link_##test_name __attribute__((section("image_tests"), used)) =            \
		&image_test_##test_name;                                                                                       \
	static void image_test_run_##test_name(struct image_test_run *test __attribute__((unused)))

/*
 * Records a failure unless `condition` holds, and goes on. Helper functions take `struct
 * image_test_run *test`, too.
 */
#define expect(condition) ((condition) ? (void)0 : image_test_fail(test, __FILE__, __LINE__, #condition))

/* The same for two numbers, which are printed. */
#define expect_equal(actual, expected)                                                                                         \
	image_test_expect_equal(test, __FILE__, __LINE__, #actual " is " #expected, (uint64_t)(actual), (uint64_t)(expected))

/* Records a failure and leaves the function, which returns nothing, unless `condition` holds. */
#define require(condition)                                                                                                     \
	do {                                                                                                                   \
		if (!(condition)) {                                                                                            \
			image_test_fail(test, __FILE__, __LINE__, #condition);                                                 \
			return;                                                                                                \
		}                                                                                                              \
	} while (0)

/* This machine lacks what the test needs; leaves the function. */
#define skip(reason)                                                                                                           \
	do {                                                                                                                   \
		test->skipped = (reason);                                                                                      \
		return;                                                                                                        \
	} while (0)

void image_test_fail(struct image_test_run *test, const char *file, int line, const char *what);
void image_test_expect_equal(struct image_test_run *test, const char *file, int line, const char *what, uint64_t actual,
			     uint64_t expected);

/*
 * Runs the tests that `names` chooses and prints TAP. STATUS_OK: none failed. STATUS_NOT_FOUND: a
 * name matches none.
 */
status_t image_tests_run(const struct app_environment *environment, const char *names) MUST_CHECK;
