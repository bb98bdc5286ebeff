// SPDX-License-Identifier: BSD-2-Clause
/* A few requests are enough to fill the ring of a queue: each takes several commands. */
#include "driver_requests.h"

#include <string.h>

#include "host/platform_host.h"

#define OPERATIONS_MAX 40
#define REQUESTS       24
#define SEGMENTS       8
#define SEGMENT_BYTES  (32 * KIB)
#define DISK_BYTES_MAX MIB /* what requests are about; anything beyond is one sector */

struct driver_request {
	struct block_request request;
	struct phys_range segments[SEGMENTS];
	bool under_way;
};

static struct driver_request requests[REQUESTS];
static struct phys_range memory; /* that all of them read and write */

static void done(struct block_request *request)
{
	struct driver_request *of = container_of(request, struct driver_request, request);

	assert(of->under_way);
	of->under_way = false;
}

static struct block_device *disk_choose(struct fake_bus *bus, struct input *input)
{
	struct block_device *disk = NULL;

	for (unsigned i = input_byte(input) % 4; i < 4; i++) {
		struct block_device *next = block_device_next(&bus->disks, disk);

		if (!next)
			return disk;
		disk = next;
	}
	return disk;
}

/* Pieces of memory, by chance behind each other; not always what the disk takes. */
static void segments_choose(struct driver_request *request, const struct block_device *disk, struct input *input)
{
	const uint64_t sector = disk->segment_alignment;
	const uint64_t sectors = memory.bytes / sector;
	const unsigned count = 1 + input_byte(input) % SEGMENTS;

	for (unsigned i = 0; i < count; i++) {
		const uint64_t start = input_number(input, 2) % sectors;
		const uint64_t bytes = (1 + input_byte(input) % 64u) * sector;

		request->segments[i].start.value = memory.start.value + start * sector;
		request->segments[i].bytes = MIN(bytes, memory.bytes - start * sector);
	}
	request->request.segment_count = count;
}

static void submit(struct fake_bus *bus, struct input *input)
{
	struct block_device *disk = disk_choose(bus, input);
	struct driver_request *request = requests;
	uint64_t sectors;

	while (request < requests + REQUESTS && request->under_way)
		request++;
	if (!disk || request == requests + REQUESTS)
		return;
	sectors = disk->size_bytes / disk->sector_bytes;
	*request = (struct driver_request){
		.request = { .operation = (enum block_operation)(input_byte(input) % 3),
			     .segments = request->segments,
			     .done = done },
		.under_way = true,
	};
	segments_choose(request, disk, input);
	request->request.offset_bytes =
		input_number(input, 2) % (MIN(sectors, DISK_BYTES_MAX / disk->sector_bytes) + 1) * disk->sector_bytes;
	disk->submit(disk, &request->request);
}

static void use(struct fake_bus *bus, struct input *input)
{
	for (unsigned i = 0; i < OPERATIONS_MAX && !input_is_over(input); i++) {
		if (input_byte(input) % 3 == 0)
			fake_bus_run(bus);
		else
			submit(bus, input);
	}
	if (input_byte(input) % 4 == 3)
		fake_bus_shutdown(bus);
}

void driver_requests_run(struct fake_bus *bus, struct input *input, const char *driver)
{
	static char said[64];

	host_output_capture(said, sizeof(said));
	memset(requests, 0, sizeof(requests));
	memory = fake_bus_alloc(SEGMENTS * SEGMENT_BYTES);
	for (unsigned times = 0; times < 2; times++) {
		if (fake_bus_probe(bus, driver) != STATUS_OK)
			continue;
		use(bus, input);
		fake_bus_remove(bus);
		for (unsigned i = 0; i < REQUESTS; i++)
			assert(!requests[i].under_way);
	}
	fake_bus_free(memory);
}

bool driver_memory_scribble(struct input *input)
{
	uint64_t bytes;
	uint8_t *piece = fake_bus_piece(input_byte(input), &bytes);

	if (!piece)
		return false;
	const uint64_t at = input_number(input, 2) % bytes, wanted = input_byte(input) % 32;
	const uint64_t count = MIN(wanted, bytes - at);
	for (uint64_t i = 0; i < count; i++)
		piece[at + i] = input_byte(input);
	return true;
}
