// SPDX-License-Identifier: BSD-2-Clause
/*
 * For tests that take the drivers of disks away and bring them back: a disk, its function, and its
 * volume in the page cache.
 */
#pragma once

#include "drivers/driver.h"
#include "image_test.h"
#include "pagecache/volume.h"
#include "runtime/base/block_device.h"

#define DISK_PLACES 4

struct disk_place {
	char name[VOLUME_NAME_BYTES];
	struct block_device *disk;
	struct pci_function *function;
	struct volume *volume;
	struct volume_config config; /* of the volume */
};

/* The function of the disk that `device` is on. */
struct pci_function *disk_function(const struct block_device *device);

/* Detaches the disk from the page cache; false and a failure: not possible. */
bool disk_place_release(struct image_test_run *test, struct block_device *disk, struct disk_place *place);

/* Probes the function again, attaches the disk to the page cache, and reads from it. */
void disk_place_restore(struct image_test_run *test, struct disk_place *place);

/* The disks with the test pattern: a list that stays, while drivers come and go. */
unsigned disk_places_list(struct image_test_run *test, struct block_device *disks[DISK_PLACES]);
