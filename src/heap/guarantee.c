/*
 * Taking, giving and reserving. Each is a short section under [E] that counts first: account_change is the one place where
 * pieces go from one account to another. A counted take then finds its piece at the head of a list.
 */
#include "guarantee_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* Accounts ---------------------------------------------------------------------------------------------------------------- */

static void account_init(struct guarantee_account *account, const struct device *device)
{
	*account = (struct guarantee_account){ .device = device };
	list_init(&account->link);
	for (unsigned i = 0; i < GUARANTEE_SIZES; i++)
		list_init(&account->open[i]);
}

static struct guarantee_account *account_find_locked(struct guarantee *guarantee, const struct device *device)
{
	list_for_each (link, &guarantee->accounts) {
		struct guarantee_account *account = container_of(link, struct guarantee_account, link);

		if (account->device == device && !account->ended)
			return account;
	}
	return NULL;
}

/* False: it would take more than is unreserved, or any of that though it must not. */
static bool account_change_locked(struct guarantee *guarantee, struct guarantee_account *account, uint64_t reserved,
				  uint64_t out, bool beyond)
{
	const uint64_t before = MAX(account->reserved, account->out), after = MAX(reserved, out);

	if (after > before && after - before > (beyond ? guarantee->unreserved : 0))
		return false;
	guarantee->unreserved += (uint32_t)(before - after);
	guarantee->out += (uint32_t)out - account->out;
	account->reserved = (uint32_t)reserved;
	account->out = (uint32_t)out;
	return true;
}

/* A piece is back. */
static void account_credit_locked(struct guarantee *guarantee, struct guarantee_account *account)
{
	const bool last = account->ended && account->out == 1;

	(void)account_change_locked(guarantee, account, last ? 0 : account->reserved, account->out - 1, true);
}

bool guarantee_is_reached(const struct guarantee *guarantee, const struct device *device)
{
	return device->dma_lowest <= guarantee->memory->blocks.first_block << BLOCK_SHIFT &&
	       device->dma_mask >= guarantee->highest.value;
}

/* Adds to what the device has, or to `fresh`, which it has from then on. */
static bool reserve(struct guarantee *guarantee, struct guarantee_account *fresh, uint64_t pieces)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct guarantee_account *account = account_find_locked(guarantee, fresh->device);
	bool reserved;

	account = account ? account : fresh;
	reserved = account_change_locked(guarantee, account, account->reserved + pieces, account->out, true);
	if (reserved && account == fresh)
		list_insert_last(&guarantee->accounts, &fresh->link);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return reserved;
}

status_t guarantee_reserve(struct guarantee *guarantee, const struct device *device, uint64_t bytes)
{
	struct bookkeeping *bookkeeping = &guarantee->memory->bookkeeping;
	struct guarantee_account *fresh;
	bool reserved;

	if (bytes == 0)
		return STATUS_INVALID;
	if (guarantee->count == 0 || bytes > guarantee->pieces * guarantee_piece_bytes(guarantee))
		return STATUS_NO_MEMORY;
	if (!guarantee_is_reached(guarantee, device))
		return STATUS_RANGE;
	fresh = bookkeeping_alloc(bookkeeping, sizeof(*fresh));
	if (!fresh)
		return STATUS_NO_MEMORY;
	account_init(fresh, device);
	reserved = reserve(guarantee, fresh, divide_round_up(bytes, guarantee_piece_bytes(guarantee)));
	if (list_is_empty(&fresh->link))
		bookkeeping_free(bookkeeping, fresh, sizeof(*fresh));
	return reserved ? STATUS_OK : STATUS_NO_MEMORY;
}

void guarantee_end_reservation(struct guarantee *guarantee, const struct device *device)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct guarantee_account *account = account_find_locked(guarantee, device);

	if (account) {
		account->ended = true;
		if (account->out == 0)
			(void)account_change_locked(guarantee, account, 0, 0, false);
	}
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (account)
		guarantee_wake_refill(guarantee);
}

/* Pieces ------------------------------------------------------------------------------------------------------------------ */

static void due_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	if (list_is_empty(&slot->due))
		list_insert_last(&guarantee->due, &slot->due);
}

void guarantee_revoke_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	for (uint64_t i = 0; i < guarantee->piece_blocks; i++)
		guarantee->lender->revoke(guarantee->lender, guarantee_block(slot->start, i));
	list_remove(&slot->link);
	slot->revoked = true;
	guarantee->loans--;
	guarantee->steps_max = 1 + guarantee->piece_blocks;
	due_locked(guarantee, slot);
}

/* Idle memory costs nothing; of what is on loan, the oldest would have gone back to be refilled next. */
static struct guarantee_slot *piece_take_locked(struct guarantee *guarantee, struct guarantee_account *account, unsigned shift)
{
	struct list *first = list_first(&guarantee->idle);
	struct guarantee_slot *slot;

	first = first ? first : list_first(&guarantee->loaned);
	assert(first); /* it has been counted */
	slot = container_of(first, struct guarantee_slot, link);
	if (slot->state == SLOT_LOANED)
		guarantee_revoke_locked(guarantee, slot);
	else
		list_remove(&slot->link);
	slot->state = SLOT_OUT;
	slot->account = account;
	slot->shift = (uint8_t)shift;
	slot->used = slot->fresh = 0;
	slot->returned = GUARANTEE_NONE;
	due_locked(guarantee, slot);
	list_insert_first(&account->open[shift - GUARANTEE_OBJECT_SHIFT], &slot->link);
	return slot;
}

static void piece_give_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	list_remove(&slot->link);
	account_credit_locked(guarantee, slot->account);
	slot->account = NULL;
	slot->state = SLOT_IDLE;
	due_locked(guarantee, slot);
	list_insert_first(&guarantee->idle, &slot->link);
}

/* Objects of a piece ------------------------------------------------------------------------------------------------------ */

static uint32_t piece_objects(const struct guarantee *guarantee, const struct guarantee_slot *slot)
{
	return 1u << (guarantee->piece_shift - slot->shift);
}

static char *record_of(const struct guarantee *guarantee, const struct guarantee_slot *slot, uint64_t offset)
{
	const uint64_t bytes = ((uint64_t)(slot - guarantee->slots) << guarantee->piece_shift) + offset;

	return guarantee->records + (bytes >> GUARANTEE_OBJECT_SHIFT) * GUARANTEE_RECORD_BYTES;
}

void *guarantee_record(const struct guarantee *guarantee, struct phys_addr start)
{
	const struct guarantee_slot *slot = guarantee_slot_at(guarantee, start);

	return record_of(guarantee, slot, start.value - slot->start.value);
}

/* Of an object that was given back: the next one. */
static uint32_t *link_of(const struct guarantee *guarantee, const struct guarantee_slot *slot, uint32_t object)
{
	return (uint32_t *)record_of(guarantee, slot, (uint64_t)object << slot->shift);
}

static struct phys_addr object_take_locked(struct guarantee *guarantee, struct guarantee_slot *slot)
{
	uint32_t object = slot->returned;

	if (object == GUARANTEE_NONE)
		object = slot->fresh++;
	else
		slot->returned = *link_of(guarantee, slot, object);
	if (++slot->used == piece_objects(guarantee, slot))
		list_remove(&slot->link);
	guarantee->taken++;
	return (struct phys_addr){ slot->start.value + ((uint64_t)object << slot->shift) };
}

static bool take_locked(struct guarantee *guarantee, struct guarantee_account *account, unsigned shift, bool beyond,
			struct phys_addr *start)
{
	struct list *open = list_first(&account->open[shift - GUARANTEE_OBJECT_SHIFT]);
	struct guarantee_slot *slot;

	if (open)
		slot = container_of(open, struct guarantee_slot, link);
	else if (account_change_locked(guarantee, account, account->reserved, account->out + 1ull, beyond))
		slot = piece_take_locked(guarantee, account, shift);
	else
		return false;
	*start = object_take_locked(guarantee, slot);
	return true;
}

bool guarantee_take(struct guarantee *guarantee, const struct device *device, uint64_t bytes, bool beyond,
		    struct phys_addr *start)
{
	const unsigned shift = MAX(log2_ceil(bytes), GUARANTEE_OBJECT_SHIFT);
	struct guarantee_account *account;
	bool taken = false;

	if (guarantee->count == 0 || bytes > guarantee_piece_bytes(guarantee))
		return false;
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	const uint32_t out = guarantee->out;
	account = account_find_locked(guarantee, device);
	if (account)
		taken = take_locked(guarantee, account, shift, beyond, start);
	if (!taken && beyond)
		taken = take_locked(guarantee, &guarantee->common, shift, true, start);
	guarantee->refused += !taken;
	const bool opened = guarantee->out != out;
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (opened)
		guarantee_wake_refill(guarantee);
	return taken;
}

bool guarantee_count(struct guarantee *guarantee, const struct device *device, uint32_t count, bool beyond,
		     struct guarantee_account **account)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	bool counted;

	*account = account_find_locked(guarantee, device);
	*account = *account ? *account : &guarantee->common;
	counted = account_change_locked(guarantee, *account, (*account)->reserved, (uint64_t)(*account)->out + count, beyond);
	guarantee->refused += !counted;
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	return counted;
}

/* What has been counted is there, however the lock changes hands meanwhile. */
struct phys_addr guarantee_take_counted(struct guarantee *guarantee, struct guarantee_account *account)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct phys_addr start;

	start = object_take_locked(guarantee, piece_take_locked(guarantee, account, guarantee->piece_shift));
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	guarantee_wake_refill(guarantee);
	return start;
}

/* The object that begins there, in a piece that is out; panics otherwise. */
static uint32_t object_of_locked(const struct guarantee_slot *slot, struct phys_addr start)
{
	const uint64_t offset = slot ? start.value - slot->start.value : 0;

	if (!slot || slot->state != SLOT_OUT || (offset & ((1ull << slot->shift) - 1)) != 0 ||
	    offset >> slot->shift >= slot->fresh)
		platform_panic("guarantee: 0x%llx is given back, but is not out", (unsigned long long)start.value);
	return (uint32_t)(offset >> slot->shift);
}

void guarantee_give(struct guarantee *guarantee, struct phys_addr start)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct guarantee_slot *slot = guarantee_slot_at(guarantee, start);
	const uint32_t object = object_of_locked(slot, start);

	if (slot->used-- == piece_objects(guarantee, slot))
		list_insert_first(&slot->account->open[slot->shift - GUARANTEE_OBJECT_SHIFT], &slot->link);
	*link_of(guarantee, slot, object) = slot->returned;
	slot->returned = object;
	const bool closed = slot->used == 0;
	if (closed)
		piece_give_locked(guarantee, slot);
	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	if (closed)
		guarantee_wake_refill(guarantee);
}

/* Life -------------------------------------------------------------------------------------------------------------------- */

static void lists_init(struct guarantee *guarantee)
{
	spinlock_init(&guarantee->lock, "guarantee");
	mutex_init(&guarantee->refill, "guarantee refill");
	list_init(&guarantee->idle);
	list_init(&guarantee->loaned);
	list_init(&guarantee->empty);
	list_init(&guarantee->due);
	list_init(&guarantee->accounts);
	account_init(&guarantee->common, NULL);
}

static bool tables_alloc(struct guarantee *guarantee)
{
	struct heap *heap = memory_general_heap(guarantee->memory);
	const uint64_t bytes = guarantee->count * guarantee_piece_bytes(guarantee);

	guarantee->slots = heap_alloc(heap, guarantee->count * sizeof(guarantee->slots[0]), 0);
	guarantee->places = heap_alloc(heap, guarantee->place_count * sizeof(guarantee->places[0]), 0);
	guarantee->records = heap_alloc(heap, (bytes >> GUARANTEE_OBJECT_SHIFT) * GUARANTEE_RECORD_BYTES, 0);
	if (!guarantee->slots || !guarantee->places || !guarantee->records)
		return false;
	memset(guarantee->slots, 0, guarantee->count * sizeof(guarantee->slots[0]));
	memset(guarantee->places, 0, guarantee->place_count * sizeof(guarantee->places[0]));
	return true;
}

static void tables_free(struct guarantee *guarantee)
{
	struct heap *heap = memory_general_heap(guarantee->memory);

	heap_free(heap, guarantee->slots);
	heap_free(heap, guarantee->places);
	heap_free(heap, guarantee->records);
	guarantee->pieces = guarantee->count = 0;
}

/* Memory is never less fragmented than now: what is not found is not promised. */
static void fill_first(struct guarantee *guarantee)
{
	const uint32_t wanted = guarantee->pieces;

	for (uint32_t i = 0; i < guarantee->count; i++) {
		list_init(&guarantee->slots[i].due);
		list_insert_last(&guarantee->empty, &guarantee->slots[i].link);
	}
	guarantee_fill(guarantee);
	guarantee->pieces = guarantee->unreserved = guarantee->filled;
	if (guarantee->pieces < wanted)
		log_warn("memory: only %u of the %u pieces of the DMA guarantee were found; set DMA_GUARANTEE_BYTES or "
			 "DMA_GUARANTEE_PIECE_BYTES lower",
			 guarantee->pieces, wanted);
}

status_t guarantee_init(struct guarantee *guarantee, struct memory *memory, const struct guarantee_config *config)
{
	const uint64_t end = (memory->blocks.first_block + memory->blocks.count) << BLOCK_SHIFT;

	memset(guarantee, 0, sizeof(*guarantee));
	guarantee->memory = memory;
	owner_init(&guarantee->owner, "dma guarantee", true);
	lists_init(guarantee);
	if (config->bytes == 0)
		return STATUS_OK;
	if (!is_power_of_two(config->piece_bytes) || config->piece_bytes < BLOCK_BYTES ||
	    config->bytes > memory_total_bytes(memory) / 2)
		return STATUS_INVALID;
	guarantee->pieces = (uint32_t)divide_round_up(config->bytes, config->piece_bytes);
	guarantee->count = guarantee->pieces + 1;
	guarantee->piece_blocks = config->piece_bytes >> BLOCK_SHIFT;
	guarantee->piece_shift = log2_floor(config->piece_bytes);
	guarantee->first_place = memory->blocks.first_block << BLOCK_SHIFT >> guarantee->piece_shift;
	guarantee->place_count = ((end - 1) >> guarantee->piece_shift) - guarantee->first_place + 1;
	guarantee->highest.value = config->highest.value == 0 ? end - 1 : MIN(config->highest.value, end - 1);
	if (!tables_alloc(guarantee)) {
		tables_free(guarantee);
		return STATUS_NO_MEMORY;
	}
	guarantee->cleaner = (struct cleaner){ .name = "dma guarantee", .cost = CLEANER_CLEAN, .clean = guarantee_clean };
	cleaner_register(&memory->cleaners, &guarantee->cleaner);
	fill_first(guarantee);
	return STATUS_OK;
}

bool guarantee_is_idle(const struct guarantee *guarantee)
{
	return guarantee->out == 0 && !guarantee->lender;
}

void guarantee_fini(struct guarantee *guarantee)
{
	struct list *link;

	if (guarantee->count == 0)
		return;
	cleaner_unregister(&guarantee->memory->cleaners, &guarantee->cleaner);
	guarantee->pieces = 0;
	guarantee_reap_all(guarantee);
	while ((link = list_first(&guarantee->idle)))
		(void)guarantee_withdraw(guarantee, container_of(link, struct guarantee_slot, link), SLOT_IDLE);
	while ((link = list_take_first(&guarantee->accounts)))
		bookkeeping_free(&guarantee->memory->bookkeeping, container_of(link, struct guarantee_account, link),
				 sizeof(struct guarantee_account));
	tables_free(guarantee);
}
