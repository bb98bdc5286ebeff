// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page cache: keeps pages of block devices in all memory that has no other use, and gives the
 * memory back in whole 2 MB blocks.
 *
 *	pagecache_init -> volume_attach -> node_read / node_write / volume_flush
 *	               -> volume_detach -> pagecache_fini
 *
 * 1. A volume has a page heap of its own (page_heap.h), whose cursors fill blocks in address order
 *    and refill them in place, by the rule in replacement.h.
 * 2. A page heap takes a fresh block while the block heap has more free memory than the low
 *    watermark. Otherwise it refills its own blocks, or takes one of another volume if that has not
 *    been used for longer and its preference allows.
 * 3. A hit takes no lock, and writes to nothing but the page's state and a counter of its CPU
 *    (index.h).
 * 4. A volume has two cleaners: the first gives blocks without I/O, those of the lowest score
 *    first, down to the cache minimum, and moves their hot and dirty pages. The second starts to
 *    write blocks that are too dirty for that. Neither allocates or waits.
 * 5. A write that returned is in memory; a flush that returned STATUS_OK made it durable. A page
 *    whose write failed stays dirty, and every flush reports it until a write has succeeded.
 * 6. I/O takes its objects from a reserve: writing memory out never waits for memory.
 *
 * No hidden state: several page caches live side by side. Contexts: where platform_may_sleep(),
 * unless a function says otherwise. Lock order: volume->writeback.flush (mutex) -> stripe [S] ->
 * volume->writeback.lock [D] -> page heap [R]; pagecache->volumes_lock (mutex) outermost.
 */
#pragma once

#include "pagecache/eviction/eviction_parts.h"
#include "pagecache/page/page_parts.h"
#include "pagecache/writeback/writeback_parts.h"
#include "runtime/base/block_device.h"
#include "runtime/base/command.h"

struct pagecache_config {
	unsigned
		dirty_background_percent; /* of a volume's limit and dirty_max_percent: above, it is written in the background */
	unsigned dirty_max_percent;       /* of what can be dirty: the limit of all volumes; more than background, at most 60 */
	uint64_t dirty_age_ns;            /* age at which dirty pages are written */
	uint64_t retry_ns;         /* a page that could not be written is tried again after this; 0: after dirty_age_ns */
	unsigned move_percent;     /* a drained block or window with at most this share of dirty pages has them moved */
	uint32_t requests;         /* reserve of I/O objects, at least 2; each is 1 MB of I/O in flight */
	uint64_t readahead_bytes;  /* of a stream ahead of its reader; 0: no readahead */
	uint32_t cpu_frames;       /* that a CPU keeps of each volume for its next misses, at most CPU_FRAMES_MAX; 0: none */
	uint32_t migration_blocks; /* reserve for pages that are moved by a drain; at most MIGRATION_BLOCKS_MAX */
	uint64_t frame_wait_ns;    /* how long a reader or writer waits for a frame before it gets no memory; 0: 1 s */
	uint64_t flush_wait_ns;    /* how long the detach of a volume waits for its flush; 0: 60 s */
	uint32_t nodes;            /* that can be open at once, volumes included; at most PAGE_NODE_MAX; 0: 4096 */
};

/*
 * Counts since start-up, and gauges: of one volume, whose counters these are, or the sum over all
 * volumes.
 */
struct pagecache_statistics {
	_Atomic uint64_t cached_pages; /* gauge */
	_Atomic uint64_t dirty_pages;  /* gauge; DIRTY or WRITEBACK */
	_Atomic uint64_t failed_pages; /* gauge; dirty pages whose last write failed */
	_Atomic uint64_t blocks;       /* gauge */
	_Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic uint64_t inserted_pages;
	_Atomic uint64_t evicted_pages; /* dropped by a cursor, a drain or a failed read */
	_Atomic uint64_t moved_pages;
	_Atomic uint64_t mapped_in_place; /* mapped pages that could not be set apart (longterm.h) */
	_Atomic uint64_t ahead_pages;     /* read ahead */
	_Atomic uint64_t ahead_used;      /* of ahead_pages, used */
	_Atomic uint64_t ahead_wasted;    /* of ahead_pages, evicted unused */
	_Atomic uint64_t read_bytes;      /* from the device */
	_Atomic uint64_t written_bytes;   /* to the device */
	_Atomic uint64_t read_errors;
	_Atomic uint64_t write_errors;
	_Atomic uint64_t flushes;
	_Atomic uint64_t throttled; /* writes that waited for the dirty limit */
};

struct pagecache {
	struct memory *memory;
	struct pagecache_config config; /* [I] */
	struct phys_addr tables;        /* [I] run of blocks that holds index, ghosts and nodes */
	struct owner owner;             /* of that run */
	struct node **nodes;            /* [nodes_lock]; an entry is read without while its node is open */
	struct spinlock nodes_lock;
	struct pagecache_pages pages;
	struct pagecache_writeback writeback;
	struct pagecache_eviction eviction;
	struct mutex volumes_lock;
	struct list volumes;           /* [volumes_lock], by name */
	_Atomic uint32_t volume_count; /* [volumes_lock], read without */
	struct command commands[4];
};

/*
 * Takes the memory for all metadata: 32 bytes a page for descriptors, 4 to 8 for the index, 4 for
 * ghosts, and the reserve: at most 1.1% of `memory`. Where platform_may_sleep(). STATUS_INVALID:
 * the config contradicts itself. STATUS_NO_MEMORY. On failure nothing is left behind.
 */
status_t pagecache_init(struct pagecache *pagecache, struct memory *memory, const struct pagecache_config *config) MUST_CHECK;

/* Ends the page cache and frees its memory. STATUS_BUSY: a volume is attached; nothing was done. */
status_t pagecache_fini(struct pagecache *pagecache) MUST_CHECK;

/*
 * The background writer: runs until pagecache_stop, in a task of its own. Without it, writers
 * beyond the limit write dirty pages themselves, but only those of their own volume.
 */
void pagecache_writeback_run(struct pagecache *pagecache);

/*
 * One round of the background writer: starts the writes that are due, and does not wait. For
 * machines without such a task.
 */
void pagecache_writeback_step(struct pagecache *pagecache);

/* Makes pagecache_writeback_run return; join its task afterwards. */
void pagecache_stop(struct pagecache *pagecache);

/*
 * Writes back and flushes all volumes, at the same time; returns the first error. A flush that is
 * not over by `deadline_ns` is given up with STATUS_TIMEOUT. For each volume that is not wholly
 * durable then, the log says how much of it, and where.
 */
status_t pagecache_flush_until(struct pagecache *pagecache, uint64_t deadline_ns) MUST_CHECK;
status_t pagecache_flush(struct pagecache *pagecache) MUST_CHECK;

/*
 * Flushes the device's cache for those that write past the page cache to a disk that may have
 * volumes: in turn with their flushes, which see to it if this one fails. Where
 * platform_may_sleep().
 */
status_t pagecache_flush_device(struct pagecache *pagecache, struct block_device *device) MUST_CHECK;

/* The sum over all volumes. */
void pagecache_statistics(struct pagecache *pagecache, struct pagecache_statistics *statistics);

/*
 * The node of a page, which is open; the position of the page, in bytes of its volume; and its
 * node_page_bytes.
 */
struct node *pagecache_node(const struct pagecache *pagecache, uint64_t key);
uint64_t pagecache_position(const struct pagecache *pagecache, uint64_t key);
uint64_t pagecache_page_bytes(const struct pagecache *pagecache, uint64_t key);

/* cache, volumes, volume clear, flush */
void pagecache_commands_register(struct pagecache *pagecache, struct command_table *table);
