// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a fuzz target is made of: the bytes that libFuzzer gives, read from the front as choices.
 * Behind the end there are zeros, so every string of bytes is a valid input, and the shorter one is
 * the simpler one.
 */
#pragma once

#include <stddef.h>

#include "runtime/base/assert.h"
#include "runtime/base/types.h"

struct input {
	const uint8_t *data;
	size_t size;
};

static inline bool input_is_over(const struct input *input)
{
	return input->size == 0;
}

static inline uint8_t input_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* A number of this many bytes, 8 at most. */
static inline uint64_t input_number(struct input *input, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t)input_byte(input) << (8 * i);
	return number;
}

/* [0, limit); `limit` is 1 to 65536. */
static inline uint32_t input_below(struct input *input, uint32_t limit)
{
	return (uint32_t)(input_number(input, limit <= 256 ? 1 : 2) % limit);
}

/* libFuzzer calls this by its name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
