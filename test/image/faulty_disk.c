// SPDX-License-Identifier: BSD-2-Clause
#include "faulty_disk.h"

#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

/* Tests run one at a time. */
static uint64_t page[PAGE_BYTES / 8], expected[PAGE_BYTES / 8];

struct volume *faulty_disk_volume(const struct image_test_run *test, const char *key)
{
	char name[VOLUME_NAME_BYTES];

	OPTION_NAME("faulty", false);
	OPTION_NAME("stuck", false);
	if (!options_read(test->environment->command_line, key, name, sizeof(name)))
		return NULL;
	return volume_find(test->environment->pagecache, name);
}

void faulty_disk_fill(void *memory, uint64_t number, unsigned seed)
{
	uint64_t *words = memory;

	for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
		words[i] = number << 32 | seed << 16 | i;
}

status_t faulty_disk_write(struct volume *volume, uint64_t number, unsigned seed)
{
	faulty_disk_fill(page, number, seed);
	return node_write(&volume->node, number * PAGE_BYTES, page, PAGE_BYTES);
}

bool faulty_disk_reads(struct volume *volume, uint64_t number, unsigned seed)
{
	faulty_disk_fill(expected, number, seed);
	return node_read(&volume->node, number * PAGE_BYTES, page, PAGE_BYTES) == STATUS_OK &&
	       memcmp(page, expected, PAGE_BYTES) == 0;
}

bool faulty_disk_holds(struct image_test_run *test, struct volume *volume, uint64_t number, unsigned seed)
{
	const struct dma_request request = { .bytes = PAGE_BYTES, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	struct memory *memory = test->environment->memory;
	struct dma_buffer *buffer;
	status_t status = dma_alloc(memory_dma(memory), volume->device->device, &request, &buffer);
	bool same;

	if (status != STATUS_OK)
		return false;
	faulty_disk_fill(expected, number, seed);
	status = block_device_transfer(volume->device, BLOCK_READ, number * PAGE_BYTES, buffer->pieces, 1);
	same = status == STATUS_OK && memcmp(buffer->memory, expected, PAGE_BYTES) == 0;
	dma_free(memory_dma(memory), buffer);
	return same;
}
