// SPDX-License-Identifier: BSD-2-Clause
/*
 * Copies the start-up code below 1 MB, gives it page tables of its own, and tells it where the
 * next CPU goes on. The tables are made anew from the kernel's for each CPU, so they know all that
 * is mapped by then.
 */
#include "trampoline.h"

#include "cpu_registers.h"
#include "paging.h"
#include "runtime/base/assert.h"
#include "runtime/base/string.h"

#define ENTRIES      512
#define ENTRY_FLAGS  0x003ull /* present, writable */
#define ENTRY_LARGE  0x083ull
#define ADDRESS_MASK 0x000ffffffffff000ull

/* At trampoline_parameters in trampoline.S. */
struct parameters {
	uint32_t root;
	uint32_t cr4;
	uint32_t claimed;
	uint32_t reserved;
	void *stack;
	void (*entry)(void *argument);
	void *argument;
};

extern const char trampoline_start[], trampoline_end[], trampoline_parameters[];

void trampoline_init(const struct trampoline *trampoline)
{
	size_t bytes = (size_t)(trampoline_end - trampoline_start);

	assert(bytes <= PAGE_BYTES && (size_t)(trampoline_end - trampoline_parameters) == sizeof(struct parameters));
	memcpy(trampoline->code, trampoline_start, bytes);
	for (uint64_t i = 0; i < ENTRIES; i++)
		trampoline->tables[0][i] = i * BLOCK_BYTES | ENTRY_LARGE;
}

/* The root's index in `tables`; the lowest one there has pages of 2 MB. */
static unsigned root_index(void)
{
	return cr4_read() & CR4_LINEAR_ADDRESS_57 ? 3 : 2;
}

/* The kernel's tables on the way to address 0 are copied, and their first entries changed. */
static void tables_refresh(const struct trampoline *trampoline)
{
	const uint64_t *table = paging_root();

	for (unsigned i = root_index(); i > 0; i--) {
		memcpy(trampoline->tables[i], table, PAGE_BYTES);
		trampoline->tables[i][0] = (uint64_t)trampoline->tables[i - 1] | ENTRY_FLAGS;
		table = (const uint64_t *)(table[0] & ADDRESS_MASK);
	}
}

void trampoline_aim(const struct trampoline *trampoline, void *stack_top, void (*entry)(void *argument), void *argument)
{
	struct parameters *parameters =
		(struct parameters *)((char *)trampoline->code + (trampoline_parameters - trampoline_start));

	tables_refresh(trampoline);
	parameters->root = (uint32_t)(uint64_t)trampoline->tables[root_index()];
	parameters->cr4 = CR4_PAE | (uint32_t)(cr4_read() & CR4_LINEAR_ADDRESS_57);
	parameters->stack = stack_top;
	parameters->entry = entry;
	parameters->argument = argument;
	__atomic_store_n(&parameters->claimed, 0, __ATOMIC_SEQ_CST);
}
