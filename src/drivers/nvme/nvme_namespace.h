// SPDX-License-Identifier: BSD-2-Clause
/* A namespace of an NVMe controller, as a block device. */
#pragma once

#include "drivers/disk_device.h"

#define NVME_NAME_BYTES DISK_NAME_BYTES

struct nvme_namespace {
	struct block_device block;
	struct disk_device *device;
	char name[NVME_NAME_BYTES];
	uint32_t id;
	unsigned sector_shift;
	uint8_t index; /* of the device's block devices */
};

static inline struct nvme_namespace *nvme_namespace_at(const struct disk_device *device, unsigned index)
{
	return container_of(device->blocks[index], struct nvme_namespace, block);
}
