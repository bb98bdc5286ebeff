// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fingerprints of evicted pages, in sets of 16 words. A word holds a part of the page's hash, its
 * queue, and the time of its eviction in units of evictions. A unit of time that begins clears what
 * is too old in its part of the table, so no stamp is misread when the time comes round.
 */
#include "ghost.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define WAYS         16
#define UNITS        512 /* units of time that it takes to evict a full cache */
#define TIME_BITS    11  /* four times as long */
#define TIME_MASK    ((1u << TIME_BITS) - 1)
#define QUEUE_BIT    (1u << TIME_BITS)
#define PRINT_SHIFT  (TIME_BITS + 1)
#define PRINT_MASK   (UINT32_MAX << PRINT_SHIFT)
#define PLACES_PARTS 15 /* of 16: places for the pages of the machine, of which the cache never has all */

/* A ghost that is older than so many units does not count. */
#define UNITS_MAX (UNITS + UNITS / 16)

uint64_t ghosts_bytes(uint64_t pages)
{
	return divide_round_up(MAX(pages, 2) * PLACES_PARTS / 16, WAYS) * WAYS * sizeof(uint32_t);
}

void ghosts_init(struct ghosts *ghosts, void *table, uint64_t pages)
{
	ghosts->table = table;
	ghosts->sets = ghosts_bytes(pages) / (WAYS * sizeof(uint32_t));
	ghosts->unit = (uint32_t)MAX(pages / UNITS, 1);
	memset(table, 0, ghosts_bytes(pages)); /* no fingerprint is 0 */
	for (unsigned i = 0; i < QUEUES; i++)
		atomic_init(&ghosts->now[i], 0);
}

static uint64_t mix(uint64_t key)
{
	key = (key ^ (key >> 32)) * 0xd6e8feb86659fd93ull;
	key = (key ^ (key >> 32)) * 0xd6e8feb86659fd93ull;
	return key ^ (key >> 32);
}

static _Atomic uint32_t *set_of(const struct ghosts *ghosts, uint64_t hash)
{
	return &ghosts->table[((hash & UINT32_MAX) * ghosts->sets >> 32) * WAYS];
}

/* The fingerprint, in the bits where a ghost has it. */
static uint32_t print_of(uint64_t hash)
{
	const uint32_t print = (uint32_t)(hash >> 32) & PRINT_MASK;

	return print == 0 ? 1u << PRINT_SHIFT : print;
}

static uint32_t load(const _Atomic uint32_t *ghost)
{
	return atomic_load_explicit(ghost, memory_order_relaxed);
}

static enum queue queue_of(uint32_t ghost)
{
	return ghost & QUEUE_BIT ? QUEUE_MAIN : QUEUE_PROBATION;
}

static uint32_t unit_now(const struct ghosts *ghosts, enum queue queue)
{
	return (uint32_t)(atomic_load_explicit(&ghosts->now[queue], memory_order_relaxed) / ghosts->unit);
}

/* The time in each queue, in units; in `queue` it is `now`, though other CPUs may have moved on. */
static void times_at(const struct ghosts *ghosts, enum queue queue, uint32_t now, uint32_t times[QUEUES])
{
	times[queue] = now;
	times[QUEUE_MAIN - queue] = unit_now(ghosts, QUEUE_MAIN - queue);
}

/* The age of a ghost, in units. */
static uint32_t age_of(const uint32_t times[QUEUES], uint32_t ghost)
{
	return (times[queue_of(ghost)] - ghost) & TIME_MASK;
}

/*
 * Clears the ghosts that are too old in the part of the table whose turn it is as a unit of time
 * begins. So the whole table has its turn within a quarter of the range of the time.
 */
static void sweep(struct ghosts *ghosts, enum queue queue, uint64_t now)
{
	const uint64_t ways = ghosts->sets * WAYS;
	const uint64_t part = divide_round_up(ways, UNITS);
	const uint64_t first = now % UNITS * part;
	const uint64_t end = MIN(first + part, ways);
	uint32_t times[QUEUES];

	times_at(ghosts, queue, (uint32_t)now, times);
	for (uint64_t i = first; i < end; i++) {
		const uint32_t ghost = load(&ghosts->table[i]);

		if (ghost != 0 && age_of(times, ghost) > UNITS_MAX)
			atomic_store_explicit(&ghosts->table[i], 0, memory_order_relaxed);
	}
}

/* The place of the oldest ghost of the set, or a free one. */
static _Atomic uint32_t *oldest_place(const struct ghosts *ghosts, _Atomic uint32_t *set, uint32_t ghost)
{
	_Atomic uint32_t *oldest = set;
	uint32_t times[QUEUES], age = 0;

	times_at(ghosts, queue_of(ghost), ghost & TIME_MASK, times);
	for (_Atomic uint32_t *place = set; place < set + WAYS; place++) {
		const uint32_t other = load(place);

		if (other == 0)
			return place;
		if (age_of(times, other) >= age) {
			age = age_of(times, other);
			oldest = place;
		}
	}
	return oldest;
}

/*
 * Adds a ghost to a set that has some. Sets fill up from the first place on: mostly they are full,
 * or have the last place free.
 */
static __attribute__((noinline)) void add_among(const struct ghosts *ghosts, _Atomic uint32_t *set, uint32_t ghost)
{
	_Atomic uint32_t *place = set + 1;

	if (load(&set[WAYS - 1]) != 0)
		place = oldest_place(ghosts, set, ghost);
	else
		while (place < &set[WAYS - 1] && load(place) != 0)
			place++;
	atomic_store_explicit(place, ghost, memory_order_relaxed);
}

/* The queue and the time of a new ghost. */
static uint32_t stamp_of(enum queue queue, uint64_t now)
{
	return (queue == QUEUE_MAIN ? QUEUE_BIT : 0) | ((uint32_t)now & TIME_MASK);
}

/* Adds a ghost. The page has none yet: its ghost was taken as the page came in. */
static inline void add(const struct ghosts *ghosts, uint64_t key, uint32_t stamp)
{
	const uint64_t hash = mix(key);
	_Atomic uint32_t *set = set_of(ghosts, hash);

	if (load(set) == 0)
		atomic_store_explicit(set, print_of(hash) | stamp, memory_order_relaxed);
	else
		add_among(ghosts, set, print_of(hash) | stamp);
}

static __attribute__((noinline)) void add_first_of_unit(struct ghosts *ghosts, uint64_t key, enum queue queue, uint64_t now)
{
	sweep(ghosts, queue, now);
	add(ghosts, key, stamp_of(queue, now));
}

void ghosts_add(struct ghosts *ghosts, uint64_t key, enum queue queue)
{
	const uint64_t number = atomic_fetch_add_explicit(&ghosts->now[queue], 1, memory_order_relaxed) + 1;
	const uint64_t unit = ghosts->unit, now = number / unit;

	if (now * unit == number)
		add_first_of_unit(ghosts, key, queue, now);
	else
		add(ghosts, key, stamp_of(queue, now));
}

void ghosts_add_many(struct ghosts *ghosts, const uint64_t *keys, uint32_t count, enum queue queue)
{
	const uint64_t before = atomic_fetch_add_explicit(&ghosts->now[queue], count, memory_order_relaxed);
	const uint64_t unit = ghosts->unit;
	const uint64_t *const end = keys + count;
	uint64_t now = before / unit;
	uint64_t left = (now + 1) * unit - before - 1; /* evictions in this unit of time */

	for (;;) {
		const uint64_t *const unit_end = keys + MIN(left, (uint64_t)(end - keys));
		const uint32_t stamp = stamp_of(queue, now);

		while (keys < unit_end)
			add(ghosts, *keys++, stamp);
		if (keys == end)
			break;
		add_first_of_unit(ghosts, *keys++, queue, ++now);
		left = unit - 1;
	}
}

bool ghosts_take(struct ghosts *ghosts, uint64_t key, enum queue *queue, uint64_t *age)
{
	const uint64_t hash = mix(key);
	_Atomic uint32_t *set = set_of(ghosts, hash);

	for (unsigned i = 0; i < WAYS; i++) {
		const uint32_t ghost = load(&set[i]);

		if ((ghost & PRINT_MASK) != print_of(hash))
			continue;
		*queue = queue_of(ghost);
		*age = (uint64_t)((unit_now(ghosts, *queue) - ghost) & TIME_MASK) * ghosts->unit;
		atomic_store_explicit(&set[i], 0, memory_order_relaxed);
		return true;
	}
	return false;
}
