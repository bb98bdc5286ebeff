// SPDX-License-Identifier: BSD-2-Clause
/*
 * The free delay, only if OBJCACHE_DEBUG: freed objects of a general heap wait here before they can
 * be allocated again. A write through a stale pointer then hits junk that no owner uses, and is
 * reported with both call sites when the wait ends.
 *
 * The oldest object leaves when another one comes. A drain, a count of the heap and its end empty
 * the ring. For its cache, a waiting object is still allocated; its record says that it was freed
 * (objcache_debug.c).
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

/* Takes an object that objcache_debug_free has seen, and releases the oldest until it fits. */
void heap_quarantine_add(struct heap_quarantine *quarantine, struct objcache *cache, void *object);

/* Releases all objects. False: none waited. */
bool heap_quarantine_empty(struct heap_quarantine *quarantine);
