// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mappings for good. What lies in the lower half of the addresses is mapped at its physical
 * address: page by page, where a neighbour may have mapped a page already, or in large pages where
 * nothing of them is mapped yet. What lies above gets fresh addresses.
 */
#include "mmio.h"

#include "address_space.h"
#include "memory_map.h"
#include "runtime/base/bits.h"
#include "runtime/base/inject.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/paging.h"

#define LOWER_HALF_BITS 47u /* with four levels of page tables */
#define TYPE_FLAGS      (PAGING_WRITE | PAGING_UNCACHED | PAGING_WRITE_COMBINING)

static bool lies_below(struct phys_addr address, uint64_t bytes, unsigned bits)
{
	const uint64_t limit = 1ull << bits;

	return address.value < limit && bytes <= limit - address.value;
}

/* Intel SDM volume 2, CPUID leaf 80000008h. Page 0 stays unmapped. */
static bool is_reachable(struct phys_addr address, uint64_t bytes)
{
	const unsigned bits = INJECTED("wide-addresses") ? 52 : cpuid_if_present(0x80000008, 0).eax & 0xff;

	return bytes > 0 && address.value >= PAGE_BYTES && lies_below(address, bytes, bits ? bits : 36);
}

/*
 * Maps the pages of the range that are not mapped yet at their physical address. STATUS_BUSY: a
 * page is mapped already as another of the types that matter.
 */
static status_t map_identity(struct phys_addr address, uint64_t bytes, unsigned flags, unsigned flags_that_matter)
{
	const uint64_t end = align_up(address.value + bytes, PAGE_BYTES);
	uint64_t page;

	for (page = align_down(address.value, PAGE_BYTES); page < end; page += PAGE_BYTES) {
		status_t status = STATUS_BUSY;
		unsigned is;

		if (!paging_translate(page, NULL, NULL))
			status = paging_map(page, (struct phys_addr){ page }, PAGE_BYTES, flags);
		if (status == STATUS_BUSY && paging_translate(page, NULL, &is)) /* before, or another task was faster */
			status = (is ^ flags) & flags_that_matter ? STATUS_BUSY : STATUS_OK;
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

static status_t map_elsewhere(struct phys_addr address, uint64_t bytes, unsigned flags, void **mapped)
{
	const uint64_t start = align_down(address.value, PAGE_BYTES);
	const struct phys_range pages = { { start }, align_up(address.value + bytes, PAGE_BYTES) - start };
	void *first;
	status_t status = address_space_map(&pages, 1, flags, &first);

	if (status == STATUS_OK)
		*mapped = (char *)first + (address.value - start);
	return status;
}

status_t mmio_map_as(struct phys_addr address, uint64_t bytes, enum mmio_type type, void **mapped)
{
	const unsigned flags = PAGING_WRITE | (type == MMIO_WRITE_COMBINING ? PAGING_WRITE_COMBINING : PAGING_UNCACHED);
	status_t status = STATUS_BUSY;

	if (!is_reachable(address, bytes))
		return STATUS_RANGE;
	if (memory_map_has_ram(address, bytes))
		return STATUS_CORRUPT;
	if (!lies_below(address, bytes, LOWER_HALF_BITS))
		return map_elsewhere(address, bytes, flags, mapped);
	/* A large BAR gets large pages, if nothing of it is mapped yet. */
	if (is_aligned(address.value | bytes, BLOCK_BYTES))
		status = paging_map(address.value, address, bytes, flags);
	if (status != STATUS_OK)
		status = map_identity(address, bytes, flags, TYPE_FLAGS);
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
	if (!is_reachable(address, bytes) || !lies_below(address, bytes, LOWER_HALF_BITS))
		return NULL;
	return map_identity(address, bytes, 0, 0) == STATUS_OK ? (const void *)address.value : NULL;
}
