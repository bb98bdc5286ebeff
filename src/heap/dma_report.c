/* What each device has, for the monitor. Snapshots are taken under the lock and printed without. */
#include "dma_state.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define BUFFERS_SHOWN 8

struct buffer_report {
	const void *memory;
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
	format_text(report->name, sizeof(report->name), "%s", client->device->name);
	report->buffer_bytes = client->buffer_bytes;
	report->coherent_objects = client->coherent_objects;
	report->coherent_bytes = client->coherent_bytes;
	report->buffers = 0;
	list_for_each (link, &client->buffers) {
		const struct dma_buffer *buffer = container_of(link, struct dma_buffer, link);

		if (report->buffers < BUFFERS_SHOWN)
			report->shown[report->buffers] =
				(struct buffer_report){ buffer->memory, buffer->bytes, buffer->segment_count,
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
		print("    %p %9s in %u segments, first at 0x%llx\n", report->shown[i].memory,
		      format_bytes(bytes, report->shown[i].bytes), report->shown[i].segments,
		      (unsigned long long)report->shown[i].first);
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
