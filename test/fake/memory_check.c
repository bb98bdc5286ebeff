// SPDX-License-Identifier: BSD-2-Clause
#include "memory_check.h"

#include "heap/dma/dma_state.h"
#include "heap/reclaim/guarantee_internal.h"

/* The guarantee -------------------------------------------------------------------------------- */

static bool blocks_are_valid(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const bool donors = slot->state == SLOT_LOANED || slot->revoked;
	const struct block *block = block_heap_find(guarantee->reclaim->blocks, slot->start);

	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		if (!block[i].taken || (block[i].owner == &guarantee->owner) == donors)
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
	return guarantee->common.reserved == 0 && promised + guarantee->counts.unreserved == guarantee->pieces &&
	       out == guarantee->counts.out &&
	       length(&guarantee->idle) + length(&guarantee->loaned) + out == guarantee->pieces &&
	       length(&guarantee->loaned) == guarantee->counts.loaned;
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

/* DMA buffers ---------------------------------------------------------------------------------- */

/*
 * Whether each buffer of blocks has a client that knows the device, and is in quarantine if the
 * buffer is.
 */
static bool buffer_is_valid(struct memory *memory, const struct dma_buffer *buffer)
{
	const struct dma_client *client = buffer->client;

	if (buffer->state == DMA_STATE_GONE || (buffer->guaranteed && client) || buffer->segment_count == 0)
		return false;
	const struct block *block = block_heap_find(&memory->blocks, buffer->pieces[0].start);
	return !client || (block->owner == &client->owner && client->device == buffer->device && client->references > 0 &&
			   (client->owner.name == client->quarantined) == dma_is_quarantined(buffer));
}

static bool dma_is_valid(struct memory *memory)
{
	uint64_t owned = 0;

	list_for_each (link, &memory->dma.buffers) {
		const struct dma_buffer *buffer = container_of(link, struct dma_buffer, link);

		if (!buffer_is_valid(memory, buffer))
			return false;
		owned += buffer->client != NULL;
	}
	list_for_each (link, &memory->dma.clients)
		owned -= container_of(link, struct dma_client, link)->references;
	return owned == 0;
}

/* The whole ------------------------------------------------------------------------------------ */

bool memory_is_valid(struct memory *memory)
{
	list_for_each (link, &memory->blocks.caches)
		if (!objcache_is_valid(container_of(link, struct objcache, link)))
			return false;
	return guard_pool_is_valid(&memory->general.guard) && general_heap_is_valid(&memory->general) &&
	       block_heap_is_valid(&memory->blocks) && guarantee_is_valid(&memory->guarantee) && dma_is_valid(memory);
}
