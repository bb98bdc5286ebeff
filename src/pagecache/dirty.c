#include "dirty.h"

#include "node.h"
#include "pagecache.h"
#include "runtime/base/assert.h"

static struct page *page_of(const struct dirty_set *set, uint32_t frame)
{
	return frame_table_page(&set->pagecache->table, frame);
}

/* Pages of nodes that overlap may lie at the same place; then frames decide. */
struct place {
	uint64_t position;
	uint32_t frame;
};

static struct place place_of(const struct dirty_set *set, const struct page *page)
{
	return (struct place){ pagecache_position(set->pagecache, page_key(page)), page_frame(page) };
}

static bool is_before(struct place a, struct place b)
{
	return a.position != b.position ? a.position < b.position : a.frame < b.frame;
}

static uint32_t priority(uint32_t frame)
{
	frame = (frame ^ (frame >> 16)) * 0x7feb352du;
	frame = (frame ^ (frame >> 15)) * 0x846ca68bu;
	return frame ^ (frame >> 16);
}

void dirty_init(struct dirty_set *set, struct pagecache *pagecache)
{
	set->pagecache = pagecache;
	set->root = PAGE_NONE;
}

/* Cuts a tree in two: what lies before the place, and the rest. */
static void split(const struct dirty_set *set, uint32_t tree, struct place place, uint32_t *less, uint32_t *rest)
{
	while (tree != PAGE_NONE) {
		struct page *page = page_of(set, tree);

		if (is_before(place_of(set, page), place)) {
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
static void merge(const struct dirty_set *set, uint32_t less, uint32_t rest, uint32_t *link)
{
	while (less != PAGE_NONE && rest != PAGE_NONE) {
		if (priority(less) > priority(rest)) {
			*link = less;
			link = &page_of(set, less)->right;
			less = *link;
		} else {
			*link = rest;
			link = &page_of(set, rest)->left;
			rest = *link;
		}
	}
	*link = less != PAGE_NONE ? less : rest;
}

static uint32_t *child_towards(const struct dirty_set *set, struct page *page, struct place place)
{
	return is_before(place, place_of(set, page)) ? &page->left : &page->right;
}

void dirty_insert(struct dirty_set *set, struct page *page)
{
	const struct place place = place_of(set, page);
	uint32_t *link = &set->root;

	while (*link != PAGE_NONE && priority(*link) > priority(place.frame))
		link = child_towards(set, page_of(set, *link), place);
	split(set, *link, place, &page->left, &page->right);
	*link = place.frame;
}

static uint32_t *link_of(struct dirty_set *set, const struct page *page)
{
	const struct place place = place_of(set, page);
	uint32_t *link = &set->root;

	while (*link != place.frame) {
		assert(*link != PAGE_NONE);
		link = child_towards(set, page_of(set, *link), place);
	}
	return link;
}

void dirty_remove(struct dirty_set *set, struct page *page)
{
	merge(set, page->left, page->right, link_of(set, page));
}

void dirty_replace(struct dirty_set *set, struct page *from, struct page *to)
{
	dirty_remove(set, from);
	atomic_store_explicit(&to->key, page_key(from), memory_order_relaxed);
	to->epoch = from->epoch;
	dirty_insert(set, to);
}

struct page *dirty_first(const struct dirty_set *set, uint64_t position)
{
	const struct place place = { position, 0 };
	struct page *found = NULL;
	uint32_t frame = set->root;

	while (frame != PAGE_NONE) {
		struct page *page = page_of(set, frame);

		if (is_before(place_of(set, page), place)) {
			frame = page->right;
		} else {
			found = page;
			frame = page->left;
		}
	}
	return found;
}

struct page *dirty_last_before(const struct dirty_set *set, uint64_t position)
{
	const struct place place = { position, 0 };
	struct page *found = NULL;
	uint32_t frame = set->root;

	while (frame != PAGE_NONE) {
		struct page *page = page_of(set, frame);

		if (is_before(place_of(set, page), place)) {
			found = page;
			frame = page->right;
		} else {
			frame = page->left;
		}
	}
	return found;
}

static uint64_t count_checked(const struct dirty_set *set, uint32_t tree, struct place low, struct place high)
{
	struct page *page;
	struct place place;
	uint64_t left, right;

	if (tree == PAGE_NONE)
		return 0;
	page = page_of(set, tree);
	place = place_of(set, page);
	if (is_before(place, low) || is_before(high, place))
		return UINT64_MAX;
	left = count_checked(set, page->left, low, place);
	right = count_checked(set, page->right, place, high);
	return left == UINT64_MAX || right == UINT64_MAX ? UINT64_MAX : left + right + 1;
}

uint64_t dirty_count_checked(const struct dirty_set *set)
{
	return count_checked(set, set->root, (struct place){ 0, 0 }, (struct place){ UINT64_MAX, UINT32_MAX });
}
