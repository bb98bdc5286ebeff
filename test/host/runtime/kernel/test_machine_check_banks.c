// SPDX-License-Identifier: BSD-2-Clause
/* The banks over fake registers: which errors are a warning, and which wait for the exception. */
#include "host/host_test.h"

#include <string.h>

#include "fake/fake_msr.h"
#include "host/platform_host.h"
#include "runtime/base/log.h"
#include "runtime/kernel/machine_check.h"

#define BANKS        4
#define HAS_RECOVERY (1u << 24)
#define UNCORRECTED  (1ull << 61)
#define MISC         (1ull << 59)
#define ADDRESS      (1ull << 58)
#define DAMAGED      (1ull << 57)
#define SIGNALED     (1ull << 56)
#define CODE         0x91

static uint64_t capabilities;
static struct {
	uint64_t control, status, address, misc;
} banks[BANKS];
static char text[4096];

static uint64_t *register_of(uint32_t msr)
{
	const unsigned bank = (msr - 0x400) / 4;

	ck_assert_uint_ge(msr, 0x400);
	ck_assert_uint_lt(bank, BANKS);
	return (uint64_t *)&banks[bank] + msr % 4;
}

uint64_t fake_msr_read(uint32_t msr)
{
	if (msr == 0x179)
		return capabilities;
	/* These registers are there only where the status says so. */
	ck_assert(msr % 4 != 2 || *register_of(msr - 1) & ADDRESS);
	ck_assert(msr % 4 != 3 || *register_of(msr - 2) & MISC);
	return *register_of(msr);
}

void fake_msr_write(uint32_t msr, uint64_t value)
{
	ck_assert(msr % 4 != 1 || value == 0); /* anything else is a fault */
	*register_of(msr) = value;
}

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
	(void)leaf, (void)subleaf;
	return (struct cpuid){ .edx = 1u << 7 | 1u << 14 };
}

/* What a poll says of an error with these flags in bank 2, and whether it clears the bank. */
static bool poll_takes(uint64_t flags)
{
	memset(banks, 0, sizeof(banks));
	memset(text, 0, sizeof(text));
	banks[2].status = MACHINE_CHECK_VALID | flags | CODE;
	host_output_capture(text, sizeof(text));
	machine_check_poll();
	host_output_capture(NULL, 0);
	ck_assert_int_eq(banks[2].status == 0, text[0] != '\0');
	return text[0] != '\0';
}

START_TEST(errors_without_an_exception_are_shown)
{
	host_log_level(LOG_WARN);
	capabilities = BANKS | HAS_RECOVERY;
	ck_assert(poll_takes(0));
	ck_assert_ptr_nonnull(strstr(text, "bank 2: corrected memory read error on channel 1"));
	ck_assert(poll_takes(UNCORRECTED | ADDRESS | MISC));
	ck_assert_ptr_nonnull(strstr(text, "bank 2: uncorrected memory read error on channel 1, at 0x0"));
	ck_assert(!poll_takes(UNCORRECTED | SIGNALED));
	ck_assert(!poll_takes(UNCORRECTED | DAMAGED));
	capabilities = BANKS; /* it raises an exception for each */
	ck_assert(!poll_takes(UNCORRECTED));
	ck_assert(poll_takes(0));
}
END_TEST

START_TEST(errors_from_before_the_start_are_shown)
{
	host_log_level(LOG_WARN);
	capabilities = BANKS;
	memset(banks, 0, sizeof(banks));
	memset(text, 0, sizeof(text));
	banks[3].status = MACHINE_CHECK_VALID | UNCORRECTED | DAMAGED | CODE;
	host_output_capture(text, sizeof(text));
	machine_check_init_cpu();
	host_output_capture(NULL, 0);
	ck_assert_ptr_nonnull(strstr(text, "machine check, from before the start: CPU 0, bank 3: uncorrected memory read"));
	for (unsigned i = 0; i < BANKS; i++)
		ck_assert(banks[i].status == 0 && banks[i].control == UINT64_MAX);
}
END_TEST

START_TEST(all_banks_fit_into_any_text)
{
	char room[400];

	capabilities = BANKS;
	for (unsigned i = 0; i < BANKS; i++)
		banks[i].status = MACHINE_CHECK_VALID | CODE;
	for (size_t bytes = 1; bytes <= sizeof(room); bytes++) {
		memset(room, 'x', sizeof(room));
		ck_assert_uint_le(machine_check_collect(room, bytes), BANKS);
		ck_assert_uint_lt(strnlen(room, bytes), bytes);
	}
	ck_assert_uint_eq(machine_check_collect(room, sizeof(room)), BANKS);
}
END_TEST

HOST_TEST_MAIN("machine_check_banks", errors_without_an_exception_are_shown, errors_from_before_the_start_are_shown,
	       all_banks_fit_into_any_text)
