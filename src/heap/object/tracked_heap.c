// SPDX-License-Identifier: BSD-2-Clause
/*
 * The general heap for one owner. Beside each object lies a record in the owner's list; so a driver
 * that goes without freeing something can be named, with the code that allocated it. The records
 * are objects of the same general heap.
 */
#include "tracked_heap.h"

#include "runtime/base/format.h"

#define PREFIX_BYTES 48

struct tracked_object {
	struct list link; /* [O] */
	void *memory;     /* [I] */
	size_t bytes;     /* [I] */
	const void *site; /* [I] the code that allocated it */
	bool reported;    /* [O] as left behind */
};

static struct tracked_object *object_remove(struct tracked_heap *tracked, const void *memory)
{
	struct tracked_object *found = NULL;
	const uint64_t state = spinlock_lock_interrupts(&tracked->lock);

	list_for_each (link, &tracked->objects) {
		struct tracked_object *object = container_of(link, struct tracked_object, link);

		if (object->memory != memory)
			continue;
		list_remove(link);
		found = object;
		break;
	}
	spinlock_unlock_interrupts(&tracked->lock, state);
	return found;
}

static void *tracked_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	struct tracked_heap *tracked = container_of(heap, struct tracked_heap, heap);
	const void *site = __builtin_return_address(0);
	struct tracked_object *object = general_heap_alloc(tracked->parent, sizeof(*object), 0);
	void *memory = object ? general_heap_alloc_at(tracked->parent, bytes, alignment, site) : NULL;

	if (!memory) {
		general_heap_free(tracked->parent, object);
		return NULL;
	}
	*object = (struct tracked_object){ .memory = memory, .bytes = bytes, .site = site };
	const uint64_t state = spinlock_lock_interrupts(&tracked->lock);
	list_insert_first(&tracked->objects, &object->link);
	spinlock_unlock_interrupts(&tracked->lock, state);
	return memory;
}

static void tracked_free(struct heap *heap, void *memory)
{
	struct tracked_heap *tracked = container_of(heap, struct tracked_heap, heap);
	const void *site = __builtin_return_address(0);
	char name[64];

	if (!memory)
		return;
	struct tracked_object *object = object_remove(tracked, memory);
	if (!object)
		platform_panic("heap of %s: %p is none of its objects; freed by %s", heap->name, memory,
			       platform_code_name(name, sizeof(name), site));
	general_heap_free_at(tracked->parent, memory, site);
	general_heap_free(tracked->parent, object);
}

void tracked_heaps_init(struct tracked_heaps *registry)
{
	spinlock_init(&registry->lock, "tracked heaps");
	list_init(&registry->list);
}

void tracked_heap_init(struct tracked_heap *tracked, struct tracked_heaps *registry, struct general_heap *parent,
		       const char *owner)
{
	*tracked = (struct tracked_heap){ .heap = { owner, tracked_alloc, tracked_free }, .parent = parent };
	spinlock_init(&tracked->lock, "tracked heap");
	list_init(&tracked->objects);
	spinlock_lock(&registry->lock);
	list_insert_last(&registry->list, &tracked->link);
	spinlock_unlock(&registry->lock);
}

status_t tracked_heap_fini(struct tracked_heap *tracked, struct tracked_heaps *registry)
{
	if (!list_is_empty(&tracked->objects))
		return STATUS_BUSY;
	spinlock_lock(&registry->lock);
	list_remove(&tracked->link);
	spinlock_unlock(&registry->lock);
	return STATUS_OK;
}

void tracked_heap_count_sites(struct tracked_heap *tracked, enum tracked_objects which, struct call_sites *sums)
{
	const uint64_t state = spinlock_lock_interrupts(&tracked->lock);

	list_for_each (link, &tracked->objects) {
		struct tracked_object *object = container_of(link, struct tracked_object, link);

		if (which != TRACKED_ALL && object->reported != (which == TRACKED_LEFT))
			continue;
		object->reported |= which == TRACKED_NOT_REPORTED;
		call_sites_add(sums, object->site, 1, object->bytes);
	}
	spinlock_unlock_interrupts(&tracked->lock, state);
}

static uint64_t tracked_write(struct tracked_heap *tracked, enum tracked_objects which, void (*line)(const char *text))
{
	struct call_sites sums = { 0 };
	char prefix[PREFIX_BYTES];

	tracked_heap_count_sites(tracked, which, &sums);
	format_text(prefix, sizeof(prefix), which == TRACKED_ALL ? "%-20s " : "%s left behind: ", tracked->heap.name);
	call_sites_write(&sums, prefix, line);
	return sums.all.objects;
}

uint64_t tracked_heap_report_left(struct tracked_heap *tracked)
{
	return tracked_write(tracked, TRACKED_NOT_REPORTED, call_sites_log_error);
}

/* The lock is not held when a line is written. */
void tracked_heaps_write(struct tracked_heaps *registry, enum tracked_objects which, void (*line)(const char *text))
{
	struct list *link;

	for (unsigned place = 0;; place++) {
		spinlock_lock(&registry->lock);
		link = list_at(&registry->list, place);
		spinlock_unlock(&registry->lock);
		if (!link)
			return;
		(void)tracked_write(container_of(link, struct tracked_heap, link), which, line);
	}
}
