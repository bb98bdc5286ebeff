// SPDX-License-Identifier: BSD-2-Clause
/*
 * Errors that the hardware finds in itself: memory, caches, buses. A CPU keeps them in banks.
 * Uncorrected ones raise the machine-check exception, which ends in a panic that says what the
 * banks hold; corrected ones, and those in data that nothing has used yet, are looked for by the
 * watchdog's timer, and are a warning each. Intel SDM volume 3, chapters 16 and 17.
 */
#pragma once

#include "runtime/base/types.h"

struct machine_check_bank {
	unsigned number;
	uint64_t status;
	uint64_t address; /* where status says that it is valid */
	uint64_t misc;    /* the same */
};

#define MACHINE_CHECK_VALID (1ull << 63) /* of status */

/*
 * Turns on what this CPU can report. What the banks hold from before the start, after a reset that
 * an error caused, is said and cleared. Once on each CPU, which may print.
 */
void machine_check_init_cpu(void);

/*
 * Warns of the errors in this CPU's banks that raise no exception, and clears them. Interrupt
 * context.
 */
void machine_check_poll(void);

/*
 * The errors in this CPU's banks in words, a line each, NUL-terminated; how many there were. They
 * stay. Any context.
 */
unsigned machine_check_collect(char *text, size_t bytes);

/* One bank in words, without a newline. Portable. */
void machine_check_describe(const struct machine_check_bank *bank, char *text, size_t bytes);
