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

#define FREE_DELAY_OBJECTS (OBJCACHE_DEBUG ? 256 : 1)
#define FREE_DELAY_BYTES   (512 * KIB) /* of objects, at most; a larger one waits alone */

struct free_delay {
	struct spinlock lock;
	struct {
		struct objcache *cache;
		void *object;
	} waiting[FREE_DELAY_OBJECTS]; /* [lock] a ring */
	uint32_t first, count;         /* [lock] */
	uint64_t bytes;                /* [lock] */
};

/* All zero. */
void free_delay_init(struct free_delay *delay);

/* Takes an object that objcache_debug_free has seen, and releases the oldest until it fits. */
void free_delay_add(struct free_delay *delay, struct objcache *cache, void *object);

/* Releases all objects. False: none waited. */
bool free_delay_empty(struct free_delay *delay);
