// SPDX-License-Identifier: BSD-2-Clause
/* What the files of this program offer each other. */
#pragma once

#include "runtime/base/types.h"

struct command_table;

uint64_t parts_in_assembler(void);
uint64_t parts_in_library(void);
unsigned parts_cards(void); /* that the driver has taken */
void parts_register(struct command_table *table);
