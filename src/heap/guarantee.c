#include "guarantee_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* While it is unsettled, a piece's blocks are about to change hands: then `settle` sets the cost that belongs to its state. */
void guarantee_set_cost(struct guarantee *guarantee, struct phys_addr start, uint32_t cost)
{
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		block_heap_set_cost(&guarantee->memory->blocks, guarantee_block(start, i), cost);
}

/* Taking and giving: any context ------------------------------------------------------------------------------------------ */

static bool fits(const struct guarantee *guarantee, const struct block_constraints *constraints, uint64_t bytes,
		 struct phys_addr start)
{
	const uint64_t last = start.value + bytes - 1;

	if (bytes > guarantee_piece_bytes(guarantee) || start.value < constraints->lowest.value)
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
	const uint32_t word = guarantee_word(slot);
	const struct phys_addr start = guarantee_start(slot);

	if (guarantee_state(word) != state || !fits(guarantee, constraints, bytes, start) ||
	    !guarantee_change(slot, word, SLOT_OUT, state == SLOT_LENT ? SLOT_UNSETTLED : 0))
		return false;
	if (state == SLOT_LENT)
		for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
			guarantee->lender->revoke(guarantee->lender, guarantee_block(start, i));
	else if (!(word & SLOT_UNSETTLED))
		guarantee_set_cost(guarantee, start, BLOCK_COST_FIXED);
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
		guarantee_wake_keeper(guarantee);
		return slot;
	}
	if (count > 0)
		atomic_fetch_add_explicit(&guarantee->refused, 1, memory_order_relaxed);
	return NULL;
}

void guarantee_give(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	uint32_t word = guarantee_word(slot);

	if (guarantee_state(word) != SLOT_OUT)
		platform_panic("guarantee: 0x%llx is given back, but is not out",
			       (unsigned long long)guarantee_start(slot).value);
	atomic_store_explicit(&slot->holder, NULL, memory_order_relaxed);
	do {
		word = guarantee_word(slot); /* the keeper may be settling it */
		if (!(word & SLOT_UNSETTLED))
			guarantee_set_cost(guarantee, guarantee_start(slot), 0);
	} while (!guarantee_change(slot, word, SLOT_FREE, 0));
	guarantee_wake_keeper(guarantee);
}

struct guarantee_slot *guarantee_find(struct guarantee *guarantee, struct phys_addr start)
{
	for (uint32_t i = 0; i < guarantee->count; i++)
		if (guarantee_state(guarantee_word(&guarantee->slots[i])) == SLOT_OUT &&
		    guarantee_start(&guarantee->slots[i]).value == start.value)
			return &guarantee->slots[i];
	return NULL;
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
	const uint64_t bytes = (guarantee->pieces + GUARANTEE_SPARE_SLOTS) * sizeof(guarantee->slots[0]);
	guarantee->slots = heap_alloc(memory_general_heap(memory), bytes, 0);
	if (!guarantee->slots)
		return STATUS_NO_MEMORY;
	memset(guarantee->slots, 0, bytes);
	guarantee->count = guarantee->pieces + GUARANTEE_SPARE_SLOTS;
	guarantee->cleaner = (struct cleaner){ .name = "dma guarantee", .cost = CLEANER_CLEAN, .clean = guarantee_clean };
	cleaner_register(&memory->cleaners, &guarantee->cleaner);
	guarantee_fill_locked(guarantee); /* nobody else is there yet */
	return STATUS_OK;
}

static void take_back_all(struct guarantee *guarantee, const struct owner *owner)
{
	for (uint32_t i = 0; i < guarantee->count; i++) {
		struct guarantee_slot *slot = &guarantee->slots[i];

		if (guarantee_state(guarantee_word(slot)) == SLOT_LENT &&
		    (!owner || block_heap_find(&guarantee->memory->blocks, guarantee_start(slot))->owner == owner))
			(void)guarantee_release_locked(guarantee, slot, SLOT_LENT);
	}
	guarantee_settle_locked(guarantee);
}

void guarantee_recall(struct guarantee *guarantee, const struct owner *owner)
{
	mutex_lock(&guarantee->keeper);
	take_back_all(guarantee, owner);
	mutex_unlock(&guarantee->keeper);
	guarantee_wake_keeper(guarantee);
}

void guarantee_set_lender(struct guarantee *guarantee, struct guarantee_lender *lender)
{
	mutex_lock(&guarantee->keeper);
	if (!guarantee->lender)
		guarantee->lender = lender;
	mutex_unlock(&guarantee->keeper);
	guarantee_wake_keeper(guarantee);
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
		if (guarantee_state(guarantee_word(&guarantee->slots[i])) > SLOT_FREE)
			return false;
	return true;
}

void guarantee_fini(struct guarantee *guarantee)
{
	if (guarantee->count == 0)
		return;
	cleaner_unregister(&guarantee->memory->cleaners, &guarantee->cleaner);
	for (uint32_t i = 0; i < guarantee->count; i++)
		(void)guarantee_release_locked(guarantee, &guarantee->slots[i], SLOT_FREE);
	heap_free(memory_general_heap(guarantee->memory), guarantee->slots);
}
