// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the function of an address by a binary search in a table that the build makes from the
 * linked image. Names are text in one array, so the table needs no relocation.
 */
#include "symbols.h"

struct symbol {
	uint32_t offset; /* in the image */
	uint32_t name;   /* in symbol_names */
};

/* Made by boot/make_symbols.sh, in order of offsets. */
extern const uint64_t symbol_count;
extern const struct symbol symbol_table[];
extern const char symbol_names[];

/* weir.lds */
extern char image_start[], image_text_start[], image_text_end[];

const char *symbols_find(uint64_t address, uint64_t *offset)
{
	uint64_t low = 0, high = symbol_count, place;

	if (address < (uintptr_t)image_text_start || address >= (uintptr_t)image_text_end)
		return NULL;
	place = address - (uintptr_t)image_start;
	/* All symbols below `low` are at or before the place, all from `high` on behind it. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (symbol_table[middle].offset <= place)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	if (offset)
		*offset = place - symbol_table[low - 1].offset;
	return symbol_names + symbol_table[low - 1].name;
}

uint64_t symbols_image_base(void)
{
	return (uintptr_t)image_start;
}
