// SPDX-License-Identifier: BSD-2-Clause
/*
 * The refill task keeps the pieces where they do the least harm: on loan while memory is short,
 * idle while it is plentiful. It works under [K], and takes [E] only to move a slot from one list
 * to another.
 */
#include "guarantee_internal.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define IDLE_LOOKS   64 /* loans that one round checks */
#define NAP_NS       (100 * NS_PER_MS)
#define SHORT_NAP_NS NS_PER_MS

/*
 * The number of blocks that the cache begins to refill between two pieces that come back to it: so
 * the loans turn over once while the memory does. A faster turn would change the order of eviction
 * by more than it is worth. Since the loans are no more than half of the memory, the cursors also
 * get to blocks that cannot be loaned.
 */
static uint64_t turn_blocks(const struct guarantee *guarantee)
{
	return guarantee->reclaim->blocks->total_blocks / MAX(guarantee->pieces, 1);
}

void guarantee_turn(struct guarantee *guarantee)
{
	/*
	 * Blocks that the donor fills to make others loanable would make the refill task ask for
	 * more, without end.
	 */
	if (!guarantee->slots || mutex_is_held(&guarantee->refill))
		return;
	if (atomic_fetch_add_explicit(&guarantee->turned_blocks, 1, memory_order_relaxed) + 1 >= turn_blocks(guarantee))
		worker_kick(&guarantee->worker);
}

/* Slots ---------------------------------------------------------------------------------------- */

/*
 * The first slot of a list, or NULL. A slot leaves `due` under [K] only; slots of the other lists
 * may be taken meanwhile.
 */
static struct guarantee_slot *first_of(struct guarantee *guarantee, const struct list *list)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct list *first = list_first(list);

	guarantee->rested = guarantee->rested || list_is_empty(&guarantee->due);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (!first)
		return NULL;
	return list == &guarantee->due ? container_of(first, struct guarantee_slot, due)
				       : container_of(first, struct guarantee_slot, link);
}

void guarantee_reap(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	struct block_heap *heap = guarantee->reclaim->blocks;
	uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const bool due = !list_is_empty(&slot->due), revoked = slot->revoked;

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (!due)
		return;
	for (uint64_t i = 0; revoked && i < guarantee->piece_blocks; i++)
		guarantee->donor->reap(guarantee->donor, guarantee_block(slot->start, i));
	if (revoked)
		block_heap_hand_over(heap, slot->start, guarantee->piece_blocks, &guarantee->owner);
	interrupts = spinlock_lock_interrupts(&guarantee->lock);
	slot->revoked = false;
	list_remove(&slot->due);
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		block_heap_set_cost(heap, guarantee_block(slot->start, i), slot->state == SLOT_OUT ? BLOCK_COST_FIXED : 0);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

static void slot_fill(struct guarantee *guarantee, struct phys_addr start, enum slot_state state)
{
	struct guarantee_slot *slot = guarantee->spare;
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

	assert(slot->state == SLOT_EMPTY);
	slot->start = start;
	slot->state = (uint8_t)state;
	guarantee->places[guarantee_place(guarantee, start)] = (uint32_t)(slot - guarantee->slots) + 1;
	guarantee->counts.loaned += state == SLOT_LOANED;
	list_insert_last(state == SLOT_LOANED ? &guarantee->loaned : &guarantee->idle, &slot->link);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	guarantee->spare = NULL;
}

/* Pieces --------------------------------------------------------------------------------------- */

static bool bring_loan(struct guarantee *guarantee, const struct loan_request *wanted)
{
	struct phys_addr start;

	if (!guarantee->donor || !guarantee->donor->loan(guarantee->donor, wanted, &start))
		return false;
	slot_fill(guarantee, start, SLOT_LOANED);
	return true;
}

static bool bring_idle(struct guarantee *guarantee, const struct loan_request *wanted)
{
	const struct run_request request = {
		.blocks = guarantee->piece_blocks,
		.constraints = { .highest = guarantee->highest, .alignment_bytes = guarantee_piece_bytes(guarantee) },
		.owner = &guarantee->owner,
		.leave_free = divide_round_up(guarantee->reclaim->watermarks.min_bytes, BLOCK_BYTES),
	};
	struct phys_addr start;

	if (block_heap_alloc(guarantee->reclaim->blocks, &request, &start) != STATUS_OK)
		return false;
	if (!guarantee_admits(guarantee, wanted, start)) {
		reclaim_blocks_free(guarantee->reclaim, start);
		return false;
	}
	slot_fill(guarantee, start, SLOT_IDLE);
	return true;
}

/* Whether memory is short: idle pieces are given up before the cache stops growing. */
static bool memory_is_short(const struct guarantee *guarantee)
{
	const struct reclaim *reclaim = guarantee->reclaim;

	return block_heap_free_bytes(reclaim->blocks) <= reclaim->watermarks.low_bytes + guarantee_total_bytes(guarantee);
}

/* While memory is short, a loan is better than a free block. */
bool guarantee_bring(struct guarantee *guarantee, const struct loan_request *wanted)
{
	if (memory_is_short(guarantee))
		return bring_loan(guarantee, wanted) || bring_idle(guarantee, wanted);
	return bring_idle(guarantee, wanted) || bring_loan(guarantee, wanted);
}

uint64_t guarantee_withdraw(struct guarantee *guarantee, struct guarantee_slot *slot, bool tell)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct list *other = list_first(list_is_empty(&guarantee->idle) ? &guarantee->loaned : &guarantee->idle);
	const bool wanted = slot->state != SLOT_OUT;
	bool loaned;

	if (!wanted) {
		assert(other); /* at most as many as guaranteed are out */
		slot = container_of(other, struct guarantee_slot, link);
	}
	loaned = slot->state == SLOT_LOANED;
	list_remove(&slot->link);
	slot->state = SLOT_EMPTY;
	guarantee->places[guarantee_place(guarantee, slot->start)] = 0;
	guarantee->counts.loaned -= loaned;
	guarantee->counts.exchanged++;
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	guarantee_reap(guarantee, slot); /* it may have been on loan, taken and given back */
	guarantee->spare = slot;
	if (!loaned) {
		(void)block_heap_free(guarantee->reclaim->blocks, slot->start);
		if (tell || !wanted)
			reclaim_notice(guarantee->reclaim);
		return wanted ? guarantee_piece_bytes(guarantee) : 0;
	}
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		guarantee->donor->recall(guarantee->donor, guarantee_block(slot->start, i));
	return 0;
}

/* Rounds --------------------------------------------------------------------------------------- */

/* Replaces the slot's piece by another loan. */
static bool exchange(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	/* A new piece may lie anywhere, and there is time. */
	static const struct loan_request anywhere = { .avoid_first = { 1 }, .deadline_ns = PLATFORM_FOREVER };

	if (!slot || !bring_loan(guarantee, &anywhere))
		return false;
	(void)guarantee_withdraw(guarantee, slot, true);
	return true;
}

/*
 * Gives the oldest loans back, as many as are due for the blocks that the cache began to refill,
 * and takes its coldest blocks instead.
 */
static void rotate(struct guarantee *guarantee)
{
	const uint32_t turned = atomic_load_explicit(&guarantee->turned_blocks, memory_order_relaxed);
	const uint64_t pieces = turned / turn_blocks(guarantee);

	atomic_fetch_sub_explicit(&guarantee->turned_blocks, (uint32_t)(pieces * turn_blocks(guarantee)), memory_order_relaxed);
	for (uint64_t i = 0; i < MIN(pieces, guarantee->pieces); i++) {
		if (!exchange(guarantee, first_of(guarantee, &guarantee->loaned)))
			return;
		mutex_pass_on(&guarantee->refill);
	}
}

static bool is_sparse(struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	unsigned percent = 0;

	for (uint64_t i = 0; slot->state == SLOT_LOANED && i < guarantee->piece_blocks; i++)
		percent += guarantee->donor->idle_percent(guarantee->donor, guarantee_block(slot->start, i));
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return percent > GUARANTEE_IDLE_PERCENT * guarantee->piece_blocks;
}

/*
 * Replaces a piece in which little is cached any more, and which is of more use to the cache: one
 * in a round, and the next after a nap.
 */
static void exchange_sparse(struct guarantee *guarantee)
{
	const uint64_t now = platform_now_ns();
	struct guarantee_slot *slot = NULL;

	if (!guarantee->slots || now < guarantee->idle_look_ns)
		return;
	guarantee->idle_look_ns = now + NAP_NS;
	for (uint32_t i = 0; !slot && i < MIN(IDLE_LOOKS, guarantee->pieces + 1); i++) {
		slot = &guarantee->slots[guarantee->idle_look++ % (guarantee->pieces + 1)];
		slot = is_sparse(guarantee, slot) ? slot : NULL;
	}
	(void)exchange(guarantee, slot);
}

bool guarantee_refill(struct guarantee *guarantee)
{
	struct guarantee_slot *slot;
	bool exchanged;

	mutex_lock(&guarantee->refill);
	while ((slot = first_of(guarantee, &guarantee->due))) {
		guarantee_reap(guarantee, slot);
		mutex_pass_on(&guarantee->refill);
	}
	/* While memory is short, an idle piece becomes free memory, and a loan takes its place. */
	exchanged = memory_is_short(guarantee) && exchange(guarantee, first_of(guarantee, &guarantee->idle));
	rotate(guarantee);
	exchange_sparse(guarantee);
	mutex_unlock(&guarantee->refill);
	return exchanged;
}

/*
 * The refill task, of high priority. It naps between two rounds, unless a take or the cache has
 * given it new work meanwhile.
 */
void guarantee_run(struct guarantee *guarantee)
{
	uint32_t kicks;

	while (worker_begins(&guarantee->worker, &kicks)) {
		const uint64_t nap_ns = guarantee_refill(guarantee) ? SHORT_NAP_NS : NAP_NS;

		worker_wait(&guarantee->worker, kicks, platform_now_ns() + nap_ns);
	}
}

/* Donors --------------------------------------------------------------------------------------- */

/*
 * Revokes all loans that belong to `owner` (NULL: to any). The pieces stay, so all that is
 * guaranteed is there all the time; while memory is short, they become free memory as other volumes
 * make loans. A volume that leaves makes no loans meanwhile, so requests that wait for [K] may come
 * in between; a donor that leaves could make new ones.
 */
static void loans_end(struct guarantee *guarantee, const struct owner *owner)
{
	for (uint32_t i = 0; guarantee->slots && i <= guarantee->pieces; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];
		const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);

		if (slot->state == SLOT_LOANED &&
		    (!owner || block_heap_owner(guarantee->reclaim->blocks, slot->start) == owner)) {
			list_remove(&slot->link);
			guarantee_revoke_locked(guarantee, slot);
			slot->state = SLOT_IDLE;
			list_insert_last(&guarantee->idle, &slot->link);
		}
		spinlock_unlock_interrupts(&guarantee->lock, interrupts);
		guarantee_reap(guarantee, slot);
		if (owner)
			mutex_pass_on(&guarantee->refill);
	}
}

void guarantee_recall(struct guarantee *guarantee, const struct owner *owner)
{
	mutex_lock(&guarantee->refill);
	loans_end(guarantee, owner);
	mutex_unlock(&guarantee->refill);
	worker_kick(&guarantee->worker);
}

void guarantee_set_donor(struct guarantee *guarantee, struct guarantee_donor *donor)
{
	mutex_lock(&guarantee->refill);
	if (!guarantee->donor)
		guarantee->donor = donor;
	mutex_unlock(&guarantee->refill);
	worker_kick(&guarantee->worker);
}

void guarantee_clear_donor(struct guarantee *guarantee, struct guarantee_donor *donor)
{
	mutex_lock(&guarantee->refill);
	if (guarantee->donor == donor) {
		loans_end(guarantee, NULL);
		guarantee->donor = NULL;
	}
	mutex_unlock(&guarantee->refill);
}
