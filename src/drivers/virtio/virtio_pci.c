// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registers of a modern virtio device, found through its capabilities. A structure that lies
 * in no usable BAR is passed over for the next one of its kind. After each wait the status
 * register is looked at, since a device that has gone reads as all ones.
 */
#include "virtio_pci.h"

#include "drivers/driver.h"
#include "drivers/registers.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/base/string.h"

/* The common structure, section 4.1.4.3. */
enum common_register {
	DEVICE_FEATURE_SELECT = 0x00,
	DEVICE_FEATURE = 0x04,
	DRIVER_FEATURE_SELECT = 0x08,
	DRIVER_FEATURE = 0x0c,
	CONFIG_VECTOR = 0x10,
	DEVICE_STATUS = 0x14,
	CONFIG_GENERATION = 0x15,
	QUEUE_SELECT = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY_OFFSET = 0x1e,
	QUEUE_DESCRIPTORS = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	COMMON_BYTES = 0x38,
};

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_ABSENT      0xffu /* the device is not there any more */

/* The capability, section 4.1.4. */
enum capability_field {
	CAPABILITY_TYPE = 3,
	CAPABILITY_BAR = 4,
	CAPABILITY_OFFSET = 8,
	CAPABILITY_LENGTH = 12,
	CAPABILITY_NOTIFY_MULTIPLIER = 16,
};

enum capability_type {
	TYPE_COMMON = 1,
	TYPE_NOTIFY = 2,
	TYPE_ISR = 3,
	TYPE_CONFIG = 4,
};

#define RESET_NS       (5 * NS_PER_S)
#define RESET_POLL_NS  (100 * NS_PER_US)
#define CONFIG_RETRIES 100
#define ISR_QUEUE      1u

/* Section 4.1.4: what a driver may rely on, since registers are read and written whole. */
static uint64_t alignment_of(unsigned type)
{
	return type == TYPE_ISR ? 1 : type == TYPE_NOTIFY ? 2 : 4;
}

/* Maps the registers of the first usable capability of that type. */
static status_t registers_map(struct virtio *virtio, unsigned type, uint32_t bytes_min, volatile void **registers,
			      uint32_t *bytes, unsigned *capability)
{
	struct pci_function *function = virtio->function;
	unsigned at = 0;

	while ((at = pci_capability_find(function, PCI_CAPABILITY_VENDOR, at))) {
		const unsigned bar = pci_read8(function, at + CAPABILITY_BAR);
		const uint32_t offset = pci_read32(function, at + CAPABILITY_OFFSET);
		const uint32_t length = pci_read32(function, at + CAPABILITY_LENGTH);

		if (pci_read8(function, at + CAPABILITY_TYPE) != type || bar >= PCI_BARS || length < bytes_min)
			continue;
		if (function->bars[bar].io || function->bars[bar].start == 0 || !is_aligned(offset, alignment_of(type)))
			continue; /* there may be another one */
		if (pci_bar_map(function, bar, offset, length, PCI_REGISTERS, registers) != STATUS_OK)
			continue;
		*bytes = length;
		*capability = at;
		return STATUS_OK;
	}
	return STATUS_NOT_FOUND;
}

status_t virtio_open(struct virtio *virtio, struct pci_function *function)
{
	unsigned capability;
	uint32_t bytes;

	*virtio = (struct virtio){ .function = function };
	if (registers_map(virtio, TYPE_COMMON, COMMON_BYTES, &virtio->common, &bytes, &capability) != STATUS_OK ||
	    registers_map(virtio, TYPE_ISR, 1, &virtio->isr, &bytes, &capability) != STATUS_OK ||
	    registers_map(virtio, TYPE_CONFIG, 1, &virtio->config, &virtio->config_bytes, &capability) != STATUS_OK ||
	    registers_map(virtio, TYPE_NOTIFY, 2, &virtio->notify, &virtio->notify_bytes, &capability) != STATUS_OK) {
		log_error("%s: the registers of a virtio 1.0 device are not there", function->device.name);
		return STATUS_UNSUPPORTED;
	}
	virtio->notify_multiplier = pci_read32(function, capability + CAPABILITY_NOTIFY_MULTIPLIER);
	return STATUS_OK;
}

status_t virtio_reset(struct virtio *virtio)
{
	const uint64_t deadline_ns = platform_now_ns() + RESET_NS;

	register_write8(virtio->common, DEVICE_STATUS, 0);
	for (;;) {
		const uint8_t status = register_read8(virtio->common, DEVICE_STATUS);

		if (status == 0)
			return STATUS_OK;
		if (status == STATUS_ABSENT || platform_now_ns() > deadline_ns) {
			log_error("%s: the device does not reset", virtio->function->device.name);
			return STATUS_TIMEOUT;
		}
		driver_pause(RESET_POLL_NS);
	}
}

static void status_add(struct virtio *virtio, unsigned bits)
{
	register_write8(virtio->common, DEVICE_STATUS, (uint8_t)(register_read8(virtio->common, DEVICE_STATUS) | bits));
}

static uint64_t features_read(struct virtio *virtio)
{
	uint64_t features = 0;

	for (unsigned half = 0; half < 2; half++) {
		register_write32(virtio->common, DEVICE_FEATURE_SELECT, half);
		features |= (uint64_t)register_read32(virtio->common, DEVICE_FEATURE) << (32 * half);
	}
	return features;
}

status_t virtio_negotiate(struct virtio *virtio, uint64_t wanted, uint64_t needed)
{
	uint64_t offered;

	status_add(virtio, STATUS_ACKNOWLEDGE);
	status_add(virtio, STATUS_DRIVER);
	offered = features_read(virtio);
	if ((offered & needed) != needed) {
		log_error("%s: the device lacks features 0x%llx", virtio->function->device.name,
			  (unsigned long long)(needed & ~offered));
		return STATUS_UNSUPPORTED;
	}
	virtio->features = offered & (wanted | needed);
	for (unsigned half = 0; half < 2; half++) {
		register_write32(virtio->common, DRIVER_FEATURE_SELECT, half);
		register_write32(virtio->common, DRIVER_FEATURE, (uint32_t)(virtio->features >> (32 * half)));
	}
	status_add(virtio, STATUS_FEATURES_OK);
	if (!(register_read8(virtio->common, DEVICE_STATUS) & STATUS_FEATURES_OK)) {
		log_error("%s: the device refuses features 0x%llx%s", virtio->function->device.name,
			  (unsigned long long)virtio->features,
			  offered & VIRTIO_FEATURE_PACKED ? ": perhaps it has packed queues only, and Weir uses split ones"
							  : "");
		return STATUS_UNSUPPORTED;
	}
	register_write16(virtio->common, CONFIG_VECTOR, VIRTIO_VECTOR_NONE);
	return STATUS_OK;
}

unsigned virtio_queue_size(struct virtio *virtio, unsigned index)
{
	register_write16(virtio->common, QUEUE_SELECT, (uint16_t)index);
	return register_read16(virtio->common, QUEUE_SIZE);
}

/* Fields of 64 bits are written in halves, section 4.1.3.1. */
static void address_write(struct virtio *virtio, unsigned offset, uint64_t address)
{
	register_write32(virtio->common, offset, (uint32_t)address);
	register_write32(virtio->common, offset + 4, (uint32_t)(address >> 32));
}

status_t virtio_queue_enable(struct virtio *virtio, struct virtqueue *queue, struct device_addr address, unsigned vector)
{
	const struct virtqueue_layout layout = virtqueue_layout(queue->entries);
	uint64_t notify;

	register_write16(virtio->common, QUEUE_SELECT, queue->index);
	register_write16(virtio->common, QUEUE_SIZE, queue->entries);
	notify = (uint64_t)register_read16(virtio->common, QUEUE_NOTIFY_OFFSET) * virtio->notify_multiplier;
	register_write16(virtio->common, QUEUE_VECTOR, (uint16_t)vector);
	if (notify + sizeof(uint16_t) > virtio->notify_bytes || !is_aligned(notify, sizeof(uint16_t)) ||
	    register_read16(virtio->common, QUEUE_VECTOR) != (uint16_t)vector) {
		log_error("%s: queue %u cannot be notified, or cannot interrupt", virtio->function->device.name, queue->index);
		return STATUS_UNSUPPORTED;
	}
	queue->notify = (volatile char *)virtio->notify + notify;
	address_write(virtio, QUEUE_DESCRIPTORS, address.value);
	address_write(virtio, QUEUE_DRIVER, address.value + layout.available);
	address_write(virtio, QUEUE_DEVICE, address.value + layout.used);
	register_write16(virtio->common, QUEUE_ENABLE, 1);
	return STATUS_OK;
}

void virtio_ready(struct virtio *virtio)
{
	status_add(virtio, STATUS_DRIVER_OK);
}

bool virtio_is_broken(struct virtio *virtio)
{
	const uint8_t status = register_read8(virtio->common, DEVICE_STATUS);

	return (status & (STATUS_NEEDS_RESET | STATUS_DRIVER_OK)) != STATUS_DRIVER_OK;
}

bool virtio_isr_take(struct virtio *virtio)
{
	return register_read8(virtio->isr, 0) & ISR_QUEUE;
}

static void config_read_part(struct virtio *virtio, size_t offset, void *to, size_t width)
{
	const uint32_t value = width == 4   ? register_read32(virtio->config, offset)
			       : width == 2 ? register_read16(virtio->config, offset)
					    : register_read8(virtio->config, offset);

	memcpy(to, &value, width);
}

status_t virtio_config_read(struct virtio *virtio, size_t offset, void *to, size_t bytes)
{
	const size_t width = is_aligned(offset | bytes, 4) ? 4 : is_aligned(offset | bytes, 2) ? 2 : 1;
	uint8_t *target = to, generation;
	unsigned tries = 0;

	if (bytes > virtio->config_bytes || offset > virtio->config_bytes - bytes)
		return STATUS_RANGE;
	do {
		generation = register_read8(virtio->common, CONFIG_GENERATION);
		for (size_t i = 0; i < bytes; i += width)
			config_read_part(virtio, offset + i, target + i, width);
	} while (generation != register_read8(virtio->common, CONFIG_GENERATION) && ++tries < CONFIG_RETRIES);
	return STATUS_OK;
}
