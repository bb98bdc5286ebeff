// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes, fills, checks and frees a set of DMA buffers. Each buffer is a request of its own with a
 * deadline of its own, as a driver would ask for them; those that were taken stay when a later one
 * fails.
 */
#include "buffers.h"

#include "direct.h"
#include "pattern.h"
#include "runtime/base/log.h"

#define BAD_LOGGED 8

struct dma_request buffers_piece(bool contiguous)
{
	return (struct dma_request){
		.bytes = BUFFERS_PIECE_BYTES,
		.segment_bytes_min = contiguous ? BUFFERS_PIECE_BYTES : BLOCK_BYTES,
	};
}

status_t buffers_init(struct buffers *buffers, struct memory *memory, const struct device *device,
		      const struct dma_request *request, uint64_t count)
{
	*buffers = (struct buffers){ .memory = memory, .device = device, .request = *request, .count = count };
	buffers->list = heap_alloc(memory_general_heap(memory), count * sizeof(struct dma_buffer *), 0);
	return buffers->list ? STATUS_OK : STATUS_NO_MEMORY;
}

void buffers_fini(struct buffers *buffers)
{
	buffers_free(buffers);
	heap_free(memory_general_heap(buffers->memory), buffers->list);
	buffers->list = NULL;
}

status_t buffers_take(struct buffers *buffers, uint64_t wait_ns)
{
	struct dma_request request = buffers->request;
	status_t status = STATUS_OK;

	request.wait = MEMORY_WAIT_DEADLINE;
	while (buffers->taken < buffers->count && status == STATUS_OK) {
		request.deadline_ns = platform_now_ns() + wait_ns;
		status = dma_alloc(memory_dma(buffers->memory), buffers->device, &request, &buffers->list[buffers->taken]);
		if (status == STATUS_OK)
			buffers->taken++;
	}
	return status;
}

uint64_t buffers_bytes(const struct buffers *buffers)
{
	return buffers->taken * buffers->request.bytes;
}

bool buffers_take_free(struct buffers *buffers)
{
	const uint64_t missing_bytes = (buffers->count - buffers->taken) * buffers->request.bytes;

	/*
	 * Beside min, which no request but the kernel's may take, some blocks for the metadata of
	 * the buffers.
	 */
	if (memory_free_bytes(buffers->memory) <
	    missing_bytes + reclaim_watermarks(memory_reclaim(buffers->memory))->min_bytes + 2 * BLOCK_BYTES)
		return false;
	return buffers_take(buffers, 0) == STATUS_OK;
}

void buffers_free(struct buffers *buffers)
{
	while (buffers->taken > 0)
		dma_free(memory_dma(buffers->memory), buffers->list[--buffers->taken]);
}

status_t buffers_read(struct buffers *buffers, struct block_device *disk)
{
	return direct_read(buffers->memory, disk, 0, buffers->list, buffers->taken);
}

uint64_t buffers_verify(const struct buffers *buffers, uint64_t seed)
{
	uint64_t number = 0, bad = 0;

	for (uint64_t i = 0; i < buffers->taken; i++) {
		const uint64_t *page = buffers->list[i]->memory;

		for (uint64_t end = number + buffers->request.bytes / PAGE_BYTES; number < end; number++) {
			if (!pattern_verify_version(page, seed, number, 0) && bad++ < BAD_LOGGED)
				log_error("page %llu is wrong after DMA: it says number %llu", (unsigned long long)number,
					  (unsigned long long)page[PATTERN_WORD_NUMBER]);
			page += PATTERN_PAGE_WORDS;
		}
	}
	return bad;
}
