// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the newest run and where its ring ends in one look over all blocks, and collects the run's
 * text in a second one, in the order of the ring. Positions join what overlaps, and tell what is
 * missing.
 */
#include "log_area.h"

#include "bits.h"
#include "crc32.h"
#include "string.h"

struct header {
	char magic[8];
	uint32_t crc; /* of the block, with 0 here */
	uint32_t bytes;
	uint64_t run;
	uint64_t position;
	uint64_t reserved; /* 0 */
};

_Static_assert(sizeof(struct header) == LOG_HEADER_BYTES, "the text follows");

static const char magic[8] = { 'W', 'e', 'i', 'r', 'l', 'o', 'g', '1' };

static const char marker[] = "This is a log of Weir, version 1.\n";

static uint32_t block_crc(const void *block)
{
	struct header header;
	uint32_t crc;

	memcpy(&header, block, sizeof(header));
	header.crc = 0;
	crc = crc32c_update(0, &header, sizeof(header));
	return crc32c_update(crc, (const char *)block + sizeof(header), LOG_TEXT_BYTES);
}

static bool header_is_possible(const struct header *header)
{
	return header->bytes > 0 && header->bytes <= LOG_TEXT_BYTES && header->run > 0 && header->run <= LOG_NUMBER_MAX &&
	       header->position <= LOG_NUMBER_MAX && header->reserved == 0;
}

static bool block_is_good(const void *block, struct header *header)
{
	memcpy(header, block, sizeof(*header));
	return memcmp(header->magic, magic, sizeof(magic)) == 0 && header_is_possible(header) &&
	       header->crc == block_crc(block);
}

void log_marker_write(void *block)
{
	memset(block, 0, LOG_BLOCK_BYTES);
	memcpy(block, marker, sizeof(marker));
}

static bool marker_is_there(const char *block)
{
	return memcmp(block, marker, sizeof(marker)) == 0 &&
	       memory_is_filled(block + sizeof(marker), 0, LOG_BLOCK_BYTES - sizeof(marker));
}

void log_block_write(void *block, uint64_t run, uint64_t position, const char *text, size_t bytes)
{
	struct header header = { .bytes = (uint32_t)bytes, .run = run, .position = position };
	char *memory = block;

	memcpy(header.magic, magic, sizeof(magic));
	memset(memory, 0, LOG_BLOCK_BYTES);
	memcpy(memory, &header, sizeof(header));
	memcpy(memory + sizeof(header), text, bytes);
	header.crc = block_crc(block);
	memcpy(memory, &header, sizeof(header));
}

uint32_t log_area_next(struct log_area *area)
{
	const uint32_t index = 1 + area->next;

	area->next = (area->next + 1) % area->ring_blocks;
	return index;
}

/* Whether the area is a log, or nothing yet. */
static status_t ownership_check(struct log_area *area, log_area_read_t read, void *context)
{
	const void *block;
	status_t status = read(context, 0, &block);

	if (status != STATUS_OK)
		return status;
	area->is_new = !marker_is_there(block);
	for (uint32_t i = 0; area->is_new && i < log_area_blocks(area); i++) {
		status = read(context, i, &block);
		if (status != STATUS_OK)
			return status;
		if (!memory_is_filled(block, 0, LOG_BLOCK_BYTES))
			return STATUS_BUSY;
	}
	return STATUS_OK;
}

static bool is_newer(const struct header *a, const struct header *b)
{
	return a->run > b->run || (a->run == b->run && a->position >= b->position);
}

/* The newest block of the ring, and the newest run of all blocks. */
static status_t newest_find(struct log_area *area, log_area_read_t read, void *context, uint64_t *run)
{
	struct header newest = { .run = 0 };

	*run = 0;
	area->next = 0;
	for (uint32_t i = 0; i < area->ring_blocks + area->panic_blocks; i++) {
		struct header header;
		const void *block;
		const status_t status = read(context, 1 + i, &block);

		if (status != STATUS_OK)
			return status;
		if (!block_is_good(block, &header))
			continue;
		*run = MAX(*run, header.run);
		if (i < area->ring_blocks && is_newer(&header, &newest)) {
			newest = header;
			area->next = (i + 1) % area->ring_blocks;
		}
	}
	return STATUS_OK;
}

static char printable(char character)
{
	return (character >= ' ' && character <= '~') || character == '\n' || character == '\t' ? character : '?';
}

/* Appends what is new in the block; *end is the position behind what was appended. */
static void text_collect(struct log_ring *ring, const struct header *header, const char *text, uint64_t *end)
{
	static const char missing[] = "\n[... text is missing here ...]\n";
	const uint64_t skipped = *end > header->position ? *end - header->position : 0;

	if (ring->end > 0 && header->position > *end)
		log_ring_write(ring, missing, sizeof(missing) - 1);
	for (uint64_t i = skipped; i < header->bytes; i++) {
		const char character = printable(text[i]);

		log_ring_write(ring, &character, 1);
	}
	*end = MAX(*end, header->position + header->bytes);
}

/* The ring from its oldest block on, then the panic. */
static status_t run_collect(struct log_area *area, log_area_read_t read, void *context, uint64_t run)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < area->ring_blocks + area->panic_blocks; i++) {
		const bool in_ring = i < area->ring_blocks;
		struct header header;
		const void *block;
		const status_t status = read(context, 1 + (in_ring ? (area->next + i) % area->ring_blocks : i), &block);

		if (status != STATUS_OK)
			return status;
		if (!block_is_good(block, &header) || header.run != run)
			continue;
		text_collect(&area->last, &header, (const char *)block + sizeof(header), &end);
		area->has_panic |= !in_ring;
	}
	return STATUS_OK;
}

status_t log_area_load(struct log_area *area, log_area_read_t read, void *context)
{
	uint64_t run = 0;
	status_t status = ownership_check(area, read, context);

	area->has_panic = false;
	if (status == STATUS_OK)
		status = newest_find(area, read, context, &run);
	if (status == STATUS_OK && run > 0)
		status = run_collect(area, read, context, run);
	area->run = run < LOG_NUMBER_MAX ? run + 1 : 1;
	return status;
}
