// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two bitmaps of 512 bits describe a block: which pages are in use, and which of them begin an
 * allocation. So free needs no length, and a search for free pages is one for a run of bits.
 */
#include "fragment.h"

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

void fragment_init(struct fragment *fragment, uint64_t block)
{
	fragment->block = block;
	fragment->free_pages = 0;
	memset(fragment->used, 0, sizeof(fragment->used));
	memset(fragment->first, 0xff, sizeof(fragment->first));
}

static bool is_free(const struct fragment *fragment, uint64_t page)
{
	return !bitmap_test(fragment->used, page) && !bitmap_test(fragment->first, page);
}

static bool is_later_page(const struct fragment *fragment, uint64_t page)
{
	return bitmap_test(fragment->used, page) && !bitmap_test(fragment->first, page);
}

void fragment_add(struct fragment *fragment, uint64_t page, uint64_t pages)
{
	for (uint64_t i = page; i < page + pages; i++)
		bitmap_clear(fragment->first, i);
	fragment->free_pages += pages;
}

bool fragment_search(const struct fragment *fragment, uint64_t pages, uint64_t alignment_pages, uint64_t *page)
{
	uint64_t start = 0, length = 0;

	if (fragment->free_pages < pages)
		return false;
	for (uint64_t i = 0; i < PAGES_PER_BLOCK; i++) {
		if (!is_free(fragment, i)) {
			length = 0;
			continue;
		}
		if (length == 0 && !is_aligned(i, alignment_pages))
			continue;
		if (length++ == 0)
			start = i;
		if (length == pages) {
			*page = start;
			return true;
		}
	}
	return false;
}

void fragment_take(struct fragment *fragment, uint64_t page, uint64_t pages)
{
	for (uint64_t i = page; i < page + pages; i++)
		bitmap_set(fragment->used, i);
	bitmap_set(fragment->first, page);
	fragment->free_pages -= pages;
}

uint64_t fragment_free(struct fragment *fragment, uint64_t page)
{
	uint64_t end = page;

	assert(bitmap_test(fragment->used, page) && bitmap_test(fragment->first, page));
	do
		bitmap_clear(fragment->used, end++);
	while (end < PAGES_PER_BLOCK && is_later_page(fragment, end));
	bitmap_clear(fragment->first, page);
	fragment->free_pages += end - page;
	return end - page;
}
