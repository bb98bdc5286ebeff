// SPDX-License-Identifier: BSD-2-Clause
/* Clocks of known rate, to measure the time-stamp counter with. */
#pragma once

#include "runtime/base/types.h"

struct clock_reference {
	const char *name;
	uint64_t hz;
	uint64_t mask; /* the counter runs up and wraps at this */
	uint64_t (*read)(void);
};

/*
 * The best that this machine has: HPET, ACPI PM timer, or PIT. It runs. Never NULL. At start-up
 * only.
 */
const struct clock_reference *clock_reference_find(void);
