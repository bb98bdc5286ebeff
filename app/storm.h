// SPDX-License-Identifier: BSD-2-Clause
/*
 * The handlers of the scenario storm: on each CPU a timer whose interrupt takes a burst of DMA
 * buffers, holds them until its next turn, looks at them, and gives them back.
 */
#pragma once

#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/random.h"
#include "runtime/kernel/timer.h"

#define STORM_BURST_MAX   64    /* buffers of one CPU */
#define STORM_SAMPLES_MAX 65536 /* times that one CPU keeps */

/* One CPU. Its handler's alone until `done`. */
struct storm_cpu {
	struct timer timer;
	struct memory *memory;       /* [I] */
	const struct device *device; /* [I] */
	unsigned size_shift_max;     /* [I] buffers have 4 KB to 2^this bytes */
	uint32_t burst;              /* [I] buffers of one burst */
	uint64_t bursts;             /* [I] after which it ends */

	struct random random;
	struct dma_buffer *buffers[STORM_BURST_MAX];
	uint32_t held;
	uint64_t done_bursts;
	uint64_t requests, refused, bytes;
	uint64_t overwritten; /* buffers with another writer's content */
	uint64_t samples;
	uint32_t ns[STORM_SAMPLES_MAX]; /* of each request, the first ones only */
	_Atomic bool done;
};

void storm_cpu_init(struct storm_cpu *cpu);

/* Begins, on the CPU that it is called on; ends by itself. Any context. */
void storm_cpu_start(struct storm_cpu *cpu);
