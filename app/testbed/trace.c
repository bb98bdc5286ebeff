// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads a trace from its disk, a chunk at a time, past the cache. The header is checked against
 * the length of the disk before the first reference, so a trace that was cut off is refused by
 * name.
 */
#include "trace.h"

#include "direct.h"
#include "disks.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/block_device.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

static bool read_header(struct page_trace *trace, struct block_device *device)
{
	struct dma_buffer *page = disks_first_page(trace->memory, device);

	if (page)
		memcpy(&trace->header, page->memory, sizeof(trace->header));
	dma_free(memory_dma(trace->memory), page);
	return page && trace->header.magic == TRACE_MAGIC;
}

static status_t find(struct page_trace *trace, const struct scenario *scenario)
{
	struct block_device_table *table = scenario->environment->block_devices;
	struct block_device *device = NULL;
	char name[32];

	if (options_get(scenario->options, "trace", name, sizeof(name))) {
		trace->device = block_device_find(table, name);
		if (trace->device && read_header(trace, trace->device))
			return STATUS_OK;
		print(trace->device ? "The disk %s holds no trace.\n" : "There is no disk %s.\n", name);
		return trace->device ? STATUS_CORRUPT : STATUS_NOT_FOUND;
	}
	while ((device = block_device_next(table, device))) {
		if (!read_header(trace, device))
			continue;
		trace->device = device;
		return STATUS_OK;
	}
	print("No disk holds a trace. `make run SCENARIO=replay TRACE=file` makes one of a file with lines \"R <page>\" and\n"
	      "\"W <page>\", and attaches it.\n");
	disks_print(scenario->environment);
	return STATUS_NOT_FOUND;
}

static status_t check_header(const struct page_trace *trace)
{
	const struct trace_header *header = &trace->header;

	if (header->references == 0 || header->references > 1ull << 50 || header->pages == 0 ||
	    header->pages > TRACE_PAGE_MAX || header->name[PAGE_TRACE_NAME_BYTES - 1] != '\0') {
		print("The trace on %s has a header that makes no sense.\n", trace->device->name);
		return STATUS_CORRUPT;
	}
	if (trace->device->size_bytes < trace_bytes(header->references)) {
		print("The trace on %s is cut off: %llu references take %llu bytes, and the disk has %llu.\n",
		      trace->device->name, (unsigned long long)header->references,
		      (unsigned long long)trace_bytes(header->references), (unsigned long long)trace->device->size_bytes);
		return STATUS_CORRUPT;
	}
	return STATUS_OK;
}

status_t trace_open(struct page_trace *trace, const struct scenario *scenario)
{
	const struct dma_request request = { .bytes = TRACE_CHUNK_BYTES, .alignment_bytes = PAGE_BYTES };
	status_t status;

	*trace = (struct page_trace){ .memory = scenario->environment->memory };
	status = find(trace, scenario);
	if (status == STATUS_OK)
		status = check_header(trace);
	if (status == STATUS_OK)
		status = dma_alloc(memory_dma(trace->memory), direct_device(trace->device), &request, &trace->chunk);
	return status;
}

void trace_close(struct page_trace *trace)
{
	dma_free(memory_dma(trace->memory), trace->chunk);
	trace->chunk = NULL;
}

status_t trace_next(struct page_trace *trace, uint64_t *word)
{
	const uint64_t place = trace->next % TRACE_CHUNK_WORDS;
	status_t status = STATUS_OK;

	if (place == 0) {
		const uint64_t offset = TRACE_HEADER_BYTES + trace->next / TRACE_CHUNK_WORDS * TRACE_CHUNK_BYTES;

		status = direct_read(trace->memory, trace->device, offset, &trace->chunk, 1);
	}
	if (status == STATUS_OK) {
		*word = ((const uint64_t *)trace->chunk->memory)[place];
		trace->next++;
	}
	return status;
}
