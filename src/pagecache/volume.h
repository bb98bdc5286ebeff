// SPDX-License-Identifier: BSD-2-Clause
/*
 * A volume: a range of a block device with a page heap, a preference and a cache minimum (`keep`)
 * of its own.
 */
#pragma once

#include "node.h"
#include "pagecache.h"

struct volume_config {
	unsigned preference;   /* 0 to 100; lower ones give first */
	uint64_t keep_bytes;   /* cached bytes that it keeps under any pressure */
	uint64_t retain_bytes; /* free frames that a drain leaves */
	bool read_only;        /* no write goes through it, and its sectors do not change */
};

#define VOLUME_NAME_BYTES 32

struct volume {
	struct pagecache *pagecache;
	struct block_device *device;
	char name[VOLUME_NAME_BYTES];
	uint64_t start_bytes; /* [I] on the device */
	uint64_t bytes;       /* [I] */
	struct {
		_Atomic unsigned preference;
		_Atomic uint64_t keep_bytes, retain_bytes;
		bool read_only;             /* [I] the device's, too */
	} config;                           /* volume_configure changes it */
	struct node node;                   /* the whole volume */
	struct list mappings;               /* [D] with all pages mapped */
	struct list link;                   /* in pagecache->volumes */
	_Atomic uint32_t users;             /* walks that are at this volume; a detach waits for them */
	bool leaving;                       /* [volumes_lock] is being detached: passed over */
	struct pagecache_statistics counts; /* without blocks, and without what pages.lookups counts */

	struct volume_pages pages;
	struct volume_writeback writeback;
	struct volume_eviction eviction;
};

/*
 * Attaches bytes [start_bytes, start_bytes + bytes) of `device`; both are multiples of its sector.
 * The caller owns `volume` and keeps it until detached. Volumes that share sectors, such as a disk
 * and its partitions, each have their own cached pages; so they are attached at the same time only
 * if all of them are read-only.
 *
 * STATUS_BUSY: another volume has some of these sectors, and one of the two can be written; the log
 * names it. STATUS_RANGE: not within the device. STATUS_INVALID: not whole sectors, a name that is
 * too long or taken, or a device that cannot take page-sized segments. STATUS_NO_MEMORY.
 * STATUS_UNSUPPORTED: the device's address mask does not cover all memory that pages may lie in, or
 * the volume is larger than 4 PB. STATUS_GONE: the device's driver is being removed; an attached
 * volume keeps the driver from that.
 */
status_t volume_attach(struct volume *volume, struct pagecache *pagecache, struct block_device *device, const char *name,
		       uint64_t start_bytes, uint64_t bytes, const struct volume_config *config) MUST_CHECK;

/*
 * Flushes, drops all pages and detaches. The caller sees to it that no task uses the volume any
 * more. STATUS_BUSY: pages of it are mapped, and the volume stays; the log says where. When the
 * flush fails, or is not over after pagecache_config.flush_wait_ns (STATUS_TIMEOUT), the log says
 * what is not durable, its status is returned, and the volume stays, unless `discard`: then pages
 * that could not be written are lost. Either way it waits for requests that the device still has;
 * its driver ends them.
 */
status_t volume_detach(struct volume *volume, bool discard) MUST_CHECK;

/*
 * Gives an attached volume another preference, cache minimum and retain; it stays read-only or not.
 * Cached pages stay, and requests go by the new values from now on. Where platform_may_sleep();
 * waits for the turn of the request that is being reclaimed for.
 */
void volume_configure(struct volume *volume, const struct volume_config *config);

/* The present configuration of the volume. */
struct volume_config volume_configuration(const struct volume *volume);

/*
 * The whole volume as a node; its name; its size; and the device, with the byte where the volume
 * begins there. They stay the same while the volume is attached.
 */
static inline struct node *volume_whole_node(struct volume *volume)
{
	return &volume->node;
}

static inline const char *volume_name(const struct volume *volume)
{
	return volume->name;
}

static inline uint64_t volume_bytes(const struct volume *volume)
{
	return volume->bytes;
}

static inline struct block_device *volume_device(const struct volume *volume)
{
	return volume->device;
}

static inline uint64_t volume_start_bytes(const struct volume *volume)
{
	return volume->start_bytes;
}

/*
 * Iteration: returns the next volume by name, which is not detached until it is passed in as
 * `previous` (NULL: start); NULL: no more. A walk that ends early calls volume_put. No lock is held
 * in between.
 */
struct volume *volume_next(struct pagecache *pagecache, struct volume *previous);
void volume_put(struct volume *volume);

/* For Tab: the name of the index-th volume; good until the next call. NULL: there are fewer. */
const char *volume_name_argument(struct pagecache *pagecache, unsigned index);

/* The attached volume of that name; only a detach ends it. NULL: none. */
struct volume *volume_find(struct pagecache *pagecache, const char *name);

/*
 * Makes every write that returned before the call durable: writes the dirty pages, waits, and
 * flushes the device's cache. Returns the status of the latest failed write, else of the device's
 * flush. Pages that could not be written, or that the device may have lost, are dirty, and each
 * flush tries them again. STATUS_IO_ERROR also as long as lost data is not cached any more
 * (written.h).
 */
status_t volume_flush(struct volume *volume) MUST_CHECK;

/* Drops all clean pages that are not in use, without I/O; returns how many. */
uint64_t volume_drop(struct volume *volume);

/* The volume's counts; _add: added to *sum. */
void volume_statistics(const struct volume *volume, struct pagecache_statistics *statistics);
void volume_statistics_add(const struct volume *volume, struct pagecache_statistics *sum);

/*
 * What memory at this address holds of the volume, as far as a look without a lock can tell:
 * whether its block is the volume's; whether the frame has a page of it that can be read, and which
 * number the page has in its node.
 */
bool volume_has_block(const struct volume *volume, struct phys_addr address);
bool volume_page_at(const struct volume *volume, struct phys_addr address, uint64_t *number);
