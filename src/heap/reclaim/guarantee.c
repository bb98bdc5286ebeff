// SPDX-License-Identifier: BSD-2-Clause
/*
 * Taking, giving and reserving. Each is a short section under [E] that counts first:
 * account_change_locked is the one place where pieces change accounts. A counted take then finds
 * its piece at the head of a list.
 */
#include "guarantee_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* Accounts ------------------------------------------------------------------------------------- */

static void account_init(struct guarantee_account *account)
{
	*account = (struct guarantee_account){ .device = NULL };
	list_init(&account->link);
	for (unsigned i = 0; i < GUARANTEE_SIZES; i++)
		list_init(&account->open[i]);
}

static struct guarantee_account *account_find_locked(struct guarantee *guarantee, const struct device *device)
{
	list_for_each (link, &guarantee->reserving) {
		struct guarantee_account *account = container_of(link, struct guarantee_account, link);

		if (account->device == device)
			return account;
	}
	return NULL;
}

/*
 * Sets the account's counts. False: the change would take more than is unreserved, or, without
 * `beyond`, any of it.
 */
static inline bool account_change_locked(struct guarantee *guarantee, struct guarantee_account *account, uint64_t reserved,
					 uint64_t out, bool beyond)
{
	const uint64_t before = MAX(account->reserved, account->out), after = MAX(reserved, out);

	if (after > before && after - before > (beyond ? guarantee->counts.unreserved : 0))
		return false;
	guarantee->counts.unreserved += before - after;
	guarantee->counts.out += out - account->out;
	account->reserved = (uint32_t)reserved;
	account->out = (uint32_t)out;
	return true;
}

/* Frees the account of a reservation that has ended when its last piece is back. */
static void account_settle_locked(struct guarantee *guarantee, struct guarantee_account *account)
{
	if (account->device || account->out > 0 || account == &guarantee->common)
		return;
	(void)account_change_locked(guarantee, account, 0, 0, false);
	list_remove(&account->link);
	list_insert_last(&guarantee->unused, &account->link);
}

/* Adds to the device's reservation. While a piece is unreserved, an account is unused. */
status_t guarantee_reserve(struct guarantee *guarantee, const struct device *device, uint64_t bytes)
{
	struct guarantee_account *account;
	status_t status = STATUS_NO_MEMORY;

	if (bytes == 0)
		return STATUS_INVALID;
	if (bytes > guarantee_total_bytes(guarantee))
		return STATUS_NO_MEMORY;
	if (!guarantee_is_reached(guarantee, device))
		return STATUS_RANGE;
	const uint64_t pieces = divide_round_up(bytes, guarantee_piece_bytes(guarantee));
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	account = account_find_locked(guarantee, device);
	if (!account && !list_is_empty(&guarantee->unused))
		account = container_of(guarantee->unused.next, struct guarantee_account, link);
	if (account && account_change_locked(guarantee, account, account->reserved + pieces, account->out, true)) {
		account->device = device;
		list_remove(&account->link);
		list_insert_last(&guarantee->reserving, &account->link);
		status = STATUS_OK;
	}
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return status;
}

void guarantee_end_reservation(struct guarantee *guarantee, const struct device *device)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct guarantee_account *account = account_find_locked(guarantee, device);

	if (account) {
		account->device = NULL;
		account_settle_locked(guarantee, account);
	}
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
}

/* Pieces --------------------------------------------------------------------------------------- */

static void due_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	if (list_is_empty(&slot->due))
		list_insert_last(&guarantee->due, &slot->due);
}

void guarantee_revoke_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		guarantee->donor->revoke(guarantee->donor, guarantee_block(slot->start, i));
	slot->revoked = true;
	guarantee->counts.loaned--;
	guarantee->counts.steps_max = 1 + guarantee->piece_blocks;
	due_locked(guarantee, slot);
}

/*
 * Takes the first piece: an idle one, which costs nothing, or else the oldest loan, which would
 * have gone back to be refilled next.
 */
static inline struct guarantee_slot *piece_take_locked(struct guarantee *guarantee, struct guarantee_account *account,
						       unsigned shift)
{
	struct list *first = list_first(&guarantee->idle);
	struct guarantee_slot *slot;

	first = first ? first : list_first(&guarantee->loaned);
	assert(first); /* it has been counted */
	list_remove(first);
	slot = container_of(first, struct guarantee_slot, link);
	if (slot->state == SLOT_LOANED)
		guarantee_revoke_locked(guarantee, slot);
	slot->state = SLOT_OUT;
	slot->account = account;
	slot->shift = (uint8_t)shift;
	slot->used = slot->fresh = 0;
	slot->returned = GUARANTEE_NONE;
	due_locked(guarantee, slot);
	return slot;
}

static void piece_give_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	struct guarantee_account *account = slot->account;

	(void)account_change_locked(guarantee, account, account->reserved, account->out - 1, true);
	account_settle_locked(guarantee, account);
	slot->account = NULL;
	slot->state = SLOT_IDLE;
	due_locked(guarantee, slot);
	list_remove(&slot->link);
	list_insert_first(&guarantee->idle, &slot->link);
}

/* Objects of a piece --------------------------------------------------------------------------- */

static void *record_of(const struct guarantee_slot *slot, uint64_t object)
{
	return slot->records + (object << (slot->shift - GUARANTEE_OBJECT_SHIFT)) * GUARANTEE_RECORD_BYTES;
}

static struct list *open_list(const struct guarantee_slot *slot)
{
	return &slot->account->open[slot->shift - GUARANTEE_OBJECT_SHIFT];
}

/*
 * Takes an object of the piece and returns its record. The record of an object that was given back
 * begins with the number of the next such object.
 */
static inline void *object_take_locked(struct guarantee *guarantee, struct guarantee_slot *slot, struct phys_addr *start)
{
	const bool fresh = slot->returned == GUARANTEE_NONE;
	const uint32_t object = fresh ? slot->fresh++ : slot->returned;
	void *record = record_of(slot, object);

	if (!fresh)
		slot->returned = *(uint32_t *)record;
	if (++slot->used == 1u << (guarantee->piece_shift - slot->shift))
		list_remove(&slot->link);
	else if (list_is_empty(&slot->link))
		list_insert_first(open_list(slot), &slot->link);
	guarantee->counts.taken++;
	start->value = slot->start.value + ((uint64_t)object << slot->shift);
	return record;
}

static inline void *take_locked(struct guarantee *guarantee, struct guarantee_account *account, uint64_t bytes, bool beyond,
				struct phys_addr *start)
{
	const unsigned shift = MIN(MAX(log2_ceil(bytes), GUARANTEE_OBJECT_SHIFT), guarantee->piece_shift);
	const uint64_t pieces = ((bytes - 1) >> guarantee->piece_shift) + 1;
	struct list *open = list_first(&account->open[shift - GUARANTEE_OBJECT_SHIFT]);
	struct guarantee_slot *slot;

	if (open)
		slot = container_of(open, struct guarantee_slot, link);
	else if (account_change_locked(guarantee, account, account->reserved, account->out + pieces, beyond))
		slot = piece_take_locked(guarantee, account, shift);
	else
		return NULL;
	return object_take_locked(guarantee, slot, start);
}

void *guarantee_take_locked(struct guarantee *guarantee, const struct device *device, uint64_t bytes, bool beyond,
			    struct phys_addr *start)
{
	struct guarantee_account *own = account_find_locked(guarantee, device);
	struct guarantee_account *account = own ? own : &guarantee->common;
	void *record = NULL;

	/* Of its own account, and then, if it may go beyond, of the common one. */
	for (unsigned tries = (own != NULL) + beyond; !record && tries > 0; tries--, account = &guarantee->common)
		record = take_locked(guarantee, account, bytes, beyond, start);
	guarantee->counts.refused += !record;
	return record;
}

/* A piece that has been counted is there, even if other takes and gives come in between. */
struct phys_addr guarantee_take_next(struct guarantee *guarantee, struct phys_addr first)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const struct guarantee_slot *taken = guarantee_slot_at(guarantee, first);
	struct phys_addr start;

	assert(taken); /* by the caller */
	(void)object_take_locked(guarantee, piece_take_locked(guarantee, taken->account, guarantee->piece_shift), &start);
	guarantee_unlock(guarantee, interrupts);
	return start;
}

void guarantee_give_locked(struct guarantee *guarantee, struct phys_addr start)
{
	struct guarantee_slot *slot = guarantee_slot_at(guarantee, start);
	const uint64_t offset = slot ? start.value - slot->start.value : 0;

	if (!slot || slot->state != SLOT_OUT || !is_aligned(offset, 1ull << slot->shift) ||
	    offset >> slot->shift >= slot->fresh)
		platform_panic("guarantee: 0x%llx is given back, but is not out", (unsigned long long)start.value);
	if (--slot->used == 0) {
		piece_give_locked(guarantee, slot);
		return;
	}
	*(uint32_t *)record_of(slot, offset >> slot->shift) = slot->returned;
	slot->returned = (uint32_t)(offset >> slot->shift);
	if (list_is_empty(&slot->link)) /* it was full */
		list_insert_first(open_list(slot), &slot->link);
}

void guarantee_give(struct guarantee *guarantee, struct phys_addr start)
{
	const uint64_t interrupts = guarantee_lock(guarantee);

	guarantee_give_locked(guarantee, start);
	guarantee_unlock(guarantee, interrupts);
}

/* Life ----------------------------------------------------------------------------------------- */

static void lists_init(struct guarantee *guarantee)
{
	spinlock_init(&guarantee->lock, "guarantee");
	mutex_init(&guarantee->refill, "guarantee refill");
	list_init(&guarantee->idle);
	list_init(&guarantee->loaned);
	list_init(&guarantee->due);
	list_init(&guarantee->reserving);
	list_init(&guarantee->unused);
	account_init(&guarantee->common);
}

/* Allocates all tables at once; the records come first. */
static bool tables_alloc(struct guarantee *guarantee)
{
	const uint32_t slots = guarantee->pieces + 1;
	const uint64_t records = (guarantee_piece_bytes(guarantee) >> GUARANTEE_OBJECT_SHIFT) * GUARANTEE_RECORD_BYTES;
	char *tables = heap_alloc(guarantee->heap,
				  slots * (records + sizeof(guarantee->slots[0])) +
					  guarantee->pieces * sizeof(guarantee->accounts[0]) +
					  guarantee->place_count * sizeof(guarantee->places[0]),
				  0);

	if (!tables)
		return false;
	guarantee->slots = (struct guarantee_slot *)(tables + slots * records);
	guarantee->accounts = (struct guarantee_account *)(guarantee->slots + slots);
	guarantee->places = (uint32_t *)(guarantee->accounts + guarantee->pieces);
	memset(guarantee->places, 0, guarantee->place_count * sizeof(guarantee->places[0]));
	for (uint32_t i = 0; i < slots; i++) {
		guarantee->slots[i] = (struct guarantee_slot){ .records = tables + i * records, .state = SLOT_EMPTY };
		list_init(&guarantee->slots[i].link);
		list_init(&guarantee->slots[i].due);
	}
	for (uint32_t i = 0; i < guarantee->pieces; i++) {
		account_init(&guarantee->accounts[i]);
		list_insert_last(&guarantee->unused, &guarantee->accounts[i].link);
	}
	return true;
}

/*
 * Fills the slots for the first time. Memory is never less fragmented than now: pieces that are not
 * found now are not promised.
 */
static void fill_first(struct guarantee *guarantee)
{
	const uint32_t wanted = guarantee->pieces;
	uint32_t found = 0;

	guarantee->spare = guarantee->slots;
	while (found < wanted && guarantee_bring(guarantee, &(struct loan_request){ .avoid_first = { 1 } }))
		guarantee->spare = &guarantee->slots[++found];
	guarantee->pieces = guarantee->counts.unreserved = found;
	guarantee->reclaim->guaranteed_blocks = found * guarantee->piece_blocks;
	if (found < wanted)
		log_warn("memory: only %u of the %u pieces of the DMA guarantee were found; set DMA_GUARANTEE_BYTES or "
			 "DMA_GUARANTEE_PIECE_BYTES lower",
			 found, wanted);
}

status_t guarantee_init(struct guarantee *guarantee, struct reclaim *reclaim, struct heap *heap,
			const struct guarantee_config *config)
{
	const struct phys_range all = block_heap_range(reclaim->blocks);
	const uint64_t end = all.start.value + all.bytes;

	memset(guarantee, 0, sizeof(*guarantee));
	guarantee->reclaim = reclaim;
	guarantee->heap = heap;
	owner_init(&guarantee->owner, "dma guarantee", true);
	lists_init(guarantee);
	if (config->bytes == 0)
		return STATUS_OK;
	if (!is_power_of_two(config->piece_bytes) || config->piece_bytes < BLOCK_BYTES ||
	    config->bytes > (reclaim->blocks->total_blocks << BLOCK_SHIFT) / 2)
		return STATUS_INVALID;
	guarantee->pieces = (uint32_t)divide_round_up(config->bytes, config->piece_bytes);
	guarantee->piece_blocks = config->piece_bytes >> BLOCK_SHIFT;
	guarantee->piece_shift = log2_floor(config->piece_bytes);
	guarantee->lowest = all.start;
	guarantee->place_count = guarantee_place(guarantee, (struct phys_addr){ end - 1 }) + 1;
	guarantee->highest.value = config->highest.value == 0 ? end - 1 : MIN(config->highest.value, end - 1);
	if (!tables_alloc(guarantee))
		return STATUS_NO_MEMORY;
	guarantee->cleaner = (struct cleaner){ .name = "dma guarantee", .cost = CLEANER_CLEAN, .clean = guarantee_clean };
	cleaner_register(&reclaim->cleaners, &guarantee->cleaner);
	fill_first(guarantee);
	return STATUS_OK;
}

bool guarantee_is_idle(const struct guarantee *guarantee)
{
	return guarantee->counts.out == 0 && !guarantee->donor;
}

void guarantee_fini(struct guarantee *guarantee)
{
	struct list *link;

	if (!guarantee->slots)
		return;
	cleaner_unregister(&guarantee->reclaim->cleaners, &guarantee->cleaner);
	while ((link = list_first(&guarantee->idle)))
		(void)guarantee_withdraw(guarantee, container_of(link, struct guarantee_slot, link), false);
	heap_free(guarantee->heap, guarantee->slots[0].records);
	guarantee->slots = NULL;
}
