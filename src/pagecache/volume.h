/*
 * A volume: a range of a block device with a page heap, a drain preference and a `keep` of its own.
 *
 * Dirty lists, all under [D]: `dirty` in order of dirtying; `aged`, what is to be written because of its age; `syncing`, what a
 * flush still has to write; `failed`, whose last write failed and which only a flush or the age tries again, each by itself.
 */
#pragma once

#include "node.h"
#include "pagecache.h"
#include "runtime/base/block_device.h"

struct volume_config {
	unsigned preference;   /* 0 to 100; lower ones give first */
	uint64_t keep_bytes;   /* cached bytes that it keeps under any pressure */
	uint64_t retain_bytes; /* free frames that a drain leaves */
};

#define VOLUME_NAME_BYTES 32

/* Lookups that one CPU did, on a line of its own: a hit writes to nothing that all share. */
struct volume_lookups {
	_Atomic uint64_t hits;
	_Atomic uint64_t misses;
} __attribute__((aligned(64)));

struct volume {
	struct pagecache *pagecache;
	struct block_device *device;
	char name[VOLUME_NAME_BYTES];
	uint64_t start_bytes;        /* [I] on the device */
	uint64_t bytes;              /* [I] */
	struct volume_config config; /* [I] */
	struct node node;            /* the whole volume */
	struct objcache frames;      /* the page heap */
	struct cleaner clean_cleaner;
	struct cleaner dirty_cleaner;
	struct list link; /* in pagecache->volumes */

	struct mutex flush;
	struct spinlock lock;      /* [D] */
	struct list dirty;         /* [D] */
	struct list aged;          /* [D] */
	struct list syncing;       /* [D] */
	struct list failed;        /* [D] */
	struct list in_flight;     /* [D] writes, from the claim of their first page on, by number */
	uint64_t next_write;       /* [D] number of the next write */
	uint64_t dirty_since_ns;   /* [D] what is in `dirty` or `failed` has been there since then at most */
	status_t write_status;     /* [D] of the latest write that failed */
	_Atomic uint32_t progress; /* changes when a write has ended */
	_Atomic uint32_t reads;    /* under way; a detach waits until there are none */
	_Atomic uint32_t cleaning; /* drains that are under way: the page heap does not grow; who waits sleeps on it */

	struct {
		_Atomic uint64_t cached_pages, dirty_pages, failed_pages;
		_Atomic uint64_t inserted_pages, evicted_pages, moved_pages;
		_Atomic uint64_t read_bytes, written_bytes, read_errors, write_errors, flushes, throttled;
	} counts;
	struct volume_lookups lookups[PLATFORM_CPUS_MAX];
};

/*
 * Attaches bytes [start_bytes, start_bytes + bytes) of `device`; both are multiples of its sector. Volumes may overlap, such as
 * a disk and its partitions, but each caches for itself: who writes to one of them must not use the other. The caller owns
 * `volume` and keeps it until detached. STATUS_RANGE: not within the device. STATUS_INVALID: not whole sectors, a name
 * that is too long or taken, or a device that cannot take page-sized segments. STATUS_NO_MEMORY.
 * STATUS_UNSUPPORTED: the device's address mask does not cover all memory that pages may lie in.
 */
status_t volume_attach(struct volume *volume, struct pagecache *pagecache, struct block_device *device, const char *name,
		       uint64_t start_bytes, uint64_t bytes, const struct volume_config *config) MUST_CHECK;

/*
 * Flushes, drops all pages and detaches. Nobody may use the volume any more. When the flush fails its status is returned and
 * the volume stays, unless `discard`: then what could not be written is lost, and the status tells so.
 */
status_t volume_detach(struct volume *volume, bool discard) MUST_CHECK;

/* The attached volume of that name; it stays attached as long as nobody detaches it. NULL: none. */
struct volume *volume_find(struct pagecache *pagecache, const char *name);

/*
 * Makes every write that returned before the call durable: writes the dirty pages, waits, and flushes the device's cache.
 * Returns how the latest of the writes failed, else how the device's flush did; pages that could not be written stay dirty, and
 * each flush tries them again.
 */
status_t volume_flush(struct volume *volume) MUST_CHECK;

/* Drops all clean pages without I/O; returns how many. */
uint64_t volume_drop(struct volume *volume);

void volume_statistics(struct volume *volume, struct pagecache_statistics *statistics);
