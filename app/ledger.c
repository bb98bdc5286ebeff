// SPDX-License-Identifier: BSD-2-Clause
/*
 * Copies all counters when a request begins, and subtracts them when it is over. Before the second
 * look it waits until reclaim is idle, so that what cleaners do afterwards counts as part of the
 * request.
 */
#include "ledger.h"

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

static void read_books(struct ledger *ledger)
{
	struct cleaner_registry *registry = &ledger->environment->memory->cleaners;
	struct pagecache_statistics statistics;
	struct cleaner *cleaner = NULL;

	pagecache_statistics(ledger->environment->pagecache, &statistics);
	ledger->evicted_bytes = statistics.evicted_pages * PAGE_BYTES;
	ledger->inserted_bytes = statistics.inserted_pages * PAGE_BYTES;
	ledger->moved_pages = statistics.moved_pages;
	ledger->cleaner_count = 0;
	while ((cleaner = cleaner_next(registry, cleaner))) {
		if (ledger->cleaner_count == LEDGER_CLEANERS) {
			cleaner_put(registry, cleaner);
			return;
		}
		spinlock_lock(&registry->lock);
		ledger->cleaners[ledger->cleaner_count++] =
			(struct ledger_entry){ cleaner, cleaner->name, cost_word(cleaner->cost), cleaner->given_bytes };
		spinlock_unlock(&registry->lock);
	}
}

void ledger_open(struct ledger *ledger, const struct app_environment *environment)
{
	ledger->environment = environment;
	read_books(ledger);
}

static uint64_t given_before(const struct ledger *ledger, const struct cleaner *cleaner)
{
	for (unsigned i = 0; i < ledger->cleaner_count; i++)
		if (ledger->cleaners[i].cleaner == cleaner)
			return ledger->cleaners[i].given_bytes;
	return 0;
}

/*
 * The refill task's round clears away what was cached in pieces of the guarantee that were taken.
 * Holding the reclaim lock means that no cleaner runs.
 */
static void wait_for_rest(struct memory *memory)
{
	(void)guarantee_keep(&memory->guarantee);
	if (fair_mutex_lock(&memory->reclaim_lock, URGENCY_NORMAL, PLATFORM_FOREVER) == STATUS_OK)
		fair_mutex_unlock(&memory->reclaim_lock);
}

void ledger_close(const struct ledger *ledger, struct balance *balance)
{
	struct ledger after = { .environment = ledger->environment };

	wait_for_rest(ledger->environment->memory);
	read_books(&after);
	balance->evicted_bytes = after.evicted_bytes - ledger->evicted_bytes;
	balance->lost_bytes = (int64_t)(balance->evicted_bytes - (after.inserted_bytes - ledger->inserted_bytes));
	balance->moved_pages = after.moved_pages - ledger->moved_pages;
	balance->giver_count = 0;
	for (unsigned i = 0; i < after.cleaner_count; i++) {
		struct ledger_entry entry = after.cleaners[i];

		entry.given_bytes -= given_before(ledger, entry.cleaner);
		if (entry.given_bytes > 0)
			balance->givers[balance->giver_count++] = entry;
	}
}

const char *balance_format_givers(char buffer[BALANCE_GIVERS_BYTES], const struct balance *balance)
{
	char bytes[FORMAT_BYTES_SIZE];
	size_t length = 0;

	if (balance->giver_count == 0)
		format_text(buffer, BALANCE_GIVERS_BYTES, "free memory");
	for (unsigned i = 0; i < balance->giver_count && length < BALANCE_GIVERS_BYTES; i++)
		length += format_text(buffer + length, BALANCE_GIVERS_BYTES - length, "%s%s %s of %s", i == 0 ? "" : ", ",
				      format_bytes(bytes, balance->givers[i].given_bytes), balance->givers[i].what,
				      balance->givers[i].name);
	return buffer;
}
