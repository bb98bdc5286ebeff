// SPDX-License-Identifier: BSD-2-Clause
/* Least recently used. */
#include <stdlib.h>

#include "fifo.h"

struct lru {
	struct model model;
	uint64_t capacity;
	struct fifo cached;
	bool *is_cached;
};

static bool lru_access(struct model *model, uint32_t page)
{
	struct lru *lru = (struct lru *)model;
	const bool hit = lru->is_cached[page];

	if (hit)
		fifo_remove(&lru->cached, page);
	else if (lru->cached.count == lru->capacity)
		lru->is_cached[fifo_pop(&lru->cached)] = false;
	fifo_push(&lru->cached, page);
	lru->is_cached[page] = true;
	return hit;
}

static void lru_destroy(struct model *model)
{
	struct lru *lru = (struct lru *)model;

	free(lru->cached.links);
	free(lru->is_cached);
	free(lru);
}

struct model *model_lru(const struct trace *trace, uint64_t capacity)
{
	struct lru *lru = model_alloc(1, sizeof(*lru));

	lru->model = (struct model){ .name = "lru", .access = lru_access, .destroy = lru_destroy };
	lru->capacity = capacity;
	lru->is_cached = model_alloc(trace->unique, sizeof(bool));
	fifo_init(&lru->cached, model_alloc(trace->unique, sizeof(struct fifo_link)));
	return &lru->model;
}
