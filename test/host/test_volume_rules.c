// SPDX-License-Identifier: BSD-2-Clause
/*
 * The text of volume rules: what is right means what it says, whatever its quotes and blanks; what
 * is wrong is refused.
 */
#include "host_test.h"

#include <stdio.h>

#include "runtime/base/random.h"
#include "volume_rules.h"

#define ROUNDS 20000

static const struct volume_names names = { "virtio0p2",
					   { "virtio0", "S 12;34", "My data", "0fc63daf-8483-4772-8e79-3d69d8477de4" } };
static const struct volume_settings defaults = { { 50, 8 * MIB, 2 * MIB, false }, false };

static struct volume_settings applied(const char *text)
{
	struct volume_settings settings = defaults;

	volume_rules_apply(text, &names, &settings);
	return settings;
}

static bool are_equal(struct volume_settings a, struct volume_settings b)
{
	return a.config.preference == b.config.preference && a.config.keep_bytes == b.config.keep_bytes &&
	       a.config.retain_bytes == b.config.retain_bytes && a.config.read_only == b.config.read_only && a.whole == b.whole;
}

START_TEST(a_volume_is_found_by_each_of_its_names)
{
	static const char *const fitting[] = { "virtio0p2",
					       "virtio0",
					       "name=virtio0p2",
					       "name=virtio0",
					       "'S 12;34'",
					       "serial='S 12;34'",
					       "serial=S' '12';'34",
					       "'label=My data'",
					       "'My data'",
					       "guid=0FC63DAF-8483-4772-8E79-3D69D8477DE4",
					       "0fc63daf-8483-4772-8e79-3d69d8477de4",
					       "name=virtio0 label='My data'",
					       "'My data' name=virtio0p2" };
	static const char *const others[] = { "virtio",
					      "virtio0p",
					      "virtio0p22",
					      "name='S 12;34'",
					      "label=virtio0",
					      "my' 'data",
					      "serial=S",
					      "VIRTIO0",
					      "guid=0fc63daf",
					      "label=0fc63daf",
					      "label=My",
					      "serial=virtio0p2",
					      "virtio0 label=Mine",
					      "name=virtio1 label='My data'" };
	char text[256];

	for (size_t i = 0; i < ARRAY_LENGTH(fitting); i++) {
		snprintf(text, sizeof(text), "%s preference=7", fitting[i]);
		ck_assert_msg(applied(text).config.preference == 7, "%s", text);
		snprintf(text, sizeof(text), " ;preference=7\t%s ; ; ", fitting[i]);
		ck_assert_msg(applied(text).config.preference == 7, "%s", text);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		snprintf(text, sizeof(text), "%s preference=7", others[i]);
		ck_assert_msg(are_equal(applied(text), defaults), "%s", text);
	}
}
END_TEST

START_TEST(a_volume_without_a_name_is_not_found_by_it)
{
	static const struct volume_names bare = { "nvme0n1", { "nvme0n1", "", "", "" } };
	struct volume_settings settings = defaults;

	volume_rules_apply("serial='' preference=1; label=x preference=2; guid=0 preference=3; x preference=4", &bare,
			   &settings);
	ck_assert(are_equal(settings, defaults));
}
END_TEST

START_TEST(later_rules_go_before_earlier_ones)
{
	const struct volume_settings settings =
		applied("virtio0 preference=1 cache_min=1G; nvme0n1 preference=9;label='My data' preference=3 retain=0x1000;"
			"virtio0p2 whole=1 read_only=1 cache_min=2G cache_min=3M");

	ck_assert_uint_eq(settings.config.preference, 3);
	ck_assert_uint_eq(settings.config.keep_bytes, 3 * MIB);
	ck_assert_uint_eq(settings.config.retain_bytes, 4096);
	ck_assert(settings.config.read_only && settings.whole);
}
END_TEST

START_TEST(what_is_wrong_is_refused_as_a_whole_and_explained)
{
	static const struct {
		const char *text, *error;
	} wrong[] = {
		{ "virtio0 preferense=5", "there is no preferense=; the nearest one is preference=" },
		{ "virtio0 cachemin=5 retain=0", "there is no cachemin=; the nearest one is cache_min=" },
		{ "virtio0 =5", "there is no =; the nearest one is" },
		{ "virtio0 preference=101", "preference=101: it is 0 (gives first) to 100 (gives last)" },
		{ "virtio0 preference=-1", "preference=-1: it is" },
		{ "virtio0 preference=", "preference=: it is" },
		{ "virtio0 cache_min=1X", "cache_min=1X: it is a number of bytes" },
		{ "virtio0 cache_min=16777216T", "cache_min=16777216T: it is a number of bytes" },
		{ "virtio0 retain=64M retain=65M", "retain=65M: it is a number of bytes up to 64M" },
		{ "virtio0 read_only=2", "read_only=2: it is 0 or 1" },
		{ "virtio0 whole", "whole: a setting is a word with \"=\"" },
		{ "virtio0", "a rule sets something" },
		{ "preference=5", "a rule begins with the volume that it is for" },
		{ "serial= preference=5", "serial=: a name has 1 to 127 letters" },
		{ "'' preference=5", ": a name has 1 to 127 letters" },
		{ "virtio0 preference=5 'label=My data", "label=My data: a quote is not closed" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		const char *text = wrong[i].text;
		struct volume_rule rule;
		char both[256];

		ck_assert_int_eq(volume_rule_next(&text, &rule), STATUS_INVALID);
		ck_assert_msg(strncmp(rule.error, wrong[i].error, strlen(wrong[i].error)) == 0, "%s: %s", wrong[i].text,
			      rule.error);
		ck_assert_int_eq(volume_rule_next(&text, &rule), STATUS_NOT_FOUND);
		ck_assert(are_equal(applied(wrong[i].text), defaults));
		snprintf(both, sizeof(both), "virtio0 whole=1; %s", wrong[i].text);
		ck_assert(applied(both).whole);
		ck_assert_uint_eq(applied(both).config.preference, defaults.config.preference);
	}
}
END_TEST

START_TEST(a_word_that_is_too_long_is_not_cut)
{
	char text[1024] = "virtio0 preference=";

	memset(text + strlen(text), '0', 512);
	strcat(text, "5; virtio0 retain=0");
	ck_assert_uint_eq(applied(text).config.preference, 50);
	ck_assert_uint_eq(applied(text).config.retain_bytes, 0);
}
END_TEST

/*
 * Text of any rule: selectors and settings in any order, blanks anywhere between them, quotes
 * around any part of a word.
 */
static void append_word(char *text, struct random *random, const char *word)
{
	const bool needs = strpbrk(word, " ;\t") != NULL;
	const size_t length = strlen(word);
	const size_t from = needs ? 0 : random_below(random, length),
		     to = needs ? length : from + random_below(random, length - from + 1);
	const bool quoted = needs || random_below(random, 2) == 0;

	sprintf(text + strlen(text), "%.*s%s%.*s%s%s%s", (int)from, word, quoted ? "'" : "", (int)(to - from), word + from,
		quoted ? "'" : "", word + to, random_below(random, 3) == 0 ? " \t " : " ");
}

START_TEST(any_rule_means_what_it_says)
{
	struct random random;

	random_seed(&random, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct volume_settings expected = defaults;
		char text[2048] = "", word[64];

		for (unsigned rules = (unsigned)random_below(&random, 5); rules > 0; rules--) {
			const bool fits = random_below(&random, 2);
			const unsigned preference = (unsigned)random_below(&random, 101);
			const uint64_t keep = random_next(&random) >> random_below(&random, 64);
			const unsigned set = 1 + (unsigned)random_below(&random, 3);
			const bool named_last = random_below(&random, 2);
			const char *name = names.names[random_below(&random, VOLUME_SELECTORS)];

			if (!named_last)
				append_word(text, &random, fits ? name : "another one");
			if (set & 1) {
				snprintf(word, sizeof(word), "preference=%u", preference);
				append_word(text, &random, word);
				expected.config.preference = fits ? preference : expected.config.preference;
			}
			if (set & 2) {
				snprintf(word, sizeof(word), random_below(&random, 2) ? "cache_min=%llu" : "cache_min=0x%llx",
					 (unsigned long long)keep);
				append_word(text, &random, word);
				expected.config.keep_bytes = fits ? keep : expected.config.keep_bytes;
			}
			if (named_last)
				append_word(text, &random, fits ? name : "another one");
			strcat(text, ";");
		}
		ck_assert_msg(are_equal(applied(text), expected), "%s", text);
	}
}
END_TEST

/*
 * Pieces of rules, and bytes, in any order: no crash, no endless loop, and no setting outside of
 * its range.
 */
START_TEST(any_text_ends_and_keeps_to_the_ranges)
{
	static const char *const pieces[] = { "virtio0",
					      "name=",
					      "serial=",
					      "label=",
					      "guid=",
					      "preference=",
					      "cache_min=",
					      "retain=",
					      "whole=",
					      "read_only=",
					      "'",
					      ";",
					      " ",
					      "1",
					      "99999999999999999999",
					      "100",
					      "64M",
					      "=",
					      "0x",
					      "\xff\x80",
					      "\t\n",
					      "A very long name that goes on and on" };
	static char text[8192];
	struct random random;

	random_seed(&random, 2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const char *at = text, *before;
		struct volume_rule rule;
		status_t status;

		text[0] = '\0';
		for (unsigned count = (unsigned)random_below(&random, round % 100 == 0 ? 200 : 20); count > 0; count--) {
			const char byte[2] = { (char)(1 + random_below(&random, 255)), 0 };

			strcat(text,
			       random_below(&random, 8) == 0 ? byte : pieces[random_below(&random, ARRAY_LENGTH(pieces))]);
		}
		for (before = at; (status = volume_rule_next(&at, &rule)) != STATUS_NOT_FOUND; before = at) {
			ck_assert(at > before);
			ck_assert(at <= text + strlen(text));
			ck_assert(status == STATUS_OK || (status == STATUS_INVALID && rule.error[0] != '\0'));
			ck_assert_uint_lt(strlen(rule.error), VOLUME_RULE_ERROR);
		}
		const struct volume_settings settings = applied(text);

		ck_assert_uint_le(settings.config.preference, 100);
		ck_assert_uint_le(settings.config.retain_bytes, 64 * MIB);
	}
}
END_TEST

HOST_TEST_MAIN("volume_rules", a_volume_is_found_by_each_of_its_names, a_volume_without_a_name_is_not_found_by_it,
	       later_rules_go_before_earlier_ones, what_is_wrong_is_refused_as_a_whole_and_explained,
	       a_word_that_is_too_long_is_not_cut, any_rule_means_what_it_says, any_text_ends_and_keeps_to_the_ranges)
