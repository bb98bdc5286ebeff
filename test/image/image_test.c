// SPDX-License-Identifier: BSD-2-Clause
#include "image_test.h"

#include "app/scenario.h"
#include "runtime/base/options.h"
#include "runtime/base/platform.h"
#include "runtime/base/string.h"

#define NAME_BYTES       64
#define FAILURES_PRINTED 10 /* of one test */

extern const struct image_test *__start_image_tests[], *__stop_image_tests[];

void image_test_fail(struct image_test_run *test, const char *file, int line, const char *what)
{
	if (++test->failures <= FAILURES_PRINTED)
		print("# %s:%d: %s\n", file, line, what);
}

void image_test_expect_equal(struct image_test_run *test, const char *file, int line, const char *what, uint64_t actual,
			     uint64_t expected)
{
	if (actual == expected || ++test->failures > FAILURES_PRINTED)
		return;
	print("# %s:%d: %s: %lld (0x%llx) instead of %lld (0x%llx)\n", file, line, what, (long long)actual,
	      (unsigned long long)actual, (long long)expected, (unsigned long long)expected);
}

/* Whether `name` is `pattern`, which has `length` characters and may end in *. */
static bool name_matches(const char *name, const char *pattern, size_t length)
{
	if (length > 0 && pattern[length - 1] == '*')
		return strncmp(name, pattern, length - 1) == 0;
	return strlen(name) == length && strncmp(name, pattern, length) == 0;
}

/* The next of the names, which are separated by commas; NULL at the end. */
static const char *next_name(const char **names, size_t *length)
{
	const char *name = *names;

	if (*name == '\0')
		return NULL;
	for (*length = 0; name[*length] != '\0' && name[*length] != ',';)
		++*length;
	*names = name + *length + (name[*length] == ',');
	return name;
}

static bool is_chosen(const struct image_test *test, const char *names)
{
	const char *name;
	size_t length;

	while ((name = next_name(&names, &length)))
		if (name_matches("all", name, length) || name_matches(test->name, name, length))
			return true;
	return false;
}

static unsigned count_chosen(const char *names)
{
	unsigned count = 0;

	for (const struct image_test **entry = __start_image_tests; entry != __stop_image_tests; entry++)
		count += is_chosen(*entry, names);
	return count;
}

/* A name that was mistyped must not look like a success. */
static bool each_name_matches(const char *names)
{
	const char *name;
	size_t length;

	while ((name = next_name(&names, &length))) {
		char one[NAME_BYTES];

		length = MIN(length, sizeof(one) - 1);
		memcpy(one, name, length);
		one[length] = '\0';
		if (count_chosen(one) == 0) {
			print("Bail out! There is no test \"%s\".\n", one);
			return false;
		}
	}
	return true;
}

static bool run_one(const struct app_environment *environment, const struct image_test *entry, unsigned number)
{
	struct image_test_run test = { .environment = environment };
	const uint64_t before = platform_now_ns();

	entry->run(&test);
	const uint64_t ms = (platform_now_ns() - before) / NS_PER_MS;
	if (test.failures > 0)
		print("not ok %u - %s (%u failures)\n", number, entry->name, test.failures);
	else if (test.skipped)
		print("ok %u - %s # SKIP %s\n", number, entry->name, test.skipped);
	else
		print("ok %u - %s (%llu ms)\n", number, entry->name, (unsigned long long)ms);
	return test.failures == 0;
}

status_t image_tests_run(const struct app_environment *environment, const char *names)
{
	unsigned number = 0, failed = 0;

	if (*names == '\0' || !each_name_matches(names))
		return STATUS_NOT_FOUND;
	print("1..%u\n", count_chosen(names));
	for (const struct image_test **entry = __start_image_tests; entry != __stop_image_tests && !scenario_is_cancelled();
	     entry++)
		if (is_chosen(*entry, names))
			failed += !run_one(environment, *entry, ++number);
	print("# %u tests, %u failed\n", number, failed);
	return failed == 0 ? STATUS_OK : STATUS_CORRUPT;
}

SCENARIO(test, "run the in-image tests: test=all or test=NAME,NAME*")
{
	char names[512] = "all";

	(void)options_get(scenario->options, "test", names, sizeof(names));
	return image_tests_run(scenario->environment, names);
}
