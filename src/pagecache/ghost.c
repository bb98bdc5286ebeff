#include "ghost.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define WAYS         16
#define UNITS        512 /* that a cache of full size lasts */
#define TIME_BITS    11  /* four times as long */
#define TIME_MASK    ((1u << TIME_BITS) - 1)
#define LANE_BIT     (1u << TIME_BITS)
#define PRINT_SHIFT  (TIME_BITS + 1)
#define PLACES_PARTS 15 /* of 16: places for the pages of the machine, of which the cache never has all */

/* A ghost that is older than this many units is of no use to anybody. */
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
	for (unsigned i = 0; i < LANES; i++)
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

static uint32_t print_of(uint64_t hash)
{
	const uint32_t print = (uint32_t)(hash >> (32 + PRINT_SHIFT));

	return print == 0 ? 1 : print;
}

static uint32_t load(const _Atomic uint32_t *ghost)
{
	return atomic_load_explicit(ghost, memory_order_relaxed);
}

static void clear(_Atomic uint32_t *ghost)
{
	atomic_store_explicit(ghost, 0, memory_order_relaxed);
}

static uint64_t unit_now(const struct ghosts *ghosts, enum lane lane)
{
	return atomic_load_explicit(&ghosts->now[lane], memory_order_relaxed) / ghosts->unit;
}

static enum lane lane_of(uint32_t ghost)
{
	return ghost & LANE_BIT ? LANE_MAIN : LANE_PROBATION;
}

/* In units. */
static uint32_t age_of(const struct ghosts *ghosts, uint32_t ghost)
{
	return (uint32_t)(unit_now(ghosts, lane_of(ghost)) - ghost) & TIME_MASK;
}

/* Clears what is too old in that part of the table whose turn it is: all of it within a quarter of the time's range. */
static void sweep(struct ghosts *ghosts, uint64_t unit)
{
	const uint64_t ways = ghosts->sets * WAYS;
	const uint64_t part = divide_round_up(ways, UNITS);
	const uint64_t first = unit % UNITS * part;

	for (uint64_t i = first; i < MIN(first + part, ways); i++)
		if (age_of(ghosts, load(&ghosts->table[i])) > UNITS_MAX)
			clear(&ghosts->table[i]);
}

/* Where to put a new ghost: a free place, or that of the oldest. The page has none yet: that went as the page came in. */
static _Atomic uint32_t *place_for(const struct ghosts *ghosts, _Atomic uint32_t *set)
{
	const uint32_t now[LANES] = { (uint32_t)unit_now(ghosts, LANE_PROBATION), (uint32_t)unit_now(ghosts, LANE_MAIN) };
	_Atomic uint32_t *best = set;
	uint32_t best_age = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		const uint32_t ghost = load(&set[i]);
		const uint32_t age = (now[lane_of(ghost)] - ghost) & TIME_MASK;

		if (ghost == 0)
			return &set[i];
		if (age >= best_age) {
			best_age = age;
			best = &set[i];
		}
	}
	return best;
}

void ghosts_add(struct ghosts *ghosts, uint64_t key, enum lane lane)
{
	const uint64_t now = atomic_fetch_add_explicit(&ghosts->now[lane], 1, memory_order_relaxed) + 1;
	const uint64_t hash = mix(key);
	const uint32_t ghost = print_of(hash) << PRINT_SHIFT | (lane == LANE_MAIN ? LANE_BIT : 0) |
			       ((uint32_t)(now / ghosts->unit) & TIME_MASK);

	if (now % ghosts->unit == 0)
		sweep(ghosts, now / ghosts->unit);
	atomic_store_explicit(place_for(ghosts, set_of(ghosts, hash)), ghost, memory_order_relaxed);
}

bool ghosts_take(struct ghosts *ghosts, uint64_t key, enum lane *lane, uint64_t *age)
{
	const uint64_t hash = mix(key);
	_Atomic uint32_t *set = set_of(ghosts, hash);

	for (unsigned i = 0; i < WAYS; i++) {
		const uint32_t ghost = load(&set[i]);

		if (ghost >> PRINT_SHIFT != print_of(hash))
			continue;
		*lane = lane_of(ghost);
		*age = (uint64_t)age_of(ghosts, ghost) * ghosts->unit;
		clear(&set[i]);
		return true;
	}
	return false;
}
