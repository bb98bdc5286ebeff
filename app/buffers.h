/*
 * A set of DMA buffers of one size, taken and freed together: 256 x 4 MB of a digitizer. Each is made of whole 2 MB blocks, or
 * lies in one piece where `contiguous` is set.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct block_device;
struct dma_buffer;
struct memory;

#define BUFFERS_PIECE_BYTES (4 * MIB)

struct buffers {
	struct memory *memory;
	struct block_device *device; /* which they are for */
	struct dma_buffer **list;
	uint64_t count;
	uint64_t taken;
	bool contiguous; /* set after buffers_init; at first false */
};

/* For `bytes` in all, a multiple of BUFFERS_PIECE_BYTES. STATUS_NO_MEMORY: none for the list. */
status_t buffers_init(struct buffers *buffers, struct memory *memory, struct block_device *device, uint64_t bytes) MUST_CHECK;
void buffers_fini(struct buffers *buffers); /* frees what was taken */

/* Takes those that are missing. `wait_ns`: how long to wait for each. On failure some may have been taken. */
status_t buffers_take(struct buffers *buffers, uint64_t wait_ns) MUST_CHECK;

/* The same if it all fits into what is free, so that no cleaner is asked. True: all are taken. */
bool buffers_take_free(struct buffers *buffers);

void buffers_free(struct buffers *buffers);

/* Lets the device fill all of them, from its start on. */
status_t buffers_read(struct buffers *buffers) MUST_CHECK;

/* The pages that are not those of the pattern's `seed`, from page 0 on. */
uint64_t buffers_verify(const struct buffers *buffers, uint64_t seed);
