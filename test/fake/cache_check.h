/* A walker over everything that a page cache keeps, held against the rules of page.h, page_heap.h, apart.h and lend.h. */
#pragma once

#include "pagecache/pagecache.h"

/* Checks every invariant of pages, index, page heaps and counts, with nothing under way. */
bool pagecache_is_valid(struct pagecache *pagecache);
