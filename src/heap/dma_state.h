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
 * Lock [E]: that of the guarantee, a leaf, held with interrupts off for one record or a look through all clients. So a take out
 * of the guarantee and its record, and a free, are one section each.
 */
#pragma once

#include "dma.h"

/*
 * A zone: small objects that devices with the same window can reach. Zones are made when the first device needs them, and stay.
 */
struct dma_zone {
	struct list link; /* [E] */
	/* [I] All of the machine's memory: 0 and UINT64_MAX. */
	uint64_t lowest;
	uint64_t mask;
	struct memory_source source;
	struct general_heap heap;
	char name[GENERAL_HEAP_NAME_BYTES];
};

/* Who owns the blocks of a device's buffers; exists while it has any. One that is quarantined gets nothing new. */
struct dma_client {
	struct list link; /* [E] */
	const struct device *device;
	bool quarantined;                   /* [E] */
	char name[GENERAL_HEAP_NAME_BYTES]; /* of the owner, when quarantined */
	struct owner owner;
	uint64_t references; /* [E] buffers, and calls under way */
};

/* Where a buffer's memory comes from. */
enum dma_source {
	DMA_SOURCE_OBJECT,     /* an object of the device's zone */
	DMA_SOURCE_BLOCKS,     /* runs of blocks */
	DMA_SOURCE_GUARANTEED, /* an object or pieces of the guarantee, which has the record, too */
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
	DMA_EVENT_RESET,      /* it is not any more */
	DMA_EVENTS,
};

struct dma {
	struct list buffers; /* [E] all of them, in the order in which they were made */
	struct list clients; /* [E] */
	struct list zones;   /* [E] */
	_Atomic uint64_t allocs, failures;
};

/* The device's client with one more reference; NULL: no memory for one. */
struct dma_client *dma_client_get(struct memory *memory, const struct device *device);
void dma_client_put(struct memory *memory, struct dma_client *client);

/* The device's client that is not in quarantine, or NULL. [E] is held. */
struct dma_client *dma_client_find_locked(struct dma *dma, const struct device *device);

/* The zone for a device; NULL: no memory for a new one. */
struct dma_zone *dma_zone_get(struct memory *memory, const struct device *device);

/* A request, and how it is to be served. */
struct dma_plan {
	const struct device *device;
	const struct dma_request *request;
	const char *site; /* that and the next one: by the caller */
	bool coherent;
	uint64_t bytes; /* rounded up to 64 */
	struct block_constraints constraints;
	uint64_t segment_bytes;  /* cut after so many, counted from the start of a piece; UINT64_MAX: not at all */
	uint64_t boundary_bytes; /* a segment that grows over several pieces crosses no multiple of it; 0: none */
	uint32_t segments;       /* at most so many */
	bool small;              /* one object of the device's zone, which lies in a block */
	uint64_t run_blocks;     /* each run has this length, ... */
	uint32_t runs;
	uint64_t last_blocks; /* ... but the last one this, if it is not 0 */
};

/*
 * Takes the same few steps for any number of bytes. STATUS_INVALID: the limits contradict one another. STATUS_RANGE: more
 * segments than can be counted.
 */
status_t dma_plan_make(const struct device *device, const struct dma_request *request, struct dma_plan *plan) MUST_CHECK;

/* The segments that pieces of this length are cut into, if none of them are adjacent. */
uint64_t dma_plan_segments(const struct dma_plan *plan, uint64_t piece_bytes);

/* Cuts pieces, in order, into segments; returns their number, at most plan->segments. */
uint32_t dma_plan_cut(const struct dma_plan *plan, const struct phys_range *pieces, uint32_t count,
		      struct device_segment *segments);

/* Records ----------------------------------------------------------------------------------------------------------------- */

/* The length of a record: the buffer, and behind it the lists of its pieces and segments. */
static inline uint64_t dma_record_bytes(uint64_t pieces, uint64_t segments)
{
	return sizeof(struct dma_buffer) + pieces * sizeof(struct phys_range) + segments * sizeof(struct device_segment);
}

/* A record of that length, with room for so many pieces; DMA_STATE_GONE. */
void dma_record_init(struct dma_buffer *buffer, const struct dma_plan *plan, uint32_t pieces, enum dma_source source);

/* It is in the list from now on, and seen there from dma_buffer_finish on. [E] is held. */
void dma_record_insert_locked(struct memory *memory, struct dma_buffer *buffer);

/*
 * What happens to one buffer, in one step. An object of the guarantee that is nobody's any more goes back in this step. True:
 * the caller destroys what is nobody's any more, and in no list. What must not happen, as a second free, panics. Any context.
 */
bool dma_record_event(struct memory *memory, struct dma_buffer *buffer, enum dma_event event);

/*
 * A walk through all buffers: dma_walk_next returns each with [E] held, and NULL without at the end. In between the caller
 * calls dma_walk_release, and may do anything. Buffers that come meanwhile are seen, those that go are not.
 */
struct dma_walk {
	struct memory *memory;
	struct dma_buffer place; /* in the list, behind the buffer that was seen last */
	uint64_t interrupts;
};

void dma_walk_begin(struct memory *memory, struct dma_walk *walk);
struct dma_buffer *dma_walk_next(struct dma_walk *walk);
void dma_walk_release(struct dma_walk *walk);

/*
 * An event for each buffer of the device that is in quarantine, or is not; destroys those that are nobody's afterwards. Returns
 * the bytes. Where platform_may_sleep().
 */
uint64_t dma_records_event(struct memory *memory, const struct device *device, bool quarantined, enum dma_event event);

static inline bool dma_is_quarantined(const struct dma_buffer *buffer)
{
	return buffer->state != DMA_STATE_LIVE;
}

/* Gives the memory back, and the record. Where platform_may_sleep(), or for one piece. */
void dma_buffer_destroy(struct memory *memory, struct dma_buffer *buffer);

/* Buffers out of the guarantee -------------------------------------------------------------------------------------------- */

/*
 * Any context; more than a piece, mapped side by side, only where platform_may_sleep(). STATUS_NO_MEMORY: that is not to be
 * had, or the lists of pieces and segments are longer than what lies beside one piece.
 */
status_t dma_guaranteed_alloc(struct memory *memory, const struct dma_plan *plan, struct dma_buffer **buffer) MUST_CHECK;

/* Makes the pieces of a buffer visible side by side; for dma.c and dma_guaranteed.c. STATUS_NO_MEMORY. */
status_t dma_buffer_map(struct dma_buffer *buffer) MUST_CHECK;

/* Cuts the pieces of a buffer in the list into segments; it is the driver's from now on. */
void dma_buffer_finish(struct memory *memory, const struct dma_plan *plan, struct dma_buffer *buffer);

/* Life -------------------------------------------------------------------------------------------------------------------- */

status_t dma_init(struct memory *memory) MUST_CHECK;
status_t dma_fini(struct memory *memory) MUST_CHECK; /* STATUS_BUSY: a device has DMA memory */
void dma_print(struct memory *memory);               /* what each device has */

/* Logs the buffers that lie in [lowest, highest], the first ones, with where they were taken. */
void dma_explain(struct memory *memory, struct phys_addr lowest, struct phys_addr highest);
