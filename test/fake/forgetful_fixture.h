// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine whose disk forgets what it has not flushed, when a flush fails or it is reset; and what
 * happens to its next request of a kind.
 */
#pragma once

#include "fake/cache_fixture.h"

#define SMALL_DISK (16 * BLOCK_BYTES)

/* A disk of SMALL_DISK bytes without a thread. What is logged from here on is not shown. */
void forgetful_machine_init(struct cache_machine *machine);

/*
 * Calls `before` right before the disk executes it, `after` right after that, before its end is
 * seen; NULL: nothing.
 */
void forgetful_hook(struct cache_machine *machine, enum block_operation operation, void (*before)(void), void (*after)(void));
