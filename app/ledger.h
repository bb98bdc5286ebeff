// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a request for memory cost: what the page cache lost while it was served, and which cleaners gave.
 *
 *	ledger_open(&ledger, environment);
 *	... the request ...
 *	ledger_close(&ledger, &balance);
 *
 * Lost is what was evicted minus what was inserted, by all tasks, from the request until reclaim is idle.
 */
#pragma once

#include "app.h"

#define LEDGER_CLEANERS 32

struct cleaner;

struct ledger_entry {
	const struct cleaner *cleaner; /* only to tell it from others */
	const char *name;
	const char *what; /* it gives, in a word */
	uint64_t given_bytes;
};

struct ledger {
	const struct app_environment *environment;
	uint64_t evicted_bytes;
	uint64_t inserted_bytes;
	uint64_t moved_pages;
	struct ledger_entry cleaners[LEDGER_CLEANERS];
	unsigned cleaner_count;
};

struct balance {
	int64_t lost_bytes;
	uint64_t evicted_bytes;
	uint64_t moved_pages;                        /* copied to other frames */
	struct ledger_entry givers[LEDGER_CLEANERS]; /* those that gave something */
	unsigned giver_count;
};

/* Both where platform_may_sleep(). */
void ledger_open(struct ledger *ledger, const struct app_environment *environment);
void ledger_close(const struct ledger *ledger, struct balance *balance);

/* "1 GB clean of vda, ..."; returns `buffer`. */
#define BALANCE_GIVERS_BYTES 160
const char *balance_format_givers(char buffer[BALANCE_GIVERS_BYTES], const struct balance *balance);
