// SPDX-License-Identifier: BSD-2-Clause
/*
 * The PCI side of a virtio device: virtio 1.1, sections 3.1 (initialization) and 4.1 (PCI). Only
 * the modern interface.
 *
 *	virtio_open --> virtio_negotiate --> virtio_queue_size, virtio_queue_enable ... --> virtio_ready
 *	virtio_reset ends all DMA and forgets everything; from there on again.
 */
#pragma once

#include "drivers/pci/pci.h"
#include "virtqueue.h"

#define VIRTIO_VENDOR            0x1af4
#define VIRTIO_FEATURE_INDIRECT  (1ull << 28)
#define VIRTIO_FEATURE_VERSION_1 (1ull << 32)
#define VIRTIO_FEATURE_PLATFORM  (1ull << 33) /* wants bus addresses, which are physical ones here */
#define VIRTIO_FEATURE_PACKED    (1ull << 34) /* packed queues, which a driver need not accept */
#define VIRTIO_FEATURE_ORDER     (1ull << 36) /* wants barriers that a device sees; x86 keeps that order anyway */
#define VIRTIO_VECTOR_NONE       0xffff

struct virtio {
	struct pci_function *function; /* [I] */
	volatile void *common;         /* [I] */
	volatile void *isr;            /* [I] */
	volatile void *config;         /* [I] of the kind of device */
	uint32_t config_bytes;         /* [I] */
	volatile void *notify;         /* [I] */
	uint32_t notify_bytes;         /* [I] */
	uint32_t notify_multiplier;    /* [I] */
	uint64_t features;             /* [I] agreed on */
};

/*
 * Finds and maps the registers. STATUS_UNSUPPORTED: no modern virtio device, or its capabilities
 * make no sense; logged.
 */
status_t virtio_open(struct virtio *virtio, struct pci_function *function) MUST_CHECK;

/* Waits until the device is reset. STATUS_TIMEOUT: it does not do so, or is not there. Where
 * platform_may_sleep(), or after a panic. */
status_t virtio_reset(struct virtio *virtio) MUST_CHECK;

/*
 * After a reset: agrees on what of `wanted` the device offers; `needed` must be.
 * STATUS_UNSUPPORTED, logged.
 */
status_t virtio_negotiate(struct virtio *virtio, uint64_t wanted, uint64_t needed) MUST_CHECK;

/* Entries that the queue may have at most; 0: there is no such queue. */
unsigned virtio_queue_size(struct virtio *virtio, unsigned index);
/*
 * Hands a queue of queue->entries to the device, at that address, and finds its notify register.
 * `vector` may be VIRTIO_VECTOR_NONE. STATUS_UNSUPPORTED: the device refuses, or its notify
 * register lies outside.
 */
status_t virtio_queue_enable(struct virtio *virtio, struct virtqueue *queue, struct device_addr address,
			     unsigned vector) MUST_CHECK;

void virtio_ready(struct virtio *virtio);

/* Of a device that is ready: it asks for a reset, has forgotten us, or is not there any more. */
bool virtio_is_broken(struct virtio *virtio);

/* Quiets the interrupt line; true: a queue asked. Any context. */
bool virtio_isr_take(struct virtio *virtio);

/*
 * Reads the configuration of the kind of device consistently, a field at a time. STATUS_RANGE: it
 * is shorter.
 */
status_t virtio_config_read(struct virtio *virtio, size_t offset, void *to, size_t bytes) MUST_CHECK;
