// SPDX-License-Identifier: BSD-2-Clause
/*
 * The picture of all blocks. Each character of the picture is one cell: a fixed number of
 * neighbouring blocks that are added up under one hold of the lock, and drawn after it is released.
 * So the size of the machine decides how coarse the picture is, never how long the lock is held.
 */
#include "block_map.h"

#include "owner_snapshot.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"

#define LETTERS      26 /* for the largest owners; all others share OTHER */
#define OTHER        '*'
#define TEMPERATURES 10
#define COST_BITS    17 /* of the largest cost: of a block whose pages are all as hot as can be */

struct picture {
	struct block_heap *heap;
	struct owner_snapshot owners[OWNER_SNAPSHOT_MAX];
	unsigned owner_count;
	uint64_t cell_blocks;
};

/* The blocks that one character stands for. */
struct cell {
	uint64_t present, taken, fixed, cost;
	uint64_t held[2][LETTERS + 1]; /* by letter: all, and the unmovable ones */
};

static unsigned letter_of(const struct picture *picture, const struct owner *owner)
{
	for (unsigned i = 0; i < MIN(picture->owner_count, LETTERS); i++)
		if (picture->owners[i].owner == owner)
			return i;
	return LETTERS;
}

static void cell_add(struct cell *cell, const struct picture *picture, const struct block *block)
{
	cell->present += block->present;
	if (!block->taken)
		return;
	const unsigned letter = letter_of(picture, block->owner);
	const bool is_fixed = !block->owner->movable;
	cell->taken++;
	cell->fixed += is_fixed;
	cell->cost += atomic_load_explicit(&block->cost, memory_order_relaxed);
	cell->held[0][letter]++;
	cell->held[1][letter] += is_fixed;
}

static void cell_draw(const struct cell *cell, char *owner, char *temperature)
{
	const uint64_t *held = cell->held[cell->fixed > 0];
	unsigned most = 0;

	*owner = *temperature = cell->present == 0 ? ' ' : '.';
	if (cell->taken == 0)
		return;
	for (unsigned i = 1; i <= LETTERS; i++)
		if (held[i] > held[most])
			most = i;
	*owner = most == LETTERS ? OTHER : (char)((held[most] == cell->present ? 'A' : 'a') + (char)most);
	*temperature = cell->fixed > 0 ? '#'
				       : (char)('0' + MIN(log2_floor(cell->cost / cell->taken + 1) * TEMPERATURES / COST_BITS,
							  TEMPERATURES - 1));
}

static void row_print(const struct picture *picture, uint64_t first)
{
	char owners[BLOCK_MAP_COLUMNS + 1] = { 0 }, temperatures[BLOCK_MAP_COLUMNS + 1] = { 0 };
	struct block_heap *heap = picture->heap;
	uint64_t i = first;

	for (unsigned column = 0; column < BLOCK_MAP_COLUMNS; column++) {
		const uint64_t end = MIN(i + picture->cell_blocks, heap->count);
		struct cell cell = { 0 };

		spinlock_lock(&heap->lock);
		for (; i < end; i++)
			cell_add(&cell, picture, &heap->blocks[i]);
		spinlock_unlock(&heap->lock);
		cell_draw(&cell, &owners[column], &temperatures[column]);
	}
	print("0x%010llx %s %s\n", (unsigned long long)(heap->first_block + first) << BLOCK_SHIFT, owners, temperatures);
}

void block_map_print(struct block_heap *heap)
{
	struct picture picture = { .heap = heap };
	const uint64_t cells = (uint64_t)BLOCK_MAP_ROWS * BLOCK_MAP_COLUMNS;

	picture.cell_blocks = MAX(divide_round_up(heap->count, cells), 1);
	picture.owner_count = owner_snapshot_get(heap, picture.owners);
	print("%-12s %-*s %s\n", "", BLOCK_MAP_COLUMNS, "by owner", "by temperature");
	for (uint64_t i = 0; i < heap->count; i += BLOCK_MAP_COLUMNS * picture.cell_blocks)
		row_print(&picture, i);
	print("a character: %llu blocks; . free, # not movable, 0 cold to 9 hot\n", (unsigned long long)picture.cell_blocks);
	for (unsigned i = 0; i < MIN(picture.owner_count, LETTERS); i++)
		print("%c %s%s", 'A' + (int)i, picture.owners[i].name,
		      i % 3 == 2 || i + 1 == MIN(picture.owner_count, LETTERS) ? "\n" : "  ");
	if (picture.owner_count > LETTERS)
		print("%c all others\n", OTHER);
}
