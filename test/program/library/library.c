// SPDX-License-Identifier: BSD-2-Clause
/* Goes into an archive, which app.mk names in LIBS. */
#include "runtime/base/types.h"

uint64_t parts_in_library(void);

uint64_t parts_in_library(void)
{
	return 7;
}
