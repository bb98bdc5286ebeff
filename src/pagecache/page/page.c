// SPDX-License-Identifier: BSD-2-Clause
/*
 * The life of a page, as one table: for each content, the contents that may follow it and the pins
 * and flags that it may have. Each change of a state is one exchange of the whole word, and is
 * checked against the table first; only the plain evictions in page.h skip that.
 */
#include "page.h"

enum pins {
	PINS_NONE,
	PINS_SOME,
	PINS_ANY,
};

#define BIT(content) (1u << (content))

#define QUEUE_FLAGS   (PAGE_MAIN | PAGE_HITS)
#define WRITTEN_FLAGS (PAGE_UNFLUSHED | PAGE_STALE)

/*
 * The life of a page: what each content allows, and which may follow it. Flags of `must` are also
 * in `may`.
 */
static const struct rule {
	uint32_t next; /* contents that may follow, as bits; a content may always follow itself */
	enum pins pins;
	uint32_t may;  /* flags */
	uint32_t must; /* flags */
} rules[PAGE_CONTENTS] = {
	[PAGE_FREE] = { BIT(PAGE_TAKEN), PINS_NONE, 0, 0 },
	/* returned; inserted by a read, a write, or a move */
	[PAGE_TAKEN] = { BIT(PAGE_FREE) | BIT(PAGE_READING) | BIT(PAGE_WRITING) | BIT(PAGE_CLEAN) | BIT(PAGE_DIRTY), PINS_NONE,
			 0, 0 },
	/* the last unpin */
	[PAGE_GONE] = { BIT(PAGE_FREE), PINS_SOME, QUEUE_FLAGS | PAGE_AHEAD, 0 },
	/* written; discarded */
	[PAGE_WRITING] = { BIT(PAGE_DIRTY) | BIT(PAGE_TAKEN), PINS_SOME,
			   QUEUE_FLAGS | WRITTEN_FLAGS | PAGE_LISTED | PAGE_FAILED | PAGE_LOST, 0 },
	/* read; failed */
	[PAGE_READING] = { BIT(PAGE_CLEAN) | BIT(PAGE_GONE), PINS_SOME, QUEUE_FLAGS | PAGE_AHEAD, 0 },
	/*
	 * a writer comes; evicted or moved away; the same out of a loaned block, with pins; the
	 * device may have lost it
	 */
	[PAGE_CLEAN] = { BIT(PAGE_WRITING) | BIT(PAGE_TAKEN) | BIT(PAGE_GONE) | BIT(PAGE_DIRTY), PINS_ANY,
			 QUEUE_FLAGS | WRITTEN_FLAGS | PAGE_AHEAD, 0 },
	/* a writer comes; written back; moved away; its volume is discarded */
	[PAGE_DIRTY] = { BIT(PAGE_WRITING) | BIT(PAGE_WRITEBACK) | BIT(PAGE_TAKEN) | BIT(PAGE_CLEAN), PINS_ANY,
			 QUEUE_FLAGS | WRITTEN_FLAGS | PAGE_LISTED | PAGE_FAILED | PAGE_LOST, PAGE_LISTED },
	/* done; failed */
	[PAGE_WRITEBACK] = { BIT(PAGE_CLEAN) | BIT(PAGE_DIRTY), PINS_ANY, QUEUE_FLAGS | WRITTEN_FLAGS | PAGE_FAILED | PAGE_LOST,
			     0 },
};

bool page_state_is_legal(uint32_t state)
{
	const uint32_t flags = state & ~PAGE_CONTENT & ~PAGE_PINS;
	const uint32_t pins = state & PAGE_PINS;
	const struct rule *rule;

	if (page_content(state) >= PAGE_CONTENTS)
		return false;
	rule = &rules[page_content(state)];
	if ((rule->pins == PINS_NONE && pins > 0) || (rule->pins == PINS_SOME && pins == 0))
		return false;
	if ((state & PAGE_FAILED) && page_is(state, PAGE_WRITING) && !(state & PAGE_LISTED))
		return false;
	return (flags & ~rule->may) == 0 && (flags & rule->must) == rule->must;
}

bool page_change_is_legal(uint32_t before, uint32_t after)
{
	const enum page_content from = page_content(before), to = page_content(after);

	return page_state_is_legal(after) && from < PAGE_CONTENTS && (from == to || (rules[from].next & BIT(to)));
}

/* NOLINTNEXTLINE(readability-non-const-parameter): what it is now goes there. */
bool page_try_change(struct page *page, uint32_t *before, uint32_t after)
{
	assert(page_change_is_legal(*before, after));
	if (!atomic_compare_exchange_strong_explicit(&page->state, before, after, memory_order_acq_rel, memory_order_acquire))
		return false;
	/* The task that made the page TAKEN or WRITING may change the frame. */
	if ((page_is(after, PAGE_TAKEN) || page_is(after, PAGE_WRITING)) && page_content(*before) != page_content(after))
		page_new_version(page);
	return true;
}

uint32_t page_leave_pinned(struct page *page)
{
	uint32_t before = page_state(page), after;

	do
		after = before & PAGE_PINS ? page_state_with(before, PAGE_GONE, 0, 0) : page_state_make(PAGE_TAKEN, 0);
	while (!page_try_change(page, &before, after));
	return before;
}

uint32_t page_change(struct page *page, enum page_content content, uint32_t clear, uint32_t set)
{
	uint32_t before = page_state(page);

	while (!page_try_change(page, &before, page_state_with(before, content, clear, set)))
		;
	return before;
}

void page_set(struct page *page, uint32_t state)
{
	assert(page_is(page_state(page), PAGE_TAKEN) && page_change_is_legal(page_state(page), state));
	atomic_store_explicit(&page->state, state, memory_order_release);
}
