// SPDX-License-Identifier: BSD-2-Clause
/*
 * No allocator; see subject.h. Where a call would be stands one instruction, and the compiler has
 * to give up the same registers for it. So what this program takes is the harness: everything but
 * what is done behind the call.
 */
#pragma once

#define SUBJECT_TAKES_ANY_SIZE 1
#define SUBJECT_IS_NONE        1

#define SUBJECT_CALL_CLOBBERS "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "cc", "memory"

static char subject_object[SUBJECT_PAGE_BYTES];

static inline void subject_init(void)
{
}

static inline void *subject_alloc(size_t bytes)
{
	void *object;

	__asm__ volatile("leaq %2, %0" : "=a"(object), "+D"(bytes) : "m"(subject_object) : SUBJECT_CALL_CLOBBERS);
	return object;
}

static inline void subject_free(void *object, size_t bytes)
{
	(void)bytes;
	__asm__ volatile("nop" : "+D"(object) : : "rax", SUBJECT_CALL_CLOBBERS);
}

static inline uint64_t subject_taken_bytes(void)
{
	return 0;
}

static inline bool subject_drains(void)
{
	return false;
}

static inline uint64_t subject_drained_blocks_held(void)
{
	return 0;
}
