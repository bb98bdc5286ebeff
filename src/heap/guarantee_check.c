/* What the guarantee says of itself, and the walker. */
#include "guarantee_internal.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

void guarantee_statistics(struct guarantee *guarantee, struct guarantee_statistics *statistics)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

	*statistics = (struct guarantee_statistics){
		.free = (uint64_t)MAX(guarantee->filled, guarantee->loans + guarantee->out) - guarantee->loans - guarantee->out,
		.lent = guarantee->loans,
		.out = guarantee->out,
		.unreserved = guarantee->unreserved,
		.taken = guarantee->taken,
		.refused = guarantee->refused,
		.steps_max = guarantee->steps_max,
		.exchanged = guarantee->exchanged,
	};
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

/* The reservation at that place in the list; false: the list is shorter. */
static bool reservation_at(struct guarantee *guarantee, unsigned place, struct guarantee_account *account)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	bool found = false;

	list_for_each (link, &guarantee->accounts) {
		if (place-- > 0)
			continue;
		*account = *container_of(link, struct guarantee_account, link);
		found = true;
		break;
	}
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return found;
}

void guarantee_print(struct guarantee *guarantee)
{
	struct guarantee_statistics statistics;
	struct guarantee_account account;
	char piece[FORMAT_BYTES_SIZE];

	guarantee_statistics(guarantee, &statistics);
	print("guarantee: %u pieces of %s: %llu free, %llu lent, %llu out, %llu not reserved; %llu objects taken, %llu "
	      "requests "
	      "refused\n",
	      guarantee->pieces, format_bytes(piece, guarantee_piece_bytes(guarantee)), (unsigned long long)statistics.free,
	      (unsigned long long)statistics.lent, (unsigned long long)statistics.out,
	      (unsigned long long)statistics.unreserved, (unsigned long long)statistics.taken,
	      (unsigned long long)statistics.refused);
	for (unsigned place = 0; reservation_at(guarantee, place, &account); place++)
		print("    %-20s reserved %u pieces, has %u out%s\n", account.device->name, account.reserved, account.out,
		      account.ended ? "; ends with the last one" : "");
}

/* The walker: no operation is under way ----------------------------------------------------------------------------------- */

static bool blocks_are_valid(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const bool lenders = slot->state == SLOT_LOANED || slot->revoked;
	const struct block *block = block_heap_find(&guarantee->memory->blocks, slot->start);

	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		if (!block[i].taken || (block[i].owner == &guarantee->owner) == lenders)
			return false;
	return true;
}

static bool slot_is_valid(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	if (slot->state == SLOT_EMPTY)
		return list_is_empty(&slot->due);
	if (slot->state == SLOT_MOVING || guarantee_slot_at(guarantee, slot->start) != slot ||
	    (slot->state == SLOT_OUT) != (slot->account != NULL))
		return false;
	if (slot->state == SLOT_OUT &&
	    (slot->used == 0 || slot->used > slot->fresh || slot->fresh > guarantee_piece_bytes(guarantee) >> slot->shift))
		return false;
	return blocks_are_valid(guarantee, slot);
}

static uint32_t length(const struct list *list)
{
	uint32_t count = 0;

	list_for_each (link, list)
		count++;
	return count;
}

static bool counts_are_valid(struct guarantee *guarantee)
{
	uint32_t out = guarantee->common.out, promised = out; /* the common account reserves nothing */

	list_for_each (link, &guarantee->accounts) {
		const struct guarantee_account *account = container_of(link, struct guarantee_account, link);

		promised += MAX(account->reserved, account->out);
		out += account->out;
	}
	const uint32_t free = length(&guarantee->idle) + length(&guarantee->loaned);
	return guarantee->common.reserved == 0 && promised + guarantee->unreserved == guarantee->pieces &&
	       out == guarantee->out && free + out == guarantee->filled && free + out >= guarantee->pieces &&
	       length(&guarantee->loaned) == guarantee->loans &&
	       guarantee->filled + length(&guarantee->empty) == guarantee->count;
}

bool guarantee_is_valid(struct guarantee *guarantee)
{
	uint64_t own = 0;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		const struct guarantee_slot *slot = &guarantee->slots[i];

		if (!slot_is_valid(guarantee, slot))
			return false;
		if (!slot->revoked && (slot->state == SLOT_IDLE || slot->state == SLOT_OUT))
			own += guarantee->piece_blocks;
	}
	return guarantee->owner.blocks == own && counts_are_valid(guarantee);
}
