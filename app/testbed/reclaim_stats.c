// SPDX-License-Identifier: BSD-2-Clause
/*
 * Copies all counters when a request begins, and subtracts them when it is over. Before the second
 * look it waits until reclaim is idle, so that what cleaners do afterwards counts as part of the
 * request.
 */
#include "reclaim_stats.h"

#include "heap/memory.h"
#include "pagecache/pagecache.h"
#include "runtime/base/format.h"

static const char *cost_word(enum cleaner_cost cost)
{
	static const char *const words[] = {
		[CLEANER_FREE] = "unused",
		[CLEANER_CLEAN] = "clean",
		[CLEANER_DIRTY] = "dirty",
		[CLEANER_HELD] = "held",
	};

	return words[cost];
}

static void read_stats(struct reclaim_stats *stats)
{
	struct cleaner_registry *registry = reclaim_cleaners(memory_reclaim(stats->environment->memory));
	struct pagecache_statistics statistics;
	struct cleaner *cleaner = NULL;

	pagecache_statistics(stats->environment->pagecache, &statistics);
	stats->evicted_bytes = statistics.evicted_pages * PAGE_BYTES;
	stats->inserted_bytes = statistics.inserted_pages * PAGE_BYTES;
	stats->moved_pages = statistics.moved_pages;
	stats->cleaner_count = 0;
	while ((cleaner = cleaner_next(registry, cleaner))) {
		if (stats->cleaner_count == RECLAIM_GIVERS_MAX) {
			cleaner_put(registry, cleaner);
			return;
		}
		stats->cleaners[stats->cleaner_count++] =
			(struct reclaim_giver){ cleaner, cleaner->name, cost_word(cleaner->cost), cleaner->given_bytes };
	}
}

void reclaim_stats_open(struct reclaim_stats *stats, const struct app_environment *environment)
{
	stats->environment = environment;
	read_stats(stats);
}

static uint64_t given_before(const struct reclaim_stats *stats, const struct cleaner *cleaner)
{
	for (unsigned i = 0; i < stats->cleaner_count; i++)
		if (stats->cleaners[i].cleaner == cleaner)
			return stats->cleaners[i].given_bytes;
	return 0;
}

/*
 * The refill task's round clears away what was cached in pieces of the guarantee that were taken.
 * Having a turn means that no cleaner runs.
 */
static void wait_for_rest(struct memory *memory)
{
	(void)guarantee_refill(memory_guarantee(memory));
	if (fair_mutex_lock(reclaim_turn(memory_reclaim(memory)), URGENCY_NORMAL, PLATFORM_FOREVER) == STATUS_OK)
		fair_mutex_unlock(reclaim_turn(memory_reclaim(memory)));
}

void reclaim_stats_close(const struct reclaim_stats *stats, struct reclaim_delta *delta)
{
	struct reclaim_stats after = { .environment = stats->environment };

	wait_for_rest(stats->environment->memory);
	read_stats(&after);
	delta->evicted_bytes = after.evicted_bytes - stats->evicted_bytes;
	delta->lost_bytes = (int64_t)(delta->evicted_bytes - (after.inserted_bytes - stats->inserted_bytes));
	delta->moved_pages = after.moved_pages - stats->moved_pages;
	delta->giver_count = 0;
	for (unsigned i = 0; i < after.cleaner_count; i++) {
		struct reclaim_giver entry = after.cleaners[i];

		entry.given_bytes -= given_before(stats, entry.cleaner);
		if (entry.given_bytes > 0)
			delta->givers[delta->giver_count++] = entry;
	}
}

const char *reclaim_delta_format_givers(char buffer[RECLAIM_GIVERS_BYTES], const struct reclaim_delta *delta)
{
	char bytes[FORMAT_BYTES_SIZE];
	size_t length = 0;

	if (delta->giver_count == 0)
		format_text(buffer, RECLAIM_GIVERS_BYTES, "free memory");
	for (unsigned i = 0; i < delta->giver_count && length < RECLAIM_GIVERS_BYTES; i++)
		length += format_text(buffer + length, RECLAIM_GIVERS_BYTES - length, "%s%s %s of %s", i == 0 ? "" : ", ",
				      format_bytes(bytes, delta->givers[i].given_bytes), delta->givers[i].what,
				      delta->givers[i].name);
	return buffer;
}
