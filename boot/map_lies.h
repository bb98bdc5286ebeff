// SPDX-License-Identifier: BSD-2-Clause
/*
 * A memory map as bad firmware makes it (inject=memory-map): descriptors that overlap, wrap around,
 * are not aligned, have no pages, or lie beyond the CPU's addresses; kinds of memory that QEMU does
 * not have; and pages of the firmware's own all over free memory, so that there are many ranges.
 */
#pragma once

#include "loader.h"

/* Room for the lies in the buffer of the map; 0 where nothing lies. */
UINTN map_lies_bytes(UINTN descriptor_bytes);

/* Adds them to what the firmware said. */
void map_lies_add(struct loader_map *map);
