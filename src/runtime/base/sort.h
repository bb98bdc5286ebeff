// SPDX-License-Identifier: BSD-2-Clause
/* Sorting, without other memory and within n log n steps for any input. Any context. */
#pragma once

#include "types.h"

/* Ascending. */
void sort_numbers(uint64_t *numbers, uint64_t count);
