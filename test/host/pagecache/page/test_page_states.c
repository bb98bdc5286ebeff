// SPDX-License-Identifier: BSD-2-Clause
/* The table of what a page's state may be and become. */
#include "host/host_test.h"
#include "pagecache/page/page.h"

START_TEST(contents_allow_their_pins_and_flags)
{
	static const struct {
		enum page_content content;
		uint32_t rest;
		bool legal;
	} cases[] = {
		{ PAGE_FREE, 0, true },
		{ PAGE_FREE, 1, false },
		{ PAGE_FREE, PAGE_MAIN, false },
		{ PAGE_TAKEN, 0, true },
		{ PAGE_TAKEN, 1, false },
		{ PAGE_GONE, 1, true },
		{ PAGE_GONE, 0, false },
		{ PAGE_WRITING, 1, true },
		{ PAGE_WRITING, 0, false },
		{ PAGE_WRITING, 1 | PAGE_LISTED | PAGE_FAILED, true },
		{ PAGE_WRITING, 1 | PAGE_FAILED, false },
		{ PAGE_READING, 2 | PAGE_AHEAD, true },
		{ PAGE_READING, 0, false },
		{ PAGE_READING, 1 | PAGE_LISTED, false },
		{ PAGE_CLEAN, 0, true },
		{ PAGE_CLEAN, 5 | PAGE_HITS | PAGE_MAIN, true },
		{ PAGE_CLEAN, PAGE_LISTED, false },
		{ PAGE_CLEAN, PAGE_FAILED, false },
		{ PAGE_DIRTY, PAGE_LISTED, true },
		{ PAGE_DIRTY, 0, false },
		{ PAGE_DIRTY, 7 | PAGE_LISTED | PAGE_FAILED | PAGE_HIT, true },
		{ PAGE_WRITEBACK, 0, true },
		{ PAGE_WRITEBACK, PAGE_FAILED, true },
		{ PAGE_WRITEBACK, PAGE_LISTED, false },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_msg(page_state_is_legal(page_state_make(cases[i].content, cases[i].rest)) == cases[i].legal,
			      "case %u", i);
	for (unsigned content = PAGE_CONTENTS; content < 16; content++)
		ck_assert(!page_state_is_legal(page_state_make((enum page_content)content, 0)));
}
END_TEST

/* A legal state with this content. */
static uint32_t some_state(enum page_content content)
{
	for (uint32_t pins = 0; pins < 2; pins++) {
		if (page_state_is_legal(page_state_make(content, pins)))
			return page_state_make(content, pins);
		if (page_state_is_legal(page_state_make(content, pins | PAGE_LISTED)))
			return page_state_make(content, pins | PAGE_LISTED);
	}
	ck_abort_msg("no legal state");
	return 0;
}

START_TEST(only_the_ways_of_the_picture_exist)
{
	static const char *const next[PAGE_CONTENTS] = {
		[PAGE_FREE] = "T",     [PAGE_TAKEN] = "FWRCD", [PAGE_GONE] = "F",     [PAGE_WRITING] = "DT",
		[PAGE_READING] = "CG", [PAGE_CLEAN] = "WTGD",  [PAGE_DIRTY] = "WBTC", [PAGE_WRITEBACK] = "CD",
	};
	static const char letters[PAGE_CONTENTS] = { 'F', 'T', 'G', 'W', 'R', 'C', 'D', 'B' };

	for (unsigned from = 0; from < PAGE_CONTENTS; from++)
		for (unsigned to = 0; to < PAGE_CONTENTS; to++) {
			const bool may = from == to || strchr(next[from], letters[to]) != NULL;

			ck_assert_msg(page_change_is_legal(some_state((enum page_content)from),
							   some_state((enum page_content)to)) == may,
				      "%c to %c", letters[from], letters[to]);
		}
}
END_TEST

START_TEST(keys_keep_node_and_number_apart)
{
	const uint64_t key = page_key_make(PAGE_NODE_MAX, PAGE_NUMBER_MAX);

	ck_assert_uint_eq(page_key_node(key), PAGE_NODE_MAX);
	ck_assert_uint_eq(page_key_number(key), PAGE_NUMBER_MAX);
	ck_assert_uint_eq(page_key_node(page_key_make(7, 0)), 7);
	ck_assert_uint_ne(page_key_make(1, 0), page_key_make(0, 1));
}
END_TEST

HOST_TEST_MAIN("page_states", contents_allow_their_pins_and_flags, only_the_ways_of_the_picture_exist,
	       keys_keep_node_and_number_apart)
