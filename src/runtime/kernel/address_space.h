// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual addresses beyond the direct map. RAM is mapped at its physical address for good
 * (x86_64/paging.h); here are fresh ranges further up (range_layout.h), for buffers that are
 * contiguous only virtually. Unmapping reaches all CPUs before the range is used again.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct heap;

/* Once, before tasks run. `heap` gives records. */
status_t address_space_init(struct heap *heap) MUST_CHECK;

/* platform_map and platform_unmap, see platform.h; as `flags` of paging.h, PAGING_WRITE for RAM. */
status_t address_space_map(const struct phys_range *pieces, uint32_t count, unsigned flags, void **mapped) MUST_CHECK;
void address_space_unmap(void *mapped, uint64_t bytes);
