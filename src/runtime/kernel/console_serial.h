// SPDX-License-Identifier: BSD-2-Clause
/* Which serial port the console uses, by the ACPI tables. */
#pragma once

/*
 * Moves the console to the port that the table SPCR names, if there is such a table and such a
 * port. Once, at start-up, after acpi_init.
 */
void console_serial_find(void);
