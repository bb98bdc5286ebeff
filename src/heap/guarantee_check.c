/* What the guarantee says of itself. */
#include "guarantee_internal.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

void guarantee_statistics(struct guarantee *guarantee, struct guarantee_statistics *statistics)
{
	*statistics = (struct guarantee_statistics){
		.taken = atomic_load_explicit(&guarantee->taken, memory_order_relaxed),
		.refused = atomic_load_explicit(&guarantee->refused, memory_order_relaxed),
		.steps_max = atomic_load_explicit(&guarantee->steps_max, memory_order_relaxed),
	};
	mutex_lock(&guarantee->keeper);
	statistics->exchanged = guarantee->exchanged;
	for (uint32_t i = 0; i < guarantee->count; i++) {
		const enum slot_state state = guarantee_state(guarantee_word(&guarantee->slots[i]));

		statistics->free += state == SLOT_FREE;
		statistics->lent += state == SLOT_LENT;
		statistics->out += state == SLOT_OUT;
	}
	mutex_unlock(&guarantee->keeper);
}

void guarantee_print(struct guarantee *guarantee)
{
	struct guarantee_statistics statistics;
	char piece[FORMAT_BYTES_SIZE];

	guarantee_statistics(guarantee, &statistics);
	print("guarantee: %u pieces of %s: %llu free, %llu lent, %llu out; taken %llu times, refused %llu, at most %llu slots "
	      "looked at\n",
	      guarantee->pieces, format_bytes(piece, guarantee_piece_bytes(guarantee)), (unsigned long long)statistics.free,
	      (unsigned long long)statistics.lent, (unsigned long long)statistics.out, (unsigned long long)statistics.taken,
	      (unsigned long long)statistics.refused, (unsigned long long)statistics.steps_max);
}

static bool slot_is_valid(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const uint32_t word = guarantee_word(slot);
	const struct block *block;

	if (guarantee_state(word) == SLOT_EMPTY)
		return !(word & SLOT_UNSETTLED);
	if (guarantee_state(word) == SLOT_KEPT)
		return false;
	block = block_heap_find(&guarantee->memory->blocks, guarantee_start(slot));
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		if (!block[i].taken ||
		    (block[i].owner == &guarantee->owner) == (guarantee_state(word) == SLOT_LENT || (word & SLOT_UNSETTLED)))
			return false;
	return true;
}

bool guarantee_is_valid(struct guarantee *guarantee)
{
	uint64_t own = 0;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		const uint32_t word = guarantee_word(&guarantee->slots[i]);

		if (!slot_is_valid(guarantee, &guarantee->slots[i]))
			return false;
		if (!(word & SLOT_UNSETTLED) && (guarantee_state(word) == SLOT_FREE || guarantee_state(word) == SLOT_OUT))
			own += guarantee->piece_blocks;
	}
	return guarantee->owner.blocks == own;
}
