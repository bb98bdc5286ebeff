// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lists of pages by number, for the models: a page is in one list at most. New ones come in at the
 * head.
 */
#pragma once

#include "model.h"

#define FIFO_NONE UINT32_MAX

struct fifo_link {
	uint32_t newer;
	uint32_t older;
};

struct fifo {
	struct fifo_link *links; /* of all lists of a model */
	uint32_t head;
	uint32_t tail;
	uint64_t count;
};

static inline void fifo_init(struct fifo *fifo, struct fifo_link *links)
{
	*fifo = (struct fifo){ .links = links, .head = FIFO_NONE, .tail = FIFO_NONE };
}

static inline void fifo_push(struct fifo *fifo, uint32_t page)
{
	fifo->links[page] = (struct fifo_link){ .newer = FIFO_NONE, .older = fifo->head };
	if (fifo->head != FIFO_NONE)
		fifo->links[fifo->head].newer = page;
	else
		fifo->tail = page;
	fifo->head = page;
	fifo->count++;
}

static inline void fifo_remove(struct fifo *fifo, uint32_t page)
{
	const struct fifo_link link = fifo->links[page];

	if (link.newer != FIFO_NONE)
		fifo->links[link.newer].older = link.older;
	else
		fifo->head = link.older;
	if (link.older != FIFO_NONE)
		fifo->links[link.older].newer = link.newer;
	else
		fifo->tail = link.newer;
	fifo->count--;
}

/* The list is not empty. */
static inline uint32_t fifo_pop(struct fifo *fifo)
{
	const uint32_t page = fifo->tail;

	fifo_remove(fifo, page);
	return page;
}
