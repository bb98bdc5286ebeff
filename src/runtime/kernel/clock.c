// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds are ticks of the time-stamp counter times a factor, which start-up finds out: from
 * the CPU, or against a clock of known rate. A CPU whose counter is out of step gets an offset. A
 * machine where all of that fails has a clock that is wrong, and works.
 */
#include "clock.h"

#include "clock_calibrate.h"
#include "clock_reference.h"
#include "cpu.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/cpu_registers.h"

#define GUESSED_HZ          2500000000ull /* where nothing tells */
#define CYCLES_PER_NS_EARLY 4             /* before the rate is known: of a fast CPU, so that no delay is too short */

#define FEATURE_TSC       (1u << 4) /* CPUID 1, EDX */
#define LEAF_CRYSTAL      0x15u
#define LEAF_FREQUENCY    0x16u
#define LEAF_POWER        0x80000007u
#define FEATURE_INVARIANT (1u << 8) /* EDX: the same rate in all power states */

/* ns = (ticks * multiplier) >> 32 */
static uint64_t multiplier;
static uint64_t hz;
static uint64_t origin;
static uint64_t offsets[PLATFORM_CPUS_MAX]; /* what a CPU's counter is behind the first CPU's; wraps */
static bool has_offsets;

/* By what the CPU says of itself, by clocks of known rate, and then by rougher words of the CPU. */
static uint64_t hz_find(const char **name)
{
	const struct cpuid crystal = cpuid_if_present(LEAF_CRYSTAL, 0), frequency = cpuid_if_present(LEAF_FREQUENCY, 0);
	struct clock_reference reference;
	uint64_t found;

	*name = "CPUID 15h";
	found = INJECTED("no-cpuid-15h") || INJECTED("no-clock") ? 0 : clock_hz_from_crystal(&crystal);
	for (unsigned i = 0; found == 0 && i < CLOCK_REFERENCES; i++) {
		if (clock_reference_start(i, &reference))
			found = clock_calibrate(&reference);
		*name = reference.name;
	}
	if (found != 0)
		return found;
	*name = "CPUID 16h";
	found = INJECTED("no-cpuid-16h") || INJECTED("no-clock") ? 0 : clock_hz_from_base(&frequency);
	if (found != 0)
		return found;
	log_warn("clock: this machine has no clock of known rate that runs; its times are a guess");
	*name = "guess";
	return GUESSED_HZ;
}

void clock_init(uint64_t origin_tsc)
{
	const uint64_t now = tsc_read();
	const char *name;

	if (INJECTED("panic-before-clock"))
		platform_panic("the command line asks for a panic before the clock runs");
	if (!(cpuid(1, 0).edx & FEATURE_TSC))
		platform_panic("this CPU has no time-stamp counter");
	if (tsc_read() == now)
		platform_panic("the time-stamp counter stands still");
	hz = hz_find(&name);
	origin = origin_tsc && origin_tsc < now ? origin_tsc : now;
	multiplier = (NS_PER_S << 32) / hz;
	log_info("clock: time-stamp counter at %lu.%03lu MHz, by the %s", hz / 1000000, hz / 1000 % 1000, name);
	if (!(cpuid_if_present(LEAF_POWER, 0).edx & FEATURE_INVARIANT))
		log_debug("clock: the CPU does not promise a constant rate");
}

static uint64_t tsc_in_step(void)
{
	uint64_t state, tsc;

	if (!has_offsets)
		return tsc_read();
	state = platform_interrupts_save();
	tsc = tsc_read() + offsets[platform_cpu()];
	platform_interrupts_restore(state);
	return tsc;
}

uint64_t clock_ns_from_ticks(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * multiplier) >> 32);
}

uint64_t clock_now_ns(void)
{
	return clock_ns_from_ticks(tsc_in_step() - origin);
}

uint64_t clock_ticks_at(uint64_t ns)
{
	uint64_t ticks = ns / NS_PER_S * hz + ns % NS_PER_S * hz / NS_PER_S;

	return origin + ticks + 1 - offsets[platform_cpu()];
}

/* A panic may want a delay before the clock runs. */
static void delay_early(uint64_t ns)
{
	const uint64_t start = tsc_read();

	while (tsc_read() - start < ns * CYCLES_PER_NS_EARLY)
		platform_cpu_relax();
}

void clock_delay_ns(uint64_t ns)
{
	const uint64_t start = clock_now_ns();

	if (multiplier == 0) {
		delay_early(ns);
		return;
	}
	while (clock_now_ns() - start < ns)
		platform_cpu_relax();
}

void clock_adopt_cpu(unsigned cpu, uint64_t before, uint64_t reading, uint64_t after)
{
	if (reading >= before && reading <= after)
		return;
	offsets[cpu] = before + (after - before) / 2 - reading;
	has_offsets = true;
	log_warn("clock: CPU %u's time-stamp counter is out of step by %ld ticks; corrected", cpu, -(int64_t)offsets[cpu]);
}
