// SPDX-License-Identifier: BSD-2-Clause
/* Walkers that check every invariant of a machine's memory. No operation may be under way. */
#pragma once

#include "heap/memory.h"

/* All of it: heaps and their objects, blocks, the guarantee, records of DMA buffers. */
bool memory_is_valid(struct memory *memory);

bool guarantee_is_valid(struct guarantee *guarantee);
