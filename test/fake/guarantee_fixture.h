// SPDX-License-Identifier: BSD-2-Clause
/* A guarantee of a few pieces, for the tests of it with all kinds of donors. */
#pragma once

#include "fake/memory_check.h"

#define PIECES      4
#define PIECE_BYTES (2 * BLOCK_BYTES)

extern const struct guarantee_config pieces_config;

/* A whole piece for any device, or none. */
bool guarantee_piece_take(struct guarantee *guarantee, struct phys_addr *start);

/* One object, as guarantee_take_locked; its record is of no use. */
bool guarantee_take(struct guarantee *guarantee, const struct device *device, uint64_t bytes, bool beyond,
		    struct phys_addr *start);
