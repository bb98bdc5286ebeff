// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pageblock table: descriptors of all blocks and of their frames, made once and never freed
 * while the cache lives. So a lookup without a lock may look at the descriptor of any frame that it
 * once read, whatever the frame holds by then.
 */
#include "pageblock_table.h"

#include "runtime/base/string.h"

/* The pageblocks lie in single blocks, so that they need no long run of memory: so many in each. */
#define PAGEBLOCKS_PER_CHUNK (BLOCK_BYTES / sizeof(struct pageblock))

/* Frame numbers have 32 bits, enough for physical addresses up to 16 TB. */
#define BLOCKS_MAX (PAGE_NONE / PAGES_PER_BLOCK)

static void pageblock_init(struct pageblock *pageblock, struct phys_addr block)
{
	memset(pageblock, 0, offsetof(struct pageblock, pages));
	pageblock->block = block;
	atomic_init(&pageblock->generation, 1);
	list_init(&pageblock->link);
	list_init(&pageblock->scored);
	list_init(&pageblock->aged);
}

static status_t make_pageblocks(struct pageblock_table *table)
{
	const struct block_heap *heap = memory_block_heap(table->memory);
	const struct memory_request request = { .blocks = 1, .owner = &table->owner, .wait = MEMORY_WAIT_NEVER };
	uint64_t number = 0;
	struct phys_addr chunk = { 0 };

	for (uint64_t i = 0; i < table->count; i++) {
		const struct phys_addr block = { (table->first_block + i) << BLOCK_SHIFT };

		if (!block_heap_find(heap, block))
			continue;
		if (number % PAGEBLOCKS_PER_CHUNK == 0) {
			const status_t status = memory_blocks_alloc(table->memory, &request, &chunk);

			if (status != STATUS_OK)
				return status;
		}
		table->blocks[i] = (struct pageblock *)platform_virt(chunk) + number % PAGEBLOCKS_PER_CHUNK;
		pageblock_init(table->blocks[i], block);
		number++;
	}
	return STATUS_OK;
}

status_t pageblock_table_init(struct pageblock_table *table, struct memory *memory)
{
	const struct phys_range all = block_heap_range(memory_block_heap(memory));
	status_t status;

	*table = (struct pageblock_table){
		.memory = memory,
		.first_block = all.start.value >> BLOCK_SHIFT,
		.count = all.bytes >> BLOCK_SHIFT,
	};
	owner_init(&table->owner, "page descriptors", false);
	if (table->first_block + table->count > BLOCKS_MAX)
		return STATUS_UNSUPPORTED;
	table->blocks = heap_alloc_zeroed(memory_general_heap(memory), table->count * sizeof(struct pageblock *), 0);
	if (!table->blocks)
		return STATUS_NO_MEMORY;
	status = make_pageblocks(table);
	if (status != STATUS_OK)
		pageblock_table_fini(table);
	return status;
}

void pageblock_table_fini(struct pageblock_table *table)
{
	uint64_t number = 0;

	/* Every chunk begins with the first of its pageblocks. */
	for (uint64_t i = 0; i < table->count; i++)
		if (table->blocks[i] && number++ % PAGEBLOCKS_PER_CHUNK == 0)
			memory_blocks_free(table->memory, platform_phys(table->blocks[i]));
	heap_free(memory_general_heap(table->memory), table->blocks);
}

struct pageblock *pageblock_prepare(const struct pageblock_table *table, struct phys_addr block)
{
	struct pageblock *pageblock = pageblock_table_block(table, block);

	if (!pageblock->ready)
		memset(pageblock->pages, 0, sizeof(pageblock->pages));
	pageblock->ready = true;
	return pageblock;
}

void pageblock_invalidate(struct pageblock *pageblock)
{
	uint16_t generation = (uint16_t)(pageblock_generation(pageblock) + 1);

	if (generation == 0)
		generation = 1;
	atomic_store_explicit(&pageblock->generation, generation, memory_order_release);
}
