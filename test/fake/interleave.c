// SPDX-License-Identifier: BSD-2-Clause
#include "interleave.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>

#include "host/platform_host.h"

#define CHOICES_MAX 4096

struct search {
	const struct interleaving *what;
	sem_t turn[2];
	bool done[2];
	uint8_t choices[CHOICES_MAX]; /* 1: the other one goes on */
	unsigned length, depth, switches;
};

static struct search search;
static _Thread_local int actor = -1;

/* The next choice: as planned, or the first one of what is still open. */
static bool choose(void)
{
	if (search.depth == CHOICES_MAX)
		abort();
	if (search.depth == search.length)
		search.choices[search.length++] = 0;
	return search.choices[search.depth++] != 0;
}

static void step_end(void)
{
	const int other = 1 - actor;

	if (actor < 0 || search.done[other] || search.switches == search.what->switches_max || !choose())
		return;
	search.switches++;
	sem_post(&search.turn[other]);
	while (sem_wait(&search.turn[actor]) != 0)
		;
}

static void act(void *context, unsigned index)
{
	actor = (int)index;
	while (sem_wait(&search.turn[index]) != 0)
		;
	search.what->actors[index](context);
	search.done[index] = true;
	actor = -1;
	sem_post(&search.turn[1 - index]);
}

static void run_once(void)
{
	search.depth = search.switches = 0;
	search.done[0] = search.done[1] = false;
	for (unsigned i = 0; i < 2; i++)
		sem_init(&search.turn[i], 0, 0);
	search.what->begin(search.what->context);
	sem_post(&search.turn[choose() ? 1 : 0]);
	host_step_hook(step_end);
	host_threads_run(2, act, search.what->context);
	host_step_hook(NULL);
	search.what->end(search.what->context);
}

/* The last choice that is still open is made the other way. */
static bool next_order(void)
{
	search.length = search.depth;
	while (search.length > 0 && search.choices[search.length - 1] != 0)
		search.length--;
	if (search.length == 0)
		return false;
	search.choices[search.length - 1] = 1;
	return true;
}

uint64_t interleave(const struct interleaving *what)
{
	uint64_t orders = 0;

	search.what = what;
	search.length = 0;
	do {
		run_once();
		orders++;
	} while (next_order());
	return orders;
}
