#include "buffers.h"

#include "direct.h"
#include "heap/dma.h"
#include "pattern.h"
#include "runtime/base/log.h"

#define BAD_LOGGED 8

static const struct dma_request one_piece = {
	.bytes = BUFFERS_PIECE_BYTES,
	.alignment_bytes = PAGE_BYTES,
	.segments_max = 1,
};

status_t buffers_init(struct buffers *buffers, struct memory *memory, struct block_device *device, uint64_t bytes)
{
	const uint64_t count = bytes / BUFFERS_PIECE_BYTES;

	*buffers = (struct buffers){ .memory = memory, .device = device, .count = count };
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
	struct dma_request request = one_piece;
	status_t status = STATUS_OK;

	request.wait = MEMORY_WAIT_DEADLINE;
	while (buffers->taken < buffers->count && status == STATUS_OK) {
		request.deadline_ns = platform_now_ns() + wait_ns;
		status = dma_alloc(buffers->memory, direct_device(buffers->device), &request, &buffers->list[buffers->taken]);
		if (status == STATUS_OK)
			buffers->taken++;
	}
	return status;
}

/* With preemption off no request may reclaim. */
bool buffers_take_free(struct buffers *buffers)
{
	status_t status = STATUS_OK;

	while (buffers->taken < buffers->count && status == STATUS_OK) {
		platform_preempt_disable();
		status = dma_alloc(buffers->memory, direct_device(buffers->device), &one_piece, &buffers->list[buffers->taken]);
		platform_preempt_enable();
		if (status == STATUS_OK)
			buffers->taken++;
	}
	return status == STATUS_OK;
}

void buffers_free(struct buffers *buffers)
{
	while (buffers->taken > 0)
		dma_free(buffers->memory, buffers->list[--buffers->taken]);
}

status_t buffers_read(struct buffers *buffers)
{
	return direct_read(buffers->memory, buffers->device, 0, buffers->list, buffers->taken);
}

uint64_t buffers_verify(const struct buffers *buffers, uint64_t seed)
{
	uint64_t number = 0, bad = 0;

	for (uint64_t i = 0; i < buffers->taken; i++) {
		const uint64_t *page = buffers->list[i]->memory;

		for (uint64_t end = number + BUFFERS_PIECE_BYTES / PAGE_BYTES; number < end; number++) {
			if (!pattern_verify_version(page, seed, number, 0) && bad++ < BAD_LOGGED)
				log_error("page %llu is wrong after DMA: it says number %llu", (unsigned long long)number,
					  (unsigned long long)page[PATTERN_WORD_NUMBER]);
			page += PATTERN_PAGE_WORDS;
		}
	}
	return bad;
}
