/* Sorting, without other memory and within n log n steps whatever comes in. Any context. */
#pragma once

#include "types.h"

/* Ascending. */
void sort_numbers(uint64_t *numbers, uint64_t count);
