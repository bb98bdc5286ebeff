// SPDX-License-Identifier: BSD-2-Clause
/*
 * The yardstick: how long it takes to zero memory with the fastest way that there is on this
 * machine.
 */
#pragma once

#include "runtime/base/types.h"

struct buffers;

/*
 * Time to zero `bytes`, in the memory of the buffers, over and over; and the name of the way. Their
 * contents are gone.
 */
uint64_t clear_measure_ns(const struct buffers *buffers, uint64_t bytes, const char **method);
