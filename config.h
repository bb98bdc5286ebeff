// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every tunable of Weir, with its unit, its default, the reason for the default, and a check that
 * refuses values that cannot work. Edit here and build again, or give single values to make:
 * `make CONFIG="-DDMA_RETAIN_BYTES=0"`. Only src/main.c, the wiring, reads this file; everything
 * else gets its values in structs. The monitor's `config` shows what is in force. A value is a
 * whole number, or an expression of numbers: 64ull << 10.
 */
#pragma once

#include "runtime/base/config_check.h"

/* Kernel --------------------------------------------------------------------------------------- */

/*
 * CPUs to start at most; more are left out with a line. A CPU costs 80 KB of stacks, and keeps
 * frames of each volume (PAGECACHE_LOOKASIDE_FRAMES).
 */
#ifndef KERNEL_CPUS_MAX
#define KERNEL_CPUS_MAX 64
#endif
CONFIG_RANGE(KERNEL_CPUS_MAX, 1, 256, "the kernel's tables hold 256");

/*
 * A task's turn, in milliseconds, while another one of the same priority waits for the CPU. Long
 * against a task switch (some microseconds), short for a user at the monitor.
 */
#ifndef KERNEL_SLICE_MS
#define KERNEL_SLICE_MS 5
#endif
CONFIG_RANGE(KERNEL_SLICE_MS, 1, 1000, "while one task runs for longer, the others seem to stand still");

/*
 * Time in milliseconds that a CPU may spend in one interrupt handler or with preemption off before
 * it is reported with its backtrace; 0: never. A driver that holds a CPU for a second is broken;
 * two leave room for slow emulators.
 */
#ifndef KERNEL_WATCHDOG_MS
#define KERNEL_WATCHDOG_MS 2000
#endif
CONFIG_RANGE_OR_0(KERNEL_WATCHDOG_MS, 10, 3600000, "0 turns it off, and an hour is never reached");
CONFIG_RULE(KERNEL_WATCHDOG_MS == 0 || KERNEL_WATCHDOG_MS >= 10 * (KERNEL_SLICE_MS),
	    "KERNEL_WATCHDOG_MS is 0 (off) or at least ten times KERNEL_SLICE_MS, or ordinary work would be reported");

/* Stack of the app's main task, in bytes. */
#ifndef KERNEL_MAIN_STACK_BYTES
#define KERNEL_MAIN_STACK_BYTES (64ull << 10)
#endif
CONFIG_RANGE(KERNEL_MAIN_STACK_BYTES, 16 << 10, 252 << 10, "a stack has 256 KB of addresses, with a page that faults");
CONFIG_RULE((KERNEL_MAIN_STACK_BYTES) % 4096 == 0, "KERNEL_MAIN_STACK_BYTES is a multiple of 4096, the size of a page");

/* Memory --------------------------------------------------------------------------------------- */

/*
 * Free memory, in bytes, that only the kernel's own allocations may use: caches do not grow and DMA
 * buffers are not given out of it. 0: a 512th of the memory, 8 MB at least, which hold the stacks
 * and objects of a few hundred tasks, and 64 MB at most.
 */
#ifndef MEMORY_MIN_BYTES
#define MEMORY_MIN_BYTES 0
#endif
CONFIG_RANGE_OR_0(MEMORY_MIN_BYTES, 4 << 20, 1ull << 40, "the kernel needs 4 MB for its own objects");

/*
 * The low watermark, in bytes: the page cache takes new memory only while more than this is free,
 * and below it the background cleaner begins. What lies between min and low serves small requests
 * without touching the cache. 0: a 128th of the memory, 32 MB at least and 256 MB at most.
 */
#ifndef MEMORY_LOW_BYTES
#define MEMORY_LOW_BYTES 0
#endif
CONFIG_RANGE_OR_0(MEMORY_LOW_BYTES, 4 << 20, 1ull << 40, "the kernel's share lies below");
CONFIG_RULE((MEMORY_LOW_BYTES) == 0 || (MEMORY_LOW_BYTES) >= (MEMORY_MIN_BYTES),
	    "MEMORY_LOW_BYTES is 0 or at least MEMORY_MIN_BYTES: caches stop growing before the kernel's share begins");

/*
 * The high watermark, in bytes, up to which the background cleaner frees. 0: low and a fourth of
 * min, 4 MB at least: the cache takes it again as soon as no request needs it.
 */
#ifndef MEMORY_HIGH_BYTES
#define MEMORY_HIGH_BYTES 0
#endif
CONFIG_RANGE_OR_0(MEMORY_HIGH_BYTES, 4 << 20, 1ull << 40, "the low watermark lies below");
CONFIG_RULE(
	(MEMORY_HIGH_BYTES) == 0 || ((MEMORY_LOW_BYTES) != 0 && (MEMORY_HIGH_BYTES) >= (MEMORY_LOW_BYTES)),
	"MEMORY_HIGH_BYTES is 0, or at least MEMORY_LOW_BYTES, which then must not be 0: the background cleaner begins there");

/*
 * Of what lies below min, the share in percent that the kernel's allocations may take where nothing
 * may sleep, in interrupt handlers above all: what they take there reclaim cannot use to get memory
 * back.
 */
#ifndef MEMORY_ATOMIC_PERCENT
#define MEMORY_ATOMIC_PERCENT 50
#endif
CONFIG_RANGE(MEMORY_ATOMIC_PERCENT, 0, 100, "it is a share");

/*
 * Free memory, in bytes, that a drain leaves in the caches of the general heap (small objects of
 * kernel, drivers and app), so that draining does not make the next small allocation slow. One
 * block.
 */
#ifndef GENERAL_HEAP_RETAIN_BYTES
#define GENERAL_HEAP_RETAIN_BYTES (2ull << 20)
#endif
CONFIG_RANGE(GENERAL_HEAP_RETAIN_BYTES, 0, 64 << 20, "a retain above 64 MB keeps memory from requests that need it");

/*
 * One in so many objects of the general heap is guarded: it lies alone on a page at the edge of one
 * that is not mapped, so that running over its end, or using it after it was freed, faults in every
 * build, and the report says who allocated and freed it; 0: none. More often for a machine under
 * test. Objects up to 32 KB, and none that an interrupt handler takes.
 */
#ifndef HEAP_GUARD_ONE_IN
#define HEAP_GUARD_ONE_IN 16384
#endif
CONFIG_RANGE_OR_0(HEAP_GUARD_ONE_IN, 16, 1000000000, "more often, all memory would come from the few guarded pages");

/*
 * Milliseconds in which a CPU has one object guarded at most, as that costs as much as some hundred
 * others: a program that allocates millions a second should not notice. 0: one in
 * HEAP_GUARD_ONE_IN, however fast they come.
 */
#ifndef HEAP_GUARD_INTERVAL_MS
#define HEAP_GUARD_INTERVAL_MS 10
#endif
CONFIG_RANGE(HEAP_GUARD_INTERVAL_MS, 0, 1000000, "0 guards one in HEAP_GUARD_ONE_IN, however fast they come");

/*
 * Memory, in bytes, for guarded objects: 2 MB are some two hundred of them, and half of these stay
 * out of use after they were freed, as long as others are still to come: the longer, the later a
 * use of them is found.
 */
#ifndef HEAP_GUARD_BYTES
#define HEAP_GUARD_BYTES (2ull << 20)
#endif
CONFIG_RANGE(HEAP_GUARD_BYTES, 2 << 20, 32 << 20, "it is made of 2 MB blocks; to have none, set HEAP_GUARD_ONE_IN to 0");
CONFIG_RULE((HEAP_GUARD_BYTES) % (2 << 20) == 0, "HEAP_GUARD_BYTES is a multiple of 2 << 20: it is made of 2 MB blocks");

/*
 * Free memory, in bytes, that a drain leaves for the small coherent DMA objects of drivers (queues,
 * tables). One block.
 */
#ifndef DMA_RETAIN_BYTES
#define DMA_RETAIN_BYTES (2ull << 20)
#endif
CONFIG_RANGE(DMA_RETAIN_BYTES, 0, 64 << 20, "a retain above 64 MB keeps memory from requests that need it");

/*
 * The guarantee: so much DMA memory, in bytes, is there at any moment without waiting, in interrupt
 * handlers too, in pieces of the second size. Smaller requests of one size share pieces. Drivers
 * reserve of it at probe (dma_guarantee_reserve); what none has reserved is for all that must not
 * wait. It is the cold end of the page cache meanwhile. 64 MB in pieces of 4 MB hold sixteen frames
 * of a large camera. Small machines have at most an eighth of their memory in it; 0: none. The
 * command line's guarantee=BYTES goes before it.
 */
#ifndef DMA_GUARANTEE_BYTES
#define DMA_GUARANTEE_BYTES (64ull << 20)
#endif
#ifndef DMA_GUARANTEE_PIECE_BYTES
#define DMA_GUARANTEE_PIECE_BYTES (4ull << 20)
#endif
CONFIG_RANGE_OR_0(DMA_GUARANTEE_BYTES, 2 << 20, 1ull << 40, "0 turns it off, and it is made of 2 MB blocks");
CONFIG_RANGE(DMA_GUARANTEE_PIECE_BYTES, 2 << 20, 1 << 30, "the guarantee is made of 2 MB blocks");
CONFIG_RULE(((DMA_GUARANTEE_PIECE_BYTES) & ((DMA_GUARANTEE_PIECE_BYTES)-1)) == 0,
	    "DMA_GUARANTEE_PIECE_BYTES is a power of two, such as 4 << 20");
CONFIG_RULE((DMA_GUARANTEE_BYTES) == 0 || (DMA_GUARANTEE_BYTES) >= (DMA_GUARANTEE_PIECE_BYTES),
	    "DMA_GUARANTEE_BYTES is 0 or at least one piece, DMA_GUARANTEE_PIECE_BYTES");

/*
 * Address bits of the devices that the guarantee is for: it lies below 2^n, and serves no device
 * that reaches less. 64: anywhere.
 */
#ifndef DMA_GUARANTEE_ADDRESS_BITS
#define DMA_GUARANTEE_ADDRESS_BITS 64
#endif
CONFIG_RANGE(DMA_GUARANTEE_ADDRESS_BITS, 24, 64, "no device reaches less than 16 MB, or more than 64 bits");
CONFIG_RULE((DMA_GUARANTEE_ADDRESS_BITS) > 30 || (DMA_GUARANTEE_PIECE_BYTES) <= 1ull << ((DMA_GUARANTEE_ADDRESS_BITS) % 64),
	    "DMA_GUARANTEE_PIECE_BYTES is at most 2 to the power of DMA_GUARANTEE_ADDRESS_BITS: pieces lie below that");

/*
 * Events of reclaim that are kept for the monitor's `trace`, 64 bytes each; 0: none. 1024 are those
 * of some dozen requests.
 */
#ifndef MEMORY_TRACE_EVENTS
#define MEMORY_TRACE_EVENTS 1024
#endif
CONFIG_RANGE(MEMORY_TRACE_EVENTS, 0, 16384, "0 records none, and 16384 take 1 MB");
CONFIG_RULE(((MEMORY_TRACE_EVENTS) & ((MEMORY_TRACE_EVENTS)-1)) == 0, "MEMORY_TRACE_EVENTS is 0 or a power of two");

/* Page cache ----------------------------------------------------------------------------------- */

/*
 * Free page frames, in bytes, that a drain leaves in each volume's page heap, so that a reader that
 * misses right after a drain finds a frame. One block.
 */
#ifndef PAGECACHE_RETAIN_BYTES
#define PAGECACHE_RETAIN_BYTES (2ull << 20)
#endif
CONFIG_RANGE(PAGECACHE_RETAIN_BYTES, 0, 64 << 20, "a retain above 64 MB keeps memory from requests that need it");

/*
 * Cached bytes that a volume keeps under any pressure, unless a rule gives it a value of its own. 8
 * MB keep directories and the like warm on a volume that every request drains.
 */
#ifndef PAGECACHE_KEEP_BYTES
#define PAGECACHE_KEEP_BYTES (8ull << 20)
#endif
CONFIG_RANGE(PAGECACHE_KEEP_BYTES, 0, 1ull << 40, "each volume keeps as much");

/* Drain preference of a volume, 0 to 100: volumes with lower values give first. */
#ifndef PAGECACHE_PREFERENCE
#define PAGECACHE_PREFERENCE 50
#endif
CONFIG_RANGE(PAGECACHE_PREFERENCE, 0, 100, "0 gives first, 100 last");

/*
 * Rules for volumes that are to have other values than these three, in the words of
 * src/volume_rules.h: by the name of a disk or of a volume, by the disk's serial number, or by a
 * partition's label or GUID. As an example:
 *
 *	#define PAGECACHE_VOLUMES             \
 *		"serial=S4EWNF0M preference=0;" \
 *		"label='My data' cache_min=1G retain=0"
 *
 * The command line's volumes="..." goes before it, and the monitor's `volumes set` before that.
 * None: all volumes are alike.
 */
#ifndef PAGECACHE_VOLUMES
#define PAGECACHE_VOLUMES ""
#endif
CONFIG_STRING(PAGECACHE_VOLUMES, "a text in quotes, such as \"serial=S4EWNF0M preference=0\"");

/*
 * Dirty pages of all volumes, in percent of what can be dirty: what is cached, or free above
 * MEMORY_LOW_BYTES. Each volume has a share, by how fast it writes; it is written in the background
 * from the first value on, and its writers wait at the second one. The gap lets a burst pass; the
 * upper bound limits what a drain may have to write.
 */
#ifndef PAGECACHE_DIRTY_BACKGROUND_PERCENT
#define PAGECACHE_DIRTY_BACKGROUND_PERCENT 10
#endif
#ifndef PAGECACHE_DIRTY_MAX_PERCENT
#define PAGECACHE_DIRTY_MAX_PERCENT 20
#endif
CONFIG_RANGE(PAGECACHE_DIRTY_BACKGROUND_PERCENT, 0, 59, "it lies below PAGECACHE_DIRTY_MAX_PERCENT");
CONFIG_RANGE(PAGECACHE_DIRTY_MAX_PERCENT, 1, 60, "with more dirty memory a drain would have to wait for the disk");
CONFIG_RULE(PAGECACHE_DIRTY_BACKGROUND_PERCENT < PAGECACHE_DIRTY_MAX_PERCENT,
	    "PAGECACHE_DIRTY_BACKGROUND_PERCENT is below PAGECACHE_DIRTY_MAX_PERCENT, or writers wait before writing begins");

/*
 * Age in milliseconds at which a dirty page is written even if there are few. What a power cut may
 * cost without a flush.
 */
#ifndef PAGECACHE_DIRTY_AGE_MS
#define PAGECACHE_DIRTY_AGE_MS 30000
#endif
CONFIG_RANGE(PAGECACHE_DIRTY_AGE_MS, 100, 86400000, "100 ms, or each write goes to the disk on its own, to a day");

/*
 * A block that is drained may have this share of dirty pages, in percent, and is then emptied by
 * moving them; one with more is left to the cleaner that writes, unless the run that is drained has
 * no more than this share in such blocks. A quarter of a block is copied in some tens of
 * microseconds, the disk takes milliseconds.
 */
#ifndef PAGECACHE_MOVE_PERCENT
#define PAGECACHE_MOVE_PERCENT 25
#endif
CONFIG_RANGE(PAGECACHE_MOVE_PERCENT, 0, 100, "0 never moves dirty pages");

/*
 * Time in milliseconds after which the background writer tries a page again that could not be
 * written; each flush tries it, too. A disk that has a moment of weakness is well again by then;
 * one that is broken is not kept busy.
 */
#ifndef PAGECACHE_RETRY_MS
#define PAGECACHE_RETRY_MS 5000
#endif
CONFIG_RANGE(PAGECACHE_RETRY_MS, 100, 3600000, "100 ms, or a page that cannot be written keeps the disk busy, to an hour");

/*
 * How far a sequential or strided reader is read ahead of, in bytes at most; 0: not at all. 4 MB
 * keep a disk of 2 GB/s busy for 2 ms, which is longer than it takes to answer.
 */
#ifndef PAGECACHE_READAHEAD_BYTES
#define PAGECACHE_READAHEAD_BYTES (4ull << 20)
#endif
CONFIG_RANGE_OR_0(PAGECACHE_READAHEAD_BYTES, 4096, 64 << 20, "a page, to 64 MB, or guesses push out what is used");

/*
 * Frames that each CPU keeps of each volume for its next misses, 0 to 8: with 8, only every ninth
 * miss takes the lock of the page heap. They are emptied before anything that is cached is given
 * up; 64 CPUs hold 2 MB of a volume at most.
 */
#ifndef PAGECACHE_LOOKASIDE_FRAMES
#define PAGECACHE_LOOKASIDE_FRAMES 8
#endif
CONFIG_RANGE(PAGECACHE_LOOKASIDE_FRAMES, 0, 8, "0 has none");

/*
 * Memory, in bytes, that stands ready for pages that a drain moves away, rounded up to whole
 * blocks. One block takes the dirty pages of four that are emptied.
 */
#ifndef PAGECACHE_MIGRATION_BYTES
#define PAGECACHE_MIGRATION_BYTES (2ull << 20)
#endif
CONFIG_RANGE(PAGECACHE_MIGRATION_BYTES, 0, 32 << 20, "a drain moves few pages, and uses what it frees itself");

/*
 * How long a reader or writer waits, in milliseconds, for a page frame before it gets an error.
 * Only a machine whose memory is all taken or pinned comes to it, and then an error is better than
 * waiting on.
 */
#ifndef PAGECACHE_FRAME_WAIT_MS
#define PAGECACHE_FRAME_WAIT_MS 10000
#endif
CONFIG_RANGE(PAGECACHE_FRAME_WAIT_MS, 100, 3600000, "dirty pages have to be written meanwhile; an hour at most");

/*
 * How long power-off waits, in milliseconds, until all that was written is durable. What is not by
 * then is named and lost: a mapping that was forgotten, or a disk that does not answer, must not
 * keep the machine from going off. The detach of a volume waits as long, and leaves it attached
 * then. A disk that is reset after DRIVER_IO_TIMEOUT_MS has another chance in twice that time, and
 * one of 100 MB/s can write 6 GB.
 */
#ifndef POWER_OFF_FLUSH_MS
#define POWER_OFF_FLUSH_MS 60000
#endif
CONFIG_RANGE(POWER_OFF_FLUSH_MS, 1000, 86400000, "healthy disks pause for a second; a day at most");

/* Nodes (volumes, files) that can be open at once: 8 bytes each. */
#ifndef PAGECACHE_NODES
#define PAGECACHE_NODES 4096
#endif
CONFIG_RANGE(PAGECACHE_NODES, 16, 16777215, "each disk and each partition is one");

/*
 * I/O requests of the page cache that can be under way at once, 1 MB each: their objects are held
 * in reserve, 7 KB each.
 */
#ifndef PAGECACHE_REQUESTS
#define PAGECACHE_REQUESTS 64
#endif
CONFIG_RANGE(PAGECACHE_REQUESTS, 2, 4096, "one reads while another writes; 4096 take 28 MB");

/* Drivers -------------------------------------------------------------------------------------- */

/*
 * Time in milliseconds for a disk to answer. A command that is older counts as lost if the disk has
 * answered nothing for that long, or since the command as many others as its queues hold; then the
 * driver begins to recover the device. One that is slow but answers is left alone. Disks that spin
 * up, or retry a bad sector, take some seconds.
 */
#ifndef DRIVER_IO_TIMEOUT_MS
#define DRIVER_IO_TIMEOUT_MS 30000
#endif
CONFIG_RANGE(DRIVER_IO_TIMEOUT_MS, 1000, 3600000, "healthy disks pause for a second; an hour at most");
