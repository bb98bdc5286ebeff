// SPDX-License-Identifier: BSD-2-Clause
/*
 * The median of three measurements is taken, since an interruption makes one of them wrong. No loop
 * waits for a clock without counting ticks and reads: a clock that is described in the tables may
 * stand still.
 */
#include "clock_calibrate.h"

#include "clock_reference.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/x86_64/cpu_registers.h"

#define TRIES            3
#define TRY_NS           (5 * NS_PER_MS)
#define TRY_TICKS_MAX    (1ull << 31) /* half a second and more */
#define TRY_READS_MAX    (1u << 23)
#define SAMPLES          8
#define TRIES_DIFFER_PPM 2000
#define REFERENCE_HZ_MAX 1000000000ull /* of a clock outside of the CPU; products with it fit */
#define HZ_MIN           100000000ull
#define HZ_MAX           20000000000ull

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

static uint64_t plausible(uint64_t hz)
{
	return hz >= HZ_MIN && hz <= HZ_MAX ? hz : 0;
}

/* False: the time does not come, as the clock stands still. */
static bool try_wait(const struct clock_reference *reference, const struct sample *start)
{
	const uint64_t wanted = reference->hz * TRY_NS / NS_PER_S;

	for (unsigned reads = 0; reads < TRY_READS_MAX; reads++) {
		if (((reference->read() - start->reference) & reference->mask) >= wanted)
			return true;
		if (tsc_read() - start->tsc > TRY_TICKS_MAX)
			return false;
		platform_cpu_relax();
	}
	return false;
}

static uint64_t measure_hz(const struct clock_reference *reference)
{
	const struct sample start = sample_take(reference);
	struct sample end;
	uint64_t ticks;

	if (reference->hz > REFERENCE_HZ_MAX || !try_wait(reference, &start))
		return 0;
	end = sample_take(reference);
	ticks = (end.reference - start.reference) & reference->mask;
	return ticks > 0 ? (end.tsc - start.tsc) * reference->hz / ticks : 0; /* fits for tries of several seconds */
}

uint64_t clock_calibrate(const struct clock_reference *reference)
{
	uint64_t low = UINT64_MAX, high = 0, sum = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		const uint64_t value = plausible(measure_hz(reference));

		if (value == 0) {
			log_warn("clock: the %s stands still, or is no clock; ignored", reference->name);
			return 0;
		}
		low = MIN(low, value);
		high = MAX(high, value);
		sum += value;
	}
	if ((high - low) * 1000000 / high > TRIES_DIFFER_PPM)
		log_warn("clock: measurements of the time-stamp counter differ, %llu to %llu kHz",
			 (unsigned long long)low / 1000, (unsigned long long)high / 1000);
	return sum - low - high;
}

uint64_t clock_hz_from_crystal(const struct cpuid *leaf)
{
	if (leaf->eax == 0)
		return 0;
	return plausible((uint64_t)leaf->ecx * leaf->ebx / leaf->eax);
}

uint64_t clock_hz_from_base(const struct cpuid *leaf)
{
	return plausible((leaf->eax & 0xffffull) * 1000000);
}
