#include "page.h"

#include "runtime/base/assert.h"

bool page_state_is_legal(uint32_t state)
{
	const uint32_t pins = state & PAGE_PINS;
	const uint32_t flags = state & ~(uint32_t)(PAGE_PINS | PAGE_HIT);

	switch (flags) {
	case 0:
	case PAGE_CACHED:
	case PAGE_CACHED | PAGE_DIRTY:
	case PAGE_CACHED | PAGE_DIRTY | PAGE_FAILED:
	case PAGE_CACHED | PAGE_WRITEBACK:
	case PAGE_CACHED | PAGE_WRITEBACK | PAGE_FAILED:
		return true;
	case PAGE_CACHED | PAGE_READING:
	case PAGE_CACHED | PAGE_WRITING:
	case PAGE_CACHED | PAGE_WRITING | PAGE_DIRTY:
	case PAGE_CACHED | PAGE_WRITING | PAGE_DIRTY | PAGE_FAILED:
		return pins > 0;
	default:
		return false;
	}
}

uint32_t page_change(struct page *page, uint32_t clear, uint32_t set)
{
	uint32_t before = atomic_load_explicit(&page->state, memory_order_relaxed);
	uint32_t after;

	do {
		after = (before & ~clear) | set;
		assert(page_state_is_legal(after));
	} while (!atomic_compare_exchange_weak_explicit(&page->state, &before, after, memory_order_acq_rel,
							memory_order_relaxed));
	return before;
}
