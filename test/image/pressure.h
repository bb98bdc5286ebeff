// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory pressure: holds memory, so that the disk with the test pattern fills the rest of it,
 * however large the machine is.
 *
 *	pressure_apply -> ... -> pressure_release
 */
#pragma once

#include "app/app.h"
#include "heap/memory.h"

struct volume;

#define PRESSURE_RUNS 1024

struct pressure {
	struct memory *memory;
	struct owner owner;
	struct phys_addr runs[PRESSURE_RUNS];
	uint32_t count;
};

/*
 * Drops what is cached of the volume, holds all of the memory that is free then but the low
 * watermark, where caches stop, and `cache_bytes` beside the guarantee, from high addresses down,
 * and reads the volume through the cache until free memory is at the low watermark. False: the
 * volume is too small for that.
 */
bool pressure_apply(struct pressure *pressure, const struct app_environment *environment, struct volume *volume,
		    uint64_t cache_bytes);
void pressure_release(struct pressure *pressure);
