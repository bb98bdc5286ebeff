// SPDX-License-Identifier: BSD-2-Clause
/*
 * The names of the image's functions, made from the linked image and linked into it in a second
 * pass. No locks, no memory; any context.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * The function that `address` lies in, or NULL outside of the image's code; `offset` gets the
 * distance from its start. Return addresses may lie just behind a function that does not return:
 * look up address - 1 for those.
 */
const char *symbols_find(uint64_t address, uint64_t *offset);

/* Where the image's linked address 0 was loaded; what a debugger needs. */
uint64_t symbols_image_base(void);
