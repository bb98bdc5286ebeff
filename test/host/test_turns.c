/* Turns: one at a time, in the order in which they came, until a deadline. */
#include "heap/turns.h"

#include "host/host_test.h"
#include "host/platform_host.h"

#define TURN_THREADS 6
#define TURN_LOOPS   200

struct crowd {
	struct turns turns;
	_Atomic unsigned arrived; /* threads that stand in line, or are about to */
	unsigned entered;         /* under the turn */
	unsigned order[TURN_THREADS];
};

static void enter_many(void *context, unsigned index)
{
	struct crowd *crowd = context;

	(void)index;
	for (unsigned i = 0; i < TURN_LOOPS; i++) {
		ck_assert_int_eq(turns_enter(&crowd->turns, PLATFORM_FOREVER), STATUS_OK);
		ck_assert(turns_is_held(&crowd->turns));
		crowd->entered++;
		turns_leave(&crowd->turns);
	}
}

START_TEST(threads_have_the_turn_one_at_a_time)
{
	struct crowd crowd = { .entered = 0 };

	turns_init(&crowd.turns, "turns");
	host_threads_run(TURN_THREADS, enter_many, &crowd);
	ck_assert_uint_eq(crowd.entered, TURN_THREADS * TURN_LOOPS);
	ck_assert(!turns_is_held(&crowd.turns));
}
END_TEST

static size_t line_length(struct turns *turns)
{
	size_t length = 0;

	spinlock_lock(&turns->lock);
	list_for_each (link, &turns->line)
		length++;
	spinlock_unlock(&turns->lock);
	return length;
}

/* Thread 0 keeps the turn until all others stand in line, one behind the other. */
static void line_up(void *context, unsigned index)
{
	struct crowd *crowd = context;

	if (index > 0)
		while (atomic_load(&crowd->arrived) != index || line_length(&crowd->turns) != index - 1)
			platform_yield();
	if (index == 0) {
		ck_assert_int_eq(turns_enter(&crowd->turns, PLATFORM_FOREVER), STATUS_OK);
		atomic_store(&crowd->arrived, 1);
		while (line_length(&crowd->turns) != TURN_THREADS - 1)
			platform_yield();
	} else {
		atomic_store(&crowd->arrived, index + 1);
		ck_assert_int_eq(turns_enter(&crowd->turns, PLATFORM_FOREVER), STATUS_OK);
	}
	crowd->order[crowd->entered++] = index;
	turns_leave(&crowd->turns);
}

START_TEST(threads_have_the_turn_in_the_order_in_which_they_came)
{
	struct crowd crowd = { .entered = 0 };

	turns_init(&crowd.turns, "turns");
	host_threads_run(TURN_THREADS, line_up, &crowd);
	for (unsigned i = 0; i < TURN_THREADS; i++)
		ck_assert_uint_eq(crowd.order[i], i);
}
END_TEST

/* The second one gives up when its deadline passes, and its place in line is gone. */
static void hold_or_give_up(void *context, unsigned index)
{
	struct crowd *crowd = context;

	if (index == 0) {
		ck_assert_int_eq(turns_enter(&crowd->turns, PLATFORM_FOREVER), STATUS_OK);
		atomic_store(&crowd->arrived, 1);
		while (atomic_load(&crowd->arrived) != 2)
			platform_yield();
		ck_assert_uint_eq(line_length(&crowd->turns), 0);
		turns_leave(&crowd->turns);
		return;
	}
	while (atomic_load(&crowd->arrived) != 1)
		platform_yield();
	ck_assert_int_eq(turns_enter(&crowd->turns, platform_now_ns() + NS_PER_S), STATUS_TIMEOUT);
	ck_assert(!turns_is_held(&crowd->turns));
	atomic_store(&crowd->arrived, 2);
}

START_TEST(threads_give_their_place_up_at_the_deadline)
{
	struct crowd crowd = { .entered = 0 };

	host_clock_set(HOST_CLOCK_SKIPPING);
	turns_init(&crowd.turns, "turns");
	host_threads_run(2, hold_or_give_up, &crowd);
	ck_assert_int_eq(turns_enter(&crowd.turns, 0), STATUS_OK);
	turns_leave(&crowd.turns);
}
END_TEST

HOST_TEST_MAIN("turns", threads_have_the_turn_one_at_a_time, threads_have_the_turn_in_the_order_in_which_they_came,
	       threads_give_their_place_up_at_the_deadline)
