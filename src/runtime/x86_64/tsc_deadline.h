// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPUs whose timer may miss a deadline of the time-stamp counter, until their microcode is new
 * enough. Portable.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * The microcode revision from which on the deadline can be relied on, for an Intel CPU with this
 * signature (CPUID 1, EAX); 0: any.
 */
uint32_t tsc_deadline_microcode(uint32_t signature);
