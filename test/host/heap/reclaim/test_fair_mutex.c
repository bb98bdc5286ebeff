// SPDX-License-Identifier: BSD-2-Clause
/*
 * The fair mutex: one at a time, the more urgent before others and else in the order in which they
 * came, until a deadline.
 */
#include "heap/reclaim/fair_mutex.h"

#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/random.h"

#define TURN_THREADS 6
#define TURN_LOOPS   200

struct crowd {
	struct fair_mutex turns;
	_Atomic unsigned arrived; /* threads that stand in line, or are about to */
	unsigned entered;         /* under the turn */
	unsigned order[TURN_THREADS];
};

static void enter_many(void *context, unsigned index)
{
	struct crowd *crowd = context;

	(void)index;
	for (unsigned i = 0; i < TURN_LOOPS; i++) {
		ck_assert_int_eq(fair_mutex_lock(&crowd->turns, URGENCY_NORMAL, PLATFORM_FOREVER), STATUS_OK);
		ck_assert(fair_mutex_is_held(&crowd->turns));
		crowd->entered++;
		fair_mutex_unlock(&crowd->turns);
	}
}

START_TEST(threads_have_the_turn_one_at_a_time)
{
	struct crowd crowd = { .entered = 0 };

	fair_mutex_init(&crowd.turns, "turns");
	host_threads_run(TURN_THREADS, enter_many, &crowd);
	ck_assert_uint_eq(crowd.entered, TURN_THREADS * TURN_LOOPS);
	ck_assert(!fair_mutex_is_held(&crowd.turns));
}
END_TEST

static size_t line_length(struct fair_mutex *turns)
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
		ck_assert_int_eq(fair_mutex_lock(&crowd->turns, URGENCY_NORMAL, PLATFORM_FOREVER), STATUS_OK);
		atomic_store(&crowd->arrived, 1);
		while (line_length(&crowd->turns) != TURN_THREADS - 1)
			platform_yield();
	} else {
		atomic_store(&crowd->arrived, index + 1);
		ck_assert_int_eq(fair_mutex_lock(&crowd->turns, URGENCY_NORMAL, PLATFORM_FOREVER), STATUS_OK);
	}
	crowd->order[crowd->entered++] = index;
	fair_mutex_unlock(&crowd->turns);
}

START_TEST(threads_have_the_turn_in_the_order_in_which_they_came)
{
	struct crowd crowd = { .entered = 0 };

	fair_mutex_init(&crowd.turns, "turns");
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
		ck_assert_int_eq(fair_mutex_lock(&crowd->turns, URGENCY_NORMAL, PLATFORM_FOREVER), STATUS_OK);
		atomic_store(&crowd->arrived, 1);
		while (atomic_load(&crowd->arrived) != 2)
			platform_yield();
		ck_assert_uint_eq(line_length(&crowd->turns), 0);
		fair_mutex_unlock(&crowd->turns);
		return;
	}
	while (atomic_load(&crowd->arrived) != 1)
		platform_yield();
	ck_assert_int_eq(fair_mutex_lock(&crowd->turns, URGENCY_NORMAL, platform_now_ns() + NS_PER_S), STATUS_TIMEOUT);
	ck_assert(!fair_mutex_is_held(&crowd->turns));
	atomic_store(&crowd->arrived, 2);
}

START_TEST(threads_give_their_place_up_at_the_deadline)
{
	struct crowd crowd = { .entered = 0 };

	host_clock_set(HOST_CLOCK_SKIPPING);
	fair_mutex_init(&crowd.turns, "turns");
	host_threads_run(2, hold_or_give_up, &crowd);
	ck_assert_int_eq(fair_mutex_lock(&crowd.turns, URGENCY_NORMAL, 0), STATUS_OK);
	fair_mutex_unlock(&crowd.turns);
}
END_TEST

/* Actors that do what they are told, one step at a time, beside a list of where each should be - */

#define ACTORS 7
#define STEPS  3000

enum order {
	ORDER_NONE,
	ORDER_LOCK,
	ORDER_LOCK_BRIEFLY, /* until a deadline that the clock reaches while the actor is in line */
	ORDER_UNLOCK,
	ORDER_PASS_ON,
	ORDER_TELL_PRIORITY,
	ORDER_END,
};

struct actor {
	_Atomic int order;
	_Atomic bool inside; /* has the mutex */
	_Atomic unsigned told;
	enum urgency urgency;
	unsigned priority;
	uint64_t deadline_ns;
	bool waits;         /* the model: is in line ... */
	uint64_t came;      /* ... since then */
	bool returns;       /* ... having passed the mutex on */
	unsigned overtaken; /* ... and passed by while it was the first, in FAIR_MUTEX_RETURNS */
};

struct stage {
	struct fair_mutex mutex;
	struct actor actors[ACTORS];
	struct actor *holder; /* the model's */
	uint64_t now;
};

static void act(void *context, unsigned index)
{
	struct stage *stage = context;
	struct actor *self = &stage->actors[index];

	for (;;) {
		const int order = atomic_load(&self->order);

		if (order == ORDER_END)
			break;
		if (order == ORDER_LOCK || order == ORDER_LOCK_BRIEFLY) {
			host_priority_set(self->priority);
			atomic_store(&self->inside,
				     fair_mutex_lock(&stage->mutex, self->urgency, self->deadline_ns) == STATUS_OK);
		} else if (order == ORDER_PASS_ON) {
			atomic_store(&self->inside, false);
			atomic_store(&self->inside,
				     fair_mutex_pass_on(&stage->mutex, self->urgency, PLATFORM_FOREVER) == STATUS_OK);
		} else if (order == ORDER_UNLOCK) {
			atomic_store(&self->inside, false);
			fair_mutex_unlock(&stage->mutex);
			ck_assert_uint_eq(host_priority(), self->priority);
		} else if (order == ORDER_TELL_PRIORITY) {
			atomic_store(&self->told, host_priority());
		} else {
			platform_yield();
			continue;
		}
		atomic_store(&self->order, ORDER_NONE);
	}
}

static void tell(struct actor *actor, enum order order)
{
	atomic_store(&actor->order, (int)order);
}

static void wait_until_done(struct actor *actor)
{
	host_wait_for(&actor->order, ORDER_NONE);
}

/*
 * The model: the most urgent that came first, unless the very first has been passed by too often.
 */
static struct actor *model_next(struct stage *stage)
{
	struct actor *first = NULL, *next = NULL;

	for (unsigned i = 0; i < ACTORS; i++) {
		struct actor *actor = &stage->actors[i];

		if (!actor->waits)
			continue;
		if (!first || actor->came < first->came)
			first = actor;
		if (!next || actor->urgency > next->urgency || (actor->urgency == next->urgency && actor->came < next->came))
			next = actor;
	}
	if (first && first->overtaken >= FAIR_MUTEX_OVERTAKES * FAIR_MUTEX_RETURNS)
		next = first;
	if (first && first != next)
		first->overtaken += next->returns ? 1 : FAIR_MUTEX_RETURNS;
	return next;
}

/* All whom the model has in line. */
static bool is_in_line(struct stage *stage)
{
	size_t waiting = 0;

	for (unsigned i = 0; i < ACTORS; i++)
		waiting += stage->actors[i].waits;
	return line_length(&stage->mutex) == waiting;
}

static void check_stage(struct stage *stage)
{
	unsigned highest = stage->holder ? stage->holder->priority : 0;
	int wanted = -1;

	for (unsigned i = 0; i < ACTORS; i++) {
		struct actor *actor = &stage->actors[i];

		ck_assert(atomic_load(&actor->inside) == (actor == stage->holder));
		if (actor->waits && actor->priority > highest)
			highest = actor->priority;
		if (actor->waits && (int)actor->urgency > wanted)
			wanted = (int)actor->urgency;
	}
	for (int urgency = URGENCY_BACKGROUND; urgency <= URGENCY_HIGH; urgency++)
		ck_assert(fair_mutex_is_wanted(&stage->mutex, (enum urgency)urgency) == (wanted >= urgency));
	if (!stage->holder)
		return;
	tell(stage->holder, ORDER_TELL_PRIORITY);
	wait_until_done(stage->holder);
	ck_assert_uint_eq(atomic_load(&stage->holder->told), highest);
}

static void step_lock(struct stage *stage, struct actor *actor, struct random *random, bool briefly)
{
	const size_t length = line_length(&stage->mutex);

	actor->urgency = (enum urgency)random_below(random, URGENCY_HIGH + 1);
	actor->priority = (unsigned)random_below(random, 5);
	actor->deadline_ns = briefly ? platform_now_ns() + NS_PER_S : PLATFORM_FOREVER;
	actor->overtaken = 0;
	actor->returns = false;
	actor->came = ++stage->now;
	tell(actor, briefly ? ORDER_LOCK_BRIEFLY : ORDER_LOCK);
	if (!stage->holder) {
		stage->holder = actor;
		wait_until_done(actor);
		return;
	}
	actor->waits = true;
	while (line_length(&stage->mutex) == length)
		platform_yield();
	if (!briefly)
		return;
	check_stage(stage);
	host_clock_turn(2 * NS_PER_S);
	wait_until_done(actor);
	actor->waits = false;
}

static void step_unlock(struct stage *stage)
{
	struct actor *leaver = stage->holder;

	stage->holder = model_next(stage);
	tell(leaver, ORDER_UNLOCK);
	wait_until_done(leaver);
	if (!stage->holder)
		return;
	stage->holder->waits = false;
	wait_until_done(stage->holder);
}

/*
 * Only where an actor waits; the holder goes to the end of the line before the next one is chosen,
 * and is not chosen.
 */
static void step_pass_on(struct stage *stage)
{
	struct actor *leaver = stage->holder;

	stage->holder = model_next(stage);
	stage->holder->waits = false;
	leaver->waits = leaver->returns = true;
	leaver->overtaken = 0;
	leaver->came = ++stage->now;
	tell(leaver, ORDER_PASS_ON);
	wait_until_done(stage->holder);
	while (!is_in_line(stage))
		platform_yield();
}

static void direct(void *context, unsigned index)
{
	struct stage *stage = context;
	struct random random;

	if (index < ACTORS) {
		act(context, index);
		return;
	}
	random_seed(&random, 17);
	for (unsigned step = 0; step < STEPS; step++) {
		struct actor *actor = &stage->actors[random_below(&random, ACTORS)];
		const unsigned kind = (unsigned)random_below(&random, 10);

		if (stage->holder && kind < 3 && line_length(&stage->mutex) > 0)
			step_pass_on(stage);
		else if (actor == stage->holder || (stage->holder && kind == 3))
			step_unlock(stage);
		else if (!actor->waits)
			step_lock(stage, actor, &random, kind == 4);
		check_stage(stage);
	}
	while (stage->holder)
		step_unlock(stage);
	check_stage(stage);
	for (unsigned i = 0; i < ACTORS; i++)
		tell(&stage->actors[i], ORDER_END);
}

START_TEST(threads_get_it_as_the_model_says_and_lend_their_priority)
{
	static struct stage stage;

	host_clock_set(HOST_CLOCK_MANUAL);
	fair_mutex_init(&stage.mutex, "stage");
	host_threads_run(ACTORS + 1, direct, &stage);
}
END_TEST

/* Two in a hurry who pass the mutex to and fro, and one who is not. */
#define PASSES_MOST (FAIR_MUTEX_OVERTAKES * FAIR_MUTEX_RETURNS)

struct ball {
	struct fair_mutex mutex;
	unsigned passes; /* under the mutex */
	_Atomic bool caught;
};

static void pass_or_catch(void *context, unsigned index)
{
	const enum urgency urgency = index == 1 ? URGENCY_NORMAL : URGENCY_HIGH;
	struct ball *ball = context;

	while (index > 0 && (!atomic_load(&ball->mutex.holder) || line_length(&ball->mutex) != index - 1))
		platform_yield();
	ck_assert_int_eq(fair_mutex_lock(&ball->mutex, urgency, PLATFORM_FOREVER), STATUS_OK);
	while (index == 0 && ball->passes == 0 && line_length(&ball->mutex) != 2)
		platform_yield();
	if (index == 1)
		atomic_store(&ball->caught, true);
	while (!atomic_load(&ball->caught) && fair_mutex_is_wanted(&ball->mutex, urgency)) {
		ck_assert_uint_le(++ball->passes, PASSES_MOST + 1);
		ck_assert_int_eq(fair_mutex_pass_on(&ball->mutex, urgency, PLATFORM_FOREVER), STATUS_OK);
	}
	fair_mutex_unlock(&ball->mutex);
}

START_TEST(threads_that_pass_it_to_and_fro_let_others_in)
{
	static struct ball ball;

	fair_mutex_init(&ball.mutex, "ball");
	host_threads_run(3, pass_or_catch, &ball);
	ck_assert_uint_gt(ball.passes, PASSES_MOST - FAIR_MUTEX_RETURNS);
}
END_TEST

/*
 * Without any order: each has it alone, passes it on while it is wanted, and keeps no priority that
 * was lent to it.
 */
struct mob {
	struct fair_mutex mutex;
	unsigned inside; /* under the mutex */
	uint64_t pieces; /* under the mutex */
	_Atomic unsigned timeouts;
};

static void work(struct mob *mob)
{
	spinlock_lock(&mob->mutex.lock);
	ck_assert_uint_ge(host_priority(), mob->mutex.lent);
	spinlock_unlock(&mob->mutex.lock);
	ck_assert_uint_eq(mob->inside++, 0);
	mob->pieces++;
	ck_assert_uint_eq(--mob->inside, 0);
}

static void jostle(void *context, unsigned index)
{
	struct mob *mob = context;
	struct random random;

	random_seed(&random, index + 1);
	for (unsigned i = 0; i < 400; i++) {
		const enum urgency urgency = (enum urgency)random_below(&random, URGENCY_HIGH + 1);
		const unsigned priority = (unsigned)random_below(&random, 5);
		const bool in_a_hurry = random_below(&random, 4) == 0;

		host_priority_set(priority);
		if (fair_mutex_lock(&mob->mutex, urgency, in_a_hurry ? platform_now_ns() + 1000 : PLATFORM_FOREVER) !=
		    STATUS_OK) {
			ck_assert(in_a_hurry && !fair_mutex_is_held(&mob->mutex));
			atomic_fetch_add(&mob->timeouts, 1);
			continue;
		}
		for (uint64_t left = 1 + random_below(&random, 5); left > 0; left--) {
			work(mob);
			if (left > 1 && fair_mutex_is_wanted(&mob->mutex, urgency)) {
				ck_assert_int_eq(fair_mutex_pass_on(&mob->mutex, urgency, PLATFORM_FOREVER), STATUS_OK);
			}
		}
		fair_mutex_unlock(&mob->mutex);
		ck_assert_uint_eq(host_priority(), priority);
	}
}

START_TEST(threads_that_jostle_have_it_alone)
{
	static struct mob mob;

	fair_mutex_init(&mob.mutex, "mob");
	host_threads_run(8, jostle, &mob);
	ck_assert_uint_gt(mob.pieces, 3000);
	ck_assert(list_is_empty(&mob.mutex.line) && !fair_mutex_is_wanted(&mob.mutex, URGENCY_BACKGROUND));
}
END_TEST

HOST_TEST_MAIN("fair_mutex", threads_have_the_turn_one_at_a_time, threads_have_the_turn_in_the_order_in_which_they_came,
	       threads_give_their_place_up_at_the_deadline, threads_get_it_as_the_model_says_and_lend_their_priority,
	       threads_that_pass_it_to_and_fro_let_others_in, threads_that_jostle_have_it_alone)
