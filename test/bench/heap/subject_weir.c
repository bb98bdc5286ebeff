// SPDX-License-Identifier: BSD-2-Clause
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>

#include "heap/memory.h"
#include "host/platform_host.h"
#include "subject_weir.h"

#define BLOCKS 1024

struct memory subject_memory;
struct objcache subject_small, subject_page;

static void must(status_t status)
{
	if (status == STATUS_OK)
		return;
	fprintf(stderr, "bench: %s\n", status_text(status));
	exit(EXIT_FAILURE);
}

void subject_init(void)
{
	/*
	 * As built by default. Here it takes system calls to guard an object, some us, which the
	 * image does not have.
	 */
	static const struct memory_config config = {
		.watermarks.min_bytes = BLOCK_BYTES,
		.watermarks.low_bytes = 2 * BLOCK_BYTES,
		.guard = { .one_in = 16384, .interval_ns = 10 * NS_PER_MS, .bytes = BLOCK_BYTES },
	};
	struct host_arena *arena = host_arena_create(4 * GIB, BLOCKS * BLOCK_BYTES);
	const struct phys_range range = host_arena_range(arena);
	void *metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));

	must(memory_init(&subject_memory, &config, &range, 1, metadata));
	must(memory_objcache_init(&subject_memory, &subject_small,
				  (struct objcache_config){ .name = "small", .object_bytes = SUBJECT_SMALL_BYTES }));
	must(memory_objcache_init(&subject_memory, &subject_page,
				  (struct objcache_config){ .name = "page", .object_bytes = SUBJECT_PAGE_BYTES }));
}

uint64_t subject_taken_bytes(void)
{
	return memory_total_bytes(&subject_memory) - memory_free_bytes(&subject_memory);
}

uint64_t subject_drained_blocks_held(void)
{
	(void)memory_drain(&subject_memory, memory_total_bytes(&subject_memory), false);
	return subject_taken_bytes() >> BLOCK_SHIFT;
}
