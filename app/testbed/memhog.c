// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes memory and keeps it. The list of what was taken lies in that memory itself, so the last
 * block and the last object can be taken, too.
 */
#include "memhog.h"

#define OBJECT_BYTES_MAX (1 * MIB)
#define OBJECT_BYTES_MIN 64

void memhog_init(struct memhog *memhog, struct memory *memory)
{
	*memhog = (struct memhog){ .memory = memory };
	owner_init(&memhog->owner, "memhog", false);
}

static void push(struct memhog_piece **list, void *memory)
{
	struct memhog_piece *piece = memory;

	piece->next = *list;
	*list = piece;
}

static void *pop(struct memhog_piece **list)
{
	struct memhog_piece *piece = *list;

	*list = piece->next;
	return piece;
}

uint64_t memhog_take_blocks(struct memhog *memhog)
{
	const struct memory_request request = { .blocks = 1, .owner = &memhog->owner, .wait = MEMORY_WAIT_NEVER };
	uint64_t bytes = 0;
	struct phys_addr block;

	while (memory_blocks_alloc(memhog->memory, &request, &block) == STATUS_OK) {
		push(&memhog->blocks, platform_virt(block));
		bytes += BLOCK_BYTES;
	}
	memhog->block_bytes += bytes;
	return bytes;
}

uint64_t memhog_take_objects(struct memhog *memhog)
{
	struct heap *heap = memory_general_heap(memhog->memory);
	uint64_t bytes = 0;

	for (uint64_t size = OBJECT_BYTES_MAX; size >= OBJECT_BYTES_MIN; size /= 2) {
		void *object;

		while ((object = heap_alloc(heap, size, 0)) != NULL) {
			push(&memhog->objects, object);
			bytes += size;
		}
	}
	memhog->object_bytes += bytes;
	return bytes;
}

void memhog_free(struct memhog *memhog)
{
	while (memhog->objects)
		heap_free(memory_general_heap(memhog->memory), pop(&memhog->objects));
	while (memhog->blocks)
		memory_blocks_free(memhog->memory, platform_phys(pop(&memhog->blocks)));
	memhog->block_bytes = 0;
	memhog->object_bytes = 0;
}
