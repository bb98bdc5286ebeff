/* What each device has, for the monitor. Snapshots are taken under the lock and printed without. */
#include "dma_state.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define BUFFERS_SHOWN 8

struct buffer_report {
	const char *site;
	uint64_t bytes;
	uint32_t segments;
	uint64_t first;
};

struct client_report {
	char name[GENERAL_HEAP_NAME_BYTES];
	uint64_t buffer_bytes, coherent_objects, coherent_bytes;
	uint64_t buffers;
	struct buffer_report shown[BUFFERS_SHOWN];
};

static void client_report_fill(struct client_report *report, const struct dma_client *client)
{
	format_text(report->name, sizeof(report->name), "%s", client->quarantined ? client->name : client->device->name);
	report->buffer_bytes = client->buffer_bytes;
	report->coherent_objects = client->coherent_objects;
	report->coherent_bytes = client->coherent_bytes;
	report->buffers = 0;
	list_for_each (link, &client->buffers) {
		const struct dma_buffer *buffer = container_of(link, struct dma_buffer, link);

		if (report->buffers < BUFFERS_SHOWN)
			report->shown[report->buffers] =
				(struct buffer_report){ buffer->site, buffer->bytes, buffer->segment_count,
							buffer->segments[0].start.value };
		report->buffers++;
	}
}

/* The client at that place in the list; false: the list is shorter. */
static bool client_report_get(struct dma *dma, unsigned place, struct client_report *report)
{
	bool found = false;

	spinlock_lock(&dma->lock);
	list_for_each (link, &dma->clients) {
		if (place-- > 0)
			continue;
		client_report_fill(report, container_of(link, struct dma_client, link));
		found = true;
		break;
	}
	spinlock_unlock(&dma->lock);
	return found;
}

static void client_report_print(const struct client_report *report)
{
	char bytes[FORMAT_BYTES_SIZE], coherent[FORMAT_BYTES_SIZE];

	print("%-20s %llu buffers, %s; %llu coherent objects, %s\n", report->name, (unsigned long long)report->buffers,
	      format_bytes(bytes, report->buffer_bytes), (unsigned long long)report->coherent_objects,
	      format_bytes(coherent, report->coherent_bytes));
	for (uint64_t i = 0; i < MIN(report->buffers, BUFFERS_SHOWN); i++)
		print("    %9s in %u segments, first at 0x%llx, taken at %s\n", format_bytes(bytes, report->shown[i].bytes),
		      report->shown[i].segments, (unsigned long long)report->shown[i].first, report->shown[i].site);
	if (report->buffers > BUFFERS_SHOWN)
		print("    and %llu more\n", (unsigned long long)(report->buffers - BUFFERS_SHOWN));
}

void dma_print(struct memory *memory)
{
	struct dma *dma = memory->dma;
	struct client_report report;

	print("%llu buffers made, %llu requests failed\n",
	      (unsigned long long)atomic_load_explicit(&dma->allocs, memory_order_relaxed),
	      (unsigned long long)atomic_load_explicit(&dma->failures, memory_order_relaxed));
	guarantee_print(&memory->guarantee);
	for (unsigned place = 0; client_report_get(dma, place, &report); place++)
		client_report_print(&report);
}

/* Holders within a range ------------------------------------------------------------------------------------------------ */

struct piece_report {
	char device[GENERAL_HEAP_NAME_BYTES];
	const char *site;
	uint64_t start, bytes;
};

struct range_report {
	uint64_t lowest, highest; /* [I] */
	uint64_t found;
	struct piece_report shown[BUFFERS_SHOWN];
};

static void range_report_add(struct range_report *report, const struct dma_client *client, const char *site,
			     struct phys_addr start, uint64_t bytes)
{
	if (start.value > report->highest || start.value + bytes <= report->lowest)
		return;
	if (report->found < BUFFERS_SHOWN) {
		struct piece_report *piece = &report->shown[report->found];

		*piece = (struct piece_report){ .site = site, .start = start.value, .bytes = bytes };
		format_text(piece->device, sizeof(piece->device), "%s", client->device->name);
	}
	report->found++;
}

static void range_report_fill(struct range_report *report, const struct dma_client *client)
{
	list_for_each (link, &client->buffers) {
		const struct dma_buffer *buffer = container_of(link, struct dma_buffer, link);

		for (uint32_t i = 0; i < buffer->piece_count; i++)
			range_report_add(report, client, buffer->site, buffer->pieces[i].start, buffer->pieces[i].bytes);
	}
	list_for_each (link, &client->objects) {
		const struct dma_object *object = container_of(link, struct dma_object, link);

		range_report_add(report, client, object->site, platform_phys(object->memory), object->bytes);
	}
}

void dma_explain(struct memory *memory, struct phys_addr lowest, struct phys_addr highest)
{
	struct range_report report = { .lowest = lowest.value, .highest = highest.value };
	char bytes[FORMAT_BYTES_SIZE];

	spinlock_lock(&memory->dma->lock);
	list_for_each (link, &memory->dma->clients)
		range_report_fill(&report, container_of(link, struct dma_client, link));
	spinlock_unlock(&memory->dma->lock);
	for (uint64_t i = 0; i < MIN(report.found, BUFFERS_SHOWN); i++)
		log_warn("memory:     %s has %s at 0x%llx, taken at %s", report.shown[i].device,
			 format_bytes(bytes, report.shown[i].bytes), (unsigned long long)report.shown[i].start,
			 report.shown[i].site);
	if (report.found > BUFFERS_SHOWN)
		log_warn("memory:     and %llu more pieces of DMA memory", (unsigned long long)(report.found - BUFFERS_SHOWN));
}
