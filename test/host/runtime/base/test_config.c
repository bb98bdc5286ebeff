// SPDX-License-Identifier: BSD-2-Clause
/* What `config` shows, and which values a machine refuses. */
#include <stdio.h>

#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/config_check.h"
#include "runtime/base/config_value.h"
#include "runtime/base/random.h"

#define MACHINES 200

struct attempt {
	struct config_share share;
	uint64_t memory;
};

static void check_share(void *context)
{
	const struct attempt *attempt = context;

	config_share_check(&attempt->share, attempt->memory);
}

/* By definition: what it takes, so many times over, fits into the memory. */
static bool fits(const struct attempt *attempt)
{
	return (unsigned __int128)attempt->share.value * attempt->share.bytes_each * attempt->share.share <= attempt->memory;
}

START_TEST(a_share_is_refused_exactly_above_the_limit)
{
	struct random random;
	char message[512], limit[64];

	random_seed(&random, 3);
	for (unsigned i = 0; i < MACHINES; i++) {
		struct attempt attempt = { .memory = random_below(&random, 1ull << (1 + random_below(&random, 44))) };
		uint64_t most;

		attempt.share = (struct config_share){ "NAME", 0, 1 + random_below(&random, 9999),
						       (unsigned)(1 + random_below(&random, 64)) };
		most = attempt.memory / (attempt.share.bytes_each * attempt.share.share);
		attempt.share.value = most;
		ck_assert(fits(&attempt));
		check_share(&attempt);
		attempt.share.value = most + 1 + (i % 2 ? random_next(&random) / 2 : 0);
		ck_assert(!fits(&attempt));
		ck_assert(host_panics(check_share, &attempt, message, sizeof(message)));
		snprintf(limit, sizeof(limit), "it is at most %llu. Set it", (unsigned long long)most);
		ck_assert_ptr_nonnull(strstr(message, limit));
		ck_assert_ptr_nonnull(strstr(message, "NAME="));
	}
}
END_TEST

START_TEST(a_changed_value_is_shown_with_its_origin)
{
	struct config_value values[] = {
		{ .name = "FIRST", .number = 1, .from = "config.h" },
		{ .name = "SECOND", .number = 2, .from = "CONFIG=" },
	};
	struct config_table table = { .values = values, .count = 2 };

	config_value_set(&table, "SECOND", 7, "command line");
	ck_assert_uint_eq(values[0].number, 1);
	ck_assert_uint_eq(values[1].number, 7);
	ck_assert_str_eq(values[1].from, "command line");
}
END_TEST

/* Each is a declaration that compiles: whole numbers of all types at the limits, and a relation. */
CONFIG_RANGE(0, 0, 0, "signed");
CONFIG_RANGE(5u, 5, 6, "unsigned");
CONFIG_RANGE(1ull << 40, 1, 1ull << 40, "long");
CONFIG_RANGE_OR_0(0, 2, 3, "zero");
CONFIG_RULE(1 < 2, "order");

/* What is no whole number, or no number at all, is in no range. */
_Static_assert(!CONFIG_IS_WHOLE("text"), "a text");
_Static_assert(!CONFIG_IS_WHOLE(1e18), "a fraction");
_Static_assert(CONFIG_IS_WHOLE(-1), "a number");
_Static_assert(!CONFIG_IS_WITHIN(-1, 0, 5) && !CONFIG_IS_WITHIN(-1, 0, ~0ull), "negative numbers");
_Static_assert(!CONFIG_IS_WITHIN(~0ull, 0, 64 << 20) && CONFIG_IS_WITHIN(1ull << 40, 0, 1ull << 40), "large numbers");

HOST_TEST_MAIN("config", a_share_is_refused_exactly_above_the_limit, a_changed_value_is_shown_with_its_origin)
