// SPDX-License-Identifier: BSD-2-Clause
/*
 * For tests of disks that the command line names because something is wrong with them, such as
 * faulty=virtio0.
 */
#pragma once

#include "image_test.h"
#include "pagecache/volume.h"

/* The volume that the option `key` names; NULL: this machine has none. */
struct volume *faulty_disk_volume(const struct image_test_run *test, const char *key);

/* Fills a page with what tells the page and the seed. */
void faulty_disk_fill(void *page, uint64_t number, unsigned seed);

/* Writes such a page through the cache. */
status_t faulty_disk_write(struct volume *volume, uint64_t number, unsigned seed) MUST_CHECK;

/* Whether the cache has that page. */
bool faulty_disk_reads(struct volume *volume, uint64_t number, unsigned seed);

/* Whether the disk has it; read past the cache. */
bool faulty_disk_holds(struct image_test_run *test, struct volume *volume, uint64_t number, unsigned seed);
