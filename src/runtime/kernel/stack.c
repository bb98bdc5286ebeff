// SPDX-License-Identifier: BSD-2-Clause
/*
 * Stacks. Each has a slot of virtual addresses, mapped at the slot's upper end, so a look at the
 * slot's number tells whose stack an address belongs to. A few freed stacks of the usual size stay
 * mapped, because most are soon wanted again.
 */
#include "stack.h"

#include "range_layout.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/heap.h"
#include "runtime/base/platform.h"
#include "runtime/base/spinlock.h"
#include "runtime/x86_64/paging.h"
#include "task.h"

#define KEPT_MAX 64

struct slot {
	const char *_Atomic owner; /* NULL: free or kept */
	void *memory;              /* what the heap gave */
	uint32_t bytes;
	bool taken; /* [lock] */
};

static struct heap *memory;
static struct spinlock lock = { .name = "stacks" };
static struct slot slots[STACKS_MAX];
static unsigned next_slot;      /* [lock] where the search for a free one starts */
static unsigned kept[KEPT_MAX]; /* [lock] mapped slots of TASK_STACK_BYTES without an owner */
static unsigned kept_count;     /* [lock] */

static uint64_t slot_end(unsigned slot)
{
	return STACK_START + (slot + 1) * STACK_SLOT_BYTES;
}

static bool slot_take(unsigned *taken)
{
	bool found = false;

	spinlock_lock(&lock);
	for (unsigned i = 0; i < STACKS_MAX && !found; i++) {
		unsigned slot = (next_slot + i) % STACKS_MAX;

		if (!slots[slot].taken) {
			slots[slot].taken = found = true;
			*taken = slot;
			next_slot = slot + 1;
		}
	}
	spinlock_unlock(&lock);
	return found;
}

static void slot_release(unsigned slot)
{
	spinlock_lock(&lock);
	slots[slot].taken = false;
	next_slot = MIN(next_slot, slot);
	spinlock_unlock(&lock);
}

static bool kept_take(unsigned *slot)
{
	bool found;

	spinlock_lock(&lock);
	found = kept_count > 0;
	if (found)
		*slot = kept[--kept_count];
	spinlock_unlock(&lock);
	return found;
}

static bool kept_give(unsigned slot)
{
	bool kept_it;

	spinlock_lock(&lock);
	kept_it = kept_count < KEPT_MAX && slots[slot].bytes == TASK_STACK_BYTES;
	if (kept_it)
		kept[kept_count++] = slot;
	spinlock_unlock(&lock);
	return kept_it;
}

/* Takes a free slot and maps fresh memory into it. */
static status_t slot_fill(size_t bytes, unsigned *filled)
{
	unsigned slot;
	status_t status;

	if (!slot_take(&slot))
		return STATUS_NO_MEMORY;
	slots[slot].bytes = (uint32_t)bytes;
	slots[slot].memory = heap_alloc(memory, bytes, PAGE_BYTES);
	status = STATUS_NO_MEMORY;
	if (slots[slot].memory)
		status = paging_map(slot_end(slot) - bytes, platform_phys(slots[slot].memory), bytes, PAGING_WRITE);
	if (status == STATUS_OK) {
		*filled = slot;
		return STATUS_OK;
	}
	heap_free(memory, slots[slot].memory);
	slot_release(slot);
	return status;
}

void stack_init(struct heap *heap)
{
	memory = heap;
}

status_t stack_alloc(struct stack *stack, size_t bytes, const char *owner)
{
	unsigned slot;
	status_t status;

	bytes = align_up(bytes, PAGE_BYTES);
	assert(bytes > 0 && bytes <= STACK_BYTES_MAX);
	if (bytes != TASK_STACK_BYTES || !kept_take(&slot)) {
		status = slot_fill(bytes, &slot);
		if (status != STATUS_OK)
			return status;
	}
	atomic_store(&slots[slot].owner, owner);
	*stack = (struct stack){ .bottom = (void *)(slot_end(slot) - bytes), .bytes = bytes };
	return STATUS_OK;
}

void stack_free(struct stack *stack)
{
	uint64_t bottom = (uint64_t)stack->bottom;
	unsigned slot = (unsigned)((bottom - STACK_START) / STACK_SLOT_BYTES);

	assert(slot < STACKS_MAX && slots[slot].owner && slot_end(slot) - bottom == stack->bytes);
	atomic_store(&slots[slot].owner, NULL);
	*stack = (struct stack){ 0 };
	if (kept_give(slot))
		return;
	address_space_drop(slot_end(slot) - slots[slot].bytes, slots[slot].bytes);
	heap_free(memory, slots[slot].memory);
	slot_release(slot);
}

const char *stack_guard_owner(uint64_t address)
{
	uint64_t slot = (address - STACK_START) / STACK_SLOT_BYTES;

	if (address < STACK_START || slot >= STACKS_MAX || address >= slot_end((unsigned)slot) - slots[slot].bytes)
		return NULL;
	return atomic_load(&slots[slot].owner);
}
