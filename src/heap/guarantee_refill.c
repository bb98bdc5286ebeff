/*
 * The refill task has the pieces where they do the least harm: on loan while memory is short, idle while it is plentiful. It
 * works under [K], and takes [E] only to move a slot from one list to another.
 */
#include "guarantee_internal.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define IDLE_PERCENT 10 /* of a lent piece, from which on another one is lent instead */
#define IDLE_LOOKS   64 /* loans that one round looks at */

#define NAP_NS       (100 * NS_PER_MS)
#define SHORT_NAP_NS NS_PER_MS

/*
 * Blocks that the cache begins to refill between two pieces that come back to it: what is lent turns over once while the memory
 * does. Faster, it would be more of a change to the order of eviction than it is worth. As it is no more than half of the
 * memory, the cursors also get to what cannot be lent.
 */
static uint64_t turn_blocks(const struct guarantee *guarantee)
{
	return (memory_total_bytes(guarantee->memory) >> BLOCK_SHIFT) / MAX(guarantee->pieces, 1);
}

void guarantee_turn(struct guarantee *guarantee)
{
	/* What the lender moves to be able to lend would make the refill task ask for more, without end. */
	if (guarantee->count == 0 || mutex_is_held(&guarantee->refill))
		return;
	if (atomic_fetch_add_explicit(&guarantee->turned_blocks, 1, memory_order_relaxed) + 1 >= turn_blocks(guarantee))
		guarantee_wake_refill(guarantee);
}

/* Slots ------------------------------------------------------------------------------------------------------------------- */

enum slot_state guarantee_state(struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const enum slot_state state = (enum slot_state)slot->state;

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return state;
}

/* The first slot of a list, or NULL. A slot leaves `empty` and `due` under [K] only; others may be taken meanwhile. */
static struct guarantee_slot *first_of(struct guarantee *guarantee, const struct list *list)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct list *first = list_first(list);

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return first ? container_of(first, struct guarantee_slot, link) : NULL;
}

static struct guarantee_slot *first_due(struct guarantee *guarantee)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct list *first = list_first(&guarantee->due);

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return first ? container_of(first, struct guarantee_slot, due) : NULL;
}

void guarantee_reap(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	struct block_heap *heap = &guarantee->memory->blocks;
	uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const bool due = !list_is_empty(&slot->due), revoked = slot->revoked;

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (!due)
		return;
	for (uint64_t i = 0; revoked && i < guarantee->piece_blocks; i++)
		guarantee->lender->settle(guarantee->lender, guarantee_block(slot->start, i));
	if (revoked)
		block_heap_hand_over(heap, slot->start, guarantee->piece_blocks, &guarantee->owner);
	interrupts = spinlock_lock_interrupts(&guarantee->lock);
	slot->revoked = false;
	list_remove(&slot->due);
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		block_heap_set_cost(heap, guarantee_block(slot->start, i), slot->state == SLOT_OUT ? BLOCK_COST_FIXED : 0);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

void guarantee_reap_all(struct guarantee *guarantee)
{
	struct guarantee_slot *slot;

	while ((slot = first_due(guarantee)))
		guarantee_reap(guarantee, slot);
}

static void slot_fill(struct guarantee *guarantee, struct guarantee_slot *slot, struct phys_addr start, enum slot_state state)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

	assert(slot->state == SLOT_EMPTY);
	list_remove(&slot->link);
	slot->start = start;
	slot->state = (uint8_t)state;
	guarantee->places[guarantee_place(guarantee, start)] = (uint32_t)(slot - guarantee->slots) + 1;
	guarantee->filled++;
	guarantee->loans += state == SLOT_LOANED;
	list_insert_last(state == SLOT_LOANED ? &guarantee->loaned : &guarantee->idle, &slot->link);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

/* Has a piece to itself that is one too many. False: it is in another state by now, or none is too many. */
static bool slot_detach(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const bool detached = slot->state == state && list_is_empty(&slot->due) && guarantee->filled > guarantee->pieces;

	if (detached) {
		list_remove(&slot->link);
		slot->state = SLOT_MOVING;
		guarantee->loans -= state == SLOT_LOANED;
	}
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return detached;
}

static void slot_empty(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

	slot->state = SLOT_EMPTY;
	guarantee->places[guarantee_place(guarantee, slot->start)] = 0;
	guarantee->filled--;
	guarantee->exchanged++;
	list_insert_last(&guarantee->empty, &slot->link);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

/* Pieces ------------------------------------------------------------------------------------------------------------------ */

/* A new piece may come from anywhere, and there is time. */
static const struct guarantee_wish anywhere = { .avoid_first = { 1 }, .deadline_ns = PLATFORM_FOREVER };

/* At first any memory will do; in place of another piece, only what caches well. */
static bool bring_loan(struct guarantee *guarantee, struct guarantee_wish wish)
{
	struct guarantee_slot *slot = first_of(guarantee, &guarantee->empty);
	struct phys_addr start;

	wish.idle_percent_max = guarantee->filled < guarantee->pieces ? 100 : IDLE_PERCENT;
	if (!slot || !guarantee->lender || !guarantee->lender->lend(guarantee->lender, &wish, &start))
		return false;
	slot_fill(guarantee, slot, start, SLOT_LOANED);
	return true;
}

static bool bring_idle(struct guarantee *guarantee, const struct guarantee_wish *wish)
{
	struct guarantee_slot *slot = first_of(guarantee, &guarantee->empty);
	const struct run_request request = {
		.blocks = guarantee->piece_blocks,
		.constraints = { .highest = guarantee->highest, .alignment_bytes = guarantee_piece_bytes(guarantee) },
		.owner = &guarantee->owner,
		.keep_blocks = divide_round_up(guarantee->memory->config.min_bytes, BLOCK_BYTES),
	};
	struct phys_addr start;

	if (!slot || block_heap_alloc(&guarantee->memory->blocks, &request, &start) != STATUS_OK)
		return false;
	if (start.value <= wish->avoid_last.value && start.value + guarantee_piece_bytes(guarantee) > wish->avoid_first.value) {
		memory_blocks_free(guarantee->memory, start);
		return false;
	}
	slot_fill(guarantee, slot, start, SLOT_IDLE);
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
bool guarantee_bring(struct guarantee *guarantee, struct guarantee_wish wish)
{
	if (memory_is_short(guarantee))
		return bring_loan(guarantee, wish) || bring_idle(guarantee, &wish);
	return bring_idle(guarantee, &wish) || bring_loan(guarantee, wish);
}

void guarantee_fill(struct guarantee *guarantee)
{
	while (guarantee->filled < guarantee->pieces && guarantee_bring(guarantee, anywhere))
		;
}

uint64_t guarantee_withdraw(struct guarantee *guarantee, struct guarantee_slot *slot, enum slot_state state)
{
	assert(state == SLOT_IDLE || state == SLOT_LOANED);
	if (!slot_detach(guarantee, slot, state))
		return 0;
	if (state == SLOT_IDLE)
		(void)block_heap_free(&guarantee->memory->blocks, slot->start);
	else
		for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
			guarantee->lender->take_back(guarantee->lender, guarantee_block(slot->start, i));
	slot_empty(guarantee, slot);
	return state == SLOT_IDLE ? guarantee_piece_bytes(guarantee) : 0;
}

uint64_t guarantee_trim(struct guarantee *guarantee)
{
	struct guarantee_slot *idle, *loan;
	uint64_t given = 0;

	while (guarantee->filled > guarantee->pieces) {
		idle = first_of(guarantee, &guarantee->idle);
		loan = idle ? NULL : first_of(guarantee, &guarantee->loaned);
		if (!idle && !loan)
			break;
		if (idle) {
			guarantee_reap(guarantee, idle); /* it was lent, taken and given back, perhaps */
			given += guarantee_withdraw(guarantee, idle, SLOT_IDLE);
		} else {
			(void)guarantee_withdraw(guarantee, loan, SLOT_LOANED);
		}
	}
	return given;
}

/* Rounds ------------------------------------------------------------------------------------------------------------------ */

/* Where memory is short, what lies idle is given to it. */
static bool exchange_idle(struct guarantee *guarantee)
{
	struct guarantee_slot *slot = first_of(guarantee, &guarantee->idle);

	if (!slot || !memory_is_short(guarantee) || !bring_loan(guarantee, anywhere))
		return false;
	if (guarantee_withdraw(guarantee, slot, SLOT_IDLE) > 0)
		memory_notice(guarantee->memory);
	return true;
}

/* As the cache has begun to refill others, blocks come back to it, and its coldest take their place. */
static void rotate(struct guarantee *guarantee)
{
	const uint32_t turned = atomic_load_explicit(&guarantee->turned_blocks, memory_order_relaxed);
	const uint64_t pieces = turned / turn_blocks(guarantee);

	atomic_fetch_sub_explicit(&guarantee->turned_blocks, (uint32_t)(pieces * turn_blocks(guarantee)), memory_order_relaxed);
	for (uint64_t i = 0; i < MIN(pieces, guarantee->pieces); i++) {
		struct guarantee_slot *slot = first_of(guarantee, &guarantee->loaned);

		if (!slot || !bring_loan(guarantee, anywhere))
			return;
		(void)guarantee_withdraw(guarantee, slot, SLOT_LOANED);
	}
}

static bool is_sparse(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	unsigned percent = 0;

	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		percent += guarantee->lender->idle_percent(guarantee->lender, guarantee_block(slot->start, i));
	return percent > IDLE_PERCENT * guarantee->piece_blocks;
}

/* A piece in which little is cached any more is of more use to the cache: one in a round, and the next one after a nap. */
static void exchange_sparse(struct guarantee *guarantee)
{
	const uint64_t now = platform_now_ns();

	if (now < guarantee->idle_look_ns)
		return;
	guarantee->idle_look_ns = now + NAP_NS;
	for (uint32_t i = 0; i < MIN(IDLE_LOOKS, guarantee->count); i++) {
		struct guarantee_slot *slot = &guarantee->slots[guarantee->idle_look++ % guarantee->count];

		if (guarantee_state(guarantee, slot) != SLOT_LOANED || !is_sparse(guarantee, slot))
			continue;
		if (bring_loan(guarantee, anywhere))
			(void)guarantee_withdraw(guarantee, slot, SLOT_LOANED);
		return;
	}
}

/* Reservations whose last piece is back. */
static void accounts_reap(struct guarantee *guarantee)
{
	struct list *gone = NULL;

	do {
		const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

		gone = NULL;
		list_for_each (link, &guarantee->accounts) {
			const struct guarantee_account *account = container_of(link, struct guarantee_account, link);

			if (account->ended && account->out == 0)
				gone = link;
		}
		if (gone)
			list_remove(gone);
		spinlock_unlock_interrupts(&guarantee->lock, interrupts);
		if (gone)
			bookkeeping_free(&guarantee->memory->bookkeeping, container_of(gone, struct guarantee_account, link),
					 sizeof(struct guarantee_account));
	} while (gone);
}

bool guarantee_keep(struct guarantee *guarantee)
{
	bool exchanged;

	accounts_reap(guarantee);
	mutex_lock(&guarantee->refill);
	guarantee_reap_all(guarantee);
	guarantee_fill(guarantee);
	exchanged = exchange_idle(guarantee);
	rotate(guarantee);
	exchange_sparse(guarantee);
	if (guarantee_trim(guarantee) > 0)
		memory_notice(guarantee->memory);
	mutex_unlock(&guarantee->refill);
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
	guarantee_wake_refill(guarantee);
}

/* Donors ------------------------------------------------------------------------------------------------------------------ */

/* Revokes the loan, if it still is one and belongs to `owner` (NULL: to anyone). */
static void loan_end(struct guarantee *guarantee, struct guarantee_slot *slot, const struct owner *owner)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

	if (slot->state == SLOT_LOANED &&
	    (!owner || block_heap_find(&guarantee->memory->blocks, slot->start)->owner == owner)) {
		guarantee_revoke_locked(guarantee, slot);
		slot->state = SLOT_IDLE;
		list_insert_last(&guarantee->idle, &slot->link);
	}
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

/* The pieces stay: what is guaranteed is there all the time. Memory that is short is given back as others lend. */
static void loans_end(struct guarantee *guarantee, const struct owner *owner)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		loan_end(guarantee, &guarantee->slots[i], owner);
	guarantee_reap_all(guarantee);
}

void guarantee_recall(struct guarantee *guarantee, const struct owner *owner)
{
	mutex_lock(&guarantee->refill);
	loans_end(guarantee, owner);
	mutex_unlock(&guarantee->refill);
	guarantee_wake_refill(guarantee);
}

void guarantee_set_lender(struct guarantee *guarantee, struct guarantee_lender *lender)
{
	mutex_lock(&guarantee->refill);
	if (!guarantee->lender)
		guarantee->lender = lender;
	mutex_unlock(&guarantee->refill);
	guarantee_wake_refill(guarantee);
}

void guarantee_clear_lender(struct guarantee *guarantee, struct guarantee_lender *lender)
{
	mutex_lock(&guarantee->refill);
	if (guarantee->lender == lender) {
		loans_end(guarantee, NULL);
		guarantee->lender = NULL;
	}
	mutex_unlock(&guarantee->refill);
}
