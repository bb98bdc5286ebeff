// SPDX-License-Identifier: BSD-2-Clause
/*
 * All orders of the steps of two actors. A step ends where interrupts are on again
 * (host_step_hook), so at the end of each section under a lock that handlers take, too; only one
 * actor runs at a time, and at the end of each step it goes on or the other one does. The orders
 * are tried one by one, in threads of their own: a depth-first search through the choices.
 */
#pragma once

#include <stdint.h>

struct interleaving {
	void (*begin)(void *context); /* before each order */
	void (*actors[2])(void *context);
	void (*end)(void *context); /* after it: checks */
	void *context;
	unsigned switches_max; /* from one actor to the other while both are at work */
};

/* Returns the number of orders. */
uint64_t interleave(const struct interleaving *what);
