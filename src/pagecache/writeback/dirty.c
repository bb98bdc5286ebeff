// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dirty pages of a node: one treap, whose links are frame numbers in the page descriptors, so a
 * page becomes dirty without an allocation. The order is that of sets, then of pages: page->set and
 * page->key. The priority of a page in the treap is a hash of its frame number.
 */
#include "dirty.h"

#include "runtime/base/assert.h"

static uint32_t priority(uint32_t frame)
{
	frame = (frame ^ (frame >> 16)) * 0x7feb352du;
	frame = (frame ^ (frame >> 15)) * 0x846ca68bu;
	return frame ^ (frame >> 16);
}

void dirty_init(struct dirty *dirty, const struct pageblock_table *table)
{
	*dirty = (struct dirty){ .table = table, .root = PAGE_NONE, .ready = UINT64_MAX };
}

/* Tree ----------------------------------------------------------------------------------------- */

static uint64_t place_make(uint32_t set, uint64_t number)
{
	return (uint64_t)set << PAGE_NUMBER_BITS | number;
}

static uint64_t place_of(const struct page *page)
{
	return place_make(page->set, page_key_number(page_key(page)));
}

/* Cuts a tree in two: the pages before the place, and the rest. */
static void split(const struct dirty *dirty, uint32_t tree, uint64_t place, uint32_t *less, uint32_t *rest)
{
	while (tree != PAGE_NONE) {
		struct page *page = pageblock_table_page(dirty->table, tree);

		if (place_of(page) < place) {
			*less = tree;
			less = &page->right;
			tree = page->right;
		} else {
			*rest = tree;
			rest = &page->left;
			tree = page->left;
		}
	}
	*less = *rest = PAGE_NONE;
}

/* Joins two trees, the first of which lies wholly before the second, at `link`. */
static void merge(const struct dirty *dirty, uint32_t less, uint32_t rest, uint32_t *link)
{
	while (less != PAGE_NONE && rest != PAGE_NONE) {
		if (priority(less) > priority(rest)) {
			*link = less;
			link = &pageblock_table_page(dirty->table, less)->right;
			less = *link;
		} else {
			*link = rest;
			link = &pageblock_table_page(dirty->table, rest)->left;
			rest = *link;
		}
	}
	*link = less != PAGE_NONE ? less : rest;
}

static uint32_t *child_towards(struct page *page, uint64_t place)
{
	return place < place_of(page) ? &page->left : &page->right;
}

/* Inserts the page into the set that page->set says. */
static void insert(struct dirty *dirty, struct page *page)
{
	const uint32_t frame = page_frame(page);
	uint32_t *link = &dirty->root;

	while (*link != PAGE_NONE && priority(*link) > priority(frame))
		link = child_towards(pageblock_table_page(dirty->table, *link), place_of(page));
	split(dirty, *link, place_of(page), &page->left, &page->right);
	*link = frame;
}

void dirty_remove(struct dirty *dirty, struct page *page)
{
	uint32_t *link = &dirty->root;

	while (*link != page_frame(page)) {
		assert(*link != PAGE_NONE);
		link = child_towards(pageblock_table_page(dirty->table, *link), place_of(page));
	}
	merge(dirty, page->left, page->right, link);
}

void dirty_replace(struct dirty *dirty, struct page *from, struct page *to)
{
	dirty_remove(dirty, from);
	atomic_store_explicit(&to->key, page_key(from), memory_order_relaxed);
	to->set = from->set;
	insert(dirty, to);
}

/* The first page of a set from this number on; NULL: none. */
static struct page *first(const struct dirty *dirty, uint32_t set, uint64_t number)
{
	struct page *found = NULL;

	for (uint32_t tree = dirty->root; tree != PAGE_NONE;) {
		struct page *page = pageblock_table_page(dirty->table, tree);

		if (place_of(page) >= place_make(set, number))
			found = page;
		tree = found == page ? page->left : page->right;
	}
	return found && found->set == set ? found : NULL;
}

/* Sets ----------------------------------------------------------------------------------------- */

static uint32_t young_of(const struct dirty *dirty, enum dirty_kind kind)
{
	return 2 * kind + dirty->sets[kind].young;
}

void dirty_insert(struct dirty *dirty, enum dirty_kind kind, struct page *page)
{
	page->set = (uint16_t)(young_of(dirty, kind) & 7);
	insert(dirty, page);
}

void dirty_make_busy(struct dirty *dirty, struct page *page)
{
	dirty_remove(dirty, page);
	dirty_insert(dirty, DIRTY_BUSY, page);
}

bool dirty_is_busy(const struct page *page)
{
	return page->set / 2 == DIRTY_BUSY;
}

struct page *dirty_first(const struct dirty *dirty, enum dirty_kind kind, uint64_t number)
{
	struct page *a = first(dirty, 2 * kind, number);
	struct page *b = first(dirty, 2 * kind + 1, number);

	return !a || (b && page_key(b) < page_key(a)) ? b : a;
}

struct page *dirty_first_old(const struct dirty *dirty, enum dirty_kind kind)
{
	return first(dirty, young_of(dirty, kind) ^ 1, 0);
}

void dirty_turn(struct dirty *dirty, enum dirty_kind kind, uint64_t now)
{
	struct dirty_set *set = &dirty->sets[kind];

	if (dirty_first_old(dirty, kind) || !dirty_first(dirty, kind, 0))
		return;
	set->gone = set->turned;
	set->turned = now;
	set->young = !set->young;
}

/*
 * True if the kind has no pages, or if its set turned at `since` or later and the pages that became
 * old then have left: the old set is empty now, or it was empty when the set turned once more
 * (`gone`).
 */
bool dirty_has_left(const struct dirty *dirty, enum dirty_kind kind, uint64_t since)
{
	const struct dirty_set *set = &dirty->sets[kind];

	return set->gone >= since || !dirty_first(dirty, kind, 0) || (set->turned >= since && !dirty_first_old(dirty, kind));
}
