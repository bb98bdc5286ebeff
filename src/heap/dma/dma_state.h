// SPDX-License-Identifier: BSD-2-Clause
/*
 * The state of DMA memory, for dma*.c and the monitor commands.
 *
 *	dma.c			requests, buffers and coherent objects
 *	dma_plan.c		from limits to pieces and segments
 *	dma_record.c		the list of all buffers, and what changes their state
 *	dma_guaranteed.c	buffers out of the guarantee
 *	dma_state.c		clients, zones, beginning and end
 *	dma_quarantine.c	memory of devices that may still be at work
 *	dma_report.c		what the monitor shows
 *
 * Lock [E]: the lock of the guarantee, a leaf, held with interrupts off for one record or a look
 * through all clients. So a take from the guarantee and its record are one section, and so are a
 * free and its record.
 */
#pragma once

#include "dma.h"
#include "heap/object/general_heap.h"
#include "heap/reclaim/guarantee.h"
#include "heap/reclaim/reclaim.h"

struct dma {
	struct reclaim *reclaim;      /* [I] */
	struct guarantee *guarantee;  /* [I] */
	struct general_heap *general; /* [I] of records and clients */
	struct reclaim_explainer explainer;
	uint64_t retain_bytes; /* [I] of each zone */
	struct list buffers;   /* [E] all of them, in the order in which they were made */
	struct list clients;   /* [E] */
	struct list zones;     /* [E] */
	_Atomic uint64_t allocs, failures;
};

/*
 * A zone: small objects for all devices with the same window. A zone is made when the first such
 * device needs it, and stays.
 */
struct dma_zone {
	struct list link;            /* [E] */
	struct memory_source source; /* constraints [I]; 0 and UINT64_MAX: all memory */
	struct general_heap heap;
	char name[GENERAL_HEAP_NAME_BYTES];
};

/*
 * The owner of the blocks of a device's buffers; exists while it has blocks. A client in quarantine
 * gets no new ones.
 */
struct dma_client {
	struct list link; /* [E] */
	const struct device *device;
	struct owner owner;                        /* its name changes under [H] and [E] */
	char quarantined[GENERAL_HEAP_NAME_BYTES]; /* the owner's name in quarantine */
	uint64_t references;                       /* [E] buffers, and calls under way */
};

/* See dma_record.c. */
enum dma_state {
	DMA_STATE_GONE, /* destroyed, or in no list yet */
	DMA_STATE_LIVE, /* the driver has it */
	DMA_STATE_HELD, /* in quarantine; the driver has it, or has left it behind */
	DMA_STATE_KEPT, /* in quarantine; the driver has freed it */
	DMA_STATES,
};

enum dma_event {
	DMA_EVENT_FREE,       /* by the driver */
	DMA_EVENT_QUARANTINE, /* the device may be at work without its driver */
	DMA_EVENT_RESET,      /* the device has been reset */
	DMA_EVENTS,
};

/* The device's client with one more reference; NULL: no memory for one. */
struct dma_client *dma_client_get(struct dma *dma, const struct device *device);
void dma_client_put(struct dma *dma, struct dma_client *client);

/* The zone for a device; NULL: no memory for a new one. */
struct dma_zone *dma_zone_get(struct dma *dma, const struct device *device);

/* A request, and how it is to be served. */
struct dma_plan {
	const struct device *device;
	const struct dma_request *request;
	const char *site; /* `site` and `coherent` are filled in by the caller */
	bool coherent;
	bool small;              /* one object of the device's zone, within a block */
	uint64_t bytes;          /* rounded up to 64 */
	uint64_t segment_bytes;  /* segments end at multiples of it within a piece */
	uint64_t boundary_bytes; /* a segment that grows over several pieces crosses no multiple of it; 0: none */
	uint32_t segments;       /* at most so many */
	uint32_t runs;
	struct memory_request run; /* each of the runs; the caller fills in the owner */
};

/*
 * Makes a plan in the same few steps for any number of bytes. STATUS_INVALID: the limits contradict
 * one another. STATUS_RANGE: more segments than can be counted.
 */
status_t dma_plan_make(const struct device *device, const struct dma_request *request, struct dma_plan *plan) MUST_CHECK;

/* How many segments pieces of this length are cut into, if no two pieces are adjacent. */
uint64_t dma_plan_segments(const struct dma_plan *plan, uint64_t piece_bytes);

/* Cuts pieces, in order, into segments; returns their number, at most plan->segments. */
uint32_t dma_plan_cut(const struct dma_plan *plan, const struct phys_range *pieces, uint32_t count,
		      struct device_segment *segments);

/* Records -------------------------------------------------------------------------------------- */

/* The length of a record: the buffer, and behind it the lists of its pieces and segments. */
static inline uint64_t dma_record_bytes(uint64_t pieces, uint64_t segments)
{
	return sizeof(struct dma_buffer) + pieces * sizeof(struct phys_range) + segments * sizeof(struct device_segment);
}

/* Initialises a record, with room for so many pieces; DMA_STATE_GONE. */
static inline void dma_record_init(struct dma_buffer *buffer, const struct dma_plan *plan, uint32_t pieces, bool guaranteed)
{
	*buffer = (struct dma_buffer){
		.bytes = plan->request->bytes,
		.pieces = (struct phys_range *)(buffer + 1),
		.piece_count = pieces,
		.device = plan->device,
		.site = plan->site,
		.guaranteed = guaranteed,
		.coherent = plan->coherent,
	};
	buffer->segments = (struct device_segment *)(buffer->pieces + pieces);
}

/*
 * Such a record is made and removed in the sections under [E] in which the guarantee gives and gets
 * back its object.
 */
static inline bool dma_is_guaranteed_object(const struct dma_buffer *buffer)
{
	return buffer->guaranteed && buffer->piece_count == 1;
}

/*
 * A walk through the buffers of a device that are in quarantine, or those that are not; a NULL
 * device: through all buffers. dma_walk_next returns each with [E] held, and NULL at the end,
 * without [E]. In between the caller calls dma_walk_release, and may then do anything. The walk
 * sees buffers that come meanwhile, and not those that go.
 */
struct dma_walk {
	struct dma *dma;
	const struct device *device;
	bool quarantined;
	struct dma_buffer place; /* in the list, behind the buffer that was seen last */
	uint64_t interrupts;
};

void dma_walk_begin(struct dma *dma, const struct device *device, bool quarantined, struct dma_walk *walk);
struct dma_buffer *dma_walk_next(struct dma_walk *walk);
void dma_walk_release(struct dma_walk *walk);

/*
 * DMA_EVENT_RESET for each buffer of the device in quarantine, or another event for each that is
 * not; destroys those that are GONE afterwards. Returns the bytes. Where platform_may_sleep().
 */
uint64_t dma_records_event(struct dma *dma, const struct device *device, enum dma_event event);

static inline bool dma_is_quarantined(const struct dma_buffer *buffer)
{
	return buffer->state != DMA_STATE_LIVE;
}

/* Gives back the memory and the record. Where platform_may_sleep(), or for one piece. */
void dma_buffer_destroy(struct dma *dma, struct dma_buffer *buffer);

/* Buffers out of the guarantee ----------------------------------------------------------------- */

/*
 * Any context; more than a piece, mapped side by side, only where platform_may_sleep().
 * STATUS_NO_MEMORY: the guarantee cannot give that, or the lists of pieces and segments are longer
 * than the records beside one piece.
 */
status_t dma_guaranteed_alloc(struct dma *dma, const struct dma_plan *plan, struct dma_buffer **buffer) MUST_CHECK;

/*
 * Ends an allocation whose memory is there: maps the pieces side by side and cuts them into
 * segments; the buffer is the driver's from now on. STATUS_NO_MEMORY: the pieces cannot be mapped;
 * memory and record have gone back.
 */
status_t dma_buffer_finish(struct dma *dma, const struct dma_plan *plan, struct dma_buffer *buffer,
			   struct dma_buffer **result) MUST_CHECK;

/* Life ----------------------------------------------------------------------------------------- */

void dma_init(struct dma *dma, struct reclaim *reclaim, struct guarantee *guarantee, struct general_heap *general,
	      uint64_t retain_bytes);
void dma_fini(struct dma *dma);  /* no device has DMA memory */
void dma_print(struct dma *dma); /* what each device has */

/* Logs the first buffers that lie in [lowest, highest], with where they were taken. */
void dma_explain(struct reclaim_explainer *self, struct phys_addr lowest, struct phys_addr highest);
