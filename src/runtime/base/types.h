// SPDX-License-Identifier: BSD-2-Clause
/*
 * The types that everything shares.
 *
 * Physical, device and virtual addresses are different types, so that the compiler refuses to mix
 * them: a virtual address is a pointer, a physical address is what the memory controller decodes, a
 * device address is what a device puts on its bus.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* C11's words, for programs in C++ that include these headers. */
#ifdef __cplusplus
#define _Static_assert static_assert
#define _Noreturn __attribute__((noreturn))
#define _Alignof alignof
#define _Alignas alignas
#endif

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define PAGE_SHIFT 12
#define PAGE_BYTES (1ull << PAGE_SHIFT)
#ifndef BLOCK_SHIFT
#define BLOCK_SHIFT 21 /* benches on the host also build with smaller blocks, for small caches */
#endif
#define BLOCK_BYTES     (1ull << BLOCK_SHIFT)
#define PAGES_PER_BLOCK (BLOCK_BYTES / PAGE_BYTES)

_Static_assert(BLOCK_SHIFT >= 16 && BLOCK_SHIFT <= 21, "blocks of 64 KB to 2 MB; the image has 2 MB");

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

struct phys_addr {
	uint64_t value;
};

struct device_addr {
	uint64_t value;
};

/* A piece of physical memory, [start, start + bytes). */
struct phys_range {
	struct phys_addr start;
	uint64_t bytes;
};

/* A piece of a buffer as a device sees it. */
struct device_segment {
	struct device_addr start;
	uint64_t bytes;
};

#define ARRAY_LENGTH(array)                 (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define MUST_CHECK __attribute__((warn_unused_result))

/*
 * For a function that takes a format and its arguments, at its declaration and its definition. It
 * is called by Microsoft's convention, which passes each of these arguments in a general register
 * or on the stack, a double too: so a double gets through code that has no vector registers. The
 * function reads them with a __builtin_ms_va_list, see format.h.
 */
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first), ms_abi))
