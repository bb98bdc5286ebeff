// SPDX-License-Identifier: BSD-2-Clause
/* What a bank says, in words. */
#include "host/host_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernel/machine_check.h"

static const char *text_of(uint64_t status)
{
	static char text[240];
	const struct machine_check_bank bank = { .number = 9, .status = status, .address = 0x12345000, .misc = 0x8c };

	memset(text, 'x', sizeof(text));
	machine_check_describe(&bank, text, sizeof(text));
	return text;
}

/* The words for a corrected error with this code. */
static void code_check(unsigned code, const char *words)
{
	const uint64_t status = MACHINE_CHECK_VALID | code;
	char expected[240];

	snprintf(expected, sizeof(expected), "bank 9: corrected %s (status 0x%016llx)", words, (unsigned long long)status);
	ck_assert_str_eq(text_of(status), expected);
}

START_TEST(codes)
{
	code_check(0x0001, "unclassified error");
	code_check(0x0400, "time-out inside of the CPU (no instruction ended for long)");
	code_check(0x0e0b, "I/O error");
	code_check(0x000e, "cache error, level 2");
	code_check(0x0015, "data translation buffer error, level 1");
	code_check(0x0091, "memory read error on channel 1");
	code_check(0x00cf, "memory scrub error");
	code_check(0x02a3, "memory-side cache write error on channel 3");
	code_check(0x0136, "data cache data read error, level 2");
	code_check(0x0151, "instruction cache instruction fetch error, level 1");
	code_check(0x0863, "bus or interconnect prefetch error");
	code_check(0x2345, "error 0x2345 of the CPU's maker");
	ck_assert_ptr_nonnull(strstr(text_of(MACHINE_CHECK_VALID | 0x1091), "memory read error on channel 1"));
}
END_TEST

START_TEST(flags)
{
	ck_assert_str_eq(text_of(0xbe00000000000091), "bank 9: uncorrected memory read error on channel 1, at 0x12345000, the "
						      "CPU's state is damaged (status 0xbe00000000000091, misc 0x8c)");
	ck_assert_str_eq(text_of(0xc000000000000005), "bank 9: corrected parity error inside of the CPU, more errors were lost "
						      "(status 0xc000000000000005)");
}
END_TEST

/* Any status has words, and they stay within any room. */
START_TEST(any_status_fits)
{
	for (unsigned i = 0; i < 200000; i++) {
		const struct machine_check_bank bank = { .number = i % 32,
							 .status =
								 (uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (i & 0xffff),
							 .address = UINT64_MAX,
							 .misc = UINT64_MAX };
		const size_t bytes = 1 + i % 240;
		char *text = malloc(bytes);

		machine_check_describe(&bank, text, bytes);
		ck_assert_uint_lt(strnlen(text, bytes), bytes);
		free(text);
	}
}
END_TEST

HOST_TEST_MAIN("machine_check", codes, flags, any_status_fits)
