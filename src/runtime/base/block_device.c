// SPDX-License-Identifier: BSD-2-Clause
/*
 * Checks requests, waits for one where the caller wants to, and keeps the table of disks. The
 * users of a disk are one counter: a volume adds itself to it, and a driver that is removed swaps
 * 0 for RETIRED, so no volume can come in between.
 */
#include "block_device.h"

#include "bits.h"
#include "bounded_count.h"
#include "completion.h"
#include "string.h"

uint64_t block_request_bytes(const struct block_request *request)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < request->segment_count; i++)
		bytes += request->segments[i].bytes;
	return bytes;
}

void block_device_set_serial(struct block_device *device, const void *text, size_t length)
{
	const char *from = text, *end = from + strnlen(from, MIN(length, BLOCK_SERIAL_BYTES - 1));

	while (from < end && *from == ' ')
		from++;
	while (from < end && end[-1] == ' ')
		end--;
	for (size_t i = 0; from + i <= end; i++)
		device->serial[i] = from + i == end ? '\0' : from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
}

static bool segments_are_valid(const struct block_device *device, const struct block_request *request)
{
	uint64_t bytes = 0;

	if (request->segment_count == 0 || request->segment_count > device->segments_max)
		return false;
	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct phys_range *segment = &request->segments[i];

		if (segment->bytes == 0 || !is_aligned(segment->start.value | segment->bytes, device->segment_alignment))
			return false;
		if (segment->bytes > device->transfer_bytes_max - bytes)
			return false;
		bytes += segment->bytes;
	}
	return is_aligned(bytes, device->sector_bytes);
}

status_t block_request_check(const struct block_device *device, const struct block_request *request)
{
	switch (request->operation) {
	case BLOCK_FLUSH:
		return STATUS_OK;
	case BLOCK_READ:
		break;
	case BLOCK_WRITE:
		if (device->read_only)
			return STATUS_READ_ONLY;
		break;
	default:
		return STATUS_INVALID;
	}
	if (!is_aligned(request->offset_bytes, device->sector_bytes) || !segments_are_valid(device, request))
		return STATUS_INVALID;
	if (request->offset_bytes > device->size_bytes ||
	    block_request_bytes(request) > device->size_bytes - request->offset_bytes)
		return STATUS_RANGE;
	return STATUS_OK;
}

struct transfer {
	struct block_request request;
	struct completion completion;
};

static void transfer_done(struct block_request *request)
{
	completion_signal(&container_of(request, struct transfer, request)->completion);
}

status_t block_device_transfer(struct block_device *device, enum block_operation operation, uint64_t offset_bytes,
			       const struct phys_range *segments, uint32_t segment_count)
{
	struct transfer transfer = {
		.request = {
			.operation = operation,
			.offset_bytes = offset_bytes,
			.segments = segments,
			.segment_count = segment_count,
			.done = transfer_done,
		},
	};

	list_init(&transfer.request.link);
	completion_init(&transfer.completion);
	device->submit(device, &transfer.request);
	(void)completion_wait(&transfer.completion, PLATFORM_FOREVER);
	return transfer.request.status;
}

status_t block_device_get(struct block_device *device)
{
	return count_up(&device->users, BLOCK_DEVICE_RETIRED - 1) ? STATUS_OK : STATUS_GONE;
}

void block_device_put(struct block_device *device)
{
	atomic_fetch_sub(&device->users, 1);
}

/*
 * Changes the users of all block devices of `device` that have `from`; false: one of them has
 * others.
 */
static bool users_change_locked(struct block_device_table *table, const struct device *device, uint32_t from, uint32_t to)
{
	bool changed = true;

	list_for_each (link, &table->devices) {
		struct block_device *block = container_of(link, struct block_device, link);
		uint32_t users = from;

		if (block->device == device && !atomic_compare_exchange_strong(&block->users, &users, to))
			changed = false;
	}
	return changed;
}

status_t block_devices_retire(struct block_device_table *table, const struct device *device)
{
	bool retired;

	spinlock_lock(&table->lock);
	retired = users_change_locked(table, device, 0, BLOCK_DEVICE_RETIRED);
	if (!retired)
		(void)users_change_locked(table, device, BLOCK_DEVICE_RETIRED, 0);
	spinlock_unlock(&table->lock);
	return retired ? STATUS_OK : STATUS_BUSY;
}

void block_device_table_init(struct block_device_table *table)
{
	spinlock_init(&table->lock, "block devices");
	list_init(&table->devices);
}

void block_device_register(struct block_device_table *table, struct block_device *device)
{
	spinlock_lock(&table->lock);
	list_insert_last(&table->devices, &device->link);
	spinlock_unlock(&table->lock);
}

void block_device_unregister(struct block_device_table *table, struct block_device *device)
{
	spinlock_lock(&table->lock);
	list_remove(&device->link);
	spinlock_unlock(&table->lock);
}

struct block_device *block_device_find(struct block_device_table *table, const char *name)
{
	struct block_device *found = NULL;

	spinlock_lock(&table->lock);
	list_for_each (link, &table->devices) {
		struct block_device *device = container_of(link, struct block_device, link);

		if (strcmp(device->name, name) == 0) {
			found = device;
			break;
		}
	}
	spinlock_unlock(&table->lock);
	return found;
}

struct block_device *block_device_next(struct block_device_table *table, struct block_device *device)
{
	spinlock_lock(&table->lock);
	struct list *next = device ? device->link.next : table->devices.next;
	spinlock_unlock(&table->lock);
	return next == &table->devices ? NULL : container_of(next, struct block_device, link);
}
