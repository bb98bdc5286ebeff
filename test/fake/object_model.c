// SPDX-License-Identifier: BSD-2-Clause
#include "object_model.h"

#include <check.h>

static uint32_t mark_of(unsigned slot, size_t bytes)
{
	return (uint32_t)(slot * 2654435761u ^ bytes);
}

void object_model_check(const struct object_model *model, unsigned slot)
{
	const uint32_t *words = model->slots[slot].memory;
	const size_t bytes = model->slots[slot].bytes;

	ck_assert_uint_eq(words[0], mark_of(slot, bytes));
	ck_assert_uint_eq(words[bytes / 4 - 1], mark_of(slot, bytes));
}

void object_model_set(struct object_model *model, unsigned slot, void *object, size_t bytes)
{
	ck_assert_ptr_nonnull(object);
	model->slots[slot].memory = object;
	model->slots[slot].bytes = bytes;
	model->slots[slot].memory[0] = mark_of(slot, bytes);
	model->slots[slot].memory[bytes / 4 - 1] = mark_of(slot, bytes);
	model->live++;
}

void *object_model_take(struct object_model *model, unsigned slot)
{
	void *object = model->slots[slot].memory;

	object_model_check(model, slot);
	model->slots[slot].memory = NULL;
	model->live--;
	return object;
}
