// SPDX-License-Identifier: BSD-2-Clause
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

void *model_alloc(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);

	if (!memory) {
		fprintf(stderr, "replay: no memory for the models\n");
		exit(EXIT_FAILURE);
	}
	return memory;
}

uint64_t model_misses(struct model *model, const struct trace *trace)
{
	uint64_t misses = 0;

	for (size_t i = 0; i < trace->count; i++)
		misses += !model->access(model, trace->references[i].dense);
	model->destroy(model);
	return misses;
}
