// SPDX-License-Identifier: BSD-2-Clause
/*
 * ARC: N. Megiddo, D. S. Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", USENIX FAST
 * 2003, figure 4. T1 and T2 hold pages seen once and more often, B1 and B2 the numbers of those
 * that left them; `target` is what T1 should have.
 */
#include <stdlib.h>

#include "fifo.h"

enum where {
	NOWHERE,
	T1,
	T2,
	B1,
	B2,
	LISTS,
};

struct arc {
	struct model model;
	uint64_t capacity;
	double target; /* a real number: with whole ones, steps between 1 and 2 would count as 1 */
	struct fifo lists[LISTS];
	uint8_t *where;
};

static void put(struct arc *arc, uint32_t page, enum where to)
{
	if (arc->where[page] != NOWHERE)
		fifo_remove(&arc->lists[arc->where[page]], page);
	if (to != NOWHERE)
		fifo_push(&arc->lists[to], page);
	arc->where[page] = (uint8_t)to;
}

static void replace(struct arc *arc, bool from_b2)
{
	const double t1 = (double)arc->lists[T1].count;

	if (t1 > 0 && (t1 > arc->target || (from_b2 && t1 >= arc->target)))
		put(arc, arc->lists[T1].tail, B1);
	else
		put(arc, arc->lists[T2].tail, B2);
}

static double ratio(uint64_t a, uint64_t b)
{
	return a > b ? (double)a / (double)b : 1;
}

static void hit_b1(struct arc *arc, uint32_t page)
{
	const double more = arc->target + ratio(arc->lists[B2].count, arc->lists[B1].count);

	arc->target = more < (double)arc->capacity ? more : (double)arc->capacity;
	replace(arc, false);
	put(arc, page, T2);
}

static void hit_b2(struct arc *arc, uint32_t page)
{
	const double less = ratio(arc->lists[B1].count, arc->lists[B2].count);

	arc->target = arc->target > less ? arc->target - less : 0;
	replace(arc, true);
	put(arc, page, T2);
}

static void miss(struct arc *arc, uint32_t page)
{
	const uint64_t l1 = arc->lists[T1].count + arc->lists[B1].count;
	const uint64_t all = l1 + arc->lists[T2].count + arc->lists[B2].count;

	if (l1 == arc->capacity) {
		if (arc->lists[T1].count < arc->capacity) {
			put(arc, arc->lists[B1].tail, NOWHERE);
			replace(arc, false);
		} else {
			put(arc, arc->lists[T1].tail, NOWHERE);
		}
	} else if (all >= arc->capacity) {
		if (all == 2 * arc->capacity)
			put(arc, arc->lists[B2].tail, NOWHERE);
		replace(arc, false);
	}
	put(arc, page, T1);
}

static bool arc_access(struct model *model, uint32_t page)
{
	struct arc *arc = (struct arc *)model;

	switch (arc->where[page]) {
	case T1:
	case T2:
		put(arc, page, T2);
		return true;
	case B1:
		hit_b1(arc, page);
		return false;
	case B2:
		hit_b2(arc, page);
		return false;
	default:
		miss(arc, page);
		return false;
	}
}

static void arc_destroy(struct model *model)
{
	struct arc *arc = (struct arc *)model;

	free(arc->lists[T1].links);
	free(arc->where);
	free(arc);
}

struct model *model_arc(const struct trace *trace, uint64_t capacity)
{
	struct arc *arc = model_alloc(1, sizeof(*arc));
	struct fifo_link *links = model_alloc(trace->unique, sizeof(*links));

	arc->model = (struct model){ .name = "arc", .access = arc_access, .destroy = arc_destroy };
	arc->capacity = capacity;
	arc->where = model_alloc(trace->unique, sizeof(*arc->where));
	for (unsigned i = T1; i < LISTS; i++)
		fifo_init(&arc->lists[i], links);
	return &arc->model;
}
