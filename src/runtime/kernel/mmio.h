// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that is not RAM: registers of devices, and what firmware left. It is mapped at its
 * physical address, or, above 128 TB, at a fresh one.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

/*
 * Maps a device's memory, for good; whole pages, so that neighbours in a page share the mapping,
 * and the type of the first of them. STATUS_RANGE: no bytes, in page 0, or beyond the CPU's
 * addresses; STATUS_CORRUPT: there is RAM (memory_map.h); STATUS_BUSY: some of it is mapped already
 * as the other type; STATUS_NO_MEMORY: no page tables. Then some pages may stay mapped. Task
 * context, or start-up.
 */
enum mmio_type {
	MMIO_REGISTERS,       /* uncached: each access reaches the device, in program order */
	MMIO_WRITE_COMBINING, /* the CPU collects writes and sends them in bursts, in any order: registers.h */
};
status_t mmio_map_as(struct phys_addr address, uint64_t bytes, enum mmio_type type, void **mapped) MUST_CHECK;

/* The same for registers, where the kernel itself needs them; NULL: not possible. */
void *mmio_map(struct phys_addr address, uint64_t bytes);

/*
 * The same for memory that firmware filled, to read: cached, and only where it is not RAM that is
 * mapped already.
 */
const void *firmware_map(struct phys_addr address, uint64_t bytes);
