// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which of several names is meant by a word that is none of them: the one that is spelled most like
 * it.
 *
 *	nearest_init(&nearest, "SCENARO");
 *	nearest_offer(&nearest, "MEM");
 *	nearest_offer(&nearest, "SCENARIO");
 *	print("the nearest one is %s\n", nearest.found);
 */
#pragma once

#include "types.h"

#define NEAREST_LETTERS_MAX 63 /* of a name; what is behind these does not count */

struct nearest {
	const char *word;
	const char *found; /* NULL: none was offered */
	unsigned letters;  /* inserted, left out, replaced, or swapped with their neighbours, from the word to what was found */
};

/* `word` is read until the last nearest_offer. */
void nearest_init(struct nearest *nearest, const char *word);

/* Keeps `name` if it is nearer than all before it. */
void nearest_offer(struct nearest *nearest, const char *name);
