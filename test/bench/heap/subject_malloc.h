// SPDX-License-Identifier: BSD-2-Clause
/*
 * malloc and free; see subject.h. What was taken is what is resident: addresses alone cost nothing.
 */
#pragma once

#include <stdlib.h>

#include "measure.h"

#define SUBJECT_TAKES_ANY_SIZE 1
#define SUBJECT_IS_NONE        0

static inline void subject_init(void)
{
}

static inline void *subject_alloc(size_t bytes)
{
	return malloc(bytes);
}

static inline void subject_free(void *object, size_t bytes)
{
	(void)bytes;
	free(object);
}

static inline uint64_t subject_taken_bytes(void)
{
	return resident_bytes();
}

static inline bool subject_drains(void)
{
	return false;
}

static inline uint64_t subject_drained_blocks_held(void)
{
	return 0;
}
