// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes memory and keeps it. The list of what was taken lies in that memory itself, so the last
 * block and the last object can be taken, too.
 */
#include "hog.h"

#define OBJECT_BYTES_MAX (1 * MIB)
#define OBJECT_BYTES_MIN 64

void hog_init(struct hog *hog, struct memory *memory)
{
	*hog = (struct hog){ .memory = memory };
	owner_init(&hog->owner, "hog", false);
}

static void push(struct hog_piece **list, void *memory)
{
	struct hog_piece *piece = memory;

	piece->next = *list;
	*list = piece;
}

static void *pop(struct hog_piece **list)
{
	struct hog_piece *piece = *list;

	*list = piece->next;
	return piece;
}

uint64_t hog_take_blocks(struct hog *hog)
{
	const struct memory_request request = { .blocks = 1, .owner = &hog->owner, .wait = MEMORY_WAIT_NEVER };
	uint64_t bytes = 0;
	struct phys_addr block;

	while (memory_blocks_alloc(hog->memory, &request, &block) == STATUS_OK) {
		push(&hog->blocks, platform_virt(block));
		bytes += BLOCK_BYTES;
	}
	hog->block_bytes += bytes;
	return bytes;
}

uint64_t hog_take_objects(struct hog *hog)
{
	struct heap *heap = memory_general_heap(hog->memory);
	uint64_t bytes = 0;

	for (uint64_t size = OBJECT_BYTES_MAX; size >= OBJECT_BYTES_MIN; size /= 2) {
		void *object;

		while ((object = heap_alloc(heap, size, 0)) != NULL) {
			push(&hog->objects, object);
			bytes += size;
		}
	}
	hog->object_bytes += bytes;
	return bytes;
}

void hog_free(struct hog *hog)
{
	while (hog->objects)
		heap_free(memory_general_heap(hog->memory), pop(&hog->objects));
	while (hog->blocks)
		memory_blocks_free(hog->memory, platform_phys(pop(&hog->blocks)));
	hog->block_bytes = 0;
	hog->object_bytes = 0;
}
