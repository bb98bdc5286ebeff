// SPDX-License-Identifier: BSD-2-Clause
/* PCI, and taking the drivers of disks away and back. */
#include "app/testbed/pattern.h"
#include "disk_place.h"
#include "disk_test.h"
#include "drivers/disk_device.h"
#include "heap/dma/dma_quarantine.h"
#include "pagecache/volume.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

#define DEPTH                32
#define PCI_COMMAND_REGISTER 4
#define PCI_LINE_DISABLE     (1u << 10)

IMAGE_TEST(pci_functions_are_sane)
{
	unsigned count = 0;

	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		count++;
		expect(function->vendor_id != 0xffff);
		expect_equal(pci_read16(function, 0), function->vendor_id);
		expect_equal(pci_read32(function, 4096), UINT32_MAX);
		for (unsigned i = 0; i < PCI_BARS; i++) {
			const struct pci_bar *bar = &function->bars[i];

			expect((bar->bytes & (bar->bytes - 1)) == 0);
			expect(bar->bytes == 0 || bar->start % bar->bytes == 0);
		}
	}
	expect(count > 0);
}

static unsigned levels_above(const struct pci_function *function)
{
	unsigned levels = 0;

	for (const struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent)
		levels++;
	return levels;
}

/*
 * What machines.txt says that its machine has, at least: functions=N; disks=N, each of which can be
 * read, behind levels=N bridges.
 */
IMAGE_TEST(pci_finds_what_the_machine_has)
{
	const char *line = test->environment->command_line;
	const uint64_t functions = options_get_number(line, "functions", 0), disks = options_get_number(line, "disks", 0);
	const uint64_t levels = options_get_number(line, "levels", 0);
	struct block_device *disk = NULL;
	uint64_t found = 0, seed;

	if (functions + disks + levels == 0)
		skip("this machine is not described");
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function))
		found++;
	expect(found >= functions);
	for (found = 0; (disk = disk_test_next(test, disk, &seed)); found++) {
		require(disk_function(disk));
		expect(levels_above(disk_function(disk)) >= levels);
	}
	expect(found >= disks);
}

static bool is_usb(const struct pci_function *function)
{
	return function->class_code >> 8 == 0x0c03;
}

IMAGE_TEST(pci_endpoints_without_driver_reach_no_memory)
{
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		const unsigned base = function->class_code >> 16;
		const bool of_chipset = base == 0x06 || (base == 0x08 && function->class_code >> 8 != 0x0805);

		if (function->header_type == 0 && !function->driver && !function->shows_console && !is_usb(function) &&
		    !of_chipset)
			expect_equal(pci_read16(function, PCI_COMMAND_REGISTER) & PCI_BUS_MASTER, 0);
	}
}

/* A function that firmware left with its messages or its line on raises none when it is opened. */
IMAGE_TEST(pci_interrupts_begin_quiet)
{
	struct pci_function *function = pci_next(NULL);
	unsigned msi = 0;

	while (function && (function->driver || !(msi = pci_capability_find(function, PCI_CAPABILITY_MSI, 0))))
		function = pci_next(function);
	if (!function)
		skip("no function without a driver has MSI");
	pci_write16(function, msi + 2, (uint16_t)(pci_read16(function, msi + 2) | 1));
	pci_write16(function, PCI_COMMAND_REGISTER, (uint16_t)(pci_read16(function, PCI_COMMAND_REGISTER) & ~PCI_LINE_DISABLE));
	require(pci_read16(function, msi + 2) & 1);
	(void)pci_interrupts_open(function, 1);
	expect_equal(pci_read16(function, msi + 2) & 1, 0);
	expect(pci_read16(function, PCI_COMMAND_REGISTER) & PCI_LINE_DISABLE);
	pci_interrupts_close(function);
}

IMAGE_TEST(pci_bridges_above_drivers_are_open)
{
	unsigned bridges = 0;

	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		for (struct pci_function *bridge = function->parent; function->driver && bridge; bridge = bridge->parent) {
			bridges++;
			expect(bridge->bus < function->bus);
			expect_equal(pci_read16(bridge, PCI_COMMAND_REGISTER) & (PCI_MEMORY | PCI_BUS_MASTER),
				     PCI_MEMORY | PCI_BUS_MASTER);
		}
	}
	if (bridges == 0)
		skip("no driver has a function behind a bridge");
}

/* Each says something, and names no driver where one could be had. */
IMAGE_TEST(pci_functions_without_driver_have_a_reason)
{
	char text[PCI_REASON_BYTES];

	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		if (!function->driver)
			expect(strlen(pci_reason(function, text)) >= strlen("no driver"));
	}
}

IMAGE_TEST(pci_capability_walk_ends)
{
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		unsigned capability = 0, count = 0;

		expect_equal(pci_capability_find(function, 0xfe, 0), 0);
		while ((capability = pci_capability_find(function, PCI_CAPABILITY_VENDOR, capability)) && count++ < 64)
			expect_equal(pci_read8(function, capability), PCI_CAPABILITY_VENDOR);
		expect(count < 64);
	}
}

IMAGE_TEST(edu_memory_is_within_its_mask)
{
	struct pci_function *function = driver_function("edu", NULL);
	struct dma_buffer *buffers[4] = { 0 };

	if (!function)
		skip("there is no edu device");
	expect_equal(function->device.dma_mask, 0xfffffff);
	for (unsigned i = 0; i < ARRAY_LENGTH(buffers); i++) {
		const struct dma_request request = { .bytes = PAGE_BYTES << (4 * i), .wait = MEMORY_WAIT_FOREVER };

		expect_equal(dma_alloc(memory_dma(test->environment->memory), &function->device, &request, &buffers[i]),
			     STATUS_OK);
		for (uint32_t j = 0; buffers[i] && j < buffers[i]->segment_count; j++)
			expect(buffers[i]->segments[j].start.value + buffers[i]->segments[j].bytes <= 256 * MIB);
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(buffers); i++)
		dma_free(memory_dma(test->environment->memory), buffers[i]);
}

/* Removes the driver while requests are under way: each ends, well or with STATUS_GONE. */
static void remove_under_load(struct image_test_run *test, struct block_device *device, struct pci_function *function)
{
	static struct disk_test_request *requests[DEPTH];

	for (unsigned i = 0; i < DEPTH; i++) {
		requests[i] = disk_test_alloc(test, 16 * PAGE_BYTES);
		require(requests[i]);
	}
	for (unsigned i = 0; i < DEPTH; i++)
		disk_test_submit(device, requests[i], BLOCK_READ, i * MIB / 4);
	expect_equal(driver_remove(function), STATUS_OK);
	for (unsigned i = 0; i < DEPTH; i++) {
		expect(completion_is_done(&requests[i]->done));
		const status_t status = disk_test_wait(requests[i]);

		expect(status == STATUS_OK || status == STATUS_GONE);
	}
	for (unsigned i = 0; i < DEPTH; i++)
		disk_test_free(test, requests[i]);
}

/* Not while its volume is attached: that goes on as if nothing had been asked for. */
static void remove_attached(struct image_test_run *test, struct block_device *disk)
{
	struct volume *volume = volume_find(test->environment->pagecache, disk->name);
	uint64_t word;

	require(volume);
	expect_equal(driver_remove(disk_function(disk)), STATUS_BUSY);
	(void)volume_drop(volume);
	expect_equal(node_read(&volume->node, 0, &word, sizeof(word)), STATUS_OK);
	expect(block_device_find(test->environment->block_devices, disk->name) == disk);
}

IMAGE_TEST(disk_can_be_removed_and_probed_again)
{
	struct block_device *disks[DISK_PLACES];
	const unsigned count = disk_places_list(test, disks);
	struct disk_place place;

	for (unsigned i = 0; i < count; i++) {
		remove_attached(test, disks[i]);
		require(disk_place_release(test, disks[i], &place));
		remove_under_load(test, place.disk, place.function);
		expect(!block_device_find(test->environment->block_devices, place.name));
		disk_place_restore(test, &place);
	}
}

/*
 * What a driver leaves behind has no other owner until the device has been reset; from outside at
 * once, where it can be.
 */
IMAGE_TEST(disk_memory_left_behind_waits_for_a_reset)
{
	const struct dma_request request = { .bytes = 4 * MIB, .wait = MEMORY_WAIT_FOREVER };
	struct memory *memory = test->environment->memory;
	struct block_device *disks[DISK_PLACES];
	const unsigned count = disk_places_list(test, disks);
	struct disk_place place;
	struct dma_buffer *left;

	for (unsigned i = 0; i < count; i++) {
		require(disk_place_release(test, disks[i], &place));
		require(dma_alloc(memory_dma(memory), &place.function->device, &request, &left) == STATUS_OK);
		expect_equal(driver_remove(place.function), STATUS_OK);
		if (dma_quarantine_bytes(memory_dma(memory), &place.function->device) != 0)
			expect_equal(pci_reset(place.function), STATUS_UNSUPPORTED);
		disk_place_restore(test, &place);
		expect_equal(dma_quarantine_bytes(memory_dma(memory), &place.function->device), 0);
	}
}

/* This device cannot be reset: its memory stays in quarantine, and the next driver has its own. */
IMAGE_TEST(edu_memory_left_behind_stays_in_quarantine)
{
	const struct dma_request request = { .bytes = 4 * MIB, .wait = MEMORY_WAIT_FOREVER };
	struct pci_function *function = driver_function("edu", NULL);
	struct memory *memory = test->environment->memory;
	struct dma_buffer *left, *own;

	if (!function)
		skip("there is no edu device");
	require(dma_alloc(memory_dma(memory), &function->device, &request, &left) == STATUS_OK);
	expect_equal(driver_remove(function), STATUS_OK);
	expect_equal(dma_quarantine_bytes(memory_dma(memory), &function->device), 4 * MIB);
	expect_equal(pci_reset(function), STATUS_UNSUPPORTED);
	dma_free(memory_dma(memory), left);
	expect_equal(dma_quarantine_bytes(memory_dma(memory), &function->device), 4 * MIB);
	require(driver_probe(function) == STATUS_OK);
	require(dma_alloc(memory_dma(memory), &function->device, &request, &own) == STATUS_OK);
	expect_equal(dma_quarantine_bytes(memory_dma(memory), &function->device), 4 * MIB);
	driver_device_was_reset(function);
	expect_equal(dma_quarantine_bytes(memory_dma(memory), &function->device), 0);
	dma_free(memory_dma(memory), own);
	expect_equal(dma_device_leaks(memory_dma(memory), &function->device), 0);
}

static struct site_sum tracked_count(struct tracked_heap *tracked)
{
	struct call_sites sums = { 0 };

	tracked_heap_count_sites(tracked, TRACKED_ALL, &sums);
	return sums.all;
}

/* The report names who took it; what is left stays allocated, and with its owner. */
IMAGE_TEST(edu_heap_memory_left_behind_is_reported)
{
	struct pci_function *function = driver_function("edu", NULL);
	void *left;

	if (!function)
		skip("there is no edu device");
	const uint64_t own = tracked_count(&function->tracked).objects;
	expect(own > 0);
	left = heap_alloc(driver_heap(function), 1000, 0);
	require(left);
	expect_equal(driver_remove(function), STATUS_OK);
	expect_equal(tracked_count(&function->tracked).objects, 1);
	expect_equal(tracked_count(&function->tracked).bytes, 1000);
	expect_equal(tracked_heap_report_left(&function->tracked), 0); /* has been */
	expect_equal(driver_probe(function), STATUS_OK);
	expect_equal(tracked_count(&function->tracked).objects, own + 1);
	heap_free(driver_heap(function), left);
}

/* No driver of the machine leaves anything. */
IMAGE_TEST(disk_drivers_leave_nothing_of_the_heap)
{
	struct block_device *disks[DISK_PLACES];
	const unsigned count = disk_places_list(test, disks);
	struct disk_place place;

	for (unsigned i = 0; i < count; i++) {
		require(disk_place_release(test, disks[i], &place));
		expect(tracked_count(&place.function->tracked).objects > 0);
		expect_equal(driver_remove(place.function), STATUS_OK);
		expect_equal(tracked_count(&place.function->tracked).objects, 0);
		disk_place_restore(test, &place);
	}
}

/* As if the device had been pulled out: its registers do not answer. */
IMAGE_TEST(disk_that_vanishes_ends_its_requests)
{
	struct block_device *disks[DISK_PLACES];
	const unsigned count = disk_places_list(test, disks);
	struct disk_test_request *request;
	struct disk_place place;

	for (unsigned i = 0; i < count; i++) {
		/*
		 * A controller may take many seconds to become ready, and is waited for; that is
		 * tested on the larger machines.
		 */
		if (strncmp(disks[i]->name, "nvme", 4) == 0 && platform_cpu_count() == 1)
			continue;
		request = disk_test_alloc(test, PAGE_BYTES);
		require(request && disk_place_release(test, disks[i], &place));
		pci_write16(place.function, 4, (uint16_t)(pci_read16(place.function, 4) & ~PCI_MEMORY));
		expect_equal(disk_test_run(place.disk, request, BLOCK_READ, 0), STATUS_GONE);
		expect_equal(disk_test_run(place.disk, request, BLOCK_WRITE, 0), STATUS_GONE);
		expect_equal(block_device_transfer(place.disk, BLOCK_FLUSH, 0, NULL, 0), STATUS_GONE);
		expect_equal(driver_remove(place.function), STATUS_OK);
		disk_place_restore(test, &place);
		disk_test_free(test, request);
	}
}

/* Requests survive a reset of their device. */
static void reset_under_load(struct image_test_run *test, struct block_device *device, uint64_t seed)
{
	static struct disk_test_request *requests[DEPTH];
	struct pci_function *function = disk_function(device);

	for (unsigned i = 0; i < DEPTH; i++) {
		requests[i] = disk_test_alloc(test, 16 * PAGE_BYTES);
		require(requests[i]);
	}
	for (unsigned i = 0; i < DEPTH; i++) {
		disk_test_submit(device, requests[i], BLOCK_READ, i * MIB / 4);
		if (i == DEPTH / 2)
			disk_device_request_reset(function->driver_data, "a test asks for it");
	}
	for (unsigned i = 0; i < DEPTH; i++) {
		expect_equal(disk_test_wait(requests[i]), STATUS_OK);
		expect_equal(disk_test_bad_pages(requests[i], seed), 0);
		disk_test_free(test, requests[i]);
	}
}

IMAGE_TEST(disk_goes_on_after_a_reset)
{
	struct block_device *device = NULL;
	uint64_t seed;

	while ((device = disk_test_next(test, device, &seed))) {
		for (unsigned i = 0; i < 3; i++)
			reset_under_load(test, device, seed);
	}
}
