// SPDX-License-Identifier: BSD-2-Clause
/* What is known on the command line, and which known name a wrong one is nearest to. */
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/nearest.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"

#define SEED    7
#define LETTERS 6 /* of a random word, at most */

/*
 * By definition: the fewest letters inserted, left out, replaced, or swapped with their neighbours,
 * each letter once.
 */
static unsigned letters_between(const char *a, const char *b)
{
	unsigned best;

	if (*a == '\0' || *b == '\0')
		return (unsigned)(strlen(a) + strlen(b));
	best = letters_between(a + 1, b + 1) + (*a != *b);
	best = MIN(best, letters_between(a + 1, b) + 1);
	best = MIN(best, letters_between(a, b + 1) + 1);
	if (a[1] != '\0' && a[0] == b[1] && a[1] == b[0])
		best = MIN(best, letters_between(a + 2, b + 2) + 1);
	return best;
}

static const char *word_make(struct random *random, char word[LETTERS + 1])
{
	const unsigned length = (unsigned)random_below(random, LETTERS + 1);

	for (unsigned i = 0; i < length; i++)
		word[i] = (char)('a' + random_below(random, 3));
	word[length] = '\0';
	return word;
}

START_TEST(a_value_is_matched_as_a_whole)
{
	ck_assert(options_is("either=a interrupts=line", "interrupts", "line"));
	ck_assert(options_is("interrupts=x interrupts=\"line\"", "interrupts", "line"));
	ck_assert(!options_is("interrupts=lines", "interrupts", "line"));
	ck_assert(!options_is("interrupts=lin", "interrupts", "line"));
	ck_assert(!options_is("interrupts", "interrupts", "line"));
	ck_assert(!options_is("", "interrupts", "line"));
}
END_TEST

START_TEST(nearest_of_some_is_the_first_with_the_fewest_letters)
{
	struct random random;

	random_seed(&random, SEED);
	for (unsigned turn = 0; turn < 500; turn++) {
		char word[LETTERS + 1], names[5][LETTERS + 1];
		struct nearest nearest;
		unsigned best = 0;

		nearest_init(&nearest, word_make(&random, word));
		ck_assert_ptr_null(nearest.found);
		for (unsigned i = 0; i < 5; i++) {
			nearest_offer(&nearest, word_make(&random, names[i]));
			if (letters_between(word, names[i]) < letters_between(word, names[best]))
				best = i;
			ck_assert_uint_eq(nearest.letters, letters_between(word, names[best]));
		}
		ck_assert_ptr_eq(nearest.found, names[best]);
	}
}
END_TEST

START_TEST(nearest_bears_words_of_any_length)
{
	char lengthy[4 * NEAREST_LETTERS_MAX];
	struct nearest nearest;

	memset(lengthy, 'x', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	nearest_init(&nearest, lengthy);
	nearest_offer(&nearest, "");
	ck_assert_uint_eq(nearest.letters, NEAREST_LETTERS_MAX);
	nearest_offer(&nearest, lengthy);
	ck_assert_uint_eq(nearest.letters, 0);
}
END_TEST

/* This program's keys. */
static void keys_ask(void)
{
	char text[8];

	(void)options_get("", "volume", text, sizeof(text));
	(void)options_get_number("", "loops", 0);
	(void)options_get_number("", "either", 0);
	(void)options_get("", "either", text, sizeof(text));
}

START_TEST(words_are_checked_before_they_count)
{
	host_log_level(LOG_ERROR);
	keys_ask();
	ck_assert(options_check(""));
	ck_assert(options_check("  loops=20 volume=\"a b\" volume=7\tloops=1G either=x either=7 loops=0x10 "));
	ck_assert(!options_check("loop=20"));
	ck_assert(!options_check("volume"
				 "s=x"));
	ck_assert(!options_check("loops=20 volume=x nonsense"));
	ck_assert(!options_check("=x"));
	ck_assert(!options_check("loops=abc"));
	ck_assert(!options_check("loops=-1"));
	ck_assert(!options_check("loops="));
	ck_assert(!options_check("loops"));
	ck_assert(!options_check("loops=20 loops=1e3"));
	ck_assert(!options_check("loops=99999999999999999999"));
}
END_TEST

/*
 * One letter of a known key more, less, or another one is no key, wherever it stands in the line.
 */
START_TEST(keys_with_a_slip_are_unknown)
{
	struct random random;

	host_log_level(LOG_ERROR);
	keys_ask();
	random_seed(&random, SEED);
	for (unsigned turn = 0; turn < 1000; turn++) {
		char key[] = "volume", line[64];

		key[random_below(&random, sizeof(key) - 1)] = (char)('A' + random_below(&random, 26));
		format_text(line, sizeof(line), "%s=3 %s=x", turn % 2 ? "either" : key, turn % 2 ? key : "either");
		ck_assert(!options_check(line));
	}
}
END_TEST

HOST_TEST_MAIN("options", a_value_is_matched_as_a_whole, nearest_of_some_is_the_first_with_the_fewest_letters,
	       nearest_bears_words_of_any_length, words_are_checked_before_they_count, keys_with_a_slip_are_unknown)
