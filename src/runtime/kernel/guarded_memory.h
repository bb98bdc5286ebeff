// SPDX-License-Identifier: BSD-2-Clause
/*
 * platform_guard and its like (platform.h): one range of the direct map, and the explanation of
 * faults there.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * For the report of a fault: says in `text` what lies at the address. False: it is not guarded.
 * Takes no lock; any context.
 */
bool guarded_memory_explain(uint64_t address, char *text, size_t size);
