// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program for Weir: a scenario, which runs when the machine has started. It takes DMA memory for
 * a device that is only pretended, prints where that lies, and gives it back.
 */
#include "app/scenario.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

/* A card that reaches all addresses, and takes its memory in pieces of any size. */
static const struct device card = { .name = "card", .dma_mask = UINT64_MAX };

SCENARIO(hello, "take memory for DMA, and print where it lies: bytes=16M")
{
	struct memory *memory = scenario->environment->memory;
	struct dma_request request = { .wait = MEMORY_WAIT_FOREVER };
	struct dma_buffer *buffer;
	status_t status;

	request.bytes = options_get_number(scenario->options, "bytes", HELLO_BYTES);
	status = dma_alloc(memory_dma(memory), &card, &request, &buffer);
	if (status != STATUS_OK)
		return status;
	print("Hello from a program of your own. %llu bytes for DMA:\n", (unsigned long long)buffer->bytes);
	for (uint32_t i = 0; i < buffer->segment_count; i++)
		print("  segment %u at 0x%llx, %llu bytes\n", i, (unsigned long long)buffer->segments[i].start.value,
		      (unsigned long long)buffer->segments[i].bytes);
	scenario_result(scenario, "bytes=%llu segments=%u", (unsigned long long)buffer->bytes, buffer->segment_count);
	dma_free(memory_dma(memory), buffer);
	return STATUS_OK;
}
