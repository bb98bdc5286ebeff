// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory map of boot_info, while the kernel runs: which addresses are RAM, and what of the
 * machine's memory is left alone. Constant after memory_map_init; no locks, any context.
 */
#pragma once

#include "runtime/base/types.h"

struct boot_info;
struct boot_memory_range;

/* Keeps the map, and logs what is left alone and what was wrong with it. Once. */
void memory_map_init(const struct boot_info *boot);

/*
 * Whether some of the range is RAM that the kernel uses or may use, or that holds ACPI tables; so
 * no device can be there. Memory that firmware calls reserved does not count, because firmware
 * calls devices' windows that, too. False: all of it is something else, or no bytes.
 */
bool memory_map_has_ram(struct phys_addr start, uint64_t bytes);

/* All ranges, sorted by address; returns how many there are. */
uint32_t memory_map_ranges(const struct boot_memory_range **ranges);
