// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where the fresh ranges of virtual addresses lie, and dropping one; shared by address_space.c and
 * stack.c.
 */
#pragma once

#include "stack.h"

/*
 * In the upper half of the addresses, so that the whole lower one, 128 TB, is there for memory and
 * devices at their physical addresses.
 */
#define STACK_START 0xffff800000000000ull /* STACKS_MAX slots */
#define RANGE_START 0xffff810000000000ull /* for address_space_map */
#define RANGE_END   0xffffc00000000000ull

_Static_assert(STACK_START + STACKS_MAX * STACK_SLOT_BYTES <= RANGE_START, "stacks and ranges overlap");

/* Unmaps the pages of the range and sees that no CPU can use them any more. */
void address_space_drop(uint64_t start, uint64_t bytes);
