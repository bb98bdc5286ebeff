// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's page tables.
 *
 * 1. The direct map: the RAM of the memory map that is usable or the kernel's, at its physical
 *    address, readable and writable, never executable, with pages as large as fit; the framebuffer
 *    likewise, write-combining. Mapped for good, but for pages that paging_hide takes away. What
 *    the firmware keeps is not mapped: what has to be read there is mapped for that (mmio.h).
 * 2. The image's sections have the rights that they need: code is not writable, what is writable is
 *    not executable. Page 0 and the guard pages of the boot stacks are not mapped.
 * 3. Everything else is mapped page by page with paging_map and unmapped with paging_unmap. All
 *    CPUs share the tables. A CPU may still hold a translation that was taken away, until it
 *    flushes; the caller sees to that (address_space.h).
 *
 * Tables are never freed: those of a range that was unmapped serve the next mapping there. Intel
 * SDM volume 3, chapter 4.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct boot_info;
struct heap;

enum paging_flags {
	PAGING_WRITE = 1 << 0,
	PAGING_EXECUTE = 1 << 1,
	PAGING_UNCACHED = 1 << 2,
	PAGING_WRITE_COMBINING = 1 << 3,
	PAGING_SMALL = 1 << 4, /* for paging_map: with pages of 4 KB only */
};

/*
 * Builds the tables and runs on them. EFER.NXE, CR0.WP and the PAT are set. CR4 has PAE, PGE and
 * MCE, and LA57 and VMXE as the firmware left them, because they cannot be changed here. All else
 * that it left on goes: protection keys of supervisor pages and LASS would forbid the kernel's
 * pages, shadow stacks (CET) and PCIDs would be the firmware's, and SMEP, SMAP and PKU are for
 * pages of users. `heap` gives pages for tables, now and later; its memory must be mapped directly,
 * and now lies in the pool of boot_info: the firmware's tables are still in use. Panics when there
 * is not enough of it. Once, on the first CPU.
 */
void paging_init(const struct boot_info *boot, struct heap *heap);

/* The same registers on another CPU, on that CPU, which runs on a copy of the root. */
void paging_init_cpu(void);

/*
 * The root table, 4 KB. It may lie above 4 GB; a CPU that starts in 32-bit mode uses a copy in low
 * memory (the first 512 GB and everything that was mapped by then are the same), with EFER.NXE on,
 * until paging_init_cpu.
 */
const void *paging_root(void);

/*
 * Maps [virtual, virtual + bytes) to `physical` onwards, with pages as large as fit. All are
 * multiples of 4 KB, the virtual addresses canonical. Readable; `flags` add to that. Takes a
 * spinlock; may be called wherever the heap may. STATUS_BUSY: a page of the range is mapped
 * already; STATUS_NO_MEMORY: no memory for tables. Then nothing is mapped.
 */
status_t paging_map(uint64_t virtual, struct phys_addr physical, uint64_t bytes, unsigned flags) MUST_CHECK;

/*
 * Unmaps what paging_map mapped, in the same pieces or in several at once, and flushes it on this
 * CPU. Pages of the range that are not mapped are skipped. Takes a spinlock.
 */
void paging_unmap(uint64_t virtual, uint64_t bytes);

/*
 * Replaces large pages of the direct map in the range, whole blocks, by those of 4 KB, which then
 * can be hidden and shown again one by one: it faults to touch a hidden one; its entry keeps all
 * but the present bit. At start-up, while there is one CPU. STATUS_NO_MEMORY: no memory for tables;
 * nothing is lost. Hide and show: any context, no lock; hide drops the pages from this CPU's TLB,
 * show need not.
 */
status_t paging_split(uint64_t virtual, uint64_t bytes) MUST_CHECK;
void paging_hide(uint64_t virtual, uint64_t bytes);
void paging_show(uint64_t virtual, uint64_t bytes);

/*
 * The mapping at `virtual`; either out-parameter may be NULL. False: not mapped. Takes no lock; any
 * context.
 */
bool paging_translate(uint64_t virtual, struct phys_addr *physical, unsigned *flags);

/*
 * Drops the range from this CPU's TLB; all of it, global pages included, when the range is large.
 * Any context.
 */
void paging_flush(uint64_t virtual, uint64_t bytes);
