// SPDX-License-Identifier: BSD-2-Clause
/*
 * One DMA buffer serves for all: the whole catalogue is read into it at once, and its first page is
 * what an entry is written from. Of the two copies of an entry the older one is overwritten, so a
 * good one is there at any time.
 */
#include "catalogue.h"

#include "pagecache/direct.h"
#include "pagecache/volume.h"
#include "runtime/base/bits.h"
#include "runtime/base/crc32.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

static uint32_t checksum(const struct format_entry *entry)
{
	struct format_entry copy = *entry;

	copy.checksum = 0;
	return crc32c_update(0, &copy, sizeof(copy));
}

static uint64_t entry_end(const struct format_entry *entry)
{
	return entry->start_bytes + entry->chunks * entry->chunk_bytes;
}

static bool is_valid(const struct format_entry *entry, uint64_t volume_bytes)
{
	return entry->magic == FORMAT_MAGIC && entry->checksum == checksum(entry) && entry->state < FORMAT_STATES &&
	       entry->start_bytes >= FORMAT_DATA_START && entry->start_bytes <= volume_bytes &&
	       entry->chunk_bytes > FORMAT_PAGE_BYTES &&
	       entry->chunks <= (volume_bytes - entry->start_bytes) / entry->chunk_bytes;
}

/* Takes over the better copy of each entry; returns how many there are. */
static uint32_t entries_take(struct catalogue *catalogue)
{
	const char *pages = catalogue->page->memory;
	uint32_t count = 0;

	for (uint32_t i = 0; i < FORMAT_ENTRIES; i++) {
		struct format_entry *entry = &catalogue->entries[i];

		for (uint32_t copy = 0; copy < 2; copy++) {
			const struct format_entry *found = (const void *)(pages + (2 * i + copy) * FORMAT_PAGE_BYTES);

			if (is_valid(found, volume_bytes(catalogue->volume)) && found->generation > entry->generation)
				*entry = *found;
		}
		count += entry->state != FORMAT_FREE;
	}
	return count;
}

static bool is_blank(const struct dma_buffer *buffer)
{
	const uint64_t *words = buffer->memory;

	for (uint64_t i = 0; i < FORMAT_DATA_START / sizeof(*words); i++)
		if (words[i] != 0)
			return false;
	return true;
}

static status_t read_all(struct catalogue *catalogue)
{
	const struct dma_buffer *page = catalogue->page;
	struct volume *volume = catalogue->volume;
	const status_t status = node_direct(volume_whole_node(volume), BLOCK_READ, 0, page->pieces, page->piece_count);

	if (status != STATUS_OK)
		return status;
	if (entries_take(catalogue) > 0 || is_blank(page))
		return STATUS_OK;
	log_error("catalogue: volume %s has neither recordings nor a blank first MB; it was left alone", volume_name(volume));
	return STATUS_UNSUPPORTED;
}

status_t catalogue_open(struct catalogue *catalogue, struct memory *memory, struct volume *volume)
{
	static const struct device any = { .name = "catalogue", .dma_mask = UINT64_MAX };
	const struct device *device = volume_device(volume)->device ? volume_device(volume)->device : &any;
	const struct dma_request request = {
		.bytes = FORMAT_DATA_START, .alignment_bytes = FORMAT_PAGE_BYTES, .segments_max = 1, .wait = MEMORY_WAIT_FOREVER
	};
	status_t status;

	memset(catalogue, 0, sizeof(*catalogue));
	catalogue->memory = memory;
	catalogue->volume = volume;
	if (volume_bytes(volume) <= FORMAT_DATA_START)
		return STATUS_RANGE;
	status = dma_alloc(memory_dma(memory), device, &request, &catalogue->page);
	if (status == STATUS_OK)
		status = read_all(catalogue);
	if (status != STATUS_OK)
		catalogue_close(catalogue);
	return status;
}

void catalogue_close(struct catalogue *catalogue)
{
	dma_free(memory_dma(catalogue->memory), catalogue->page);
	catalogue->page = NULL;
}

status_t catalogue_begin(struct catalogue *catalogue, const char *name, uint64_t chunk_bytes, uint64_t rate,
			 struct format_entry **entry)
{
	uint64_t start = FORMAT_DATA_START, number = 0;
	struct format_entry *unused = NULL;

	for (uint32_t i = 0; i < FORMAT_ENTRIES; i++) {
		struct format_entry *other = &catalogue->entries[i];

		if (other->state == FORMAT_FREE) {
			unused = unused ? unused : other;
			continue;
		}
		number = MAX(number, other->number);
		start = MAX(start, align_up(entry_end(other), FORMAT_PAGE_BYTES));
	}
	if (!unused || start >= volume_bytes(catalogue->volume) || volume_bytes(catalogue->volume) - start < chunk_bytes)
		return STATUS_RANGE;
	*unused = (struct format_entry){ .magic = FORMAT_MAGIC,
					 .state = FORMAT_RUNNING,
					 .generation = unused->generation,
					 .number = number + 1,
					 .start_bytes = start,
					 .chunk_bytes = chunk_bytes,
					 .rate = rate,
					 .trigger = FORMAT_NO_TRIGGER };
	memcpy(unused->name, name, strnlen(name, sizeof(unused->name) - 1));
	*entry = unused;
	return STATUS_OK;
}

uint64_t catalogue_chunks_max(const struct catalogue *catalogue, const struct format_entry *entry)
{
	return (volume_bytes(catalogue->volume) - entry->start_bytes) / entry->chunk_bytes;
}

status_t catalogue_write(struct catalogue *catalogue, struct format_entry *entry)
{
	const uint64_t index = (uint64_t)(entry - catalogue->entries);
	const struct phys_range page = { catalogue->page->pieces[0].start, FORMAT_PAGE_BYTES };

	entry->generation++;
	entry->checksum = checksum(entry);
	memset(catalogue->page->memory, 0, FORMAT_PAGE_BYTES);
	memcpy(catalogue->page->memory, entry, sizeof(*entry));
	return node_direct(volume_whole_node(catalogue->volume), BLOCK_WRITE,
			   (2 * index + entry->generation % 2) * FORMAT_PAGE_BYTES, &page, 1);
}

void catalogue_print(const struct catalogue *catalogue)
{
	static const char *const states[FORMAT_STATES] = { "", "not ended", "complete", "complete, volume full",
							   "ended by an error" };

	print("%-6s %-24s %10s %14s  %s\n", "number", "name", "MB", "samples lost", "state");
	for (uint32_t i = 0; i < FORMAT_ENTRIES; i++) {
		const struct format_entry *entry = &catalogue->entries[i];

		if (entry->state != FORMAT_FREE)
			print("%-6lu %-24.*s %10lu %14lu  %s\n", entry->number, FORMAT_NAME_BYTES - 1, entry->name,
			      (uint64_t)(entry->chunks * (entry->chunk_bytes - FORMAT_PAGE_BYTES) / MIB), entry->lost,
			      states[entry->state]);
	}
}
