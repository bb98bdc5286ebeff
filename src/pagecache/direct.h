/*
 * Direct I/O: between the device and the caller's memory, past the cache, and coherent with it: what is dirty in the range is
 * written before, and what is cached of it is forgotten before and after a direct write. Of pages that a write covers in part,
 * that part goes through the cache, and to the device from there.
 *
 * It concerns the pages of its range and no others: those are neither written nor waited for, and a page elsewhere that cannot
 * be written does not make it fail. It never waits for a flush of the device.
 *
 * A segment may lie in another device's memory, at the address of its BAR (drivers/pci.h): the two then exchange data without a
 * copy in RAM, if the machine forwards such accesses; not every one does between different root ports. A write that covers
 * pages in part needs that memory mapped at its physical address, as pci_bar_map does.
 */
#pragma once

#include "node.h"
#include "runtime/base/block_device.h"

/*
 * BLOCK_READ or BLOCK_WRITE of the node's bytes from `offset` on into or from the segments; it has been done, but not been made
 * durable, when it returns. STATUS_INVALID: offset, or a segment's address or length, is not aligned as the device demands
 * (sector_bytes, segment_alignment), or it is a flush; STATUS_RANGE: not within the node; STATUS_READ_ONLY; STATUS_GONE;
 * STATUS_NO_MEMORY: no frame for a page of which a write covers a part; what the device says, of a dirty page in the range,
 * too: then a part may have been transferred. Where platform_may_sleep().
 */
status_t node_direct(struct node *node, enum block_operation operation, uint64_t offset, const struct phys_range *segments,
		     uint32_t segment_count) MUST_CHECK;
