// SPDX-License-Identifier: BSD-2-Clause
/*
 * Per-CPU frames. A CPU that needs a frame for probation takes a few more at once, and its next
 * misses take these without the lock of the page heap. Each place is exchanged atomically, so a
 * drain empties the places of all CPUs from where it runs.
 */
#include "cpu_frames.h"

#include "longterm.h"

static unsigned empty_one(struct cpu_frames *cpu_frames)
{
	unsigned returned = 0;

	for (unsigned i = 0; i < CPU_FRAMES_MAX; i++) {
		struct page *page = atomic_exchange(&cpu_frames->frames[i], NULL);

		if (!page)
			continue;
		page_set_free(page);
		returned++;
	}
	return returned;
}

unsigned cpu_frames_empty(struct volume *volume)
{
	unsigned returned = 0;

	for (unsigned set = 0; set < MIN(platform_cpu_count(), CPU_FRAMES_SETS); set++)
		returned += empty_one(&volume->eviction.cpu_frames[set]);
	return returned;
}

static struct page *refill(struct volume *volume, struct cpu_frames *cpu_frames)
{
	struct page *pages[CPU_FRAMES_MAX + 1];
	const unsigned most = volume->pagecache->config.cpu_frames + 1;
	unsigned budget = PAGE_HEAP_BUDGET;
	const unsigned count = page_heap_take_many(volume, QUEUE_PROBATION, pages, most, &budget);

	if (count == 0)
		return NULL;
	for (unsigned i = 1; i < count; i++) {
		struct page *none = NULL;

		/* Another task on this CPU, or one that shares the set, may have been faster. */
		if (!atomic_compare_exchange_strong(&cpu_frames->frames[i - 1], &none, pages[i]))
			page_set_free(pages[i]);
	}
	if (atomic_load(&volume->eviction.cleaning) != 0)
		(void)empty_one(cpu_frames);
	return pages[0];
}

struct page *cpu_frames_take(struct volume *volume, enum queue queue)
{
	struct cpu_frames *cpu_frames = &volume->eviction.cpu_frames[platform_cpu() % CPU_FRAMES_SETS];

	if (queue != QUEUE_PROBATION || volume->pagecache->config.cpu_frames == 0 ||
	    atomic_load_explicit(&volume->eviction.cleaning, memory_order_relaxed) != 0)
		return page_heap_take(volume, queue);
	for (unsigned i = 0; i < CPU_FRAMES_MAX; i++) {
		struct page *page = atomic_load_explicit(&cpu_frames->frames[i], memory_order_relaxed);

		if (page && (page = atomic_exchange(&cpu_frames->frames[i], NULL)) != NULL)
			return page;
	}
	return refill(volume, cpu_frames);
}

uint64_t cpu_frames_clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct volume *volume = container_of(self, struct volume, eviction.cleaners[VOLUME_CLEANER_CPU_FRAMES]);
	const unsigned returned = cpu_frames_empty(volume);

	(void)target;
	if (returned > 0)
		trace_event(reclaim_trace(memory_reclaim(volume->pagecache->memory)), TRACE_RETURNED, volume->name, returned,
			    platform_cpu_count());
	longterm_settle(volume);
	return 0;
}
