// SPDX-License-Identifier: BSD-2-Clause
/* The longest hold at each place, on a clock that the test turns. */
#define WEIR_HOLDS
#include "runtime/base/holds.h"

#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/spinlock.h"

static struct hold_report reports[HOLD_SITES_MAX];

static const struct hold_report *report_of(const char *name, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(reports[i].name, name) == 0)
			return &reports[i];
	return NULL;
}

static unsigned reports_get(void)
{
	uint64_t lost;
	const unsigned count = holds_get(reports, &lost);

	ck_assert_uint_eq(lost, 0);
	for (unsigned i = 1; i < count; i++)
		ck_assert_uint_ge(reports[i - 1].longest, reports[i].longest);
	return count;
}

static __attribute__((noinline)) void hold_here(struct spinlock *lock, uint64_t ns)
{
	spinlock_lock(lock);
	host_clock_turn(ns);
	spinlock_unlock(lock);
}

static __attribute__((noinline)) void hold_there(struct spinlock *lock, uint64_t ns)
{
	ck_assert(spinlock_try_lock(lock));
	host_clock_turn(ns);
	spinlock_unlock(lock);
}

START_TEST(the_longest_hold_of_a_place_counts)
{
	struct spinlock one, other;

	host_clock_set(HOST_CLOCK_MANUAL);
	spinlock_init(&one, "one");
	spinlock_init(&other, "other");
	hold_here(&one, 10);
	hold_here(&one, 30);
	hold_here(&one, 20);
	hold_there(&other, 25);

	unsigned count = reports_get();
	ck_assert_uint_eq(report_of("one", count)->longest, 30);
	ck_assert_uint_eq(report_of("one", count)->count, 3);
	ck_assert_uint_eq(report_of("other", count)->longest, 25);
	ck_assert_uint_eq(report_of("other", count)->count, 1);

	/* The lock of the longest hold gives the place its name. */
	hold_here(&other, 40);
	count = reports_get();
	ck_assert_ptr_null(report_of("one", count));
	ck_assert_uint_eq(report_of("other", count)->longest, 40);
}
END_TEST

START_TEST(nested_preemption_is_one_hold)
{
	host_clock_set(HOST_CLOCK_MANUAL);
	platform_preempt_disable();
	host_clock_turn(1);
	platform_preempt_disable();
	host_clock_turn(10);
	hold_preemption_end();
	ck_assert_uint_eq(reports_get(), 0);
	platform_preempt_enable();
	host_clock_turn(100);
	hold_preemption_end();
	platform_preempt_enable();
	host_clock_turn(1000);

	const unsigned count = reports_get();
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(report_of("preemption", count)->longest, 111);
}
END_TEST

START_TEST(interrupts_are_held_from_the_outermost_place_on)
{
	static const char places[2];

	host_clock_set(HOST_CLOCK_MANUAL);
	hold_interrupts_end();
	ck_assert_uint_eq(reports_get(), 0);
	hold_interrupts_begin(&places[0]);
	host_clock_turn(5);
	hold_interrupts_begin(&places[1]);
	host_clock_turn(6);
	hold_interrupts_end();
	host_clock_turn(7);
	hold_interrupts_end();

	const unsigned count = reports_get();
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_eq(reports[0].site, &places[0]);
	ck_assert_uint_eq(reports[0].longest, 11);

	holds_reset();
	ck_assert_uint_eq(reports_get(), 0);
	hold_interrupts_begin(&places[0]);
	host_clock_turn(2);
	hold_interrupts_end();
	ck_assert_uint_eq(reports_get(), 1);
	ck_assert_uint_eq(reports[0].longest, 2);
}
END_TEST

START_TEST(a_full_table_says_so)
{
	static const char places[HOLD_SITES_MAX + 3];
	uint64_t lost;

	host_clock_set(HOST_CLOCK_MANUAL);
	for (unsigned i = 0; i < ARRAY_LENGTH(places); i++) {
		hold_interrupts_begin(&places[i]);
		host_clock_turn(i);
		hold_interrupts_end();
	}
	ck_assert_uint_eq(holds_get(reports, &lost), HOLD_SITES_MAX);
	ck_assert_uint_eq(lost, 3);
	ck_assert_uint_eq(reports[0].longest, HOLD_SITES_MAX - 1);
	ck_assert_uint_eq(reports[HOLD_SITES_MAX - 1].longest, 0);
}
END_TEST

HOST_TEST_MAIN("holds", the_longest_hold_of_a_place_counts, nested_preemption_is_one_hold,
	       interrupts_are_held_from_the_outermost_place_on, a_full_table_says_so)
