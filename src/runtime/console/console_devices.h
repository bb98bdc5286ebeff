// SPDX-License-Identifier: BSD-2-Clause
/*
 * What console.c, which owns the devices' output and lock, offers to console_input.c. No other file
 * includes it.
 */
#pragma once

#include "runtime/base/types.h"

/* Takes a character that came in at the serial port, if there is one. Any context. */
bool console_poll_serial(char *character);

/* Lines of the screen; 0: there is none. */
unsigned console_screen_lines(void);

/*
 * Lets the serial port raise its interrupt, on ISA line `line`; -1: it has none. False: there is no
 * port.
 */
bool console_listen_serial(int *line);

/*
 * Draws what changed, and sends what writers that may not wait have left. From the first call on
 * writers leave that to the caller, except in a panic.
 */
void console_refresh_from_task(void);
