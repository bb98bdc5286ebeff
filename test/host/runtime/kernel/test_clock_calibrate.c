// SPDX-License-Identifier: BSD-2-Clause
/* Clocks that run, and clocks that do not. */
#include "host/host_test.h"

#include <time.h>

#include "runtime/kernel/clock_calibrate.h"
#include "runtime/kernel/clock_reference.h"
#include "runtime/x86_64/cpu_registers.h"

static uint64_t reads;
static uint64_t stops_at;  /* reads */
static uint64_t frozen_ns; /* where it stopped */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t read_running(void)
{
	return now_ns() / 100;
}

#define SLOW_TICKS 10000 /* as a port of an old chip: some microseconds */

static uint64_t read_still(void)
{
	const uint64_t start = tsc_read();

	while (tsc_read() - start < SLOW_TICKS)
		;
	reads++;
	return 12345;
}

static uint64_t read_stopping(void)
{
	if (++reads < stops_at)
		frozen_ns = now_ns();
	return frozen_ns / 100;
}

/* Each read is far from the one before. */
static uint64_t read_noise(void)
{
	return ++reads * 0x9e3779b97f4a7c15ull;
}

static struct clock_reference reference_of(uint64_t (*read)(void))
{
	reads = 0;
	return (struct clock_reference){ "test", 10000000, UINT32_MAX, read };
}

START_TEST(running_clock_is_believed)
{
	const struct clock_reference reference = reference_of(read_running);
	const uint64_t start_ns = now_ns(), start = tsc_read(), hz = clock_calibrate(&reference);
	const uint64_t model_hz = (tsc_read() - start) * NS_PER_S / (now_ns() - start_ns);

	ck_assert_uint_gt(hz, model_hz / 100 * 95);
	ck_assert_uint_lt(hz, model_hz / 100 * 105);
}
END_TEST

START_TEST(clock_that_stands_still_is_left_in_time)
{
	const struct clock_reference reference = reference_of(read_still);
	const uint64_t start = tsc_read();

	ck_assert_uint_eq(clock_calibrate(&reference), 0);
	ck_assert_uint_lt(tsc_read() - start, 1ull << 34);
	ck_assert_uint_gt(reads, 100);
}
END_TEST

START_TEST(clock_that_stops_is_left_in_time)
{
	for (stops_at = 1; stops_at < 100; stops_at += 33) {
		const struct clock_reference reference = reference_of(read_stopping);

		ck_assert_uint_eq(clock_calibrate(&reference), 0);
	}
}
END_TEST

START_TEST(noise_is_no_clock)
{
	const struct clock_reference reference = reference_of(read_noise);

	ck_assert_uint_eq(clock_calibrate(&reference), 0);
}
END_TEST

static uint64_t read_steps(void)
{
	return ++reads * 2000000;
}

/* A clock that runs, with a rate of which 5 ms are 2^64 and a little more: nothing, as it seems. */
START_TEST(impossible_rate_is_no_clock)
{
	struct clock_reference reference = reference_of(read_steps);

	reference.hz = UINT64_MAX / (5 * NS_PER_MS) + 1;
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(clock_calibrate(&reference), 0);
}
END_TEST

START_TEST(cpuid_is_checked)
{
	ck_assert_uint_eq(clock_hz_from_crystal(&(struct cpuid){ .eax = 2, .ebx = 216, .ecx = 24000000 }), 2592000000);
	ck_assert_uint_eq(clock_hz_from_crystal(&(struct cpuid){ .eax = 3, .ebx = 200, .ecx = 38400000 }), 2560000000);
	ck_assert_uint_eq(clock_hz_from_crystal(&(struct cpuid){ .eax = 2, .ebx = 216 }), 0);
	ck_assert_uint_eq(clock_hz_from_crystal(&(struct cpuid){ .ebx = 216, .ecx = 24000000 }), 0);
	ck_assert_uint_eq(clock_hz_from_crystal(&(struct cpuid){ .eax = 2, .ecx = 24000000 }), 0);
	ck_assert_uint_eq(clock_hz_from_crystal(&(struct cpuid){ .eax = 1, .ebx = UINT32_MAX, .ecx = UINT32_MAX }), 0);
	ck_assert_uint_eq(clock_hz_from_base(&(struct cpuid){ .eax = 2600, .ebx = 4000 }), 2600000000);
	ck_assert_uint_eq(clock_hz_from_base(&(struct cpuid){ .eax = 0xabcd0000 }), 0);
	ck_assert_uint_eq(clock_hz_from_base(&(struct cpuid){ .eax = 0xffff }), 0);
}
END_TEST

HOST_TEST_MAIN("clock_calibrate", running_clock_is_believed, clock_that_stands_still_is_left_in_time,
	       clock_that_stops_is_left_in_time, noise_is_no_clock, impossible_rate_is_no_clock, cpuid_is_checked)
