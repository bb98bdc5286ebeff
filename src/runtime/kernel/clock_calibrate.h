// SPDX-License-Identifier: BSD-2-Clause
/*
 * How fast the time-stamp counter runs. Each way returns ticks a second, or 0 where it does not
 * tell or tells what cannot be. Portable; at start-up.
 */
#pragma once

#include "runtime/base/types.h"

struct clock_reference;
struct cpuid;

/*
 * Measures against a running clock for some 15 ms. 0, with a line in the log: it stands still, or
 * stops meanwhile; found out in 2^31 ticks, and without these in some million reads.
 */
uint64_t clock_calibrate(const struct clock_reference *reference);

/* From CPUID leaf 15h, where it has the crystal's rate. Intel SDM volume 2, CPUID. */
uint64_t clock_hz_from_crystal(const struct cpuid *leaf);

/* From leaf 16h, the marketed base frequency: up to 1% off. */
uint64_t clock_hz_from_base(const struct cpuid *leaf);
