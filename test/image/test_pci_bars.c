// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs as memory that combines writes, as ports, and as what other devices read from and write to.
 */
#include "disk_test.h"
#include "image_test.h"

#include <stdatomic.h>

#include "app/testbed/disks.h"
#include "app/testbed/pattern.h"
#include "drivers/pci/pci.h"
#include "drivers/registers.h"
#include "pagecache/direct.h"
#include "pagecache/volume.h"
#include "runtime/base/random.h"
#include "runtime/base/string.h"
#include "runtime/kernel/cpu.h"
#include "runtime/kernel/port_io.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/paging.h"

#define CLASS_AHCI   0x010601u
#define CLASS_MEMORY 0x050000u
#define CARD_BAR     2
#define PEER_BYTES   (256 * KIB)
#define PEER_PAGES   (PEER_BYTES / PAGE_BYTES)

/*
 * The memory of a card, behind a BAR (QEMU's ivshmem-plain): its end. Mapped once for all tests;
 * false: this machine has none.
 */
static bool card_memory(struct image_test_run *test, struct pci_function **card, volatile void **memory)
{
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		const struct pci_bar *bar = &function->bars[CARD_BAR];

		if (function->class_code != CLASS_MEMORY || !bar->prefetchable || function->driver)
			continue;
		*card = function;
		expect_equal(pci_bars_size(function), STATUS_OK);
		pci_enable(function, PCI_MEMORY);
		expect_equal(pci_bar_map(function, CARD_BAR, bar->bytes - PEER_BYTES, PEER_BYTES, PCI_WRITE_COMBINING, memory),
			     STATUS_OK);
		return test->failures == 0;
	}
	return false;
}

/* What is on the screen would be gone for a moment, and a host bridge would answer to anything. */
IMAGE_TEST(bars_of_console_and_bridges_are_not_sized)
{
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		const bool host_bridge = function->class_code >> 8 == 0x0600;

		if (!function->shows_console && !host_bridge && function->header_type == 0)
			continue;
		expect_equal(pci_bars_size(function), STATUS_UNSUPPORTED);
		for (unsigned i = 0; i < PCI_BARS; i++)
			expect_equal(function->bars[i].bytes, 0);
	}
}

static void note_pat(void *context)
{
	/* Entry 1 of 8 is what write-combining pages choose. */
	atomic_fetch_add((_Atomic unsigned *)context, (msr_read(MSR_PAT) >> 8 & 0xff) == 1);
}

IMAGE_TEST(bars_combine_writes_on_all_cpus)
{
	_Atomic unsigned cpus = 0;
	struct pci_function *card;
	volatile void *memory;
	struct random random;
	unsigned flags;

	cpu_run_on_all(note_pat, (void *)&cpus);
	expect_equal(cpus, cpu_count());
	if (!card_memory(test, &card, &memory))
		skip("no card with memory");
	for (uint64_t offset = 0; offset < PEER_BYTES; offset += PAGE_BYTES) {
		require(paging_translate((uintptr_t)memory + offset, NULL, &flags));
		expect_equal(flags, PAGING_WRITE | PAGING_WRITE_COMBINING);
	}
	random_seed(&random, 1);
	for (unsigned i = 0; i < PEER_BYTES / sizeof(uint64_t); i++)
		((volatile uint64_t *)memory)[i] = random_next(&random);
	write_combining_flush();
	random_seed(&random, 1);
	for (unsigned i = 0; i < PEER_BYTES / sizeof(uint64_t); i++)
		require(((volatile uint64_t *)memory)[i] == random_next(&random));
}

IMAGE_TEST(bars_have_one_type_a_page)
{
	volatile void *memory, *again;
	struct pci_function *card;
	uint64_t end;

	if (!card_memory(test, &card, &memory))
		skip("no card with memory");
	end = card->bars[CARD_BAR].bytes;
	/*
	 * The same type again, whole or in part; the other one nowhere, not even where one page of
	 * it is taken.
	 */
	expect_equal(pci_bar_map(card, CARD_BAR, end - 4096, 16, PCI_WRITE_COMBINING, &again), STATUS_OK);
	expect(again == (volatile char *)memory + PEER_BYTES - 4096);
	expect_equal(pci_bar_map(card, CARD_BAR, end - PEER_BYTES, PEER_BYTES, PCI_REGISTERS, &again), STATUS_BUSY);
	expect_equal(pci_bar_map(card, CARD_BAR, end - PEER_BYTES - PAGE_BYTES, 2 * PAGE_BYTES, PCI_REGISTERS, &again),
		     STATUS_BUSY);
	/* That first page is one of registers now. */
	expect_equal(pci_bar_map(card, CARD_BAR, end - PEER_BYTES - PAGE_BYTES, PAGE_BYTES, PCI_WRITE_COMBINING, &again),
		     STATUS_BUSY);
}

IMAGE_TEST(bars_that_are_not_there)
{
	volatile void *memory;
	uint16_t port;

	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		expect_equal(pci_bar_ports(function, PCI_BARS, 0, 1, &port), STATUS_UNSUPPORTED);
		expect_equal(pci_bar_map(function, PCI_BARS, 0, 1, PCI_REGISTERS, &memory), STATUS_UNSUPPORTED);
		for (unsigned i = 0; i < PCI_BARS; i++) {
			const struct pci_bar *bar = &function->bars[i];

			if (bar->io || bar->bytes == 0)
				expect_equal(pci_bar_map(function, i, 0, 1, PCI_REGISTERS, &memory), STATUS_UNSUPPORTED);
			if (!bar->io || bar->bytes == 0)
				expect_equal(pci_bar_ports(function, i, 0, 1, &port), STATUS_UNSUPPORTED);
			if (!bar->io || bar->start == 0 || bar->bytes == 0)
				continue;
			expect_equal(pci_bar_ports(function, i, bar->bytes - 1, 1, &port), STATUS_OK);
			expect_equal(port, bar->start + bar->bytes - 1);
			expect_equal(pci_bar_ports(function, i, bar->bytes - 1, 2, &port), STATUS_RANGE);
			expect_equal(pci_bar_ports(function, i, UINT64_MAX, 2, &port), STATUS_RANGE);
			expect_equal(pci_bar_ports(function, i, 0, 0, &port), STATUS_RANGE);
		}
	}
}

/*
 * An AHCI controller shows its registers in memory, and once more behind an index and a data port
 * (AHCI 1.3.1, 10.14).
 */
#define AHCI_MEMORY_BAR 5
#define AHCI_PORTS_BAR  4
#define AHCI_INDEX      0x10
#define AHCI_DATA       0x14

IMAGE_TEST(bars_of_ports_reach_the_device)
{
	struct pci_function *ahci = pci_next(NULL);
	volatile void *registers;
	uint16_t ports;

	while (ahci && !(ahci->class_code == CLASS_AHCI && !ahci->driver && ahci->bars[AHCI_PORTS_BAR].io))
		ahci = pci_next(ahci);
	if (!ahci)
		skip("no AHCI controller with ports");
	require(pci_bars_size(ahci) == STATUS_OK);
	require(pci_bar_map(ahci, AHCI_MEMORY_BAR, 0, 0x100, PCI_REGISTERS, &registers) == STATUS_OK);
	require(pci_bar_ports(ahci, AHCI_PORTS_BAR, 0, 0x18, &ports) == STATUS_OK);
	pci_enable(ahci, PCI_MEMORY | PCI_IO);
	/* Capabilities, ports, version: constants of which none is 0. */
	for (unsigned offset = 0; offset <= 0x10; offset += offset == 0 ? 0x0c : 4) {
		port_write32(ports + AHCI_INDEX, offset);
		expect(register_read32(registers, offset) != 0);
		expect_equal(port_read32(ports + AHCI_DATA), register_read32(registers, offset));
	}
	pci_disable(ahci);
	expect_equal(port_read32(ports + AHCI_DATA), UINT32_MAX);
}

/* Pages of disks, read into the card's memory and written from there, without a copy in RAM. */
static bool is_first_pages(volatile void *memory, uint64_t seed)
{
	uint64_t page[PATTERN_PAGE_WORDS];

	for (uint64_t number = 0; number < PEER_PAGES; number++) {
		memcpy(page, (const char *)memory + number * PAGE_BYTES, PAGE_BYTES);
		if (!pattern_verify_version(page, seed, number, 0))
			return false;
	}
	return true;
}

IMAGE_TEST(bars_are_read_into_by_each_driver)
{
	struct phys_range segment = { .bytes = PEER_BYTES };
	struct block_device *disk = NULL;
	struct pci_function *card;
	volatile void *memory;
	uint64_t seed;

	if (!card_memory(test, &card, &memory))
		skip("no card with memory");
	segment.start.value = card->bars[CARD_BAR].start + card->bars[CARD_BAR].bytes - PEER_BYTES;
	while ((disk = disk_test_next(test, disk, &seed))) {
		memset((char *)memory, 0, PEER_BYTES);
		expect_equal(block_device_transfer(disk, BLOCK_READ, 0, &segment, 1), STATUS_OK);
		expect(is_first_pages(memory, seed));
	}
}

IMAGE_TEST(bars_are_read_and_written_by_disks)
{
	const struct scenario scenario = { .environment = test->environment, .options = "" };
	struct phys_range segment = { .bytes = PEER_BYTES };
	struct pci_function *card;
	volatile void *memory;
	struct disks disks;
	uint64_t page[PATTERN_PAGE_WORDS];

	if (disks_find(&scenario, &disks) != STATUS_OK)
		skip("no disks with the test pattern");
	if (!card_memory(test, &card, &memory))
		skip("no card with memory");
	segment.start.value = card->bars[CARD_BAR].start + card->bars[CARD_BAR].bytes - PEER_BYTES;

	/* What is dirty in the cache comes along, too. */
	pattern_fill(page, PATTERN_SEED_DATA, 3, 7);
	require(node_write(&disks.data->node, 3 * PAGE_BYTES, page, PAGE_BYTES) == STATUS_OK);
	expect_equal(node_direct(&disks.data->node, BLOCK_READ, 0, &segment, 1), STATUS_OK);
	for (uint64_t number = 0; number < PEER_PAGES; number++) {
		memcpy(page, (const char *)memory + number * PAGE_BYTES, PAGE_BYTES);
		expect(pattern_verify_version(page, PATTERN_SEED_DATA, number, number == 3 ? 7 : 0));
	}

	/* New versions of the same pages, from there to the disk; then what they were. */
	for (uint64_t version = 1;; version--) {
		for (uint64_t number = 0; number < PEER_PAGES; number++) {
			pattern_fill(page, PATTERN_SEED_DATA, number, version);
			memcpy((char *)memory + number * PAGE_BYTES, page, PAGE_BYTES);
		}
		write_combining_flush();
		expect_equal(node_direct(&disks.data->node, BLOCK_WRITE, 0, &segment, 1), STATUS_OK);
		for (uint64_t number = 0; number < PEER_PAGES; number++) {
			expect_equal(node_read(&disks.data->node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
			expect(pattern_verify_version(page, PATTERN_SEED_DATA, number, version));
		}
		if (version == 0)
			break;
	}
}
