// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine for the tests of the page cache: 40 blocks of memory, and a disk attached as one
 * volume, beside a flat copy of what the volume should hold. Machines live side by side.
 */
#pragma once

#include "fake/cache_check.h"
#include "fake/fake_block.h"
#include "fake/memory_check.h"
#include "host/platform_host.h"
#include "pagecache/volume.h"
#include "runtime/base/random.h"

#define MEMORY_BYTES (40 * BLOCK_BYTES)
#define DISK_BYTES   (80 * BLOCK_BYTES)
#define KEEP_BYTES   (2 * BLOCK_BYTES)

/* 10% dirty in the background, 20% at most, 30 s of age, 8 requests. */
extern const struct pagecache_config cache_machine_config;

struct cache_machine {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	struct pagecache pagecache;
	struct fake_block disk;
	struct volume volume; /* "disk", preference 50, keeps KEEP_BYTES */
	unsigned char *model;
};

void cache_machine_init(struct cache_machine *machine, uint64_t disk_bytes, bool threaded);
void cache_machine_init_config(struct cache_machine *machine, uint64_t disk_bytes, bool threaded,
			       const struct pagecache_config *config);

/* The same with a guarantee of DMA memory; a test that wants a refill task runs one. */
void cache_machine_init_guarantee(struct cache_machine *machine, uint64_t disk_bytes, bool threaded,
				  const struct guarantee_config *guarantee);

/* The same with so much memory. */
void cache_machine_init_sized(struct cache_machine *machine, uint64_t memory_bytes, uint64_t disk_bytes,
			      const struct guarantee_config *guarantee);

/*
 * Leaves the volume only the first bytes of the disk, so that others may have the rest; nothing is
 * cached then.
 */
void cache_machine_shrink(struct cache_machine *machine, uint64_t bytes);

/* Checks everything, detaches, and compares disk and model. */
void cache_machine_fini(struct cache_machine *machine);

/* What fini does after the volume has been detached. */
void cache_machine_free(struct cache_machine *machine);

/* Reads and compares with the model. */
void cache_machine_read(struct cache_machine *machine, uint64_t offset, size_t bytes);

/* Writes something new, to the model, too. */
void cache_machine_write(struct cache_machine *machine, struct random *random, uint64_t offset, size_t bytes);

/*
 * Writes what is dirty of the node, without a flush of the device. How the latest of the writes
 * failed.
 */
status_t cache_write_back(struct node *node);

/* Reads the volume from its start until the cache does not grow any more. */
void cache_machine_fill(struct cache_machine *machine);

/* The physical address of the block that a cached page of the volume lies in. */
uint64_t cache_machine_block(struct cache_machine *machine, uint64_t number);

/* The page cache's, and the volume's: as they are now, until the calling thread asks again. */
const struct pagecache_statistics *cache_machine_statistics(struct cache_machine *machine);
