// SPDX-License-Identifier: BSD-2-Clause
/* A machine whose guarantee some devices reserve, for the tests of its accounts. */
#pragma once

#include "fake/heap_fixture.h"

#define RESERVING_DEVICES 4 /* of which the last one reserves nothing */

extern const struct device reserving_devices[RESERVING_DEVICES];

/* A machine of 128 blocks whose guarantee has so many pieces, and which keeps nothing free. */
void machine_with_pieces(struct machine *machine, uint64_t pieces, uint64_t piece_bytes);
