// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nanoseconds are ticks of the time-stamp counter times a factor, which start-up measures against
 * a clock of known rate. A CPU whose counter is out of step gets an offset. The median of three
 * measurements is taken, since an interruption makes one of them wrong.
 */
#include "clock.h"

#include "clock_reference.h"
#include "cpu.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/cpu_registers.h"

#define TRIES            3
#define TRY_NS           (5 * NS_PER_MS)
#define SAMPLES          8
#define TRIES_DIFFER_PPM 2000

#define FEATURE_TSC       (1u << 4) /* CPUID 1, EDX */
#define LEAF_POWER        0x80000007u
#define FEATURE_INVARIANT (1u << 8) /* EDX: the same rate in all power states */

/* ns = (ticks * multiplier) >> 32 */
static uint64_t multiplier;
static uint64_t hz;
static uint64_t origin;
static uint64_t offsets[PLATFORM_CPUS_MAX]; /* what a CPU's counter is behind the first CPU's; wraps */
static bool has_offsets;

/* One reading of both clocks at nearly the same moment. */
struct sample {
	uint64_t tsc;
	uint64_t reference;
	uint64_t width; /* how far apart they may be */
};

/* The best of several: an interruption, in an emulator above all, makes a reading wide. */
static struct sample sample_take(const struct clock_reference *reference)
{
	struct sample best = { .width = UINT64_MAX };

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t before = tsc_read(), value = reference->read(), after = tsc_read();

		if (after - before < best.width)
			best = (struct sample){ before + (after - before) / 2, value, after - before };
	}
	return best;
}

static uint64_t measure_hz(const struct clock_reference *reference)
{
	const uint64_t wanted = reference->hz * TRY_NS / NS_PER_S;
	struct sample start = sample_take(reference), end;
	uint64_t ticks;

	while (((reference->read() - start.reference) & reference->mask) < wanted)
		platform_cpu_relax();
	end = sample_take(reference);
	ticks = (end.reference - start.reference) & reference->mask;
	return (end.tsc - start.tsc) * reference->hz / ticks; /* fits for tries of several seconds */
}

/* The median of three measurements. */
static uint64_t calibrate(const struct clock_reference *reference)
{
	uint64_t low = UINT64_MAX, high = 0, sum = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t value = measure_hz(reference);

		low = MIN(low, value);
		high = MAX(high, value);
		sum += value;
	}
	if ((high - low) * 1000000 / high > TRIES_DIFFER_PPM)
		log_warn("clock: measurements of the time-stamp counter differ, %lu to %lu kHz", low / 1000, high / 1000);
	return sum - low - high;
}

void clock_init(uint64_t origin_tsc)
{
	const struct clock_reference *reference = clock_reference_find();
	uint64_t now = tsc_read();

	if (!(cpuid(1, 0).edx & FEATURE_TSC))
		platform_panic("this CPU has no time-stamp counter");
	hz = calibrate(reference);
	if (hz == 0)
		platform_panic("the time-stamp counter stands still");
	origin = origin_tsc && origin_tsc < now ? origin_tsc : now;
	multiplier = (NS_PER_S << 32) / hz;
	log_info("clock: time-stamp counter at %lu.%03lu MHz, by the %s", hz / 1000000, hz / 1000 % 1000, reference->name);
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

void clock_delay_ns(uint64_t ns)
{
	uint64_t start = clock_now_ns();

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
