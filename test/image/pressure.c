// SPDX-License-Identifier: BSD-2-Clause
#include "pressure.h"

#include "pagecache/volume.h"
#include "runtime/base/string.h"

#define RUN_BLOCKS 16
#define PASSES     4

#define LOW_BYTES (256 * MIB) /* what a device with 28 address bits reaches */

static bool hold(struct pressure *pressure, uint64_t blocks, uint64_t lowest, uint64_t free_bytes)
{
	const struct run_request request = {
		.blocks = blocks,
		.constraints.lowest = { lowest },
		.owner = &pressure->owner,
		.leave_free = free_bytes / BLOCK_BYTES,
	};

	if (pressure->count == PRESSURE_RUNS ||
	    block_heap_alloc(&pressure->memory->blocks, &request, &pressure->runs[pressure->count]) != STATUS_OK)
		return false;
	pressure->count++;
	return true;
}

static void hold_all(struct pressure *pressure, uint64_t lowest, uint64_t free_bytes)
{
	while (hold(pressure, RUN_BLOCKS, lowest, free_bytes))
		;
	while (hold(pressure, 1, lowest, free_bytes))
		;
}

/* Once from the start to the end, if need be. */
static void read_while_it_grows(const struct app_environment *environment, struct volume *volume, void *buffer)
{
	for (uint64_t offset = 0; offset < volume->bytes && reclaim_may_grow(memory_reclaim(environment->memory));
	     offset += MIB)
		if (node_read(&volume->node, offset, buffer, MIN(MIB, volume->bytes - offset)) != STATUS_OK)
			break;
}

/* More than once, since what lies idle of the guarantee comes to the cache as that grows. */
static bool read_until_full(const struct app_environment *environment, struct volume *volume)
{
	struct heap *heap = memory_general_heap(environment->memory);
	void *buffer = heap_alloc(heap, MIB, PAGE_BYTES);

	for (unsigned pass = 0; buffer && pass < PASSES; pass++)
		read_while_it_grows(environment, volume, buffer);
	heap_free(heap, buffer);
	return !reclaim_may_grow(memory_reclaim(environment->memory));
}

bool pressure_apply(struct pressure *pressure, const struct app_environment *environment, struct volume *volume,
		    uint64_t cache_bytes)
{
	const uint64_t free_bytes = environment->memory->reclaim.watermarks.low_bytes + cache_bytes;

	memset(pressure, 0, sizeof(*pressure));
	pressure->memory = environment->memory;
	owner_init(&pressure->owner, "test", false);
	(void)volume_drop(volume);
	/* Low memory last, so that it is the cache that has it. */
	hold_all(pressure, LOW_BYTES, free_bytes);
	hold_all(pressure, 0, free_bytes);
	return read_until_full(environment, volume);
}

void pressure_release(struct pressure *pressure)
{
	while (pressure->count > 0)
		memory_blocks_free(pressure->memory, pressure->runs[--pressure->count]);
}
