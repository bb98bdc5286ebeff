// SPDX-License-Identifier: BSD-2-Clause
/*
 * Weir's heap on the host platform; see subject.h. What was taken are whole blocks, which no other
 * owner could use.
 */
#pragma once

#include "heap/memory.h"

extern struct memory subject_memory;
extern struct objcache subject_small, subject_page;

void subject_init(void);
uint64_t subject_taken_bytes(void);
uint64_t subject_drained_blocks_held(void);

static inline bool subject_drains(void)
{
	return true;
}

#if defined(SUBJECT_OBJCACHE)
#define SUBJECT_TAKES_ANY_SIZE 0
#define SUBJECT_IS_NONE        0

static inline struct objcache *subject_cache(size_t bytes)
{
	return bytes <= SUBJECT_SMALL_BYTES ? &subject_small : &subject_page;
}

static inline void *subject_alloc(size_t bytes)
{
	return objcache_alloc(subject_cache(bytes));
}

static inline void subject_free(void *object, size_t bytes)
{
	objcache_free(subject_cache(bytes), object);
}
#else
#define SUBJECT_TAKES_ANY_SIZE 1
#define SUBJECT_IS_NONE        0

static inline void *subject_alloc(size_t bytes)
{
	return general_heap_alloc(&subject_memory.general, bytes, 0);
}

static inline void subject_free(void *object, size_t bytes)
{
	(void)bytes;
	general_heap_free(&subject_memory.general, object);
}
#endif
