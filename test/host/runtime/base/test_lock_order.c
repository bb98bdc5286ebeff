// SPDX-License-Identifier: BSD-2-Clause
/*
 * The graph of lock classes, beside a matrix of what is reachable: random nests of spinlocks and
 * mutexes, in random order.
 */
#include "host/host_test.h"

#include <stdio.h>
#include <string.h>

#include "host/platform_host.h"
#include "runtime/base/mutex.h"
#include "runtime/base/random.h"
#include "runtime/base/spinlock.h"

#define CLASSES 24 /* the lower half are mutexes */
#define MUTEXES (CLASSES / 2)
#define NESTS   4000
#define DEPTH   4

static struct mutex mutexes[MUTEXES];
static struct spinlock spinlocks[CLASSES - MUTEXES];
static char names[CLASSES][16];

struct nest {
	unsigned count;
	unsigned classes[DEPTH]; /* in the order of taking; mutexes first, since who sleeps holds no spinlock */
};

static void take(unsigned class)
{
	if (class < MUTEXES)
		mutex_lock(&mutexes[class]);
	else
		spinlock_lock(&spinlocks[class - MUTEXES]);
}

static void give(unsigned class)
{
	if (class < MUTEXES)
		mutex_unlock(&mutexes[class]);
	else
		spinlock_unlock(&spinlocks[class - MUTEXES]);
}

static void run_nest(void *context)
{
	const struct nest *nest = context;

	for (unsigned i = 0; i < nest->count; i++)
		take(nest->classes[i]);
	for (unsigned i = 0; i < nest->count; i++) /* not in the order of a stack */
		give(nest->classes[i]);
}

static bool has(const struct nest *nest, unsigned class)
{
	for (unsigned i = 0; i < nest->count; i++)
		if (nest->classes[i] == class)
			return true;
	return false;
}

static struct nest random_nest(struct random *random)
{
	struct nest nest = { .count = 0 };
	const unsigned wanted = 1 + (unsigned)random_below(random, DEPTH);

	while (nest.count < wanted) {
		const bool spin = nest.count > 0 && nest.classes[nest.count - 1] >= MUTEXES;
		const unsigned class =
			(unsigned)(spin ? MUTEXES + random_below(random, CLASSES - MUTEXES) : random_below(random, CLASSES));

		if (!has(&nest, class))
			nest.classes[nest.count++] = class;
	}
	return nest;
}

/*
 * reachable[a][b]: b is taken, by some way, while a is held. False: the nest closes a cycle, and
 * nothing has changed.
 */
static bool model_take(bool reachable[CLASSES][CLASSES], const struct nest *nest)
{
	bool after[CLASSES][CLASSES];

	memcpy(after, reachable, sizeof(after));
	for (unsigned i = 0; i < nest->count; i++) {
		for (unsigned j = i + 1; j < nest->count; j++) {
			const unsigned from = nest->classes[i], to = nest->classes[j];

			for (unsigned a = 0; a < CLASSES; a++)
				for (unsigned b = 0; b < CLASSES; b++)
					after[a][b] |= (a == from || after[a][from]) && (b == to || after[to][b]);
		}
	}
	for (unsigned a = 0; a < CLASSES; a++)
		if (after[a][a])
			return false;
	memcpy(reachable, after, sizeof(after));
	return true;
}

START_TEST(cycles_are_found_and_nothing_else)
{
	bool reachable[CLASSES][CLASSES] = { { false } };
	struct random random = { .state = 7 };
	unsigned cycles = 0;

	for (unsigned i = 0; i < CLASSES; i++) {
		snprintf(names[i], sizeof(names[i]), "planted %u", i);
		if (i < MUTEXES)
			mutex_init(&mutexes[i], names[i]);
		else
			spinlock_init(&spinlocks[i - MUTEXES], names[i]);
	}
	for (unsigned i = 0; i < NESTS; i++) {
		struct nest nest = random_nest(&random);
		char message[256];

		if (model_take(reachable, &nest)) {
			run_nest(&nest);
			continue;
		}
		if (cycles++ % 16 != 0) /* each one is a process of its own */
			continue;
		ck_assert(host_panics(run_nest, &nest, message, sizeof(message)));
		ck_assert(strstr(message, "lock order: \"planted "));
	}
	ck_assert_uint_gt(cycles, NESTS / 4);
}
END_TEST

/* What is only tried makes no rule. */
static void try_backwards(void *context)
{
	struct spinlock *locks = context;

	spinlock_lock(&locks[1]);
	if (spinlock_try_lock(&locks[0]))
		spinlock_unlock(&locks[0]);
	spinlock_unlock(&locks[1]);
}

START_TEST(trying_makes_no_rule)
{
	struct spinlock locks[2];
	char message[256];

	spinlock_init(&locks[0], "tried outer");
	spinlock_init(&locks[1], "tried inner");
	spinlock_lock(&locks[0]);
	spinlock_lock(&locks[1]);
	spinlock_unlock(&locks[1]);
	spinlock_unlock(&locks[0]);
	ck_assert(!host_panics(try_backwards, locks, message, sizeof(message)));
}
END_TEST

HOST_TEST_MAIN("lock order", cycles_are_found_and_nothing_else, trying_makes_no_rule)
