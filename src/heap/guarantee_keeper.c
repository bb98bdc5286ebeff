/* The keeper, which has the pieces where they do the least harm. */
#include "guarantee_internal.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "window.h"

/*
 * Of so many blocks that the cache begins to refill, one at most was lent before. If all were, its cursors would never get to
 * what cannot be lent: blocks that have lost pages would lie half empty, and hot pages beside cold ones would not move on.
 */
#define TURNS_OF_LENT 2

#define IDLE_PERCENT 10 /* of a lent piece, from which on another one is lent instead */

#define NAP_NS       (100 * NS_PER_MS)
#define SHORT_NAP_NS NS_PER_MS

/* Blocks that the cache begins to refill between two pieces that come back to it. */
static uint64_t turn_blocks(const struct guarantee *guarantee)
{
	return guarantee->piece_blocks * TURNS_OF_LENT;
}

void guarantee_turn(struct guarantee *guarantee)
{
	/* What the lender moves to be able to lend would make the keeper ask for more, without end. */
	if (guarantee->count == 0 || mutex_is_held(&guarantee->keeper))
		return;
	if (atomic_fetch_add_explicit(&guarantee->turned_blocks, 1, memory_order_relaxed) + 1 >= turn_blocks(guarantee))
		guarantee_wake_keeper(guarantee);
}

/* Pieces. [K] is held ----------------------------------------------------------------------------------------------------- */

static void settle(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	const struct phys_addr start = guarantee_start(slot);
	uint32_t word = guarantee_word(slot);

	if (!(word & SLOT_UNSETTLED))
		return;
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		guarantee->lender->settle(guarantee->lender, guarantee_block(start, i));
	block_heap_hand_over(&guarantee->memory->blocks, start, guarantee->piece_blocks, &guarantee->owner);
	/* It may be taken and given meanwhile. */
	do
		guarantee_set_cost(guarantee, start, guarantee_state(word) == SLOT_OUT ? BLOCK_COST_FIXED : 0);
	while (!atomic_compare_exchange_weak(&slot->word, &word, word & ~SLOT_UNSETTLED));
}

void guarantee_settle_locked(struct guarantee *guarantee)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		settle(guarantee, &guarantee->slots[i]);
}

static struct guarantee_slot *empty_slot(struct guarantee *guarantee)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		if (guarantee_state(guarantee_word(&guarantee->slots[i])) == SLOT_EMPTY)
			return &guarantee->slots[i];
	return NULL;
}

static uint32_t filled_slots(const struct guarantee *guarantee)
{
	uint32_t filled = 0;

	for (uint32_t i = 0; i < guarantee->count; i++)
		filled += guarantee_state(guarantee_word(&guarantee->slots[i])) != SLOT_EMPTY;
	return filled;
}

/* Has the slot to itself: nobody can take it. */
static bool slot_keep(struct guarantee_slot *slot, enum slot_state state)
{
	const uint32_t word = guarantee_word(slot);

	return guarantee_state(word) == state && !(word & SLOT_UNSETTLED) && guarantee_change(slot, word, SLOT_KEPT, 0);
}

static void slot_fill(struct guarantee *guarantee, struct guarantee_slot *slot, struct phys_addr start, enum slot_state state)
{
	slot->order = guarantee->orders++;
	atomic_store_explicit(&slot->start, start.value, memory_order_relaxed);
	(void)guarantee_change(slot, guarantee_word(slot), state, 0);
}

/* A new piece may come from anywhere, and there is time. */
static const struct guarantee_wish anywhere = { .avoid_first = { 1 }, .deadline_ns = PLATFORM_FOREVER };

/* Up to what is guaranteed any memory will do; beyond it, and for another piece, only what caches well. */
static bool bring_lent(struct guarantee *guarantee, struct guarantee_wish wish)
{
	struct guarantee_slot *slot = empty_slot(guarantee);
	struct phys_addr start;

	wish.idle_percent_max = filled_slots(guarantee) < guarantee->pieces ? 100 : IDLE_PERCENT;
	if (!slot || !guarantee->lender || !guarantee->lender->lend(guarantee->lender, &wish, &start))
		return false;
	slot_fill(guarantee, slot, start, SLOT_LENT);
	return true;
}

/* Whether some of the piece at `start` lies in the range that the wish avoids. */
static bool is_avoided(const struct guarantee *guarantee, const struct guarantee_wish *wish, struct phys_addr start)
{
	return start.value <= wish->avoid_last.value &&
	       start.value + guarantee_piece_bytes(guarantee) > wish->avoid_first.value;
}

static bool bring_free(struct guarantee *guarantee, struct guarantee_wish wish)
{
	struct guarantee_slot *slot = empty_slot(guarantee);
	const struct run_request request = {
		.blocks = guarantee->piece_blocks,
		.constraints = { .highest = guarantee->highest, .alignment_bytes = guarantee_piece_bytes(guarantee) },
		.owner = &guarantee->owner,
		.keep_blocks = divide_round_up(guarantee->memory->config.min_bytes, BLOCK_BYTES),
	};
	struct phys_addr start;

	if (!slot || block_heap_alloc(&guarantee->memory->blocks, &request, &start) != STATUS_OK)
		return false;
	if (is_avoided(guarantee, &wish, start)) {
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

	return block_heap_free_bytes(&memory->blocks) <=
	       memory->config.low_bytes + guarantee->pieces * guarantee_piece_bytes(guarantee);
}

/* Memory that is short is rather lent than taken. */
static bool bring(struct guarantee *guarantee, struct guarantee_wish wish)
{
	if (memory_is_short(guarantee))
		return bring_lent(guarantee, wish) || bring_free(guarantee, wish);
	return bring_free(guarantee, wish) || bring_lent(guarantee, wish);
}

uint64_t guarantee_release_locked(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state)
{
	const struct phys_addr start = guarantee_start(slot);

	assert(state == SLOT_FREE || state == SLOT_LENT);
	if (!slot_keep(slot, state))
		return 0;
	if (state == SLOT_FREE)
		(void)block_heap_free(&guarantee->memory->blocks, start);
	else
		for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
			guarantee->lender->take_back(guarantee->lender, guarantee_block(start, i));
	(void)guarantee_change(slot, guarantee_word(slot), SLOT_EMPTY, 0);
	guarantee->exchanged++;
	return state == SLOT_FREE ? guarantee_piece_bytes(guarantee) : 0;
}

/* For whoever wants it. */
static uint64_t give_up(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	const uint64_t bytes = guarantee_release_locked(guarantee, slot, SLOT_FREE);

	if (bytes > 0)
		memory_notice(guarantee->memory);
	return bytes;
}

/* One that is not needed must not take memory that is short. */
static bool bring_spare(struct guarantee *guarantee)
{
	return bring_lent(guarantee, anywhere) || (!memory_is_short(guarantee) && bring_free(guarantee, anywhere));
}

void guarantee_fill_locked(struct guarantee *guarantee)
{
	while (filled_slots(guarantee) < guarantee->pieces && bring(guarantee, anywhere))
		;
	while (filled_slots(guarantee) >= guarantee->pieces &&
	       filled_slots(guarantee) < guarantee->pieces + GUARANTEE_SPARE_PIECES && bring_spare(guarantee))
		;
}

/* Of the slots in this state the one that was filled first; NULL: none. */
static struct guarantee_slot *oldest(struct guarantee *guarantee, enum slot_state state)
{
	struct guarantee_slot *oldest = NULL;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];

		if (guarantee_state(guarantee_word(slot)) == state && (!oldest || slot->order < oldest->order))
			oldest = slot;
	}
	return oldest;
}

/* Where memory is short, what lies idle is given to it. */
static bool exchange_free(struct guarantee *guarantee)
{
	struct guarantee_slot *slot = oldest(guarantee, SLOT_FREE);

	return slot && memory_is_short(guarantee) && bring_lent(guarantee, anywhere) &&
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

		if (!slot || !bring_lent(guarantee, anywhere))
			return;
		(void)guarantee_release_locked(guarantee, slot, SLOT_LENT);
	}
}

static bool is_idle(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const struct phys_addr start = guarantee_start(slot);
	unsigned percent = 0;

	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		percent += guarantee->lender->idle_percent(guarantee->lender, guarantee_block(start, i));
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

		if (guarantee_state(guarantee_word(slot)) != SLOT_LENT || !is_idle(guarantee, slot))
			continue;
		if (bring_lent(guarantee, anywhere) || filled_slots(guarantee) > guarantee->pieces)
			(void)guarantee_release_locked(guarantee, slot, SLOT_LENT);
		return;
	}
}

/* What came in while another piece was taken, and could not go. Returns the bytes that reached the block heap. */
static uint64_t trim(struct guarantee *guarantee)
{
	uint64_t given = 0;

	while (filled_slots(guarantee) > guarantee->pieces + GUARANTEE_SPARE_PIECES) {
		struct guarantee_slot *idle = oldest(guarantee, SLOT_FREE);
		struct guarantee_slot *lent = oldest(guarantee, SLOT_LENT);

		if (idle) {
			settle(guarantee, idle); /* it was lent, taken and given back, perhaps */
			given += guarantee_release_locked(guarantee, idle, SLOT_FREE);
		} else if (lent) {
			(void)guarantee_release_locked(guarantee, lent, SLOT_LENT);
		} else {
			break;
		}
	}
	return given;
}

bool guarantee_keep(struct guarantee *guarantee)
{
	bool exchanged;

	mutex_lock(&guarantee->keeper);
	guarantee_settle_locked(guarantee);
	guarantee_fill_locked(guarantee);
	exchanged = exchange_free(guarantee);
	rotate(guarantee);
	exchange_idle(guarantee);
	if (trim(guarantee) > 0)
		memory_notice(guarantee->memory);
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
	guarantee_wake_keeper(guarantee);
}

/* Runs with pieces in them ------------------------------------------------------------------------------------------------ */

/* Whether the piece at `start` still is, in whatever state. */
static bool has_piece(const struct guarantee_slot *slot, struct phys_addr start)
{
	return guarantee_state(guarantee_word(slot)) != SLOT_EMPTY && guarantee_start(slot).value == start.value;
}

/* Another piece elsewhere takes its place, unless there is one too many. False: there is no other one. */
static bool move_away(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state,
		      const struct guarantee_wish *wish, uint64_t *given)
{
	const struct phys_addr start = guarantee_start(slot);

	settle(guarantee, slot);
	if (!empty_slot(guarantee))
		*given += trim(guarantee);
	if (!has_piece(slot, start))
		return true;
	if (!bring(guarantee, *wish) && filled_slots(guarantee) <= guarantee->pieces)
		return false;
	*given += guarantee_release_locked(guarantee, slot, state);
	return true;
}

/* The piece stays in the window, and windows that come later leave it out, all of it. */
static void be_an_obstacle(const struct guarantee *guarantee, const struct guarantee_slot *slot, uint32_t *obstacles)
{
	const struct window piece = { .start = guarantee_start(slot), .blocks = guarantee->piece_blocks };

	window_avoid(&guarantee->memory->blocks, &piece);
	++*obstacles;
}

/* Pieces that are out stay. Until they are settled, windows take those for movable that were lent. True: there are some. */
static bool is_taken(struct guarantee *guarantee, const struct guarantee_wish *wish, uint32_t *obstacles)
{
	bool taken = false;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];

		if (guarantee_state(guarantee_word(slot)) != SLOT_OUT || !is_avoided(guarantee, wish, guarantee_start(slot)))
			continue;
		settle(guarantee, slot);
		be_an_obstacle(guarantee, slot, obstacles);
		taken = true;
	}
	return taken;
}

/* Pieces in the range go elsewhere, up to the first one that cannot: there is no place for those behind it, either. */
static uint64_t clear_range(struct guarantee *guarantee, const struct guarantee_wish *wish, const struct reclaim_target *target)
{
	uint64_t given = 0;
	bool no_place = false;

	for (uint32_t i = 0; i < guarantee->count && given < target->bytes; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];
		const enum slot_state state = guarantee_state(guarantee_word(slot));
		const struct phys_addr start = guarantee_start(slot);

		if ((state != SLOT_FREE && state != SLOT_LENT) || !is_avoided(guarantee, wish, start))
			continue;
		no_place = no_place || !move_away(guarantee, slot, state, wish, &given);
		if (platform_now_ns() >= target->deadline_ns || (no_place && !target->obstacles))
			break;
		if (target->obstacles && has_piece(slot, start))
			be_an_obstacle(guarantee, slot, target->obstacles);
	}
	return given;
}

/*
 * What was lent is cleaned by the lender, who is asked later. What is freed in a window is there for nobody but the request
 * that it was moved away for: who waits for memory is not told, least of all that request itself, whose window may still fail.
 */
uint64_t guarantee_clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct guarantee *guarantee = container_of(self, struct guarantee, cleaner);
	const struct guarantee_wish wish = {
		.avoid_first = target->lowest,
		.avoid_last = target->highest,
		.deadline_ns = target->deadline_ns,
	};
	uint64_t given = 0;

	if (block_heap_is_within(&guarantee->memory->blocks, target->lowest, target->highest) ||
	    mutex_lock_until(&guarantee->keeper, target->deadline_ns) != STATUS_OK)
		return 0;
	if (!target->obstacles || !is_taken(guarantee, &wish, target->obstacles))
		given = clear_range(guarantee, &wish, target);
	mutex_unlock(&guarantee->keeper);
	if (given > 0 && !target->obstacles)
		memory_notice(guarantee->memory);
	return given;
}
