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
 * HPET, ACPI PM timer and PIT, the best one first. Starts the `index`-th; false: the machine has
 * none, and only the name is filled in. One that is started may stand still all the same. At
 * start-up only.
 */
#define CLOCK_REFERENCES 3
bool clock_reference_start(unsigned index, struct clock_reference *reference);
