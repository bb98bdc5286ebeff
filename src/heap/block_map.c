#include "block_map.h"

#include "holders.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"

#define LETTERS      26 /* for the holders with most blocks; all others share OTHER */
#define OTHER        '*'
#define TEMPERATURES 10
#define COST_BITS    17 /* of the largest cost: that of a block all of whose pages are as hot as can be */

struct picture {
	struct block_heap *heap;
	struct holder holders[HOLDERS_MAX];
	unsigned holder_count;
	uint64_t cell_blocks;
};

/* What lies under one character. */
struct cell {
	uint64_t present, taken, fixed, cost;
	uint64_t held[LETTERS + 1];       /* by letter */
	uint64_t held_fixed[LETTERS + 1]; /* of them, not movable */
};

static unsigned letter_of(const struct picture *picture, const struct owner *owner)
{
	for (unsigned i = 0; i < MIN(picture->holder_count, LETTERS); i++)
		if (picture->holders[i].owner == owner)
			return i;
	return LETTERS;
}

static void cell_add(struct cell *cell, const struct picture *picture, const struct block *block)
{
	cell->present += block->present;
	if (!block->taken)
		return;
	const unsigned letter = letter_of(picture, block->owner);
	cell->taken++;
	cell->held[letter]++;
	if (block->owner->movable) {
		cell->cost += atomic_load_explicit(&block->cost, memory_order_relaxed);
	} else {
		cell->fixed++;
		cell->held_fixed[letter]++;
	}
}

static struct cell cell_look(const struct picture *picture, uint64_t number)
{
	struct block_heap *heap = picture->heap;
	const uint64_t first = number * picture->cell_blocks;
	struct cell cell = { 0 };

	spinlock_lock(&heap->lock);
	for (uint64_t i = first; i < MIN(first + picture->cell_blocks, heap->count); i++)
		cell_add(&cell, picture, &heap->blocks[i]);
	spinlock_unlock(&heap->lock);
	return cell;
}

static char owner_character(const struct cell *cell)
{
	const uint64_t *held = cell->fixed > 0 ? cell->held_fixed : cell->held;
	unsigned most = 0;

	if (cell->taken == 0)
		return cell->present == 0 ? ' ' : '.';
	for (unsigned i = 1; i <= LETTERS; i++)
		if (held[i] > held[most])
			most = i;
	if (most == LETTERS)
		return OTHER;
	return (char)((held[most] == cell->present ? 'A' : 'a') + (char)most);
}

static char temperature_character(const struct cell *cell)
{
	if (cell->taken == 0)
		return cell->present == 0 ? ' ' : '.';
	if (cell->fixed > 0)
		return '#';
	return (char)('0' + (char)MIN(log2_floor(cell->cost / cell->taken + 1) * TEMPERATURES / COST_BITS, TEMPERATURES - 1));
}

static void row_print(const struct picture *picture, uint64_t row)
{
	const uint64_t address = (picture->heap->first_block + row * BLOCK_MAP_COLUMNS * picture->cell_blocks) << BLOCK_SHIFT;
	char owners[BLOCK_MAP_COLUMNS + 1] = { 0 }, temperatures[BLOCK_MAP_COLUMNS + 1] = { 0 };

	for (unsigned column = 0; column < BLOCK_MAP_COLUMNS; column++) {
		const struct cell cell = cell_look(picture, row * BLOCK_MAP_COLUMNS + column);

		owners[column] = owner_character(&cell);
		temperatures[column] = temperature_character(&cell);
	}
	print("0x%010llx %s %s\n", (unsigned long long)address, owners, temperatures);
}

void block_map_print(struct block_heap *heap)
{
	struct picture picture = { .heap = heap };
	const uint64_t cells = (uint64_t)BLOCK_MAP_ROWS * BLOCK_MAP_COLUMNS;

	picture.cell_blocks = MAX(divide_round_up(heap->count, cells), 1);
	picture.holder_count = holders_get(heap, picture.holders);
	print("%-12s %-*s %s\n", "", BLOCK_MAP_COLUMNS, "by owner", "by temperature");
	for (uint64_t row = 0; row * BLOCK_MAP_COLUMNS * picture.cell_blocks < heap->count; row++)
		row_print(&picture, row);
	print("a character: %llu blocks; . free, # not movable, 0 cold to 9 hot\n", (unsigned long long)picture.cell_blocks);
	for (unsigned i = 0; i < MIN(picture.holder_count, LETTERS); i++)
		print("%c %s%s", 'A' + (int)i, picture.holders[i].name,
		      i % 3 == 2 || i + 1 == MIN(picture.holder_count, LETTERS) ? "\n" : "  ");
	if (picture.holder_count > LETTERS)
		print("%c all others\n", OTHER);
}
