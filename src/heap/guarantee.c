#include "guarantee.h"

#include "memory.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* A new piece comes in before an old one goes, and one more than guaranteed is there while that happens. */
#define SPARE_SLOTS  2
#define SPARE_PIECES 1

/*
 * Of the blocks that the cache begins to refill, one in so many was lent before. If all were, its cursors would never get to
 * what cannot be lent: blocks that have lost pages would lie half empty, and hot pages beside cold ones would not move on.
 */
#define TURNS_PART 2

#define IDLE_PERCENT 10 /* of a lent piece, from which on another one is lent instead */

#define NAP_NS       (100 * NS_PER_MS)
#define SHORT_NAP_NS NS_PER_MS

/*
 * The word of a slot: its state; UNSETTLED, when its blocks were revoked and the lender has not forgotten them yet; and a
 * number that changes with every state, so that whoever looked at the start of a piece takes that piece or none.
 */
enum slot_state {
	SLOT_EMPTY,
	SLOT_KEPT, /* the keeper is changing it */
	SLOT_FREE,
	SLOT_LENT,
	SLOT_OUT,
};

#define SLOT_STATE     0x7u
#define SLOT_UNSETTLED 0x8u
#define SLOT_NUMBER    0x10u

static uint32_t word_of(const struct guarantee_slot *slot)
{
	return atomic_load_explicit(&slot->word, memory_order_acquire);
}

static enum slot_state state_of(uint32_t word)
{
	return (enum slot_state)(word & SLOT_STATE);
}

static uint32_t word_with(uint32_t word, enum slot_state state, uint32_t set)
{
	return ((word + SLOT_NUMBER) & ~SLOT_STATE) | (uint32_t)state | set;
}

/* One try. */
static bool slot_change(struct guarantee_slot *slot, uint32_t word, enum slot_state state, uint32_t set)
{
	return atomic_compare_exchange_strong(&slot->word, &word, word_with(word, state, set));
}

static uint64_t piece_bytes(const struct guarantee *guarantee)
{
	return guarantee->piece_blocks << BLOCK_SHIFT;
}

static struct phys_addr block_of(struct phys_addr start, uint64_t i)
{
	return (struct phys_addr){ start.value + (i << BLOCK_SHIFT) };
}

/* While it is unsettled, a piece's blocks are about to change hands: then `settle` sets the cost that belongs to its state. */
static void set_cost(struct guarantee *guarantee, struct phys_addr start, uint32_t cost)
{
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		block_heap_set_cost(&guarantee->memory->blocks, block_of(start, i), cost);
}

static void wake_keeper(struct guarantee *guarantee)
{
	atomic_fetch_add(&guarantee->kick, 1);
	platform_wake(&guarantee->kick);
}

/* Taking and giving: any context ------------------------------------------------------------------------------------------ */

static bool fits(const struct guarantee *guarantee, const struct block_constraints *constraints, uint64_t bytes,
		 struct phys_addr start)
{
	const uint64_t last = start.value + bytes - 1;

	if (bytes > piece_bytes(guarantee) || start.value < constraints->lowest.value)
		return false;
	if (constraints->highest.value != 0 && last > constraints->highest.value)
		return false;
	if (start.value % MAX(constraints->alignment_bytes, 1u) != 0)
		return false;
	return constraints->boundary_bytes == 0 ||
	       start.value / constraints->boundary_bytes == last / constraints->boundary_bytes;
}

static bool take(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state,
		 const struct block_constraints *constraints, uint64_t bytes)
{
	const uint32_t word = word_of(slot);
	const struct phys_addr start = guarantee_start(slot);

	if (state_of(word) != state || !fits(guarantee, constraints, bytes, start) ||
	    !slot_change(slot, word, SLOT_OUT, state == SLOT_LENT ? SLOT_UNSETTLED : 0))
		return false;
	if (state == SLOT_LENT)
		for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
			guarantee->lender->revoke(guarantee->lender, block_of(start, i));
	else if (!(word & SLOT_UNSETTLED))
		set_cost(guarantee, start, BLOCK_COST_FIXED);
	return true;
}

static void note_steps(struct guarantee *guarantee, uint64_t steps)
{
	uint64_t most = atomic_load_explicit(&guarantee->steps_max, memory_order_relaxed);

	while (most < steps && !atomic_compare_exchange_weak_explicit(&guarantee->steps_max, &most, steps, memory_order_relaxed,
								      memory_order_relaxed))
		;
}

struct guarantee_slot *guarantee_take(struct guarantee *guarantee, const struct block_constraints *constraints, uint64_t bytes,
				      const void *holder)
{
	const uint32_t hint = atomic_load_explicit(&guarantee->hint, memory_order_relaxed);
	const uint32_t count = guarantee->count;

	for (uint64_t step = 0; count > 0 && step < 2ull * count; step++) {
		const uint32_t index = (uint32_t)((hint + step) % count);
		struct guarantee_slot *slot = &guarantee->slots[index];

		if (!take(guarantee, slot, step < count ? SLOT_FREE : SLOT_LENT, constraints, bytes))
			continue;
		atomic_store_explicit(&guarantee->hint, index + 1, memory_order_relaxed);
		atomic_store_explicit(&slot->holder, holder, memory_order_relaxed);
		atomic_fetch_add_explicit(&guarantee->taken, 1, memory_order_relaxed);
		note_steps(guarantee, step + 1);
		wake_keeper(guarantee);
		return slot;
	}
	if (count > 0)
		atomic_fetch_add_explicit(&guarantee->refused, 1, memory_order_relaxed);
	return NULL;
}

void guarantee_give(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	uint32_t word = word_of(slot);

	if (state_of(word) != SLOT_OUT)
		platform_panic("guarantee: 0x%llx is given back, but is not out",
			       (unsigned long long)guarantee_start(slot).value);
	atomic_store_explicit(&slot->holder, NULL, memory_order_relaxed);
	do {
		word = word_of(slot); /* the keeper may be settling it */
		if (!(word & SLOT_UNSETTLED))
			set_cost(guarantee, guarantee_start(slot), 0);
	} while (!slot_change(slot, word, SLOT_FREE, 0));
	wake_keeper(guarantee);
}

struct guarantee_slot *guarantee_find(struct guarantee *guarantee, struct phys_addr start)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		if (state_of(word_of(&guarantee->slots[i])) == SLOT_OUT &&
		    guarantee_start(&guarantee->slots[i]).value == start.value)
			return &guarantee->slots[i];
	return NULL;
}

/* Blocks that the cache begins to refill between two pieces that come back to it. */
static uint64_t turn_blocks(const struct guarantee *guarantee)
{
	return guarantee->piece_blocks * TURNS_PART;
}

void guarantee_turn(struct guarantee *guarantee)
{
	/* What the lender moves to be able to lend would make the keeper ask for more, without end. */
	if (guarantee->count == 0 || mutex_is_held(&guarantee->keeper))
		return;
	if (atomic_fetch_add_explicit(&guarantee->turned_blocks, 1, memory_order_relaxed) + 1 >= turn_blocks(guarantee))
		wake_keeper(guarantee);
}

/* The keeper. [K] is held ------------------------------------------------------------------------------------------------- */

static void settle(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	const struct phys_addr start = guarantee_start(slot);
	uint32_t word = word_of(slot);

	if (!(word & SLOT_UNSETTLED))
		return;
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		guarantee->lender->settle(guarantee->lender, block_of(start, i));
	block_heap_hand_over(&guarantee->memory->blocks, start, guarantee->piece_blocks, &guarantee->owner);
	/* It may be taken and given meanwhile. */
	do
		set_cost(guarantee, start, state_of(word) == SLOT_OUT ? BLOCK_COST_FIXED : 0);
	while (!atomic_compare_exchange_weak(&slot->word, &word, word & ~SLOT_UNSETTLED));
}

static void settle_all(struct guarantee *guarantee)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		settle(guarantee, &guarantee->slots[i]);
}

static struct guarantee_slot *empty_slot(struct guarantee *guarantee)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		if (state_of(word_of(&guarantee->slots[i])) == SLOT_EMPTY)
			return &guarantee->slots[i];
	return NULL;
}

static uint32_t filled_slots(const struct guarantee *guarantee)
{
	uint32_t filled = 0;

	for (uint32_t i = 0; i < guarantee->count; i++)
		filled += state_of(word_of(&guarantee->slots[i])) != SLOT_EMPTY;
	return filled;
}

/* Has the slot to itself: nobody can take it. */
static bool slot_keep(struct guarantee_slot *slot, enum slot_state state)
{
	const uint32_t word = word_of(slot);

	return state_of(word) == state && !(word & SLOT_UNSETTLED) && slot_change(slot, word, SLOT_KEPT, 0);
}

static void slot_fill(struct guarantee *guarantee, struct guarantee_slot *slot, struct phys_addr start, enum slot_state state)
{
	slot->order = guarantee->orders++;
	atomic_store_explicit(&slot->start, start.value, memory_order_relaxed);
	(void)slot_change(slot, word_of(slot), state, 0);
}

/* Addresses that a new piece must not have; none: first > last. */
struct avoid {
	struct phys_addr first, last;
};

static const struct avoid avoid_none = { { 1 }, { 0 } };

/* Up to what is guaranteed any memory will do; beyond it, and for another piece, only what caches well. */
static bool bring_lent(struct guarantee *guarantee, const struct avoid *avoid)
{
	const unsigned idle_percent_max = filled_slots(guarantee) < guarantee->pieces ? 100 : IDLE_PERCENT;
	struct guarantee_slot *slot = empty_slot(guarantee);
	struct phys_addr start;

	if (!slot || !guarantee->lender ||
	    !guarantee->lender->lend(guarantee->lender, avoid->first, avoid->last, idle_percent_max, &start))
		return false;
	slot_fill(guarantee, slot, start, SLOT_LENT);
	return true;
}

static bool bring_free(struct guarantee *guarantee, const struct avoid *avoid)
{
	struct guarantee_slot *slot = empty_slot(guarantee);
	const struct run_request request = {
		.blocks = guarantee->piece_blocks,
		.constraints = { .highest = guarantee->highest, .alignment_bytes = piece_bytes(guarantee) },
		.owner = &guarantee->owner,
		.keep_blocks = divide_round_up(guarantee->memory->config.min_bytes, BLOCK_BYTES),
	};
	struct phys_addr start;

	if (!slot || block_heap_alloc(&guarantee->memory->blocks, &request, &start) != STATUS_OK)
		return false;
	if (start.value <= avoid->last.value && start.value + piece_bytes(guarantee) > avoid->first.value) {
		memory_blocks_free(guarantee->memory, start);
		return false;
	}
	slot_fill(guarantee, slot, start, SLOT_FREE);
	return true;
}

/* What lies idle here is wanted before the cache stops growing. */
static bool memory_is_short(const struct guarantee *guarantee)
{
	const struct memory *memory = guarantee->memory;

	return block_heap_free_bytes(&memory->blocks) <= memory->config.low_bytes + guarantee->pieces * piece_bytes(guarantee);
}

/* A piece from outside of these addresses; memory that is short is rather lent than taken. */
static bool bring(struct guarantee *guarantee, const struct avoid *avoid)
{
	if (memory_is_short(guarantee))
		return bring_lent(guarantee, avoid) || bring_free(guarantee, avoid);
	return bring_free(guarantee, avoid) || bring_lent(guarantee, avoid);
}

/*
 * Empties the slot: its blocks are the lender's again, or the memory's; returns the bytes that reached the block heap, of which
 * nobody has been told yet.
 */
static uint64_t release(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state)
{
	const struct phys_addr start = guarantee_start(slot);

	if (!slot_keep(slot, state))
		return 0;
	if (state == SLOT_FREE)
		(void)block_heap_free(&guarantee->memory->blocks, start);
	else
		for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
			guarantee->lender->take_back(guarantee->lender, block_of(start, i));
	(void)slot_change(slot, word_of(slot), SLOT_EMPTY, 0);
	guarantee->exchanged++;
	return state == SLOT_FREE ? piece_bytes(guarantee) : 0;
}

/* For whoever wants it. */
static uint64_t give_up(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	const uint64_t bytes = release(guarantee, slot, SLOT_FREE);

	if (bytes > 0)
		memory_notice(guarantee->memory);
	return bytes;
}

/* One that is not needed must not take memory that is short. */
static bool bring_spare(struct guarantee *guarantee)
{
	return bring_lent(guarantee, &avoid_none) || (!memory_is_short(guarantee) && bring_free(guarantee, &avoid_none));
}

static void fill(struct guarantee *guarantee)
{
	while (filled_slots(guarantee) < guarantee->pieces && bring(guarantee, &avoid_none))
		;
	while (filled_slots(guarantee) >= guarantee->pieces && filled_slots(guarantee) < guarantee->pieces + SPARE_PIECES &&
	       bring_spare(guarantee))
		;
}

/* Of the slots in this state the one that was filled first; NULL: none. */
static struct guarantee_slot *oldest(struct guarantee *guarantee, enum slot_state state)
{
	struct guarantee_slot *oldest = NULL;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];

		if (state_of(word_of(slot)) == state && (!oldest || slot->order < oldest->order))
			oldest = slot;
	}
	return oldest;
}

/* Where memory is short, what lies idle is given to it. */
static bool exchange_free(struct guarantee *guarantee)
{
	struct guarantee_slot *slot = oldest(guarantee, SLOT_FREE);

	return slot && memory_is_short(guarantee) && bring_lent(guarantee, &avoid_none) &&
	       (give_up(guarantee, slot) > 0 || filled_slots(guarantee) < guarantee->count);
}

/* As the cache has begun to refill others, blocks come back to it, and its coldest take their place. */
static void rotate(struct guarantee *guarantee)
{
	const uint32_t turned = atomic_load_explicit(&guarantee->turned_blocks, memory_order_relaxed);
	const uint64_t pieces = turned / turn_blocks(guarantee);

	atomic_fetch_sub_explicit(&guarantee->turned_blocks, (uint32_t)(pieces * turn_blocks(guarantee)), memory_order_relaxed);
	for (uint64_t i = 0; i < MIN(pieces, guarantee->pieces); i++) {
		struct guarantee_slot *slot = oldest(guarantee, SLOT_LENT);

		if (!slot || !bring_lent(guarantee, &avoid_none))
			return;
		(void)release(guarantee, slot, SLOT_LENT);
	}
}

static bool is_idle(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const struct phys_addr start = guarantee_start(slot);
	unsigned percent = 0;

	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		percent += guarantee->lender->idle_percent(guarantee->lender, block_of(start, i));
	return percent > IDLE_PERCENT * guarantee->piece_blocks;
}

/*
 * A piece in which little is cached any more is of more use to the cache: one in a round, and the next one after a nap. If
 * there is no other one, the one that is held beyond what is guaranteed will do.
 */
static void exchange_idle(struct guarantee *guarantee)
{
	const uint64_t now = platform_now_ns();

	if (now < guarantee->idle_look_ns)
		return;
	guarantee->idle_look_ns = now + NAP_NS;
	for (uint32_t i = 0; i < guarantee->count; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];

		if (state_of(word_of(slot)) != SLOT_LENT || !is_idle(guarantee, slot))
			continue;
		if (bring_lent(guarantee, &avoid_none) || filled_slots(guarantee) > guarantee->pieces)
			(void)release(guarantee, slot, SLOT_LENT);
		return;
	}
}

/* What came in while another piece was taken, and could not go. */
static void trim(struct guarantee *guarantee)
{
	while (filled_slots(guarantee) > guarantee->pieces + SPARE_PIECES) {
		struct guarantee_slot *idle = oldest(guarantee, SLOT_FREE);
		struct guarantee_slot *lent = oldest(guarantee, SLOT_LENT);

		if (idle && give_up(guarantee, idle) > 0)
			continue;
		if (!lent)
			return;
		(void)release(guarantee, lent, SLOT_LENT);
	}
}

bool guarantee_keep(struct guarantee *guarantee)
{
	bool exchanged;

	mutex_lock(&guarantee->keeper);
	settle_all(guarantee);
	fill(guarantee);
	exchanged = exchange_free(guarantee);
	rotate(guarantee);
	exchange_idle(guarantee);
	trim(guarantee);
	mutex_unlock(&guarantee->keeper);
	return exchanged;
}

/* It runs before others, and leaves them time between two rounds, whatever it finds. */
void guarantee_run(struct guarantee *guarantee)
{
	while (!atomic_load(&guarantee->stopping)) {
		const uint32_t kick = atomic_load(&guarantee->kick);
		const uint64_t nap_ns = guarantee_keep(guarantee) ? SHORT_NAP_NS : NAP_NS;

		(void)platform_wait(&guarantee->kick, kick, platform_now_ns() + nap_ns);
	}
}

void guarantee_stop(struct guarantee *guarantee)
{
	atomic_store(&guarantee->stopping, true);
	wake_keeper(guarantee);
}

/* Runs with pieces in them ------------------------------------------------------------------------------------------------ */

static bool lies_within(const struct guarantee *guarantee, const struct guarantee_slot *slot, const struct avoid *range)
{
	const uint64_t start = guarantee_start(slot).value;

	return start <= range->last.value && start + piece_bytes(guarantee) > range->first.value;
}

/* A block of a piece in the range: another piece elsewhere takes its place. */
static uint64_t move_away(struct guarantee *guarantee, struct guarantee_slot *slot, const struct avoid *range)
{
	const enum slot_state state = state_of(word_of(slot));

	if ((state != SLOT_FREE && state != SLOT_LENT) || !lies_within(guarantee, slot, range))
		return 0;
	settle(guarantee, slot);
	return bring(guarantee, range) ? release(guarantee, slot, state) : 0;
}

static bool is_restricted(const struct guarantee *guarantee, const struct reclaim_target *target)
{
	const struct block_heap *heap = &guarantee->memory->blocks;

	return target->lowest.value > heap->first_block << BLOCK_SHIFT ||
	       target->highest.value < ((heap->first_block + heap->count) << BLOCK_SHIFT) - 1;
}

/*
 * What was lent is cleaned by the lender, who is asked later. What is freed in a window is there for nobody but the request
 * that it was moved away for: who waits for memory is not told, least of all that request itself, whose window may still fail.
 */
static uint64_t clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct guarantee *guarantee = container_of(self, struct guarantee, cleaner);
	const struct avoid range = { target->lowest, target->highest };
	uint64_t given = 0;

	if (!is_restricted(guarantee, target))
		return 0;
	mutex_lock(&guarantee->keeper);
	for (uint32_t i = 0; i < guarantee->count && given < target->bytes; i++)
		given += move_away(guarantee, &guarantee->slots[i], &range);
	mutex_unlock(&guarantee->keeper);
	if (given > 0 && !target->obstacles)
		memory_notice(guarantee->memory);
	return given;
}

/* Life -------------------------------------------------------------------------------------------------------------------- */

status_t guarantee_init(struct guarantee *guarantee, struct memory *memory, const struct guarantee_config *config)
{
	memset(guarantee, 0, sizeof(*guarantee));
	guarantee->memory = memory;
	mutex_init(&guarantee->keeper, "guarantee");
	owner_init(&guarantee->owner, "dma guarantee", true);
	if (config->bytes == 0)
		return STATUS_OK;
	if (!is_power_of_two(config->piece_bytes) || config->piece_bytes < BLOCK_BYTES ||
	    config->bytes > memory_total_bytes(memory) / 2)
		return STATUS_INVALID;
	guarantee->pieces = (uint32_t)divide_round_up(config->bytes, config->piece_bytes);
	guarantee->piece_blocks = config->piece_bytes >> BLOCK_SHIFT;
	guarantee->highest = config->highest;
	const uint64_t bytes = (guarantee->pieces + SPARE_SLOTS) * sizeof(guarantee->slots[0]);
	guarantee->slots = heap_alloc(memory_general_heap(memory), bytes, 0);
	if (!guarantee->slots)
		return STATUS_NO_MEMORY;
	memset(guarantee->slots, 0, bytes);
	guarantee->count = guarantee->pieces + SPARE_SLOTS;
	guarantee->cleaner = (struct cleaner){ .name = "dma guarantee", .cost = CLEANER_CLEAN, .clean = clean };
	cleaner_register(&memory->cleaners, &guarantee->cleaner);
	fill(guarantee); /* nobody else is there yet */
	return STATUS_OK;
}

static void take_back_all(struct guarantee *guarantee, const struct owner *owner)
{
	for (uint32_t i = 0; i < guarantee->count; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];

		if (state_of(word_of(slot)) == SLOT_LENT &&
		    (!owner || block_heap_find(&guarantee->memory->blocks, guarantee_start(slot))->owner == owner))
			(void)release(guarantee, slot, SLOT_LENT);
	}
	settle_all(guarantee);
}

void guarantee_recall(struct guarantee *guarantee, const struct owner *owner)
{
	mutex_lock(&guarantee->keeper);
	take_back_all(guarantee, owner);
	mutex_unlock(&guarantee->keeper);
	wake_keeper(guarantee);
}

void guarantee_set_lender(struct guarantee *guarantee, struct guarantee_lender *lender)
{
	mutex_lock(&guarantee->keeper);
	if (!guarantee->lender)
		guarantee->lender = lender;
	mutex_unlock(&guarantee->keeper);
	wake_keeper(guarantee);
}

void guarantee_clear_lender(struct guarantee *guarantee, struct guarantee_lender *lender)
{
	mutex_lock(&guarantee->keeper);
	if (guarantee->lender == lender) {
		take_back_all(guarantee, NULL);
		guarantee->lender = NULL;
	}
	mutex_unlock(&guarantee->keeper);
}

bool guarantee_is_idle(const struct guarantee *guarantee)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		if (state_of(word_of(&guarantee->slots[i])) > SLOT_FREE)
			return false;
	return true;
}

void guarantee_fini(struct guarantee *guarantee)
{
	if (guarantee->count == 0)
		return;
	cleaner_unregister(&guarantee->memory->cleaners, &guarantee->cleaner);
	for (uint32_t i = 0; i < guarantee->count; i++)
		(void)release(guarantee, &guarantee->slots[i], SLOT_FREE);
	heap_free(memory_general_heap(guarantee->memory), guarantee->slots);
}

/* Looking ----------------------------------------------------------------------------------------------------------------- */

void guarantee_statistics(struct guarantee *guarantee, struct guarantee_statistics *statistics)
{
	*statistics = (struct guarantee_statistics){
		.taken = atomic_load_explicit(&guarantee->taken, memory_order_relaxed),
		.refused = atomic_load_explicit(&guarantee->refused, memory_order_relaxed),
		.steps_max = atomic_load_explicit(&guarantee->steps_max, memory_order_relaxed),
	};
	mutex_lock(&guarantee->keeper);
	statistics->exchanged = guarantee->exchanged;
	for (uint32_t i = 0; i < guarantee->count; i++) {
		const enum slot_state state = state_of(word_of(&guarantee->slots[i]));

		statistics->free += state == SLOT_FREE;
		statistics->lent += state == SLOT_LENT;
		statistics->out += state == SLOT_OUT;
	}
	mutex_unlock(&guarantee->keeper);
}

void guarantee_print(struct guarantee *guarantee)
{
	struct guarantee_statistics statistics;
	char piece[FORMAT_BYTES_SIZE];

	guarantee_statistics(guarantee, &statistics);
	print("guarantee: %u pieces of %s: %llu free, %llu lent, %llu out; taken %llu times, refused %llu, at most %llu slots "
	      "looked at\n",
	      guarantee->pieces, format_bytes(piece, piece_bytes(guarantee)), (unsigned long long)statistics.free,
	      (unsigned long long)statistics.lent, (unsigned long long)statistics.out, (unsigned long long)statistics.taken,
	      (unsigned long long)statistics.refused, (unsigned long long)statistics.steps_max);
}

static bool slot_is_valid(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const uint32_t word = word_of(slot);
	const struct block *block;

	if (state_of(word) == SLOT_EMPTY)
		return !(word & SLOT_UNSETTLED);
	if (state_of(word) == SLOT_KEPT)
		return false;
	block = block_heap_find(&guarantee->memory->blocks, guarantee_start(slot));
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		if (!block[i].taken ||
		    (block[i].owner == &guarantee->owner) == (state_of(word) == SLOT_LENT || (word & SLOT_UNSETTLED)))
			return false;
	return true;
}

bool guarantee_is_valid(struct guarantee *guarantee)
{
	uint64_t own = 0;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		const uint32_t word = word_of(&guarantee->slots[i]);

		if (!slot_is_valid(guarantee, &guarantee->slots[i]))
			return false;
		if (!(word & SLOT_UNSETTLED) && (state_of(word) == SLOT_FREE || state_of(word) == SLOT_OUT))
			own += guarantee->piece_blocks;
	}
	return guarantee->owner.blocks == own;
}
