// SPDX-License-Identifier: BSD-2-Clause
/*
 * Places lie in a hash table that only grows. The first hold of a place claims its entry by one
 * compare-and-swap; all later ones find it without a lock.
 */
#ifndef WEIR_HOLDS
#define WEIR_HOLDS /* builds that do not record leave out what calls this */
#endif
#include "holds.h"

#include <stdatomic.h>

#include "platform.h"

struct entry {
	const void *_Atomic site; /* NULL: free */
	const char *_Atomic name;
	_Atomic uint64_t longest;
	_Atomic uint64_t count;
};

static struct entry entries[HOLD_SITES_MAX];
static _Atomic uint64_t holds_lost;
static struct hold preemption[PLATFORM_CPUS_MAX], interrupts[PLATFORM_CPUS_MAX];
static uint64_t (*hold_clock)(void) = platform_now_ns;

void holds_set_clock(uint64_t (*clock)(void))
{
	hold_clock = clock;
}

static struct entry *entry_of(const void *site)
{
	uint64_t index = ((uintptr_t)site * 0x9e3779b97f4a7c15ull) >> 32;

	for (unsigned i = 0; i < HOLD_SITES_MAX; i++, index++) {
		struct entry *entry = &entries[index % HOLD_SITES_MAX];
		const void *found = atomic_load_explicit(&entry->site, memory_order_relaxed);

		if (found == site || (!found && atomic_compare_exchange_strong(&entry->site, &found, site)) || found == site)
			return entry;
	}
	return NULL;
}

static void begin(struct hold *hold, const void *site)
{
	hold->since = hold_clock();
	hold->site = site;
}

static void end(struct hold *hold, const char *name)
{
	const uint64_t length = hold_clock() - hold->since;
	struct entry *entry;

	if (!hold->site)
		return;
	entry = entry_of(hold->site);
	hold->site = NULL;
	if (!entry) {
		atomic_fetch_add(&holds_lost, 1);
		return;
	}
	atomic_fetch_add_explicit(&entry->count, 1, memory_order_relaxed);
	if (atomic_load_explicit(&entry->name, memory_order_relaxed) &&
	    length <= atomic_load_explicit(&entry->longest, memory_order_relaxed))
		return;
	atomic_store_explicit(&entry->longest, length, memory_order_relaxed);
	atomic_store_explicit(&entry->name, name, memory_order_relaxed);
}

void hold_begin(struct hold *hold)
{
	begin(hold, __builtin_return_address(0));
}

void hold_end(struct hold *hold, const char *name)
{
	end(hold, name);
}

void hold_preemption_begin(void)
{
	if (platform_preempt_count() == 1)
		begin(&preemption[platform_cpu()], __builtin_return_address(0));
}

void hold_preemption_end(void)
{
	if (platform_preempt_count() == 1)
		end(&preemption[platform_cpu()], "preemption");
}

void hold_interrupts_begin(const void *site)
{
	struct hold *hold = &interrupts[platform_cpu()];

	if (!hold->site)
		begin(hold, site);
}

void hold_interrupts_end(void)
{
	end(&interrupts[platform_cpu()], "interrupts");
}

unsigned holds_get(struct hold_report reports[HOLD_SITES_MAX], uint64_t *lost)
{
	unsigned count = 0;

	for (unsigned i = 0; i < HOLD_SITES_MAX; i++) {
		const struct entry *entry = &entries[i];
		const char *name = atomic_load_explicit(&entry->name, memory_order_relaxed);
		const uint64_t longest = atomic_load_explicit(&entry->longest, memory_order_relaxed);
		unsigned place = count;

		if (!name)
			continue;
		for (; place > 0 && reports[place - 1].longest < longest; place--)
			reports[place] = reports[place - 1];
		reports[place] = (struct hold_report){ atomic_load(&entry->site), name, longest, atomic_load(&entry->count) };
		count++;
	}
	*lost = atomic_load(&holds_lost);
	return count;
}

void holds_reset(void)
{
	for (unsigned i = 0; i < HOLD_SITES_MAX; i++) {
		atomic_store_explicit(&entries[i].name, NULL, memory_order_relaxed);
		atomic_store_explicit(&entries[i].longest, 0, memory_order_relaxed);
		atomic_store_explicit(&entries[i].count, 0, memory_order_relaxed);
	}
	atomic_store(&holds_lost, 0);
}
