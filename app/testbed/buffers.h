// SPDX-License-Identifier: BSD-2-Clause
/*
 * A set of DMA buffers of one kind, taken and freed together: 256 x 4 MB of a digitizer, or 1 GB in
 * one piece.
 */
#pragma once

#include "heap/dma/dma.h"
#include "heap/memory.h"

struct block_device;

#define BUFFERS_PIECE_BYTES (4 * MIB) /* of a digitizer's buffers */

struct buffers {
	struct memory *memory;
	const struct device *device; /* whose limits they keep; lives until buffers_fini */
	struct dma_request request;  /* each of them */
	struct dma_buffer **list;
	uint64_t count;
	uint64_t taken;
};

/* 4 MB of whole 2 MB blocks; `contiguous`: in one piece. */
struct dma_request buffers_piece(bool contiguous);

/*
 * For `count` buffers; how to wait is not for the request to say. STATUS_NO_MEMORY: none for the
 * list.
 */
status_t buffers_init(struct buffers *buffers, struct memory *memory, const struct device *device,
		      const struct dma_request *request, uint64_t count) MUST_CHECK;
void buffers_fini(struct buffers *buffers); /* frees what was taken */

/*
 * Takes those that are missing. `wait_ns`: how long to wait for each. On failure some may have been
 * taken.
 */
status_t buffers_take(struct buffers *buffers, uint64_t wait_ns) MUST_CHECK;

/* The same if it all fits into what is free, so that no cleaner is asked. True: all are taken. */
bool buffers_take_free(struct buffers *buffers);

/* What they have in all. */
uint64_t buffers_bytes(const struct buffers *buffers);

void buffers_free(struct buffers *buffers);

/* Lets the disk fill all of them, from its start on. */
status_t buffers_read(struct buffers *buffers, struct block_device *disk) MUST_CHECK;

/* The pages that are not those of the pattern's `seed`, from page 0 on. */
uint64_t buffers_verify(const struct buffers *buffers, uint64_t seed);
