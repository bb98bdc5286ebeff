// SPDX-License-Identifier: BSD-2-Clause
/*
 * LRU by single pages, as most page caches have it: which pages go, in which order, and how many of
 * them have to go until a request for DMA memory would fit. A block is to be had when its last page
 * has gone.
 *
 *	lru_init -> ... the loads run, with stamps ... -> lru_order -> lru_evict_until_fits -> lru_fini
 */
#pragma once

#include "heap/dma/dma.h"
#include "load.h"

struct lru {
	struct loads *loads; /* with stamps */
	uint64_t *order;     /* stamp << 32 | frame, the least recently used one first */
	uint64_t pages;      /* in it */
	uint16_t *left;      /* pages that each block of memory still has */
};

/* STATUS_NO_MEMORY. */
status_t lru_init(struct lru *lru, struct loads *loads) MUST_CHECK;
void lru_fini(struct lru *lru);

/*
 * Sorts what is cached now, as a real list would have done at every access. From here on, no other
 * task uses the cache.
 */
void lru_order(struct lru *lru);

/*
 * Evicts page after page until `count` such buffers would fit into what is free. False: not even
 * when all were gone. The memory is not taken. Blocks without pages stay with the page cache until
 * its volume is dropped.
 */
bool lru_evict_until_fits(struct lru *lru, const struct device *device, const struct dma_request *request, uint64_t count);
