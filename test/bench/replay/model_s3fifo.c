// SPDX-License-Identifier: BSD-2-Clause
/*
 * S3-FIFO by pages: a small queue of a tenth, a main one, and a memory of what left the small one
 * within 0.9 of the capacity in evictions. A page that leaves the small queue and was hit twice
 * goes to main; one that leaves main and was hit goes in again with one hit less. (J. Yang et al.,
 * "FIFO Queues are All You Need for Cache Eviction", SOSP 2023.)
 *
 * While frames are taken away, the small queue and the ghosts keep the sizes that they have in the
 * whole cache.
 */
#include <stdlib.h>

#include "fifo.h"
#include "runtime/base/types.h"

#define HITS_MAX      3
#define HITS_TO_STAY  2
#define SMALL_PERCENT 10
#define GHOST_PERCENT 90

enum where {
	NOWHERE,
	SMALL,
	MAIN,
	QUEUES,
};

struct s3fifo {
	struct model model;
	uint64_t capacity;
	uint64_t taken; /* frames of it that are away */
	struct fifo queues[QUEUES];
	uint8_t *where;
	uint8_t *hits;
	uint64_t *left; /* number of the eviction from the small queue by which the page left; 0: never */
	uint64_t evictions;
};

static void enter(struct s3fifo *cache, uint32_t page, enum where queue)
{
	fifo_push(&cache->queues[queue], page);
	cache->where[page] = (uint8_t)queue;
	cache->hits[page] = 0;
}

static void evict_small(struct s3fifo *cache)
{
	const uint32_t page = fifo_pop(&cache->queues[SMALL]);

	if (cache->hits[page] >= HITS_TO_STAY) {
		enter(cache, page, MAIN);
		return;
	}
	cache->where[page] = NOWHERE;
	cache->left[page] = ++cache->evictions;
}

static void evict_main(struct s3fifo *cache)
{
	const uint32_t page = fifo_pop(&cache->queues[MAIN]);
	const uint8_t hits = cache->hits[page];

	if (hits == 0) {
		cache->where[page] = NOWHERE;
		return;
	}
	enter(cache, page, MAIN);
	cache->hits[page] = (uint8_t)(hits - 1);
}

static uint64_t pages(const struct s3fifo *cache)
{
	return cache->queues[SMALL].count + cache->queues[MAIN].count;
}

/* Evicts until there are so many frames left over. */
static void make_room(struct s3fifo *cache, uint64_t frames)
{
	const uint64_t most = cache->capacity - cache->taken - frames;
	const uint64_t small = cache->capacity * SMALL_PERCENT / 100;

	while (pages(cache) > most) {
		if (cache->queues[MAIN].count > 0 && cache->queues[SMALL].count < MAX(small, 1u))
			evict_main(cache);
		else
			evict_small(cache);
	}
}

static bool is_ghost(const struct s3fifo *cache, uint32_t page)
{
	return cache->left[page] != 0 && cache->evictions - cache->left[page] < cache->capacity * GHOST_PERCENT / 100;
}

static bool s3fifo_access(struct model *model, uint32_t page)
{
	struct s3fifo *cache = (struct s3fifo *)model;

	if (cache->where[page] != NOWHERE) {
		cache->hits[page] += cache->hits[page] < HITS_MAX;
		return true;
	}
	make_room(cache, 1);
	enter(cache, page, is_ghost(cache, page) ? MAIN : SMALL);
	cache->left[page] = 0;
	return false;
}

static void s3fifo_take(struct model *model, uint64_t frames)
{
	struct s3fifo *cache = (struct s3fifo *)model;

	cache->taken += frames;
	make_room(cache, 0);
}

static void s3fifo_give(struct model *model, uint64_t frames)
{
	((struct s3fifo *)model)->taken -= frames;
}

static void s3fifo_destroy(struct model *model)
{
	struct s3fifo *cache = (struct s3fifo *)model;

	free(cache->queues[SMALL].links);
	free(cache->where);
	free(cache->hits);
	free(cache->left);
	free(cache);
}

struct model *model_s3fifo(const struct trace *trace, uint64_t capacity)
{
	struct s3fifo *cache = model_alloc(1, sizeof(*cache));
	struct fifo_link *links = model_alloc(trace->unique, sizeof(*links));

	cache->model = (struct model){
		.name = "s3fifo",
		.access = s3fifo_access,
		.take = s3fifo_take,
		.give = s3fifo_give,
		.destroy = s3fifo_destroy,
	};
	cache->capacity = capacity;
	cache->where = model_alloc(trace->unique, sizeof(*cache->where));
	cache->hits = model_alloc(trace->unique, sizeof(*cache->hits));
	cache->left = model_alloc(trace->unique, sizeof(*cache->left));
	fifo_init(&cache->queues[SMALL], links);
	fifo_init(&cache->queues[MAIN], links);
	return &cache->model;
}
