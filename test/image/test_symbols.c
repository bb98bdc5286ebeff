// SPDX-License-Identifier: BSD-2-Clause
/* Names for addresses, and the way back through the callers. */
#include "image_test.h"

#include "runtime/base/string.h"
#include "runtime/kernel/backtrace.h"
#include "runtime/kernel/symbols.h"

static const char *name_at(uint64_t address)
{
	const char *name = symbols_find(address, NULL);

	return name ? name : "";
}

IMAGE_TEST(symbols_name_functions)
{
	const uint64_t start = (uintptr_t)symbols_find;
	uint64_t offset = ~0ull;

	expect(strcmp(name_at(start), "symbols_find") == 0);
	expect(strcmp(name_at(start - 1), "symbols_find") != 0);
	expect(symbols_find(start + 5, &offset) != NULL);
	expect_equal(offset, 5);
	expect(symbols_find(0, NULL) == NULL);
	expect(symbols_find((uintptr_t)&offset, NULL) == NULL);
	expect(start > symbols_image_base() && start - symbols_image_base() < 16 * MIB);
}

static __attribute__((noinline)) size_t inner(uint64_t *addresses, size_t max)
{
	const size_t count = backtrace_collect((uintptr_t)__builtin_frame_address(0), addresses, max);

	__asm__ volatile("" : : "r"(count)); /* so that it is no tail call */
	return count;
}

static __attribute__((noinline)) size_t outer(uint64_t *addresses, size_t max)
{
	const size_t count = inner(addresses, max);

	__asm__ volatile("" : : "r"(count));
	return count;
}

IMAGE_TEST(backtrace_finds_the_callers)
{
	uint64_t addresses[BACKTRACE_FRAMES_MAX];
	const size_t count = outer(addresses, BACKTRACE_FRAMES_MAX);

	require(count >= 3);
	expect(strcmp(name_at(addresses[0] - 1), "outer") == 0);
	expect(strcmp(name_at(addresses[1] - 1), "image_test_run_backtrace_finds_the_callers") == 0);
	expect_equal(outer(addresses, 2), 2);
}

IMAGE_TEST(backtrace_survives_a_broken_chain)
{
	uint64_t addresses[BACKTRACE_FRAMES_MAX];
	uint64_t nowhere[2] = { 0x123456789000, (uintptr_t)symbols_find };
	uint64_t itself[2] = { 0, (uintptr_t)symbols_find };

	itself[0] = (uintptr_t)itself;
	expect_equal(backtrace_collect((uintptr_t)nowhere, addresses, BACKTRACE_FRAMES_MAX), 1);
	expect_equal(backtrace_collect((uintptr_t)itself, addresses, BACKTRACE_FRAMES_MAX), 1);
	expect_equal(backtrace_collect((uintptr_t)nowhere + 1, addresses, BACKTRACE_FRAMES_MAX), 0);
	expect_equal(backtrace_collect(0x8123456789000000, addresses, BACKTRACE_FRAMES_MAX), 0);
	expect_equal(backtrace_collect(0, addresses, BACKTRACE_FRAMES_MAX), 0);
}
