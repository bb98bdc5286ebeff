// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory for drivers. A buffer is contiguous in virtual memory; the device sees it as a list of
 * segments that keep all limits of the device and of the request.
 *
 *	struct dma_request request = { .bytes = 4 * MIB, .wait = MEMORY_WAIT_FOREVER };
 *	status = dma_alloc(dma, &nvme->device, &request, &buffer);     reclaims just what is missing
 *	... give buffer->segments to the device, touch buffer->memory ...
 *	dma_free(dma, buffer);                                         when the device is done with it
 *
 * 1. A request succeeds as a whole or changes nothing; the log says of a failure which owners hold
 *    the memory.
 * 2. Memory is zeroed only on request, and may hold anything otherwise.
 * 3. x86 is cache-coherent with its devices: no flushing, ordinary memory ordering.
 * 4. Segments cover the bytes in order, rounded up to 64 bytes. Each starts at a multiple of
 *    alignment_bytes, or where the segment before it was cut at the device's boundary or length
 *    limit.
 * 5. Pieces are whole blocks, all of the same length but the last: as short as the least length of
 *    a segment and the number of segments allow. A buffer of up to 1 MB, with an alignment of up to
 *    1 MB, is one piece within a block.
 * 6. Each buffer and each coherent object has one record, struct dma_buffer, wherever its memory
 *    comes from. The record knows the line that asked for the buffer (CALL_SITE in owner.h); its
 *    state changes by the table in dma_record.c, each time in one atomic step.
 * 7. A driver that must have memory in handlers reserves it at probe:
 *
 *	status = dma_guarantee_reserve(dma, &card->device, 16 * MIB);      e.g. 1024 x 16 KB, or 4 x 4 MB
 *
 * What the device has out of the guarantee counts against its reservation first, in pieces
 * (guarantee.h): objects of one size share pieces. Beyond the reservation, handlers and requests
 * with MEMORY_WAIT_NEVER take pieces that no device has reserved; a request that may wait does not.
 * The reservations of other devices are never taken.
 */
#pragma once

#include "heap/reclaim/memory_request.h"
#include "runtime/base/device.h"

struct dma; /* the DMA memory of a machine (memory_dma) */

struct dma_request {
	uint64_t bytes;             /* > 0 */
	uint64_t alignment_bytes;   /* of each piece; power of two; 0: 64 */
	uint64_t segment_bytes_min; /* no segment but the last is shorter; power of two; 0: no limit. >= bytes: one segment */
	uint32_t segments_max;      /* 0: as the device says; 1: one piece */
	enum memory_wait wait;
	uint64_t deadline_ns; /* platform_now_ns, for MEMORY_WAIT_DEADLINE */
	bool zero;
};

struct dma_buffer {
	void *memory;   /* virtual address of the first byte */
	uint64_t bytes; /* as requested */
	const struct device_segment *segments;
	uint32_t segment_count;
	const struct phys_range *pieces; /* the physical memory, in order; for block requests; covers at least the bytes */
	uint32_t piece_count;

	/* For dma*.c. */
	const struct device *device;
	const char *site;          /* where it was asked for */
	struct list link;          /* [E] */
	struct dma_client *client; /* [I] owner of its runs of blocks; NULL: objects, of the device's zone or the guarantee */
	_Atomic uint8_t state;     /* enum dma_state; but for dma_buffer_finish, it changes under [E] */
	bool guaranteed;           /* [I] objects or pieces of the guarantee, which has the record, too */
	bool coherent;             /* [I] a coherent object */
};

/*
 * A small object that CPU and device share for long: queues, descriptor tables, mailboxes. One
 * piece.
 */
struct dma_coherent {
	void *memory; /* zeroed */
	struct device_addr address;
	struct dma_buffer *buffer;
};

/*
 * Where platform_may_sleep(), except for requests of one piece (segments_max 1, or at most 1 MB),
 * and for requests that fit into a piece of the guarantee. With preemption off these take only free
 * memory or the guarantee, in interrupt handlers only the guarantee, and never wait. The same holds
 * for dma_free of such buffers.
 *
 * STATUS_INVALID: a limit contradicts another one or the device's. STATUS_RANGE: the machine could
 * not give such pieces if all of its memory but min (reclaim.h) were free; known at once, however
 * long the request would wait. STATUS_NO_MEMORY, STATUS_TIMEOUT: not now. *buffer is unchanged on
 * failure.
 */
#define dma_alloc(dma, device, request, buffer) dma_alloc_at(dma, device, request, buffer, CALL_SITE)
status_t dma_alloc_at(struct dma *dma, const struct device *device, const struct dma_request *request,
		      struct dma_buffer **buffer, const char *site) MUST_CHECK;
void dma_free(struct dma *dma, struct dma_buffer *buffer); /* NULL: nothing */

/*
 * `bytes` from 1 (rounded up to 64) to 1 MB; `alignment` a power of two up to 1 MB, 0: 64. Zeroed.
 * Any task context. Status as for dma_alloc; the object crosses no boundary of the device's.
 * STATUS_INVALID: it is longer than the device's segments or its boundary.
 */
#define dma_coherent_alloc(dma, device, bytes, alignment, coherent)                                                            \
	dma_coherent_alloc_at(dma, device, bytes, alignment, coherent, CALL_SITE)
status_t dma_coherent_alloc_at(struct dma *dma, const struct device *device, size_t bytes, size_t alignment,
			       struct dma_coherent *coherent, const char *site) MUST_CHECK;
void dma_coherent_free(struct dma *dma, struct dma_coherent *coherent); /* all zero: nothing */

/*
 * Reserves whole pieces of the guarantee, at least `bytes` together, for the device. For a driver's
 * probe; the core ends the reservation after remove, as soon as its last piece is back, and out of
 * quarantine, too. STATUS_INVALID: 0 bytes. STATUS_RANGE: the device does not reach all of the
 * guarantee (DMA_GUARANTEE_ADDRESS_BITS). STATUS_NO_MEMORY: less than that is not reserved yet
 * (DMA_GUARANTEE_BYTES). Where platform_may_sleep().
 */
status_t dma_guarantee_reserve(struct dma *dma, const struct device *device, uint64_t bytes) MUST_CHECK;

/* Ends the device's reservation. For the core of drivers, when the device's driver has gone. */
void dma_guarantee_end(struct dma *dma, const struct device *device);

/*
 * Returns how many buffers and coherent objects `device` still has, and names each in the log. For
 * a driver's remove.
 */
uint64_t dma_device_leaks(struct dma *dma, const struct device *device);
