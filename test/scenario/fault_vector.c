// SPDX-License-Identifier: BSD-2-Clause
/*
 * A struct copy as any driver may have one. In a file with this name the compiler uses vector
 * registers for it, which is the fault that the scenario wants to show.
 */
#include "fault.h"

void fault_sample_copy(struct fault_sample *to, const struct fault_sample *from)
{
	*to = *from;
}
