/*
 * Only if OBJCACHE_DEBUG: freed objects of a general heap wait here before they can be allocated again, so that a write to one
 * through a stale pointer hits junk that nobody owns, and is reported with both callers when its wait ends.
 *
 * The oldest leaves when another one comes; a drain, and whoever counts or ends the heap, empties it. An object that waits is
 * still allocated for its cache, and known to be freed by its record (objcache_debug.c).
 *
 * Lock: a leaf, taken with interrupts held. Contexts: any.
 */
#pragma once

#include "objcache.h"

#define HEAP_QUARANTINE_OBJECTS (OBJCACHE_DEBUG ? 256 : 1)
#define HEAP_QUARANTINE_BYTES   (512 * KIB) /* of objects, at most; a larger one waits alone */

struct heap_quarantine {
	struct spinlock lock;
	struct {
		struct objcache *cache;
		void *object;
	} waiting[HEAP_QUARANTINE_OBJECTS]; /* [lock] a ring */
	uint32_t first, count;              /* [lock] */
	uint64_t bytes;                     /* [lock] */
};

/* All zero. */
void heap_quarantine_init(struct heap_quarantine *quarantine);

/* Takes an object that objcache_debug_free has seen, and lets go what does not fit any more. */
void heap_quarantine_add(struct heap_quarantine *quarantine, struct objcache *cache, void *object);

/* Lets all go. False: none waited. */
bool heap_quarantine_empty(struct heap_quarantine *quarantine);
