// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads a whole volume through the cache and prints its CRC-32C, which is what the host computes
 * over the same image (test/tools/crc32c.c). Options: volume=NAME, the first disk where nothing is
 * said; bytes=N, the first N bytes alone: an image that does not end with a sector is a longer
 * disk, with zeros at the end, and the launcher says how long the image is.
 */
#include "app/testbed/disks.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "app/testbed/report.h"
#include "runtime/base/crc32.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

#define READ_BYTES (1 * MIB)

static status_t checksum(const struct scenario *scenario, struct volume *volume, uint64_t all, void *buffer, uint32_t *crc)
{
	struct progress progress;
	status_t status = STATUS_OK;
	uint64_t offset = 0;

	progress_start(&progress, "reading", all, app_is_interactive(scenario->environment));
	while (offset < all && status == STATUS_OK && !scenario_is_cancelled()) {
		const uint64_t bytes = MIN(READ_BYTES, all - offset);

		status = node_read(volume_whole_node(volume), offset, buffer, bytes);
		if (status == STATUS_OK) {
			*crc = crc32c_update(*crc, buffer, bytes);
			offset += bytes;
			progress_update(&progress, offset);
		}
	}
	progress_end(&progress, offset);
	if (status == STATUS_OK && offset < all)
		return STATUS_CANCELLED;
	if (status != STATUS_OK)
		print("%s cannot be read at byte %llu or soon after: %s\n", volume_name(volume), (unsigned long long)offset,
		      status_text(status));
	return status;
}

/* How many bytes to read; says what that leaves out. */
static uint64_t bytes_choose(const struct scenario *scenario, const struct volume *volume)
{
	const uint64_t wanted = options_get_number(scenario->options, "bytes", volume_bytes(volume));
	const uint64_t all = MIN(wanted, volume_bytes(volume));

	if (all < wanted)
		print("%s has only %llu of these %llu bytes; the others are left out.\n", volume_name(volume),
		      (unsigned long long)all, (unsigned long long)wanted);
	if (all < volume_bytes(volume))
		print("The last %llu of the %llu bytes of %s are left out.\n", (unsigned long long)(volume_bytes(volume) - all),
		      (unsigned long long)volume_bytes(volume), volume_name(volume));
	return all;
}

SCENARIO(checksum, "read a whole volume through the cache and print its CRC-32C: volume=NAME bytes=N")
{
	struct heap *heap = memory_general_heap(scenario->environment->memory);
	struct volume *volume = disks_find_volume(scenario, "volume");
	uint32_t crc = 0;
	status_t status;
	uint64_t all;
	void *buffer;

	if (!volume)
		return STATUS_NOT_FOUND;
	buffer = heap_alloc(heap, READ_BYTES, PAGE_BYTES);
	if (!buffer)
		return STATUS_NO_MEMORY;
	all = bytes_choose(scenario, volume);
	status = checksum(scenario, volume, all, buffer, &crc);
	heap_free(heap, buffer);
	if (status == STATUS_OK)
		print("result: checksum volume=%s bytes=%llu crc32c=%08x\n", volume_name(volume), (unsigned long long)all, crc);
	return status;
}
