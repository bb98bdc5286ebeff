// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads a whole volume through the cache and prints its CRC-32C, which is what the host computes over the same image
 * (test/tools/crc32c.c). Options: volume=NAME; the first disk where nothing is said.
 */
#include "disks.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "report.h"
#include "runtime/base/crc32.h"
#include "runtime/base/log.h"

#define READ_BYTES (1 * MIB)

static status_t checksum(const struct scenario *scenario, struct volume *volume, void *buffer, uint32_t *crc)
{
	struct progress progress;
	status_t status = STATUS_OK;
	uint64_t offset = 0;

	progress_start(&progress, "reading", volume->bytes, app_is_interactive(scenario->environment));
	while (offset < volume->bytes && status == STATUS_OK && !scenario_is_cancelled()) {
		const uint64_t bytes = MIN(READ_BYTES, volume->bytes - offset);

		status = node_read(&volume->node, offset, buffer, bytes);
		if (status == STATUS_OK) {
			*crc = crc32c_update(*crc, buffer, bytes);
			offset += bytes;
			progress_update(&progress, offset);
		}
	}
	progress_end(&progress, offset);
	if (status == STATUS_OK && offset < volume->bytes)
		return STATUS_CANCELLED;
	if (status != STATUS_OK)
		print("%s cannot be read at byte %llu or soon after: %s\n", volume->name, (unsigned long long)offset,
		      status_text(status));
	return status;
}

SCENARIO(checksum, "read a whole volume through the cache and print its CRC-32C: volume=NAME")
{
	struct heap *heap = memory_general_heap(scenario->environment->memory);
	struct volume *volume = disks_find_volume(scenario, "volume");
	uint32_t crc = 0;
	status_t status;
	void *buffer;

	if (!volume)
		return STATUS_NOT_FOUND;
	buffer = heap_alloc(heap, READ_BYTES, PAGE_BYTES);
	if (!buffer)
		return STATUS_NO_MEMORY;
	status = checksum(scenario, volume, buffer, &crc);
	heap_free(heap, buffer);
	if (status == STATUS_OK)
		print("result: checksum volume=%s bytes=%llu crc32c=%08x\n", volume->name, (unsigned long long)volume->bytes,
		      crc);
	return status;
}
