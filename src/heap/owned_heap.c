// SPDX-License-Identifier: BSD-2-Clause
/*
 * The general heap for one owner. Beside each object lies a record in the owner's list; so a driver
 * that goes without freeing something can be named, with the code that allocated it. The records
 * are objects of the same general heap.
 */
#include "owned_heap.h"

#include "runtime/base/format.h"

#define PREFIX_BYTES 48

struct owned_object {
	struct list link; /* [O] */
	void *memory;     /* [I] */
	size_t bytes;     /* [I] */
	const void *site; /* [I] the code that allocated it */
	bool reported;    /* [O] as left behind */
};

static struct owned_object *object_remove(struct owned_heap *owned, const void *memory)
{
	struct owned_object *found = NULL;
	const uint64_t state = spinlock_lock_interrupts(&owned->lock);

	list_for_each (link, &owned->objects) {
		struct owned_object *object = container_of(link, struct owned_object, link);

		if (object->memory != memory)
			continue;
		list_remove(link);
		found = object;
		break;
	}
	spinlock_unlock_interrupts(&owned->lock, state);
	return found;
}

static void *owned_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	struct owned_heap *owned = container_of(heap, struct owned_heap, heap);
	const void *site = __builtin_return_address(0);
	struct owned_object *object = general_heap_alloc(owned->parent, sizeof(*object), 0);
	void *memory = object ? general_heap_alloc_at(owned->parent, bytes, alignment, site) : NULL;

	if (!memory) {
		general_heap_free(owned->parent, object);
		return NULL;
	}
	*object = (struct owned_object){ .memory = memory, .bytes = bytes, .site = site };
	const uint64_t state = spinlock_lock_interrupts(&owned->lock);
	list_insert_first(&owned->objects, &object->link);
	spinlock_unlock_interrupts(&owned->lock, state);
	return memory;
}

static void owned_free(struct heap *heap, void *memory)
{
	struct owned_heap *owned = container_of(heap, struct owned_heap, heap);
	const void *site = __builtin_return_address(0);
	char name[64];

	if (!memory)
		return;
	struct owned_object *object = object_remove(owned, memory);
	if (!object)
		platform_panic("heap of %s: %p is none of its objects; freed by %s", heap->name, memory,
			       platform_code_name(name, sizeof(name), site));
	general_heap_free_at(owned->parent, memory, site);
	general_heap_free(owned->parent, object);
}

void owned_heaps_init(struct owned_heaps *registry)
{
	spinlock_init(&registry->lock, "owned heaps");
	list_init(&registry->list);
}

void owned_heap_init(struct owned_heap *owned, struct owned_heaps *registry, struct general_heap *parent, const char *owner)
{
	*owned = (struct owned_heap){ .heap = { owner, owned_alloc, owned_free }, .parent = parent };
	spinlock_init(&owned->lock, "owned heap");
	list_init(&owned->objects);
	spinlock_lock(&registry->lock);
	list_insert_last(&registry->list, &owned->link);
	spinlock_unlock(&registry->lock);
}

status_t owned_heap_fini(struct owned_heap *owned, struct owned_heaps *registry)
{
	if (!list_is_empty(&owned->objects))
		return STATUS_BUSY;
	spinlock_lock(&registry->lock);
	list_remove(&owned->link);
	spinlock_unlock(&registry->lock);
	return STATUS_OK;
}

void owned_heap_tally(struct owned_heap *owned, enum owned_objects which, struct site_tally *sums)
{
	const uint64_t state = spinlock_lock_interrupts(&owned->lock);

	list_for_each (link, &owned->objects) {
		struct owned_object *object = container_of(link, struct owned_object, link);

		if (which != OWNED_ALL && object->reported != (which == OWNED_LEFT))
			continue;
		object->reported |= which == OWNED_NOT_REPORTED;
		site_tally_add(sums, object->site, 1, object->bytes);
	}
	spinlock_unlock_interrupts(&owned->lock, state);
}

static uint64_t owned_write(struct owned_heap *owned, enum owned_objects which, void (*line)(const char *text))
{
	struct site_tally sums = { 0 };
	char prefix[PREFIX_BYTES];

	owned_heap_tally(owned, which, &sums);
	format_text(prefix, sizeof(prefix), which == OWNED_ALL ? "%-20s " : "%s left behind: ", owned->heap.name);
	site_tally_write(&sums, prefix, line);
	return sums.all.objects;
}

uint64_t owned_heap_report_left(struct owned_heap *owned)
{
	return owned_write(owned, OWNED_NOT_REPORTED, site_tally_log_error);
}

/* The lock is not held when a line is written. */
void owned_heaps_write(struct owned_heaps *registry, enum owned_objects which, void (*line)(const char *text))
{
	struct list *link;

	for (unsigned place = 0;; place++) {
		spinlock_lock(&registry->lock);
		link = list_at(&registry->list, place);
		spinlock_unlock(&registry->lock);
		if (!link)
			return;
		(void)owned_write(container_of(link, struct owned_heap, link), which, line);
	}
}
