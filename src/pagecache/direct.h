// SPDX-License-Identifier: BSD-2-Clause
/*
 * Direct I/O: between the device and the caller's memory, past the cache, and coherent with it.
 * Dirty pages of the range are written before, and a direct write discards the cached pages of its
 * range before and after. Where a write covers a page in part, that part goes through the cache,
 * and to the device from there.
 *
 * Direct I/O concerns the pages of its range only: no other page is written or waited for, and a
 * page elsewhere that cannot be written does not make it fail. It never waits for a flush of the
 * device.
 *
 * A segment may lie in another device's memory, at the address of its BAR (drivers/pci/pci.h).
 * The two devices then exchange data without a copy in RAM, if the machine forwards such accesses;
 * not every machine does between different root ports. A write that covers pages in part needs that
 * memory mapped at its physical address, as pci_bar_map does.
 */
#pragma once

#include "node.h"
#include "runtime/base/block_device.h"

/*
 * BLOCK_READ or BLOCK_WRITE of the node's bytes from `offset` on into or from the segments. When it
 * returns, the transfer has been done, but not been made durable.
 *
 * STATUS_INVALID: offset, or a segment's address or length, is not aligned as the device demands
 * (sector_bytes, segment_alignment), or the operation is a flush; STATUS_RANGE: not within the
 * node; STATUS_READ_ONLY; STATUS_GONE; STATUS_NO_MEMORY: no frame for a page that a write covers in
 * part. The device's status, also that of a dirty page in the range: then a part may have been
 * transferred. Where platform_may_sleep().
 */
status_t node_direct(struct node *node, enum block_operation operation, uint64_t offset, const struct phys_range *segments,
		     uint32_t segment_count) MUST_CHECK;
