/* What the guarantee says of itself, and the walker. */
#include "guarantee_internal.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

void guarantee_statistics(struct guarantee *guarantee, struct guarantee_statistics *statistics)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

	*statistics = (struct guarantee_statistics){
		.free = MAX(guarantee->pieces, guarantee->loans + guarantee->out) - guarantee->loans - guarantee->out,
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

static void account_print(struct guarantee *guarantee, const struct guarantee_account *account)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const char *name = account->device ? account->device->name : "a device that is gone";
	const uint32_t reserved = account->reserved, out = account->out;

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (reserved > 0)
		print("    %-20s reserved %u pieces, has %u out\n", name, reserved, out);
}

void guarantee_print(struct guarantee *guarantee)
{
	struct guarantee_statistics statistics;
	char piece[FORMAT_BYTES_SIZE];

	guarantee_statistics(guarantee, &statistics);
	print("guarantee: %u pieces of %s: %llu free, %llu lent, %llu out, %llu not reserved; %llu objects taken, %llu "
	      "requests "
	      "refused\n",
	      guarantee->pieces, format_bytes(piece, guarantee_piece_bytes(guarantee)), (unsigned long long)statistics.free,
	      (unsigned long long)statistics.lent, (unsigned long long)statistics.out,
	      (unsigned long long)statistics.unreserved, (unsigned long long)statistics.taken,
	      (unsigned long long)statistics.refused);
	for (uint32_t i = 0; i < guarantee->pieces; i++)
		account_print(guarantee, &guarantee->accounts[i]);
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
	if (guarantee_slot_at(guarantee, slot->start) != slot || (slot->state == SLOT_OUT) != (slot->account != NULL))
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

	list_for_each (link, &guarantee->reserving) {
		const struct guarantee_account *account = container_of(link, struct guarantee_account, link);

		promised += MAX(account->reserved, account->out);
		out += account->out;
	}
	return guarantee->common.reserved == 0 && promised + guarantee->unreserved == guarantee->pieces &&
	       out == guarantee->out && length(&guarantee->idle) + length(&guarantee->loaned) + out == guarantee->pieces &&
	       length(&guarantee->loaned) == guarantee->loans;
}

bool guarantee_is_valid(struct guarantee *guarantee)
{
	uint64_t own = 0;

	for (uint32_t i = 0; guarantee->slots && i <= guarantee->pieces; i++) {
		const struct guarantee_slot *slot = &guarantee->slots[i];

		if (!slot_is_valid(guarantee, slot))
			return false;
		if (!slot->revoked && (slot->state == SLOT_IDLE || slot->state == SLOT_OUT))
			own += guarantee->piece_blocks;
	}
	return guarantee->owner.blocks == own && counts_are_valid(guarantee);
}
