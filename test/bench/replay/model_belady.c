// SPDX-License-Identifier: BSD-2-Clause
/* The optimum, which knows the future: evicts the page whose next use is farthest away. */
#include <stdlib.h>

#include "model.h"

struct candidate {
	size_t next; /* use */
	uint32_t page;
};

struct belady {
	struct model model;
	uint64_t capacity;
	uint64_t cached;
	size_t now;
	size_t *next_of;        /* by reference: the next one of the same page */
	size_t *next_use;       /* by page that is cached; 0: it is not */
	struct candidate *heap; /* the farthest first; candidates that have been used since are stale */
	size_t heap_count;
};

static void heap_push(struct belady *belady, struct candidate candidate)
{
	size_t i = belady->heap_count++;

	while (i > 0 && belady->heap[(i - 1) / 2].next < candidate.next) {
		belady->heap[i] = belady->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	belady->heap[i] = candidate;
}

static struct candidate heap_pop(struct belady *belady)
{
	const struct candidate top = belady->heap[0];
	const struct candidate last = belady->heap[--belady->heap_count];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < belady->heap_count; i = child) {
		if (child + 1 < belady->heap_count && belady->heap[child + 1].next > belady->heap[child].next)
			child++;
		if (belady->heap[child].next <= last.next)
			break;
		belady->heap[i] = belady->heap[child];
	}
	belady->heap[i] = last;
	return top;
}

static void evict(struct belady *belady)
{
	struct candidate farthest;

	do
		farthest = heap_pop(belady);
	while (belady->next_use[farthest.page] != farthest.next);
	belady->next_use[farthest.page] = 0;
	belady->cached--;
}

static bool belady_access(struct model *model, uint32_t page)
{
	struct belady *belady = (struct belady *)model;
	const size_t next = belady->next_of[belady->now++];
	const bool hit = belady->next_use[page] != 0;

	if (!hit && belady->cached == belady->capacity)
		evict(belady);
	belady->cached += !hit;
	belady->next_use[page] = next;
	heap_push(belady, (struct candidate){ next, page });
	return hit;
}

static void belady_destroy(struct model *model)
{
	struct belady *belady = (struct belady *)model;

	free(belady->next_of);
	free(belady->next_use);
	free(belady->heap);
	free(belady);
}

struct model *model_belady(const struct trace *trace, uint64_t capacity)
{
	struct belady *belady = model_alloc(1, sizeof(*belady));
	size_t *last = model_alloc(trace->unique, sizeof(*last));

	belady->model = (struct model){ .name = "belady", .access = belady_access, .destroy = belady_destroy };
	belady->capacity = capacity;
	belady->next_of = model_alloc(trace->count, sizeof(*belady->next_of));
	belady->next_use = model_alloc(trace->unique, sizeof(*belady->next_use));
	belady->heap = model_alloc(trace->count, sizeof(*belady->heap));
	/*
	 * Uses count from 1; a page that is not used again comes back after the end, each at a time
	 * of its own.
	 */
	for (size_t i = trace->count; i-- > 0;) {
		const uint32_t page = trace->references[i].dense;

		belady->next_of[i] = last[page] != 0 ? last[page] : trace->count + 1 + page;
		last[page] = i + 1;
	}
	free(last);
	return &belady->model;
}
