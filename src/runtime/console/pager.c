// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lines are counted as they are shown. The question takes a line of its own, which is cleared
 * before the text goes on.
 */
#include "pager.h"

#include "runtime/base/platform.h"
#include "runtime/base/string.h"

#define QUESTION  "-- more: space, Enter or q --"
#define CLEAR     "\r                             \r"
#define CTRL_C    '\x03'
#define LINES_MIN 3

void pager_begin(struct pager *pager, unsigned lines)
{
	pager->state = lines < LINES_MIN ? PAGER_OFF : PAGER_SHOWING;
	pager->page_lines = lines - 1;
	pager->left = pager->page_lines;
	pager->deadline_ns = platform_now_ns() + PAGER_HOLD_NS;
	pager->held_bytes = 0;
}

/*
 * Shows whole lines, and a last one without an end, as far as the page has room; returns the bytes.
 */
static size_t page_show(struct pager *pager, const char *text, size_t bytes)
{
	size_t shown = 0;

	while (shown < bytes && pager->left > 0)
		pager->left -= text[shown++] == '\n';
	if (shown > 0)
		pager->write(text, shown);
	return shown;
}

static void give_up(struct pager *pager)
{
	pager->state = PAGER_OFF;
	if (pager->held_bytes > 0)
		pager->write(pager->held, pager->held_bytes);
	pager->held_bytes = 0;
}

void pager_write(struct pager *pager, const char *text, size_t bytes)
{
	if (pager->state == PAGER_SHOWING) {
		const size_t shown = page_show(pager, text, bytes);

		text += shown;
		bytes -= shown;
		if (bytes > 0)
			pager->state = PAGER_HOLDING;
	}
	if (bytes == 0)
		return;
	if (pager->state == PAGER_HOLDING &&
	    (bytes > PAGER_BYTES - pager->held_bytes || platform_now_ns() > pager->deadline_ns))
		give_up(pager);
	if (pager->state == PAGER_HOLDING) {
		memcpy(pager->held + pager->held_bytes, text, bytes);
		pager->held_bytes += bytes;
	} else {
		pager->write(text, bytes);
	}
}

/* How many lines the user wants to see next; 0: no more. */
static unsigned ask(struct pager *pager)
{
	unsigned lines = 0;
	char key;

	pager->write(QUESTION, sizeof(QUESTION) - 1);
	do {
		key = pager->read();
		lines = key == ' ' ? pager->page_lines : key == '\r' || key == '\n' ? 1 : 0;
	} while (lines == 0 && key != 'q' && key != CTRL_C);
	pager->write(CLEAR, sizeof(CLEAR) - 1);
	return lines;
}

void pager_end(struct pager *pager)
{
	size_t shown = 0;

	while (pager->state == PAGER_HOLDING && shown < pager->held_bytes) {
		pager->left = ask(pager);
		if (pager->left == 0)
			break;
		shown += page_show(pager, pager->held + shown, pager->held_bytes - shown);
	}
	pager->state = PAGER_OFF;
}
