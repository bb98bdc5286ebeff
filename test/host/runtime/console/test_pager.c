// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pager with random texts, pages and keys, beside a model that has the whole text and counts
 * its lines.
 */
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"
#include "runtime/console/pager.h"

#define TEXT_MAX 3000
#define QUESTION "-- more: space, Enter or q --"
#define CLEAR    "\r                             \r"

static struct {
	char text[2 * PAGER_BYTES]; /* what was shown, without the questions */
	size_t bytes;
	unsigned lines;   /* since the last question */
	unsigned allowed; /* lines until the next one */
	unsigned page;
	unsigned questions;
	bool left;
	bool ended; /* the command has; before, a key must not be waited for */
	struct random random;
} screen;

static struct pager pager;

static void screen_write(const char *text, size_t bytes)
{
	ck_assert(!screen.left || strncmp(text, CLEAR, bytes) == 0);
	if (strncmp(text, QUESTION, bytes) == 0 || strncmp(text, CLEAR, bytes) == 0)
		return;
	memcpy(screen.text + screen.bytes, text, bytes);
	screen.bytes += bytes;
	for (size_t i = 0; i < bytes; i++)
		screen.lines += text[i] == '\n';
}

static char screen_read(void)
{
	static const char keys[] = { ' ', '\r', '\n', 'q', '\x03', 'x', '\x1b' };
	const char key = keys[random_below(&screen.random, random_below(&screen.random, 3) ? 3 : sizeof(keys))];

	ck_assert(screen.ended);
	/* A question comes exactly when the page is full. */
	ck_assert(key != ' ' || screen.lines == screen.allowed || screen.lines == 0);
	screen.questions++;
	screen.left = key == 'q' || key == '\x03';
	if (key == ' ' || key == '\r' || key == '\n') {
		ck_assert_uint_eq(screen.lines, screen.allowed);
		screen.lines = 0;
		screen.allowed = key == ' ' ? screen.page : 1;
	}
	return key;
}

static size_t text_make(char *text)
{
	const size_t bytes = random_below(&screen.random, TEXT_MAX);
	const unsigned rarity = 1 + (unsigned)random_below(&screen.random, 60);

	for (size_t i = 0; i < bytes; i++)
		text[i] = random_below(&screen.random, rarity) == 0 ? '\n' : 'a';
	return bytes;
}

static void screen_clear(unsigned lines)
{
	screen.bytes = screen.lines = screen.questions = 0;
	screen.page = screen.allowed = lines - 1;
	screen.left = screen.ended = false;
}

static void write_in_pieces(const char *text, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		const size_t piece = 1 + random_below(&screen.random, 200);

		pager_write(&pager, text + done, MIN(piece, bytes - done));
		done += MIN(piece, bytes - done);
	}
}

START_TEST(all_is_shown_in_order_a_page_at_a_time)
{
	static char text[TEXT_MAX];
	unsigned questions = 0, leavings = 0;

	random_seed(&screen.random, 5);
	host_clock_set(HOST_CLOCK_MANUAL);
	pager.write = screen_write;
	pager.read = screen_read;
	for (unsigned turn = 0; turn < 3000; turn++) {
		const unsigned lines = 3 + (unsigned)random_below(&screen.random, 30);
		const size_t bytes = text_make(text);

		screen_clear(lines);
		pager_begin(&pager, lines);
		write_in_pieces(text, bytes);
		ck_assert_uint_le(screen.lines, screen.page);
		screen.ended = true;
		pager_end(&pager);
		questions += screen.questions;
		leavings += screen.left;
		ck_assert(memcmp(screen.text, text, screen.bytes) == 0);
		ck_assert(screen.left || screen.bytes == bytes);
		ck_assert_uint_le(screen.lines, screen.allowed);
	}
	ck_assert_uint_gt(questions, 1000);
	ck_assert_uint_gt(leavings, 100);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * A command that takes long, one that writes more than can be held, and a terminal without pages:
 * nothing is asked.
 */
START_TEST(what_is_no_list_is_shown_as_it_comes)
{
	static char text[TEXT_MAX];
	size_t all = 0;

	random_seed(&screen.random, 6);
	host_clock_set(HOST_CLOCK_MANUAL);
	pager.write = screen_write;
	pager.read = screen_read;
	memset(text, '\n', sizeof(text));
	screen_clear(10);
	pager_begin(&pager, 10);
	pager_write(&pager, text, 100);
	ck_assert_uint_eq(screen.bytes, 9);
	host_clock_turn(PAGER_HOLD_NS + 1);
	pager_write(&pager, text, 1);
	ck_assert_uint_eq(screen.bytes, 101);
	pager_write(&pager, text, 100);
	ck_assert_uint_eq(screen.bytes, 201);
	pager_end(&pager);

	screen_clear(10);
	pager_begin(&pager, 10);
	for (; all < PAGER_BYTES + TEXT_MAX; all += sizeof(text)) {
		pager_write(&pager, text, sizeof(text));
		ck_assert(screen.bytes == 9 || screen.bytes + sizeof(text) > PAGER_BYTES);
		screen.bytes = screen.bytes == 9 ? 9 : 0;
		if (screen.bytes == 0)
			break;
	}
	ck_assert_uint_gt(all, PAGER_BYTES - 2 * TEXT_MAX);
	pager_end(&pager);

	screen_clear(2);
	pager_begin(&pager, 2);
	pager_write(&pager, text, 100);
	ck_assert_uint_eq(screen.bytes, 100);
	pager_end(&pager);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

HOST_TEST_MAIN("pager", all_is_shown_in_order_a_page_at_a_time, what_is_no_list_is_shown_as_it_comes)
