// SPDX-License-Identifier: BSD-2-Clause
/*
 * What each device has, for the monitor, and which buffers lie in a range, for the out-of-memory
 * report. Both walk the list of buffers, copy one buffer under the lock and print it without, so
 * printing never holds up a free.
 */
#include "dma_state.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define BUFFERS_SHOWN 8
#define ROWS_MAX      32 /* devices that the list tells apart */

/* The sums of one device, in quarantine or not: buffers, and coherent objects. */
struct row {
	const struct device *device;
	bool quarantined;
	uint64_t counts[2], bytes[2];
};

static void rows_add(struct row *rows, unsigned *count, const struct dma_buffer *buffer)
{
	const bool quarantined = dma_is_quarantined(buffer);
	unsigned i = 0;

	while (i < *count && (rows[i].device != buffer->device || rows[i].quarantined != quarantined))
		i++;
	if (i == ROWS_MAX)
		return;
	if (i == *count)
		rows[(*count)++] = (struct row){ .device = buffer->device, .quarantined = quarantined };
	rows[i].counts[buffer->coherent]++;
	rows[i].bytes[buffer->coherent] += buffer->bytes;
}

/* Prints the sums, and the first buffers that are no coherent objects. */
static void row_print(struct dma *dma, const struct row *row)
{
	char bytes[FORMAT_BYTES_SIZE], coherent[FORMAT_BYTES_SIZE];
	struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t seen = 0;

	print("%s%s: %llu buffers, %s; %llu coherent objects, %s\n", row->device->name, row->quarantined ? ", quarantined" : "",
	      (unsigned long long)row->counts[0], format_bytes(bytes, row->bytes[0]), (unsigned long long)row->counts[1],
	      format_bytes(coherent, row->bytes[1]));
	for (dma_walk_begin(dma, row->device, row->quarantined, &walk); (buffer = dma_walk_next(&walk));) {
		const struct dma_buffer shown = *buffer;
		const uint64_t first = buffer->segments[0].start.value;

		dma_walk_release(&walk);
		if (!shown.coherent && seen++ < BUFFERS_SHOWN)
			print("    %9s in %u segments, first at 0x%llx, taken at %s\n", format_bytes(bytes, shown.bytes),
			      shown.segment_count, (unsigned long long)first, shown.site);
	}
	if (seen > BUFFERS_SHOWN)
		print("    and %llu more\n", (unsigned long long)(seen - BUFFERS_SHOWN));
}

void dma_print(struct dma *dma)
{
	struct row rows[ROWS_MAX];
	struct dma_buffer *buffer;
	struct dma_walk walk;
	unsigned count = 0;

	for (dma_walk_begin(dma, NULL, false, &walk); (buffer = dma_walk_next(&walk)); dma_walk_release(&walk))
		rows_add(rows, &count, buffer);
	print("%llu buffers made, %llu requests failed\n",
	      (unsigned long long)atomic_load_explicit(&dma->allocs, memory_order_relaxed),
	      (unsigned long long)atomic_load_explicit(&dma->failures, memory_order_relaxed));
	guarantee_print(dma->guarantee);
	for (unsigned i = 0; i < count; i++)
		row_print(dma, &rows[i]);
}

/* Buffers within a range ----------------------------------------------------------------------- */

/* The buffer's first piece that lies in the range; NULL: none does. [E] is held. */
static const struct phys_range *piece_within(const struct dma_buffer *buffer, uint64_t lowest, uint64_t highest)
{
	for (uint32_t i = 0; i < buffer->piece_count; i++)
		if (buffer->pieces[i].start.value <= highest &&
		    buffer->pieces[i].start.value + buffer->pieces[i].bytes > lowest)
			return &buffer->pieces[i];
	return NULL;
}

void dma_explain(struct reclaim_explainer *self, struct phys_addr lowest, struct phys_addr highest)
{
	struct dma *dma = container_of(self, struct dma, explainer);
	char bytes[FORMAT_BYTES_SIZE];
	struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t found = 0;

	for (dma_walk_begin(dma, NULL, false, &walk); (buffer = dma_walk_next(&walk));) {
		const struct phys_range *piece = piece_within(buffer, lowest.value, highest.value);
		const struct phys_range where = piece ? *piece : (struct phys_range){ .bytes = 0 };
		const struct dma_buffer shown = *buffer;

		dma_walk_release(&walk);
		if (piece && found++ < BUFFERS_SHOWN)
			log_warn("memory:     %s has %s at 0x%llx, taken at %s", shown.device->name,
				 format_bytes(bytes, where.bytes), (unsigned long long)where.start.value, shown.site);
	}
	if (found > BUFFERS_SHOWN)
		log_warn("memory:     and %llu more DMA buffers", (unsigned long long)(found - BUFFERS_SHOWN));
}
