// SPDX-License-Identifier: BSD-2-Clause
/*
 * The allocator that is measured, bound at compile time, so that the workloads call it directly:
 * each program is made of the same sources, with one of these.
 *
 *	SUBJECT_WEIR      Weir's general heap
 *	SUBJECT_OBJCACHE  two of Weir's objcaches; sizes have to be constants, SUBJECT_SMALL_BYTES or SUBJECT_PAGE_BYTES
 *	SUBJECT_NONE      no allocator, to measure the harness
 *	SUBJECT_MALLOC    malloc and free: the C library's, or those of a library that is preloaded
 *
 * Each defines
 *
 *	void subject_init(void);                           before anything else, once a process
 *	void *subject_alloc(size_t bytes);                 there is always memory
 *	void subject_free(void *object, size_t bytes);     bytes: as allocated, used by SUBJECT_OBJCACHE only
 *	uint64_t subject_taken_bytes(void);                memory that the allocator has taken for itself and for what is live
 *	bool subject_drains(void);                         true: it gives whole blocks back,
 *	uint64_t subject_drained_blocks_held(void);        ... and so many of 2 MB are left in it after a drain
 *
 *	SUBJECT_TAKES_ANY_SIZE, SUBJECT_IS_NONE            0 or 1
 *
 * Of a call, the instructions count from the callee's first one on, and those that pass more
 * arguments than malloc and free have.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBJECT_SMALL_BYTES 64
#define SUBJECT_PAGE_BYTES  4096

#if defined(SUBJECT_WEIR) || defined(SUBJECT_OBJCACHE)
#include "subject_weir.h"
#elif defined(SUBJECT_NONE)
#include "subject_none.h"
#else
#include "subject_malloc.h"
#endif
