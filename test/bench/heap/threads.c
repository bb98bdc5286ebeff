// SPDX-License-Identifier: BSD-2-Clause
/*
 * What two threads do. producer_consumer: one allocates and writes, the other reads and frees; ns
 * for each object, with its way through a ring. two_threads: random replacement by two threads of
 * one heap, each with objects of its own, in turns with the same by threads of two processes, which
 * share nothing; ns per call.
 *
 * Slices are short, so that some of them are not disturbed by what else the machine does, and there
 * are THREAD_SLICES times as many. Threads and processes live through all slices, and what they
 * cost is not measured.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chance.h"
#include "measure.h"
#include "subject.h"
#include "workload.h"

#define THREAD_SLICES 16

static pthread_t thread_start(void *(*run)(void *), void *context)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, context) != 0)
		fail("pthread_create");
	return thread;
}

/* Producer and consumer ------------------------------------------------------------------------ */

#define PASSED  32000 /* objects in a slice */
#define ENTRIES 4096
#define BATCH   32 /* entries that are published at once */

/* Counters only grow; an entry is at its number % ENTRIES. */
static struct {
	_Alignas(64) _Atomic uint64_t produced;
	_Alignas(64) _Atomic uint64_t consumed;
	_Alignas(64) char *entries[ENTRIES];
} ring;

/*
 * Where there is no allocator, the objects are these: one at each place of the ring, since two
 * threads on one would measure that.
 */
static char spare[ENTRIES][SUBJECT_SMALL_BYTES];

static inline char *passed_alloc(uint64_t number)
{
	return SUBJECT_IS_NONE ? spare[number % ENTRIES] : subject_alloc(SUBJECT_SMALL_BYTES);
}

static uint64_t wait_for_change(_Atomic uint64_t *counter, uint64_t old)
{
	uint64_t value;

	while ((value = atomic_load_explicit(counter, memory_order_acquire)) == old)
		sched_yield();
	return value;
}

/* Ends at an entry that is NULL. */
static void *consumer(void *context)
{
	uint64_t consumed = 0;

	(void)context;
	for (;;) {
		const uint64_t produced = wait_for_change(&ring.produced, consumed);

		while (consumed != produced) {
			char *object = ring.entries[consumed++ % ENTRIES];

			if (!object)
				return NULL;
			(void)*(volatile char *)object;
			subject_free(object, SUBJECT_SMALL_BYTES);
		}
		atomic_store_explicit(&ring.consumed, consumed, memory_order_release);
	}
}

static void produce(uint64_t *produced)
{
	uint64_t consumed = atomic_load_explicit(&ring.consumed, memory_order_acquire);

	for (unsigned batch = 0; batch < PASSED / BATCH; batch++) {
		while (*produced + BATCH - consumed > ENTRIES)
			consumed = wait_for_change(&ring.consumed, consumed);
		for (unsigned i = 0; i < BATCH; i++, (*produced)++) {
			char *object = passed_alloc(*produced);

			*(volatile char *)object = 1;
			ring.entries[*produced % ENTRIES] = object;
		}
		atomic_store_explicit(&ring.produced, *produced, memory_order_release);
	}
	while (consumed != *produced)
		consumed = wait_for_change(&ring.consumed, consumed);
}

static void producer_consumer(unsigned slices)
{
	const pthread_t thread = thread_start(consumer, NULL);
	uint64_t produced = 0;

	produce(&produced);
	for (unsigned i = 0; i < slices * THREAD_SLICES; i++) {
		const uint64_t start = now_ns();

		produce(&produced);
		figure_print("ns", (double)(now_ns() - start) / PASSED);
	}
	ring.entries[produced % ENTRIES] = NULL;
	atomic_store_explicit(&ring.produced, produced + 1, memory_order_release);
	pthread_join(thread, NULL);
}

/* Two threads ---------------------------------------------------------------------------------- */

#if SUBJECT_TAKES_ANY_SIZE && !SUBJECT_IS_NONE
#define REPLACED 20000 /* objects in a slice, by each */
#define SLOTS    10000
#define PLAYERS  2

enum team {
	SHARED,   /* threads of this process */
	SEPARATE, /* processes */
	TEAMS,
};

/* Lies in memory that the processes share. */
struct game {
	pthread_barrier_t start[TEAMS], end[TEAMS]; /* for the players of the team and the one who looks at the clock */
	unsigned slices;                            /* and one before that is not measured */
	_Atomic unsigned arrived[TEAMS];            /* players that are at work, or have been, in all slices */
	double ns[TEAMS][PLAYERS];                  /* per call, of the slice that has ended */
};

struct player {
	struct game *game;
	enum team team;
	unsigned index;
};

static size_t any_bytes(struct chance *chance)
{
	return REPLACE_BYTES_MIN + chance_below(chance, REPLACE_BYTES_MAX - REPLACE_BYTES_MIN + 1);
}

static char *object_new(struct chance *chance)
{
	char *object = subject_alloc(any_bytes(chance));

	*(volatile char *)object = 1;
	return object;
}

static double replace_ns(char **slots, struct chance *chance)
{
	const uint64_t start = now_ns();

	for (unsigned i = 0; i < REPLACED; i++) {
		char **slot = &slots[chance_below(chance, SLOTS)];

		subject_free(*slot, 0);
		*slot = object_new(chance);
	}
	return (double)(now_ns() - start) / REPLACED / 2;
}

/* Returns when both players are on a CPU. */
static void meet(struct game *game, enum team team, unsigned slice)
{
	atomic_fetch_add(&game->arrived[team], 1);
	while (atomic_load_explicit(&game->arrived[team], memory_order_relaxed) < (slice + 1) * PLAYERS)
		__builtin_ia32_pause();
}

static void *player(void *context)
{
	static char *slots[PLAYERS][SLOTS];
	const struct player *self = context;
	struct game *game = self->game;
	struct chance chance = { self->index };
	char **own = slots[self->index];

	for (unsigned i = 0; i < SLOTS; i++)
		own[i] = object_new(&chance);
	for (unsigned slice = 0; slice <= game->slices; slice++) {
		pthread_barrier_wait(&game->start[self->team]);
		meet(game, self->team, slice);
		game->ns[self->team][self->index] = replace_ns(own, &chance);
		pthread_barrier_wait(&game->end[self->team]);
	}
	return NULL;
}

static struct game *game_create(unsigned slices)
{
	struct game *game = mmap(NULL, sizeof(*game), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attributes;

	if (game == MAP_FAILED)
		fail("mmap");
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	game->slices = slices * THREAD_SLICES;
	for (enum team team = SHARED; team < TEAMS; team++) {
		pthread_barrier_init(&game->start[team], &attributes, PLAYERS + 1);
		pthread_barrier_init(&game->end[team], &attributes, PLAYERS + 1);
	}
	return game;
}

static double slice_ns(struct game *game, enum team team)
{
	pthread_barrier_wait(&game->start[team]);
	pthread_barrier_wait(&game->end[team]);
	return (game->ns[team][0] + game->ns[team][1]) / 2;
}

static void slices_play(struct game *game)
{
	for (unsigned slice = 0; slice <= game->slices; slice++) {
		const double shared = slice_ns(game, SHARED);
		const double apart = slice_ns(game, SEPARATE);

		if (slice == 0)
			continue;
		figure_print("ns", shared);
		figure_print("apart_ns", apart);
	}
}

static void two_threads(unsigned slices)
{
	struct game *game = game_create(slices);
	struct player players[TEAMS][PLAYERS];
	pthread_t threads[PLAYERS];

	for (unsigned i = 0; i < PLAYERS; i++) {
		players[SEPARATE][i] = (struct player){ game, SEPARATE, i };
		players[SHARED][i] = (struct player){ game, SHARED, i };
		if (fork() == 0) {
			subject_init();
			pthread_join(thread_start(player, &players[SEPARATE][i]), NULL);
			_exit(EXIT_SUCCESS);
		}
	}
	subject_init();
	for (unsigned i = 0; i < PLAYERS; i++)
		threads[i] = thread_start(player, &players[SHARED][i]);
	slices_play(game);
	for (unsigned i = 0; i < PLAYERS; i++) {
		pthread_join(threads[i], NULL);
		wait(NULL);
	}
}
#endif

const struct workload thread_workloads[] = {
	{ .name = "producer_consumer", .timed = true, .study = producer_consumer },
#if SUBJECT_TAKES_ANY_SIZE && !SUBJECT_IS_NONE
	{ .name = "two_threads", .timed = true, .starts_subject = true, .study = two_threads },
#endif
	{ 0 },
};
