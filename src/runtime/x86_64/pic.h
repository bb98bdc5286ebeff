// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pair of 8259 interrupt controllers, which serves the legacy lines: its output reaches CPU 0
 * as ExtINT through LINT0 (virtual wire), so no routing tables of the firmware are needed. Not
 * locked; the caller does. Intel 8259A data sheet.
 */
#pragma once

#include "runtime/base/types.h"

#define PIC_VECTOR_BASE 0x20 /* line n raises vector 0x20 + n */
#define PIC_LINES       16
#define PIC_CASCADE     2

/* Moves the lines' vectors out of the exceptions' way and masks all lines. */
void pic_init(void);

void pic_mask(unsigned line);
void pic_unmask(unsigned line);
void pic_set_level_triggered(unsigned line, bool level);

/*
 * False: the interrupt was spurious (7 or 15, with nothing in service); it has been dealt with and
 * must not be ended.
 */
bool pic_is_real(unsigned line);
void pic_end(unsigned line);
