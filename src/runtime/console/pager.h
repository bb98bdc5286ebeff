// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pager: of what a command writes, the first page is shown at once. What goes beyond is held
 * back until the command has ended, and then shown a page at a time.
 *
 * 1. The command never waits for a key, whatever it holds while it writes.
 * 2. A command that runs for longer than PAGER_HOLD_NS, or writes more than PAGER_BYTES, is no
 *    list: it shows what was held back, and all else as it comes.
 * 3. Nothing is lost or changes its order, unless the user leaves.
 *
 *	pager_begin --> pager_write ... --> pager_end: space: a page; Enter: a line; q or Ctrl-C: leaves
 *
 * Not locked: one task uses it.
 */
#pragma once

#include "runtime/base/types.h"

#define PAGER_BYTES   (128 * KIB)
#define PAGER_HOLD_NS NS_PER_S

enum pager_state {
	PAGER_OFF,     /* text is shown as it comes */
	PAGER_SHOWING, /* the first page */
	PAGER_HOLDING,
};

struct pager {
	void (*write)(const char *text, size_t bytes); /* [I] */
	char (*read)(void);                            /* [I] waits for a key */
	enum pager_state state;
	unsigned page_lines; /* that are shown between two questions */
	unsigned left;       /* of them */
	uint64_t deadline_ns;
	size_t held_bytes;
	char held[PAGER_BYTES];
};

/* For a terminal of so many lines; below 3: no pages. */
void pager_begin(struct pager *pager, unsigned lines);
void pager_write(struct pager *pager, const char *text, size_t bytes);
void pager_end(struct pager *pager);
