/*
 * The page cache: keeps pages of block devices in all memory that nobody else needs, and gives it back in whole 2 MB blocks.
 *
 *	pagecache_init -> volume_attach -> node_read / node_write / volume_flush -> volume_detach -> pagecache_fini
 *
 * 1. A volume has a page heap of its own, an objcache with the cursor policy: pages enter a block in address order, so the
 *    order of entry is the order of eviction, and blocks never mix volumes.
 * 2. A page heap takes a fresh block while the block heap has more free memory than the low watermark. Otherwise its cursor
 *    refills its own oldest block in place, or takes the oldest block of another volume if that is older and prefers to give.
 * 3. Two cleaners a volume: the first gives blocks without I/O (dirty pages, where a block has few, are moved), oldest first,
 *    down to `keep`; the second one writes dirty pages first. Neither allocates.
 * 4. A write that returned is in memory; a flush that returned STATUS_OK made it durable. A failed write stays dirty and is
 *    reported by every flush until it has succeeded.
 * 5. I/O takes its objects from a reserve: writing memory out never waits for memory.
 *
 * No hidden state: several page caches live side by side. Contexts: where platform_may_sleep(), unless a function says
 * otherwise. Lock order: volume->flush (mutex) -> stripe [S] -> volume->lock [D]; pagecache->volumes_lock (mutex) outermost.
 */
#pragma once

#include "frame_table.h"
#include "index.h"
#include "runtime/base/command.h"
#include "runtime/base/mutex.h"

struct pagecache_config {
	unsigned dirty_background_percent; /* of all RAM of the memory: above, dirty pages are written in the background */
	unsigned dirty_max_percent;        /* above, writers wait; more than background, at most 60 */
	uint64_t dirty_age_ns;             /* dirty pages are written when they may be this old */
	unsigned move_percent;             /* a drained block with at most this share of dirty pages has them moved */
	uint32_t requests;                 /* reserve of I/O objects, at least 2; each is 1 MB of I/O in flight */
};

/* Counts since start-up, and gauges; of a volume, or the sum over all. */
struct pagecache_statistics {
	uint64_t cached_pages; /* gauge */
	uint64_t dirty_pages;  /* gauge; DIRTY or WRITEBACK */
	uint64_t failed_pages; /* gauge; dirty, and the last write of it failed */
	uint64_t blocks;       /* gauge */
	uint64_t hits;
	uint64_t misses;
	uint64_t inserted_pages;
	uint64_t evicted_pages; /* dropped by anyone: cursor, drain, a failed read */
	uint64_t moved_pages;
	uint64_t read_bytes;    /* from the device */
	uint64_t written_bytes; /* to the device */
	uint64_t read_errors;
	uint64_t write_errors;
	uint64_t flushes;
	uint64_t throttled; /* writes that waited for the dirty limit */
};

struct pagecache {
	struct memory *memory;
	struct pagecache_config config; /* [I] */
	struct frame_table table;
	struct index index;
	struct phys_addr buckets;           /* [I] run of blocks that holds the index */
	struct owner owner;                 /* of that run */
	struct objcache requests;           /* I/O objects */
	_Atomic uint32_t requests_returned; /* changes when one comes back; who finds none sleeps on it */
	struct mutex volumes_lock;
	struct list volumes; /* [volumes_lock], by name */
	_Atomic uint32_t next_node;
	_Atomic uint64_t clock;          /* for frames->entered; ticks whenever a cursor has gone on by some frames */
	_Atomic uint64_t dirty_pages;    /* DIRTY or WRITEBACK, of all volumes */
	_Atomic uint64_t failed_pages;   /* of them FAILED */
	uint64_t dirty_background_pages; /* [I] */
	uint64_t dirty_max_pages;        /* [I] */
	_Atomic uint32_t kick;           /* changes when the background writer has something to do */
	_Atomic uint32_t progress;       /* changes when a write has ended */
	_Atomic bool stopping;
	struct command commands[3];
};

/*
 * Takes the memory for all bookkeeping: 1% of `memory` for descriptors, up to 0.2% for the index, and the reserve. Where
 * platform_may_sleep(). STATUS_INVALID: the config contradicts itself. STATUS_NO_MEMORY. On failure nothing is left behind.
 */
status_t pagecache_init(struct pagecache *pagecache, struct memory *memory, const struct pagecache_config *config) MUST_CHECK;

/* Frees all that. STATUS_BUSY: a volume is attached; nothing was done. */
status_t pagecache_fini(struct pagecache *pagecache) MUST_CHECK;

/* The background writer: runs until pagecache_stop, in a task of its own. Without one, writers beyond
 * the limit write, but only what is dirty of their own volume. */
void pagecache_writeback_run(struct pagecache *pagecache);

/* Makes pagecache_writeback_run return; join its task afterwards. */
void pagecache_stop(struct pagecache *pagecache);

/* Writes back and flushes all volumes; the first error. */
status_t pagecache_flush(struct pagecache *pagecache) MUST_CHECK;

/* The sum over all volumes. */
void pagecache_statistics(struct pagecache *pagecache, struct pagecache_statistics *statistics);

/* cache, volumes, flush */
void pagecache_commands_register(struct pagecache *pagecache, struct command_table *table);

/* Checks every invariant of pages, index and counts; for tests, with nothing under way. */
bool pagecache_is_valid(struct pagecache *pagecache);
