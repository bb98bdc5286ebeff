// SPDX-License-Identifier: BSD-2-Clause
/*
 * One BAR with the four structures, found through capabilities. A chain is copied first, and then
 * looked at: no cycle, not longer than the queue, its last descriptor for the status.
 */
#include "fake_virtio.h"

#include <stdlib.h>

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define COMMON  0x000
#define ISR     0x100
#define CONFIG  0x200
#define NOTIFY  0x400
#define BAR     4
#define CHAIN   1100
#define FLUSHES (1ull << 9)
#define SEG_MAX (1ull << 2)

enum type {
	TYPE_READ = 0,
	TYPE_WRITE = 1,
	TYPE_IDENTIFY = 8,
};

struct chain {
	struct virtqueue_descriptor descriptors[CHAIN];
	unsigned count;
};

static struct fake_virtio *virtio_of(struct fake_device *device)
{
	return container_of(device, struct fake_virtio, device);
}

/* A chain is not as it must be. False. */
static bool wrong(const struct fake_virtio *virtio, const char *what)
{
	if (virtio->strict)
		host_fail(what);
	return false;
}

static void *reach(struct fake_virtio *virtio, uint64_t address, uint64_t bytes)
{
	return virtio->strict ? fake_bus_reach(virtio->bus, address, bytes) : fake_bus_memory(virtio->bus, address, bytes);
}

/* Chains --------------------------------------------------------------------------------------- */

/* `table`: of `entries` descriptors, at this address. */
static bool chain_read(struct fake_virtio *virtio, uint64_t table, unsigned entries, unsigned first, struct chain *chain)
{
	unsigned next = first;

	for (chain->count = 0; chain->count <= entries; chain->count++) {
		const struct virtqueue_descriptor *entry;

		if (next >= entries || chain->count == CHAIN)
			return wrong(virtio, "a descriptor that is not there");
		entry = reach(virtio, table + next * sizeof(*entry), sizeof(*entry));
		if (!entry)
			return false;
		chain->descriptors[chain->count] = *entry;
		if (!(entry->flags & VIRTQUEUE_DESCRIPTOR_NEXT)) {
			chain->count++;
			return true;
		}
		next = entry->next;
	}
	return wrong(virtio, "a chain without an end");
}

static bool chain_open(struct fake_virtio *virtio, const struct fake_virtio_queue *queue, unsigned head, struct chain *chain)
{
	if (!chain_read(virtio, queue->descriptors, queue->entries, head, chain))
		return false;
	if (chain->descriptors[0].flags & VIRTQUEUE_DESCRIPTOR_INDIRECT) {
		const struct virtqueue_descriptor table = chain->descriptors[0];

		if (!(virtio->accepted & VIRTIO_FEATURE_INDIRECT))
			return wrong(virtio, "an indirect table for a device that reads none");
		virtio->tables++;
		if (!chain_read(virtio, table.address, table.bytes / sizeof(table), 0, chain))
			return false;
	}
	if (chain->count > queue->entries)
		return wrong(virtio, "a chain that is longer than the queue");
	virtio->chain_max = MAX(virtio->chain_max, chain->count);
	return true;
}

static const uint8_t serial[] = { 'f', 'a', 'k', 'e' };

static uint8_t data_copy(struct fake_virtio *virtio, const struct chain *chain, uint32_t type, uint64_t offset)
{
	for (unsigned i = 1; i + 1 < chain->count; i++) {
		const struct virtqueue_descriptor *part = &chain->descriptors[i];
		uint8_t *memory = reach(virtio, part->address, part->bytes);

		if (((part->flags & VIRTQUEUE_DESCRIPTOR_WRITE) != 0) != (type != TYPE_WRITE))
			return wrong(virtio, "data that goes the wrong way");
		if (offset > FAKE_VIRTIO_BYTES || part->bytes > FAKE_VIRTIO_BYTES - offset)
			return 1;
		if (memory && type == TYPE_IDENTIFY)
			memcpy(memory, serial, sizeof(serial));
		else if (memory)
			memcpy(type == TYPE_READ ? memory : virtio->blocks + offset,
			       type == TYPE_READ ? virtio->blocks + offset : memory, part->bytes);
		offset += part->bytes;
	}
	return 0;
}

void fake_virtio_complete(struct fake_virtio *virtio, unsigned index, uint32_t id)
{
	struct fake_virtio_queue *queue = &virtio->queues[index];
	struct virtqueue_used *entry;
	uint16_t *used_index;

	if (!queue->enabled)
		return;
	entry = fake_bus_memory(virtio->bus, queue->used + 4 + queue->used_index % queue->entries * sizeof(*entry),
				sizeof(*entry));
	used_index = fake_bus_memory(virtio->bus, queue->used + 2, 2);
	if (!entry || !used_index)
		return;
	entry->id = id;
	*used_index = ++queue->used_index;
	fake_bus_interrupt(virtio->bus, queue->vector == VIRTIO_VECTOR_NONE ? 0 : queue->vector);
}

static void command_run(struct fake_virtio *virtio, unsigned index, unsigned head)
{
	static struct chain chain;
	const uint32_t *header;
	uint8_t *status;
	uint32_t answer;

	if (!chain_open(virtio, &virtio->queues[index], head, &chain))
		return;
	if (chain.count < 2 || chain.descriptors[0].bytes != 16 || chain.descriptors[chain.count - 1].bytes != 1) {
		(void)wrong(virtio, "a request without header or status");
		return;
	}
	virtio->commands++;
	header = reach(virtio, chain.descriptors[0].address, 16);
	status = reach(virtio, chain.descriptors[chain.count - 1].address, 1);
	if (!header || !status)
		return;
	answer = header[0] == 4 ? 0 : data_copy(virtio, &chain, header[0], (uint64_t)header[2] << 9);
	if (virtio->answer)
		answer = virtio->answer(virtio, index);
	if (answer == FAKE_VIRTIO_NO_ANSWER)
		return;
	*status = (uint8_t)answer;
	fake_virtio_complete(virtio, index, head);
}

static void queue_notified(struct fake_virtio *virtio, unsigned index)
{
	struct fake_virtio_queue *queue = index < FAKE_VIRTIO_QUEUES ? &virtio->queues[index] : NULL;

	while (queue && queue->enabled) {
		const uint16_t *available = fake_bus_memory(virtio->bus, queue->available, 4 + 2ull * queue->entries);

		if (!available || available[1] == queue->seen)
			return;
		command_run(virtio, index, available[2 + queue->seen++ % queue->entries]);
	}
}

/* Registers ------------------------------------------------------------------------------------ */

static void reset(struct fake_virtio *virtio)
{
	memset(virtio->queues, 0, sizeof(virtio->queues));
	virtio->accepted = 0;
	virtio->status = 0;
	for (unsigned i = 0; i < FAKE_VIRTIO_QUEUES; i++) {
		virtio->queues[i].entries = virtio->queue_size;
		virtio->queues[i].vector = VIRTIO_VECTOR_NONE;
	}
}

static struct fake_virtio_queue *queue_selected(struct fake_virtio *virtio)
{
	static struct fake_virtio_queue none;

	none = (struct fake_virtio_queue){ 0 };
	return virtio->queue_select < FAKE_VIRTIO_QUEUES ? &virtio->queues[virtio->queue_select] : &none;
}

static uint64_t config_truth(const struct fake_virtio *virtio, uint64_t offset)
{
	switch (offset) {
	case 0:
		return FAKE_VIRTIO_BYTES >> 9;
	case 12:
		return virtio->seg_max;
	case 20:
		return 512;
	case 34:
		return FAKE_VIRTIO_QUEUES;
	default:
		return 0;
	}
}

static uint64_t truth(struct fake_virtio *virtio, uint64_t offset)
{
	switch (offset) {
	case 0x04:
		return virtio->feature_select < 2 ? (uint32_t)(virtio->features >> (32 * virtio->feature_select)) : 0;
	case 0x14:
		return virtio->status;
	case 0x18:
		return queue_selected(virtio)->entries;
	case 0x1a:
		return queue_selected(virtio)->vector;
	case ISR:
		return 1;
	default:
		return offset >= CONFIG && offset < NOTIFY ? config_truth(virtio, offset - CONFIG) : 0;
	}
}

static uint64_t virtio_read(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes)
{
	struct fake_virtio *virtio = virtio_of(device);

	(void)bar, (void)bytes;
	return virtio->lie ? virtio->lie(virtio, offset, truth(virtio, offset)) : truth(virtio, offset);
}

static void half_write(uint64_t *field, bool upper, uint64_t value)
{
	*field = upper ? (*field & UINT32_MAX) | value << 32 : (*field & ~(uint64_t)UINT32_MAX) | value;
}

/* What the driver hands over as a queue lies in its memory. */
static void queue_enable(struct fake_virtio *virtio, struct fake_virtio_queue *queue)
{
	(void)reach(virtio, queue->descriptors, queue->entries * sizeof(struct virtqueue_descriptor));
	(void)reach(virtio, queue->available, 4 + 2ull * queue->entries);
	(void)reach(virtio, queue->used, 4 + queue->entries * sizeof(struct virtqueue_used));
	queue->enabled = queue->entries > 0;
}

static void common_write(struct fake_virtio *virtio, uint64_t offset, uint64_t value)
{
	struct fake_virtio_queue *queue = queue_selected(virtio);

	if (offset == 0x00)
		virtio->feature_select = (uint32_t)value;
	else if (offset == 0x08)
		virtio->driver_select = (uint32_t)value;
	else if (offset == 0x0c && virtio->driver_select < 2)
		half_write(&virtio->accepted, virtio->driver_select == 1, value);
	else if (offset == 0x14 && value == 0)
		reset(virtio);
	else if (offset == 0x14)
		virtio->status = (uint8_t)value;
	else if (offset == 0x16)
		virtio->queue_select = (uint16_t)value;
	else if (offset == 0x18)
		queue->entries = (uint16_t)value;
	else if (offset == 0x1a)
		queue->vector = (uint16_t)value;
	else if (offset == 0x1c && value == 1)
		queue_enable(virtio, queue);
	else if (offset == 0x20 || offset == 0x24)
		half_write(&queue->descriptors, offset == 0x24, value);
	else if (offset == 0x28 || offset == 0x2c)
		half_write(&queue->available, offset == 0x2c, value);
	else if (offset == 0x30 || offset == 0x34)
		half_write(&queue->used, offset == 0x34, value);
}

static void virtio_write(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes, uint64_t value)
{
	(void)bar, (void)bytes;
	if (offset >= NOTIFY)
		queue_notified(virtio_of(device), (unsigned)value);
	else if (offset < ISR)
		common_write(virtio_of(device), offset, value);
}

static void virtio_step(struct fake_device *device)
{
	(void)device;
}

/* Rings; what a request names, it has done with when it says so. */
static bool virtio_holds(struct fake_device *device, const void *memory, uint64_t bytes)
{
	const struct fake_virtio *virtio = virtio_of(device);

	(void)bytes;
	for (unsigned i = 0; i < FAKE_VIRTIO_QUEUES; i++) {
		if (virtio->queues[i].enabled && virtio->queues[i].descriptors == platform_phys(memory).value)
			return true;
	}
	return false;
}

static void capability_put(struct fake_bus *bus, unsigned at, unsigned type, uint32_t offset, uint32_t length)
{
	const uint8_t head[] = { PCI_CAPABILITY_VENDOR, (uint8_t)(type == 2 ? 0 : at + 20), 20, (uint8_t)type, BAR };

	memcpy(bus->config + at, head, sizeof(head));
	memcpy(bus->config + at + 8, &offset, 4);
	memcpy(bus->config + at + 12, &length, 4);
}

void fake_virtio_init(struct fake_virtio *virtio, struct fake_bus *bus)
{
	*virtio = (struct fake_virtio){
		.device = { virtio_read, virtio_write, virtio_step, virtio_holds },
		.bus = bus,
		.features = VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_INDIRECT | FLUSHES | SEG_MAX,
		.queue_size = 256,
		.seg_max = 254,
		.strict = true,
		.blocks = calloc(1, FAKE_VIRTIO_BYTES),
	};
	fake_bus_init(bus, &virtio->device);
	bus->function.vendor_id = VIRTIO_VENDOR;
	bus->function.device_id = 0x1042;
	bus->function.bars[BAR] = (struct pci_bar){ .start = GIB, .bytes = 4 * KIB };
	bus->config[0x06] = 0x10; /* there is a list */
	bus->config[0x34] = 0x40;
	capability_put(bus, 0x40, 1, COMMON, 0x38);
	capability_put(bus, 0x54, 3, ISR, 1);
	capability_put(bus, 0x68, 4, CONFIG, 0x40);
	capability_put(bus, 0x7c, 2, NOTIFY, 0x10);
	bus->config[0x7c + 16] = 0;
}

void fake_virtio_fini(struct fake_virtio *virtio)
{
	fake_bus_fini(virtio->bus);
	free(virtio->blocks);
}
