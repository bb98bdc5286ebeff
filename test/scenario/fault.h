// SPDX-License-Identifier: BSD-2-Clause
/* What the scenario fault has in a file of its own: code that uses vector registers. */
#pragma once

#include "runtime/base/types.h"

struct fault_sample {
	uint64_t words[8];
};

/* Only in a task that may use vector registers. */
void fault_sample_copy(struct fault_sample *to, const struct fault_sample *from);
