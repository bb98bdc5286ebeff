// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the objects of a heap should be: which slot has one, how large, and marked at its start and
 * at its end.
 */
#pragma once

#include "runtime/base/random.h"
#include "runtime/base/types.h"

#define MODEL_SLOTS 4000

/* All zero at first, but for the random. Sizes are multiples of 4 bytes. */
struct object_model {
	struct {
		uint32_t *memory;
		size_t bytes;
	} slots[MODEL_SLOTS];
	struct random random;
	uint64_t live;
};

/* The object of a slot that has one still bears its marks. */
void object_model_check(const struct object_model *model, unsigned slot);

/* Puts a new object into a slot, and marks it. */
void object_model_set(struct object_model *model, unsigned slot, void *object, size_t bytes);

/* Checks the object of a slot and takes it out, to be freed. */
void *object_model_take(struct object_model *model, unsigned slot);
