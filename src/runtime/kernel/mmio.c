// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mappings at the physical address, for good: page by page, where a neighbour may have mapped a
 * page already, or in large pages where nothing of them is mapped yet.
 */
#include "mmio.h"

#include "range_layout.h"
#include "runtime/base/bits.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/paging.h"

/* The CPU has such physical addresses, and they lie below the virtual ones that are given out. */
static bool is_reachable(struct phys_addr address, uint64_t bytes)
{
	const unsigned bits = cpuid_if_present(0x80000008, 0).eax & 0xff;
	const uint64_t limit = MIN(1ull << (bits ? bits : 36), STACK_START);

	return bytes > 0 && address.value < limit && bytes <= limit - address.value;
}

/*
 * Maps the pages of the range that are not mapped yet at their physical address. STATUS_BUSY: a
 * page is mapped already as another type.
 */
static status_t map_identity(struct phys_addr address, uint64_t bytes, unsigned flags)
{
	uint64_t page, end;

	if (!is_reachable(address, bytes))
		return STATUS_RANGE;
	end = align_up(address.value + bytes, PAGE_BYTES);
	for (page = align_down(address.value, PAGE_BYTES); page < end; page += PAGE_BYTES) {
		status_t status = STATUS_BUSY;
		unsigned is;

		if (!paging_translate(page, NULL, NULL))
			status = paging_map(page, (struct phys_addr){ page }, PAGE_BYTES, flags);
		if (status == STATUS_BUSY && paging_translate(page, NULL, &is)) /* before, or another task was faster */
			status = (is ^ flags) & PAGING_WRITE_COMBINING ? STATUS_BUSY : STATUS_OK;
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

status_t mmio_map_as(struct phys_addr address, uint64_t bytes, enum mmio_type type, void **mapped)
{
	const unsigned flags = PAGING_WRITE | (type == MMIO_WRITE_COMBINING ? PAGING_WRITE_COMBINING : PAGING_UNCACHED);
	status_t status = STATUS_BUSY;

	/* A large BAR gets large pages, if nothing of it is mapped yet. */
	if (is_aligned(address.value | bytes, BLOCK_BYTES) && is_reachable(address, bytes))
		status = paging_map(address.value, address, bytes, flags);
	if (status != STATUS_OK)
		status = map_identity(address, bytes, flags);
	if (status == STATUS_OK)
		*mapped = (void *)address.value;
	return status;
}

void *mmio_map(struct phys_addr address, uint64_t bytes)
{
	void *mapped;

	return mmio_map_as(address, bytes, MMIO_REGISTERS, &mapped) == STATUS_OK ? mapped : NULL;
}

const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	/* Page 0 stays unmapped. */
	if (address.value < PAGE_BYTES)
		return NULL;
	return map_identity(address, bytes, 0) == STATUS_OK ? (const void *)address.value : NULL;
}
