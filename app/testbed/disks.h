// SPDX-License-Identifier: BSD-2-Clause
/* Which disk plays which part: told apart by the test pattern that they carry, not by name. */
#pragma once

#include "app/scenario.h"

struct block_device;
struct dma_buffer;
struct memory;
struct volume;

struct disks {
	struct volume *data;            /* read and written through the cache */
	struct block_device *digitizer; /* read past the cache, by DMA */
};

/*
 * Finds the first whole disk with pages of PATTERN_SEED_DATA and the first one with pages of
 * PATTERN_SEED_DIGITIZER; the options data=NAME and digitizer=NAME name them instead, but their
 * pages must be of the pattern all the same. STATUS_NOT_FOUND: one is missing; a message was
 * printed. Where platform_may_sleep().
 */
status_t disks_find(const struct scenario *scenario, struct disks *disks) MUST_CHECK;

/*
 * The volume of the first whole disk with pages of PATTERN_SEED_SLOW, or of the disk that the
 * option slow=NAME names. NULL: there is none; a message was printed. Where platform_may_sleep().
 */
struct volume *disks_find_slow(const struct scenario *scenario);

/*
 * The volume named by the option `key`, else the first one on the first disk. NULL: there is none;
 * a message was printed.
 */
struct volume *disks_find_volume(const struct scenario *scenario, const char *key);

/*
 * The device's first page, read past the cache; dma_free frees it. NULL: it cannot be had. Where
 * platform_may_sleep().
 */
struct dma_buffer *disks_first_page(struct memory *memory, struct block_device *device);

/* One line with all disks and their sizes. */
void disks_print(const struct app_environment *environment);
