// SPDX-License-Identifier: BSD-2-Clause
/*
 * The CPU for a message: the wanted one, or else the one with the fewest vectors in use that a
 * message reaches. A device is better served by another CPU than not at all.
 */
#include "interrupt_route.h"

int interrupt_route(const struct interrupt_target *targets, unsigned count, int wanted)
{
	int best = INTERRUPT_NO_TARGET;

	if (wanted >= 0 && targets[wanted].apic_id <= INTERRUPT_APIC_ID_MAX)
		return wanted;
	for (unsigned i = 0; i < count; i++) {
		if (targets[i].apic_id <= INTERRUPT_APIC_ID_MAX && (best < 0 || targets[i].used < targets[best].used))
			best = (int)i;
	}
	return best;
}
