/* The state of DMA memory, for dma*.c and the monitor commands. */
#pragma once

#include "dma.h"

/*
 * A zone: small objects that devices with the same window can reach. Zones are made when the first device needs them, and stay.
 */
struct dma_zone {
	struct list link; /* [D] */
	/* [I] All of the machine's memory: 0 and UINT64_MAX. */
	uint64_t lowest;
	uint64_t mask;
	struct memory_source source;
	struct general_heap heap;
	char name[GENERAL_HEAP_NAME_BYTES];
};

/* What one device has; exists while it has anything. One that is quarantined gets nothing new, see dma_quarantine.h. */
struct dma_client {
	struct list link; /* [D] */
	const struct device *device;
	bool quarantined;                   /* [D] */
	char name[GENERAL_HEAP_NAME_BYTES]; /* of the owner, when quarantined */
	struct owner owner;                 /* of the blocks of its buffers */
	struct list buffers;                /* [D] */
	struct list objects;                /* [D] coherent ones */
	uint64_t buffer_bytes;              /* [D] as requested */
	uint64_t coherent_objects;          /* [D] */
	uint64_t coherent_bytes;            /* [D] */
	uint64_t references;                /* [D] buffers, coherent objects, and calls under way */
};

/* A coherent object. */
struct dma_object {
	struct list link; /* [D] among those of the client */
	struct dma_client *client;
	void *memory;
	uint64_t bytes;
	const char *site;
};

/* A buffer of a single piece of the guarantee, by slot. */
#define DMA_GUARANTEED_SEGMENTS 16

struct dma_guaranteed {
	struct dma_buffer buffer;
	struct guarantee_slot *slot;
	struct phys_range piece;
	struct device_segment segments[DMA_GUARANTEED_SEGMENTS];
	_Atomic bool quarantined; /* what is freed stays, see dma_quarantine.h */
};

struct dma {
	struct dma_guaranteed *guaranteed; /* [I]; an entry is the slot's holder's */
	struct spinlock lock;              /* [D], a leaf */
	struct list clients;               /* [D] */
	struct list zones;                 /* [D] */
	_Atomic uint64_t allocs, failures;
};

/* The device's client with one more reference; NULL: no memory for one. */
struct dma_client *dma_client_get(struct memory *memory, const struct device *device);
void dma_client_put(struct memory *memory, struct dma_client *client);

/* The zone for a device; NULL: no memory for a new one. */
struct dma_zone *dma_zone_get(struct memory *memory, const struct device *device);

/* How a request is to be served. */
struct dma_plan {
	uint64_t bytes; /* rounded up to 64 */
	struct block_constraints constraints;
	uint64_t segment_bytes;  /* cut after so many, counted from the start of a piece; UINT64_MAX: not at all */
	uint64_t boundary_bytes; /* a segment that grows over several pieces crosses no multiple of it; 0: none */
	uint32_t segments;       /* at most so many */
	bool small;              /* one object of the device's zone */
	uint64_t run_blocks;     /* else runs of this length ... */
	uint32_t runs;
	uint64_t last_blocks; /* ... and one of this length, or 0 */
};

/* STATUS_INVALID: the limits contradict one another. */
status_t dma_plan_make(const struct device *device, const struct dma_request *request, struct dma_plan *plan) MUST_CHECK;

/* Cuts pieces, in order, into segments; returns their number, at most plan->segments. */
uint32_t dma_plan_cut(const struct dma_plan *plan, const struct phys_range *pieces, uint32_t count,
		      struct device_segment *segments);

/* Any context, handlers included. STATUS_NO_MEMORY: no piece that fits, or the device wants it cut too small. */
status_t dma_guaranteed_alloc(struct memory *memory, const struct device *device, const struct dma_request *request,
			      const struct dma_plan *plan, const char *site, struct dma_buffer **buffer) MUST_CHECK;

/* False: it is no such buffer. Any context. */
bool dma_guaranteed_free(struct memory *memory, struct dma_buffer *buffer);

/* The pieces of a buffer, all or none, each a piece of the guarantee. */
status_t dma_guaranteed_pieces(struct memory *memory, const struct device *device, const struct dma_plan *plan,
			       struct phys_range *pieces) MUST_CHECK;

/* Frees a piece of a buffer, wherever it came from. */
void dma_piece_free(struct memory *memory, struct phys_addr start);

/* Buffers of a single piece that the device still has, named in the log. */
uint64_t dma_guaranteed_leaks(struct memory *memory, const struct device *device);

/* dma_quarantine.h, for buffers of a single piece. */
uint64_t dma_guaranteed_quarantine(struct memory *memory, const struct device *device);
uint64_t dma_guaranteed_quarantine_bytes(struct memory *memory, const struct device *device);
void dma_guaranteed_quarantine_end(struct memory *memory, const struct device *device);

status_t dma_guaranteed_init(struct memory *memory) MUST_CHECK;
void dma_guaranteed_fini(struct memory *memory);

status_t dma_init(struct memory *memory) MUST_CHECK;
status_t dma_fini(struct memory *memory) MUST_CHECK; /* STATUS_BUSY: somebody has DMA memory */
void dma_print(struct memory *memory);               /* what each device has */

/* Logs the buffers and objects that lie in [lowest, highest], the first ones, with where they were taken. */
void dma_explain(struct memory *memory, struct phys_addr lowest, struct phys_addr highest);

/* The two halves of freeing. [D] is held for the first one. */
void dma_buffer_unlist_locked(struct dma_buffer *buffer);
void dma_buffer_destroy(struct memory *memory, struct dma_buffer *buffer);
void dma_object_unlist_locked(struct dma_object *object);
void dma_object_destroy(struct memory *memory, struct dma_object *object);

bool dma_is_valid(struct memory *memory);
