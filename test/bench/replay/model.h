// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reference models of replacement by pages, to stand beside the page cache: each as simple as its
 * definition. Every reference counts, reads and writes alike; pages by their dense numbers.
 */
#pragma once

#include "trace.h"

struct model {
	const char *name;
	/* References the next page of the trace; true: a hit. */
	bool (*access)(struct model *model, uint32_t page);
	/*
	 * Takes the frames of its next `pages` victims away, in its own order of eviction; gives so
	 * many back, empty. NULL: it cannot.
	 */
	void (*take)(struct model *model, uint64_t pages);
	void (*give)(struct model *model, uint64_t pages);
	void (*destroy)(struct model *model);
};

/* They end the program when there is no memory. `capacity` is at least 2. */
struct model *model_lru(const struct trace *trace, uint64_t capacity);
struct model *model_arc(const struct trace *trace, uint64_t capacity);
struct model *model_s3fifo(const struct trace *trace, uint64_t capacity);
struct model *model_belady(const struct trace *trace, uint64_t capacity);

void *model_alloc(size_t count, size_t bytes);

/* Misses of the whole trace. Destroys the model. */
uint64_t model_misses(struct model *model, const struct trace *trace);
