/*
 * DMA memory for drivers. A buffer is contiguous in virtual memory; the device sees it as a list of segments that keep all
 * limits of the device and of the request.
 *
 *	struct dma_request request = { .bytes = 4 * MIB, .wait = MEMORY_WAIT_FOREVER };
 *	status = dma_alloc(memory, &nvme->device, &request, &buffer);     reclaims just what is missing
 *	... give buffer->segments to the device, touch buffer->memory ...
 *	dma_free(memory, buffer);                                         when the device is done with it
 *
 * 1. Either everything succeeds or nothing has changed; a failure is reported in the log with who holds the memory.
 * 2. Memory is zeroed only on request, and may hold anything otherwise.
 * 3. x86 is cache-coherent with its devices: no flushing, ordinary memory ordering.
 * 4. Segments cover the bytes in order, rounded up to 64 bytes. Each starts at a multiple of alignment_bytes or where the one
 *    before was cut at the device's boundary or length limit.
 * 5. Each buffer and object knows the line that asked for it (CALL_SITE in owner.h), for reports.
 */
#pragma once

#include "memory.h"
#include "runtime/base/device.h"

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

	const struct device *device;
	void *mapping; /* from platform_map, or NULL: the direct map serves */
	uint64_t mapping_bytes;
	bool small; /* an object of the device's zone, not blocks */
	struct dma_client *client;
	const char *site; /* where dma_alloc was called */
	struct list link; /* [D] among the buffers of the device */
};

/* A small object that CPU and device share for long: queues, descriptor tables, mailboxes. One piece. */
struct dma_coherent {
	void *memory; /* zeroed */
	struct device_addr address;
	size_t bytes;
	const struct device *device;
	struct dma_object *object;
};

/*
 * Where platform_may_sleep(), except for requests of one piece (segments_max 1, or at most 1 MB): with preemption off they take
 * only what is free, or a piece of the guarantee (guarantee.h). In interrupt handlers they take a piece of the guarantee, which
 * must be as large; no lock is taken, and nothing is waited for. The same holds for dma_free of such buffers.
 * STATUS_INVALID: a limit contradicts another one or the device's. STATUS_RANGE: the machine has no memory that the device
 * reaches in such pieces. STATUS_NO_MEMORY, STATUS_TIMEOUT: not now. *buffer is unchanged on failure.
 */
#define dma_alloc(memory, device, request, buffer) dma_alloc_at(memory, device, request, buffer, CALL_SITE)
status_t dma_alloc_at(struct memory *memory, const struct device *device, const struct dma_request *request,
		      struct dma_buffer **buffer, const char *site) MUST_CHECK;
void dma_free(struct memory *memory, struct dma_buffer *buffer); /* NULL: nothing */

/* `bytes` from 1 (rounded up to 64) to 1 MB; `alignment` a power of two up to 1 MB, 0: 64. Zeroed. Any task context. */
#define dma_coherent_alloc(memory, device, bytes, alignment, coherent)                                                         \
	dma_coherent_alloc_at(memory, device, bytes, alignment, coherent, CALL_SITE)
status_t dma_coherent_alloc_at(struct memory *memory, const struct device *device, size_t bytes, size_t alignment,
			       struct dma_coherent *coherent, const char *site) MUST_CHECK;
void dma_coherent_free(struct memory *memory, struct dma_coherent *coherent); /* one that is all zero: nothing */

/*
 * The address by which `device` reaches memory that somebody else allocated (a page of the page cache). STATUS_RANGE: it lies
 * beyond the device's mask, or before its window.
 */
status_t dma_address(const struct device *device, struct phys_addr address, uint64_t bytes,
		     struct device_addr *result) MUST_CHECK;

/* Buffers and coherent objects that `device` still has, each buffer named in the log. For a driver's remove. */
uint64_t dma_device_leaks(struct memory *memory, const struct device *device);
