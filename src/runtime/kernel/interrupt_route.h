// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which CPU a device's message goes to. Touches no hardware, so tests on the host can run it. Intel
 * SDM volume 3, section 11.11: the address of a message has 8 bits for the APIC id.
 */
#pragma once

#include "runtime/base/types.h"

/* Ids up to here are reached in either mode of the APIC, as nothing remaps interrupts; 255: all. */
#define INTERRUPT_APIC_ID_MAX 254u

struct interrupt_target {
	uint32_t apic_id;
	unsigned used; /* vectors taken */
};

#define INTERRUPT_NO_TARGET (-1)

/*
 * The index of `wanted` (-1: any) if messages reach it, else of the one with the fewest vectors in
 * use that they reach, or INTERRUPT_NO_TARGET. Any context.
 */
int interrupt_route(const struct interrupt_target *targets, unsigned count, int wanted);
