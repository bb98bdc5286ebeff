/* Treaps of pages: two for each set, linked by frame numbers. page->set says which one a page is in. */
#include "dirty.h"

#include "runtime/base/assert.h"

static struct page *page_of(const struct dirty *dirty, uint32_t frame)
{
	return frame_table_page(dirty->table, frame);
}

static uint32_t priority(uint32_t frame)
{
	frame = (frame ^ (frame >> 16)) * 0x7feb352du;
	frame = (frame ^ (frame >> 15)) * 0x846ca68bu;
	return frame ^ (frame >> 16);
}

void dirty_init(struct dirty *dirty, const struct frame_table *table)
{
	*dirty = (struct dirty){ .table = table, .ready = UINT64_MAX };
	for (unsigned kind = 0; kind < DIRTY_KINDS; kind++)
		dirty->sets[kind].roots[0] = dirty->sets[kind].roots[1] = PAGE_NONE;
}

/* Trees -------------------------------------------------------------------------------------------------------------------- */

/* Cuts a tree in two: what lies before the key, and the rest. */
static void split(const struct dirty *dirty, uint32_t tree, uint64_t key, uint32_t *less, uint32_t *rest)
{
	while (tree != PAGE_NONE) {
		struct page *page = page_of(dirty, tree);

		if (page_key(page) < key) {
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
			link = &page_of(dirty, less)->right;
			less = *link;
		} else {
			*link = rest;
			link = &page_of(dirty, rest)->left;
			rest = *link;
		}
	}
	*link = less != PAGE_NONE ? less : rest;
}

static uint32_t *child_towards(struct page *page, uint64_t key)
{
	return key < page_key(page) ? &page->left : &page->right;
}

static uint32_t *root_of(struct dirty *dirty, const struct page *page)
{
	return &dirty->sets[page->set / 2].roots[page->set % 2];
}

/* Into the tree that page->set says. */
static void insert(struct dirty *dirty, struct page *page)
{
	const uint32_t frame = page_frame(page);
	uint32_t *link = root_of(dirty, page);

	while (*link != PAGE_NONE && priority(*link) > priority(frame))
		link = child_towards(page_of(dirty, *link), page_key(page));
	split(dirty, *link, page_key(page), &page->left, &page->right);
	*link = frame;
	dirty->count++;
}

void dirty_remove(struct dirty *dirty, struct page *page)
{
	const uint32_t frame = page_frame(page);
	uint32_t *link = root_of(dirty, page);

	while (*link != frame) {
		assert(*link != PAGE_NONE);
		link = child_towards(page_of(dirty, *link), page_key(page));
	}
	merge(dirty, page->left, page->right, link);
	dirty->count--;
}

void dirty_replace(struct dirty *dirty, struct page *from, struct page *to)
{
	dirty_remove(dirty, from);
	atomic_store_explicit(&to->key, page_key(from), memory_order_relaxed);
	to->set = from->set;
	insert(dirty, to);
}

static struct page *first(const struct dirty *dirty, uint32_t tree, uint64_t number)
{
	struct page *found = NULL;

	while (tree != PAGE_NONE) {
		struct page *page = page_of(dirty, tree);

		if (page_key_number(page_key(page)) < number) {
			tree = page->right;
		} else {
			found = page;
			tree = page->left;
		}
	}
	return found;
}

/* Sets --------------------------------------------------------------------------------------------------------------------- */

static uint32_t old_root(const struct dirty_set *set)
{
	return set->roots[!set->young];
}

void dirty_insert(struct dirty *dirty, enum dirty_kind kind, struct page *page)
{
	page->set = (uint16_t)((2 * kind + dirty->sets[kind].young) & 7);
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
	struct page *a = first(dirty, dirty->sets[kind].roots[0], number);
	struct page *b = first(dirty, dirty->sets[kind].roots[1], number);

	return !a || (b && page_key(b) < page_key(a)) ? b : a;
}

struct page *dirty_first_old(const struct dirty *dirty, enum dirty_kind kind)
{
	return first(dirty, old_root(&dirty->sets[kind]), 0);
}

static bool has_young(const struct dirty_set *set)
{
	return set->roots[set->young] != PAGE_NONE;
}

void dirty_turn(struct dirty *dirty, enum dirty_kind kind, uint64_t now, uint64_t now_ns)
{
	struct dirty_set *set = &dirty->sets[kind];

	if (old_root(set) != PAGE_NONE || !has_young(set))
		return;
	set->gone = set->turned;
	set->turned = now;
	set->turned_ns = now_ns;
	set->young = !set->young;
}

/* What turned since was all there was, and what was there then was gone before it turned once more. */
bool dirty_has_left(const struct dirty_set *set, uint64_t since)
{
	return set->gone >= since || (old_root(set) == PAGE_NONE && (set->turned >= since || !has_young(set)));
}

/* Checking ----------------------------------------------------------------------------------------------------------------- */

static uint64_t count_checked(const struct dirty *dirty, uint32_t tree, uint64_t low, uint64_t high)
{
	struct page *page;
	uint64_t key, left, right;

	if (tree == PAGE_NONE)
		return 0;
	page = page_of(dirty, tree);
	key = page_key(page);
	if (key < low || key > high)
		return UINT64_MAX;
	left = count_checked(dirty, page->left, low, key);
	right = count_checked(dirty, page->right, key, high);
	return left == UINT64_MAX || right == UINT64_MAX ? UINT64_MAX : left + right + 1;
}

uint64_t dirty_count_checked(const struct dirty *dirty)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 2 * DIRTY_KINDS; i++) {
		const uint64_t count = count_checked(dirty, dirty->sets[i / 2].roots[i % 2], 0, UINT64_MAX);

		if (count == UINT64_MAX)
			return UINT64_MAX;
		sum += count;
	}
	return sum == dirty->count ? sum : UINT64_MAX;
}
