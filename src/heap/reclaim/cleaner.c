// SPDX-License-Identifier: BSD-2-Clause
/*
 * The list of cleaners, sorted by cost and preference. A walk holds a count on the cleaner that
 * runs, not the lock: so a cleaner takes any locks of its own, and an unregister marks the cleaner
 * as leaving, which no walk enters any more, and sleeps until the count is 0.
 */
#include "cleaner.h"

#include "runtime/base/assert.h"

const struct reclaim_target reclaim_all = { .bytes = UINT64_MAX, .highest = { UINT64_MAX }, .deadline_ns = PLATFORM_FOREVER };

void cleaner_registry_init(struct cleaner_registry *registry)
{
	spinlock_init(&registry->lock, "cleaners");
	list_init(&registry->cleaners);
	registry->orders = 0;
}

static bool comes_before(const struct cleaner *a, const struct cleaner *b)
{
	return a->cost != b->cost ? a->cost < b->cost : a->preference < b->preference;
}

static void insert_locked(struct cleaner_registry *registry, struct cleaner *cleaner)
{
	struct list *position = &registry->cleaners;

	list_for_each (link, &registry->cleaners) {
		if (comes_before(cleaner, container_of(link, struct cleaner, link)))
			break;
		position = link;
	}
	list_insert_after(position, &cleaner->link);
}

void cleaner_register(struct cleaner_registry *registry, struct cleaner *cleaner)
{
	assert(cleaner->name && cleaner->clean);
	cleaner->leaving = false;
	atomic_init(&cleaner->running, 0);
	cleaner->calls = 0;
	cleaner->asked_bytes = cleaner->reported_bytes = cleaner->given_bytes = 0;
	cleaner->last_asked_bytes = cleaner->last_given_bytes = 0;

	spinlock_lock(&registry->lock);
	insert_locked(registry, cleaner);
	spinlock_unlock(&registry->lock);
}

void cleaner_set_preference(struct cleaner_registry *registry, struct cleaner *cleaner, unsigned preference)
{
	spinlock_lock(&registry->lock);
	list_remove(&cleaner->link);
	cleaner->preference = preference;
	insert_locked(registry, cleaner);
	registry->orders++;
	spinlock_unlock(&registry->lock);
}

void cleaner_unregister(struct cleaner_registry *registry, struct cleaner *cleaner)
{
	uint32_t running;

	if (!cleaner->link.next || list_is_empty(&cleaner->link))
		return;
	spinlock_lock(&registry->lock);
	cleaner->leaving = true;
	while ((running = atomic_load_explicit(&cleaner->running, memory_order_relaxed)) != 0) {
		spinlock_unlock(&registry->lock);
		(void)platform_wait(&cleaner->running, running, PLATFORM_FOREVER);
		spinlock_lock(&registry->lock);
	}
	list_remove(&cleaner->link);
	spinlock_unlock(&registry->lock);
}

static void put_locked(struct cleaner *cleaner)
{
	if (atomic_fetch_sub_explicit(&cleaner->running, 1, memory_order_release) == 1 && cleaner->leaving)
		platform_wake(&cleaner->running);
}

struct cleaner *cleaner_next(struct cleaner_registry *registry, struct cleaner *previous)
{
	struct cleaner *next = NULL;

	spinlock_lock(&registry->lock);
	for (struct list *link = previous ? previous->link.next : registry->cleaners.next; link != &registry->cleaners;
	     link = link->next) {
		struct cleaner *candidate = container_of(link, struct cleaner, link);

		if (candidate->leaving)
			continue;
		atomic_fetch_add_explicit(&candidate->running, 1, memory_order_relaxed);
		next = candidate;
		break;
	}
	if (previous)
		put_locked(previous);
	spinlock_unlock(&registry->lock);
	return next;
}

void cleaner_put(struct cleaner_registry *registry, struct cleaner *cleaner)
{
	spinlock_lock(&registry->lock);
	put_locked(cleaner);
	spinlock_unlock(&registry->lock);
}
