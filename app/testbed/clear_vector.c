// SPDX-License-Identifier: BSD-2-Clause
/*
 * Five ways to zero memory; the fastest one of this machine is the yardstick. Two use vector
 * registers, which only files with this name may. The buffers themselves are zeroed, so that the
 * yardstick has their memory and their size.
 */
#include "clear.h"

#include "buffers.h"
#include "heap/dma/dma.h"
#include "runtime/base/platform.h"
#include "runtime/base/string.h"

#define TRIES 3

/* All take a multiple of 64 bytes, aligned so. */

static void clear_memset(void *memory, uint64_t bytes)
{
	memset(memory, 0, bytes);
}

static void clear_string(void *memory, uint64_t bytes)
{
	__asm__ volatile("rep stosb" : "+D"(memory), "+c"(bytes) : "a"(0) : "memory");
}

static void clear_words(void *memory, uint64_t bytes)
{
	volatile uint64_t *words = memory;

	for (volatile uint64_t *end = words + bytes / 8; words != end; words += 8) {
		words[0] = 0;
		words[1] = 0;
		words[2] = 0;
		words[3] = 0;
		words[4] = 0;
		words[5] = 0;
		words[6] = 0;
		words[7] = 0;
	}
}

static void clear_vectors(void *memory, uint64_t bytes)
{
	char *end = (char *)memory + bytes;

	__asm__ volatile("pxor %%xmm0, %%xmm0\n"
			 "1: movdqa %%xmm0, (%0)\n"
			 "movdqa %%xmm0, 16(%0)\n"
			 "movdqa %%xmm0, 32(%0)\n"
			 "movdqa %%xmm0, 48(%0)\n"
			 "add $64, %0\n"
			 "cmp %1, %0\n"
			 "jne 1b"
			 : "+r"(memory)
			 : "r"(end)
			 : "xmm0", "memory", "cc");
}

static void clear_past_cache(void *memory, uint64_t bytes)
{
	char *end = (char *)memory + bytes;

	__asm__ volatile("pxor %%xmm0, %%xmm0\n"
			 "1: movntdq %%xmm0, (%0)\n"
			 "movntdq %%xmm0, 16(%0)\n"
			 "movntdq %%xmm0, 32(%0)\n"
			 "movntdq %%xmm0, 48(%0)\n"
			 "add $64, %0\n"
			 "cmp %1, %0\n"
			 "jne 1b\n"
			 "sfence"
			 : "+r"(memory)
			 : "r"(end)
			 : "xmm0", "memory", "cc");
}

static const struct method {
	const char *name;
	void (*clear)(void *memory, uint64_t bytes);
} methods[] = {
	{ "memset", clear_memset },
	{ "rep stosb", clear_string },
	{ "64-bit stores", clear_words },
	{ "SSE2 stores", clear_vectors },
	{ "SSE2 stores past the cache", clear_past_cache },
};

static uint64_t time_ns(const struct method *method, const struct dma_buffer *buffer)
{
	const uint64_t before = platform_now_ns();

	method->clear(buffer->memory, buffer->bytes);
	return platform_now_ns() - before;
}

/* The best of some tries counts, since other tasks may run during one. */
static const struct method *find_fastest(const struct dma_buffer *buffer)
{
	const struct method *fastest = NULL;
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < ARRAY_LENGTH(methods) * TRIES; i++) {
		const struct method *method = &methods[i % ARRAY_LENGTH(methods)];
		const uint64_t ns = time_ns(method, buffer);

		if (ns < least) {
			least = ns;
			fastest = method;
		}
	}
	return fastest;
}

uint64_t clear_measure_ns(const struct buffers *buffers, uint64_t bytes, const char **name)
{
	const struct method *method = find_fastest(buffers->list[0]);
	const uint64_t before = platform_now_ns();

	for (uint64_t done = 0, i = 0; done < bytes; i = (i + 1) % buffers->taken) {
		const uint64_t part = MIN(buffers->list[i]->bytes, bytes - done);

		method->clear(buffers->list[i]->memory, part);
		done += part;
	}
	*name = method->name;
	return platform_now_ns() - before;
}
