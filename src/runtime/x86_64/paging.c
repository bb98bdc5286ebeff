// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables of four or five levels, walked from the root. A table that is needed is allocated with
 * the lock released and handed in afterwards, since the heap may need page tables itself. The walk
 * reads entries whole, so a lookup needs no lock.
 */
#include "paging.h"

#include <stdatomic.h>

#include "runtime/base/bits.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/heap.h"
#include "runtime/base/inject.h"
#include "runtime/base/spinlock.h"

#include "cpu_registers.h"
#include "direct_map.h"

#define ENTRY_PRESENT       (1ull << 0)
#define ENTRY_WRITE         (1ull << 1)
#define ENTRY_WRITE_THROUGH (1ull << 3) /* lowest bit of the index into the PAT */
#define ENTRY_CACHE_DISABLE (1ull << 4) /* its next bit */
#define ENTRY_ACCESSED      (1ull << 5)
#define ENTRY_DIRTY         (1ull << 6)
#define ENTRY_LARGE         (1ull << 7)
#define ENTRY_GLOBAL        (1ull << 8)
#define ENTRY_NO_EXECUTE    (1ull << 63)
#define ENTRY_ADDRESS       0x000ffffffffff000ull

/*
 * Memory types by index, both halves alike: write-back, write-combining, uncached unless an MTRR
 * says otherwise, uncached.
 */
#define PAT_VALUE 0x0007010600070106ull

#define ENTRIES         512
#define LEVEL_1GB       2
#define LEVEL_2MB       1
#define LEVEL_4KB       0
#define FLUSH_PAGES_MAX 64

struct page_table {
	_Atomic uint64_t entries[ENTRIES];
};

/* A mapping under way: tables are allocated with the lock released, and handed in one at a time. */
struct mapping {
	uint64_t virtual;
	uint64_t physical;
	uint64_t bytes;
	uint64_t rights;
	unsigned level_max;
	struct page_table *spare;
};

static struct page_table *root_table;
static struct heap *table_heap;
static unsigned levels;    /* 4, or 5 where the firmware runs with 57-bit addresses */
static unsigned level_max; /* of the largest page that the CPU has */
static struct spinlock paging_lock = { .name = "paging" };

static unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * level;
}

static uint64_t level_bytes(unsigned level)
{
	return 1ull << level_shift(level);
}

static _Atomic uint64_t *entry_of(struct page_table *table, uint64_t virtual, unsigned level)
{
	return &table->entries[(virtual >> level_shift(level)) % ENTRIES];
}

static bool is_page(uint64_t entry, unsigned level)
{
	return (entry & ENTRY_PRESENT) && (level == LEVEL_4KB || (entry & ENTRY_LARGE));
}

static struct page_table *table_of(uint64_t entry)
{
	return (struct page_table *)(uintptr_t)(entry & ENTRY_ADDRESS);
}

static struct page_table *table_alloc(void)
{
	return heap_alloc_zeroed(table_heap, sizeof(struct page_table), PAGE_BYTES);
}

static uint64_t rights_of(unsigned flags)
{
	uint64_t rights = ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_GLOBAL;

	if (flags & PAGING_WRITE)
		rights |= ENTRY_WRITE | ENTRY_DIRTY;
	if (!(flags & PAGING_EXECUTE))
		rights |= ENTRY_NO_EXECUTE;
	if (flags & PAGING_UNCACHED)
		rights |= ENTRY_CACHE_DISABLE | ENTRY_WRITE_THROUGH;
	else if (flags & PAGING_WRITE_COMBINING)
		rights |= ENTRY_WRITE_THROUGH;
	return rights;
}

static unsigned flags_of(uint64_t entry)
{
	unsigned flags = 0;

	if (entry & ENTRY_WRITE)
		flags |= PAGING_WRITE;
	if (!(entry & ENTRY_NO_EXECUTE))
		flags |= PAGING_EXECUTE;
	if (entry & ENTRY_CACHE_DISABLE)
		flags |= PAGING_UNCACHED;
	else if (entry & ENTRY_WRITE_THROUGH)
		flags |= PAGING_WRITE_COMBINING;
	return flags;
}

static unsigned level_that_fits(const struct mapping *mapping)
{
	unsigned level = mapping->level_max;

	while (level > LEVEL_4KB &&
	       (!is_aligned(mapping->virtual | mapping->physical, level_bytes(level)) || mapping->bytes < level_bytes(level)))
		level--;
	return level;
}

/*
 * Maps the first page of `mapping`. A table that stands where a large page would fit stays, and
 * smaller pages go into it: it may be in use by others. STATUS_NO_MEMORY: a table is needed and
 * there is no spare one.
 */
static status_t page_map_locked(struct mapping *mapping, uint64_t *mapped_bytes)
{
	unsigned wanted = level_that_fits(mapping);
	struct page_table *table = root_table;

	for (unsigned level = levels - 1;; level--) {
		_Atomic uint64_t *slot = entry_of(table, mapping->virtual, level);
		uint64_t entry = atomic_load_explicit(slot, memory_order_relaxed);

		if (is_page(entry, level))
			return STATUS_BUSY;
		if (level <= wanted && !(entry & ENTRY_PRESENT)) {
			uint64_t large = level > LEVEL_4KB ? ENTRY_LARGE : 0;
			atomic_store_explicit(slot, mapping->physical | mapping->rights | large, memory_order_release);
			*mapped_bytes = level_bytes(level);
			return STATUS_OK;
		}
		if (!(entry & ENTRY_PRESENT)) {
			if (!mapping->spare)
				return STATUS_NO_MEMORY;
			entry = (uintptr_t)mapping->spare | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED;
			mapping->spare = NULL;
			atomic_store_explicit(slot, entry, memory_order_release);
		}
		table = table_of(entry);
	}
}

static status_t mapping_run(struct mapping *mapping)
{
	while (mapping->bytes > 0) {
		uint64_t mapped_bytes = 0;
		status_t status;

		spinlock_lock(&paging_lock);
		status = page_map_locked(mapping, &mapped_bytes);
		spinlock_unlock(&paging_lock);
		if (status == STATUS_NO_MEMORY)
			mapping->spare = table_alloc();
		if (status == STATUS_BUSY || (status == STATUS_NO_MEMORY && !mapping->spare))
			return status;
		mapping->virtual += mapped_bytes;
		mapping->physical += mapped_bytes;
		mapping->bytes -= mapped_bytes;
	}
	return STATUS_OK;
}

static status_t range_map(uint64_t virtual, uint64_t physical, uint64_t bytes, unsigned flags, unsigned page_level_max)
{
	struct mapping mapping = {
		.virtual = virtual,
		.physical = physical,
		.bytes = bytes,
		.rights = rights_of(flags),
		.level_max = page_level_max,
	};
	status_t status;

	assert(is_aligned(virtual | physical | bytes, PAGE_BYTES));
	status = mapping_run(&mapping);
	if (mapping.spare)
		heap_free(table_heap, mapping.spare);
	if (status != STATUS_OK)
		paging_unmap(virtual, mapping.virtual - virtual);
	return status;
}

status_t paging_map(uint64_t virtual, struct phys_addr physical, uint64_t bytes, unsigned flags)
{
	return range_map(virtual, physical.value, bytes, flags, flags & PAGING_SMALL ? LEVEL_4KB : level_max);
}

/* Returns the bytes from `virtual` to the end of the page or of the hole there. */
static uint64_t page_unmap_locked(uint64_t virtual, uint64_t bytes)
{
	struct page_table *table = root_table;

	for (unsigned level = levels - 1;; level--) {
		_Atomic uint64_t *slot = entry_of(table, virtual, level);
		uint64_t entry = atomic_load_explicit(slot, memory_order_relaxed);

		if (is_page(entry, level)) {
			assert(is_aligned(virtual, level_bytes(level)) && bytes >= level_bytes(level));
			atomic_store_explicit(slot, 0, memory_order_release);
			return level_bytes(level);
		}
		if (!(entry & ENTRY_PRESENT))
			return level_bytes(level) - virtual % level_bytes(level);
		table = table_of(entry);
	}
}

void paging_unmap(uint64_t virtual, uint64_t bytes)
{
	uint64_t step;

	assert(is_aligned(virtual | bytes, PAGE_BYTES));
	for (uint64_t done = 0; done < bytes; done += step) {
		spinlock_lock(&paging_lock);
		step = page_unmap_locked(virtual + done, bytes - done);
		spinlock_unlock(&paging_lock);
	}
	paging_flush(virtual, bytes);
}

/* The same mapping in pages of the next size. */
static void table_fill(struct page_table *table, uint64_t entry, unsigned level)
{
	const uint64_t step = level_bytes(level - 1);
	const uint64_t rights = entry & ~(ENTRY_ADDRESS | ENTRY_LARGE);
	const uint64_t large = level - 1 > LEVEL_4KB ? ENTRY_LARGE : 0;

	for (uint64_t i = 0; i < ENTRIES; i++) {
		const uint64_t physical = align_down(entry & ENTRY_ADDRESS, level_bytes(level)) + i * step;

		atomic_store_explicit(&table->entries[i], physical | rights | large, memory_order_relaxed);
	}
}

/* The entry of the page at the address, and its level. The address is mapped. */
static _Atomic uint64_t *page_entry(uint64_t virtual, unsigned *level)
{
	struct page_table *table = root_table;
	_Atomic uint64_t *slot;

	for (*level = levels - 1;; --*level) {
		slot = entry_of(table, virtual, *level);
		const uint64_t entry = atomic_load_explicit(slot, memory_order_acquire);

		if (*level == LEVEL_4KB || is_page(entry, *level))
			return slot;
		assert(entry & ENTRY_PRESENT);
		table = table_of(entry);
	}
}

status_t paging_split(uint64_t virtual, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		unsigned level;
		_Atomic uint64_t *slot = page_entry(virtual + done, &level);
		const uint64_t entry = atomic_load_explicit(slot, memory_order_relaxed);
		struct page_table *table;

		if (level == LEVEL_4KB) {
			done += level_bytes(LEVEL_2MB);
			continue;
		}
		table = table_alloc();
		if (!table)
			return STATUS_NO_MEMORY;
		table_fill(table, entry, level);
		atomic_store_explicit(slot, (uintptr_t)table | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED,
				      memory_order_release);
		paging_flush(align_down(virtual + done, level_bytes(level)), level_bytes(level));
	}
	return STATUS_OK;
}

/* Accessed and dirty are set from the start, so the CPU never writes to an entry. */
void paging_hide(uint64_t virtual, uint64_t bytes)
{
	unsigned level;

	for (uint64_t done = 0; done < bytes; done += PAGE_BYTES) {
		atomic_fetch_and_explicit(page_entry(virtual + done, &level), ~ENTRY_PRESENT, memory_order_release);
		assert(level == LEVEL_4KB);
	}
	paging_flush(virtual, bytes);
}

void paging_show(uint64_t virtual, uint64_t bytes)
{
	unsigned level;

	for (uint64_t done = 0; done < bytes; done += PAGE_BYTES) {
		atomic_fetch_or_explicit(page_entry(virtual + done, &level), ENTRY_PRESENT, memory_order_release);
		assert(level == LEVEL_4KB);
	}
}

bool paging_translate(uint64_t virtual, struct phys_addr *physical, unsigned *flags)
{
	const unsigned top_level = cr4_read() & CR4_LINEAR_ADDRESS_57 ? 4 : 3;
	const unsigned unused_bits = 64 - level_shift(top_level + 1);
	struct page_table *table = table_of(cr3_read());

	/* Canonical addresses repeat their highest bit. */
	if ((uint64_t)((int64_t)(virtual << unused_bits) >> unused_bits) != virtual)
		return false;
	for (unsigned level = top_level;; level--) {
		uint64_t entry = atomic_load_explicit(entry_of(table, virtual, level), memory_order_acquire);

		if (!(entry & ENTRY_PRESENT))
			return false;
		if (is_page(entry, level)) {
			uint64_t offset = virtual % level_bytes(level);
			if (physical)
				physical->value = align_down(entry & ENTRY_ADDRESS, level_bytes(level)) + offset;
			if (flags)
				*flags = flags_of(entry);
			return true;
		}
		table = table_of(entry);
	}
}

void paging_flush(uint64_t virtual, uint64_t bytes)
{
	uint64_t state, cr4;

	if (bytes <= FLUSH_PAGES_MAX * PAGE_BYTES) {
		for (uint64_t done = 0; done < bytes; done += PAGE_BYTES)
			tlb_flush_page(virtual + done);
		return;
	}
	/* Turning global pages off and on drops everything. */
	state = platform_interrupts_save();
	cr4 = cr4_read();
	cr4_write(cr4 & ~CR4_PAGE_GLOBAL);
	cr4_write(cr4);
	platform_interrupts_restore(state);
}

const void *paging_root(void)
{
	return root_table;
}

void paging_init_cpu(void)
{
	uint64_t cr4 = CR4_PAE | (cr4_read() & (CR4_LINEAR_ADDRESS_57 | CR4_VIRTUAL_MACHINES | CR4_MACHINE_CHECK));

	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NO_EXECUTE);
	cr0_write(cr0_read() | CR0_WRITE_PROTECT);
	cr4_write(cr4);
	cr3_write((uintptr_t)root_table);
	msr_write(MSR_PAT, PAT_VALUE);
	cr4_write(cr4 | CR4_PAGE_GLOBAL);
}

static void tables_build(const struct boot_info *boot, unsigned usable_flags)
{
	root_table = table_alloc();
	if (!root_table)
		platform_panic("paging: no memory for the root table");
	direct_map_build(boot, usable_flags);
}

/* Firmware whose own tables, like these, forbid writing to all memory that it is done with. */
static void write_protected_lie(const struct boot_info *boot)
{
	tables_build(boot, 0);
	paging_init_cpu();
	direct_map_framebuffer(&boot->framebuffer);
}

void paging_init(const struct boot_info *boot, struct heap *heap)
{
	bool has_1gb_pages = (cpuid_if_present(0x80000001u, 0).edx >> 26) & 1;

	table_heap = heap;
	levels = cr4_read() & CR4_LINEAR_ADDRESS_57 ? 5 : 4;
	level_max = has_1gb_pages ? LEVEL_1GB : LEVEL_2MB;
	if (INJECTED("write-protected"))
		write_protected_lie(boot);
	tables_build(boot, PAGING_WRITE);
	paging_init_cpu();
	direct_map_framebuffer(&boot->framebuffer);
}
