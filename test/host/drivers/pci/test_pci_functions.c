// SPDX-License-Identifier: BSD-2-Clause
/* What is done with functions that were found: quieted, sized, explained. */
#include "host/host_test.h"

#include "drivers/pci/pci_internal.h"
#include "fake/pci_device.h"
#include "runtime/base/bits.h"

#define CLASS_DISPLAY 0x030000u

static bool is_master(const struct fake_function *fake)
{
	return fake_pci_get(fake, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER;
}

/* Quiet ---------------------------------------------------------------------------------------- */

START_TEST(test_endpoints_are_quieted)
{
	static const struct {
		uint32_t class_code;
		bool stays;
	} cases[] = {
		{ PCI_DEVICE_NETWORK, false },
		{ 0x010802, false },
		{ 0x0c0330, true },
		{ 0x0c0300, true },
		{ 0x060000, true },
		{ 0x060100, true },
		{ 0x080600, true },
		{ CLASS_DISPLAY, false },
		{ 0x080501, false },
		{ 0x0c0500, false },
		{ 0x020700, false },
		{ 0x000000, false },
		{ 0xff0000, false },
	};
	struct fake_function *fakes[ARRAY_LENGTH(cases)];

	pci_devices_begin();
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++)
		fakes[i] = pci_device_make(i, cases[i].class_code);
	fake_pci_put(fakes[5], PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	pci_devices_find((struct phys_range){ 0 });
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		ck_assert_int_eq(is_master(fakes[i]), cases[i].stays);
		ck_assert_uint_eq(fake_pci_get(fakes[i], PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
		ck_assert_uint_eq(fakes[i]->bar_writes, 0);
		ck_assert_uint_eq(fakes[i]->command_writes, !cases[i].stays);
	}
}
END_TEST

/* The display whose BAR the screen lies in, above 4 GB or below, and no other. */
START_TEST(test_console_is_left_alone)
{
	static const uint64_t screens[] = { 0xc0000000, 0xc0ffffff, 0x4000000000, 0x40ffffffff };

	for (unsigned i = 0; i < ARRAY_LENGTH(screens); i++) {
		struct fake_function *low, *high, *network;

		pci_devices_begin();
		low = pci_device_make(1, CLASS_DISPLAY);
		pci_device_bar(low, 0, 0xc0000000, 16 * MIB, 8);
		high = pci_device_make(2, CLASS_DISPLAY);
		pci_device_bar(high, 2, 0x4000000000, 4 * GIB, 12);
		network = pci_device_make(3, PCI_DEVICE_NETWORK);
		pci_device_bar(network, 0, 0xd0000000, MIB, 0);
		pci_devices_find((struct phys_range){ { screens[i] }, 4 * MIB });
		ck_assert_int_eq(pci_device_function(low)->shows_console, i < 2);
		ck_assert_int_eq(pci_device_function(high)->shows_console, i >= 2);
		ck_assert_int_eq(is_master(low), i < 2);
		ck_assert_int_eq(is_master(high), i >= 2);
		ck_assert(!is_master(network));
		ck_assert_int_eq(pci_bars_size(pci_device_function(i < 2 ? low : high)), STATUS_UNSUPPORTED);
		ck_assert_uint_eq(low->bar_writes + high->bar_writes, 0);
	}
}
END_TEST

/* Where the screen is in no display's BAR, each display may show it. */
START_TEST(test_console_of_unknown_owner)
{
	struct fake_function *first, *second, *network, *off;

	pci_devices_begin();
	first = pci_device_make(1, CLASS_DISPLAY);
	second = pci_device_make(2, 0x000100);
	pci_device_bar(first, 0, 0xe0000000, MIB, 0);
	network = pci_device_make(3, PCI_DEVICE_NETWORK);
	pci_device_bar(network, 0, 0xb0000000, MIB, 0);
	off = pci_device_make(4, CLASS_DISPLAY);
	pci_device_bar(off, 0, 0xb8000000, MIB, 0);
	fake_pci_put(off, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER); /* does not answer there */
	pci_devices_find((struct phys_range){ { 0xc0000000 }, MIB });
	ck_assert(pci_device_function(first)->shows_console && pci_device_function(second)->shows_console &&
		  pci_device_function(off)->shows_console);
	ck_assert(!pci_device_function(network)->shows_console && !is_master(network));
}
END_TEST

/* Ports have small numbers, which are no addresses of memory. */
START_TEST(test_console_is_in_no_ports)
{
	struct fake_function *ports, *other;

	pci_devices_begin();
	ports = pci_device_make(1, CLASS_DISPLAY);
	pci_device_bar(ports, 0, 0xc000, 32, 1);
	fake_pci_put(ports, PCI_COMMAND, 2, PCI_DEVICE_MASTER | PCI_COMMAND_IO);
	other = pci_device_make(2, CLASS_DISPLAY);
	pci_devices_find((struct phys_range){ { 0xc0000000 }, MIB });
	ck_assert(pci_device_function(ports)->shows_console && pci_device_function(other)->shows_console);
}
END_TEST

/* Rights --------------------------------------------------------------------------------------- */

/* Of the command, only the bits that are meant change, whatever the others are. */
START_TEST(test_rights_change_alone)
{
	const unsigned all = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER;
	struct fake_function *fake;
	struct pci_function *function;

	pci_devices_begin();
	fake = pci_device_make(1, PCI_DEVICE_NETWORK);
	pci_devices_find((struct phys_range){ 0 });
	function = pci_device_function(fake);
	for (unsigned command = 0; command < 0x800; command++) {
		fake_pci_put(fake, PCI_COMMAND, 2, command);
		pci_disable(function);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), (command & ~all) | PCI_COMMAND_LINE_DISABLE);
		fake_pci_put(fake, PCI_COMMAND, 2, command);
		pci_enable(function, PCI_MEMORY);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), command | PCI_COMMAND_MEMORY);
		fake_pci_put(fake, PCI_COMMAND, 2, command);
		pci_stop_dma(function);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), command & ~PCI_COMMAND_BUS_MASTER);
	}
}
END_TEST

static uint64_t reads_at_write;

static void written_note(struct fake_function *self, unsigned offset, uint32_t value)
{
	(void)self;
	(void)offset;
	(void)value;
	reads_at_write = fake_pci_reads();
}

/* The answer to a read pushes what the device wrote before it. */
START_TEST(test_dma_has_arrived)
{
	struct fake_function *fake;

	pci_devices_begin();
	fake = pci_device_make(1, PCI_DEVICE_NETWORK);
	pci_devices_find((struct phys_range){ 0 });
	fake->written = written_note;
	pci_stop_dma(pci_device_function(fake));
	ck_assert_uint_gt(fake_pci_reads(), reads_at_write);
}
END_TEST

/* Sizes ---------------------------------------------------------------------------------------- */

START_TEST(test_bars_are_sized_at_bind)
{
	struct fake_function *fake;
	struct pci_function *function;

	pci_devices_begin();
	fake = pci_device_make(1, PCI_DEVICE_NETWORK);
	pci_device_bar(fake, 0, 0xc0000000, 16 * KIB, 0);
	pci_device_bar(fake, 1, 0xc000, 32, 1);
	pci_device_bar(fake, 2, 0x7000000000, 64 * GIB, 12);
	pci_device_bar(fake, 5, 0, MIB, 8); /* without an address */
	pci_devices_find((struct phys_range){ 0 });
	function = pci_device_function(fake);
	ck_assert_uint_eq(function->bars[0].start, 0xc0000000);
	ck_assert_uint_eq(function->bars[2].start, 0x7000000000);
	ck_assert(function->bars[1].io && function->bars[2].wide && function->bars[2].prefetchable);
	for (unsigned i = 0; i < PCI_BARS; i++)
		ck_assert_uint_eq(function->bars[i].bytes, 0);
	ck_assert_uint_eq(fake->bar_writes, 0);
	ck_assert_int_eq(pci_bars_size(function), STATUS_OK);
	ck_assert_uint_eq(function->bars[0].bytes, 16 * KIB);
	ck_assert_uint_eq(function->bars[1].bytes, 32);
	ck_assert_uint_eq(function->bars[2].bytes, 64 * GIB);
	ck_assert_uint_eq(function->bars[5].bytes, MIB);
	ck_assert_uint_eq(function->bars[5].start, 0);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_BAR0, 4), 0xc0000000);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_BAR0 + 12, 4), 0x70);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	ck_assert_int_eq(pci_bars_size(function), STATUS_OK);
	ck_assert_uint_eq(fake->bar_writes, 12); /* once, two for each register */
}
END_TEST

/* While a register holds ones, the function answers to nothing. */
static void written_size(struct fake_function *self, unsigned offset, uint32_t value)
{
	(void)value;
	if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * PCI_BARS)
		ck_assert_uint_eq(fake_pci_get(self, PCI_COMMAND, 2) & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY), 0);
}

/* An I/O BAR may have 16 bits alone. */
static uint32_t answer_short_ports(struct fake_function *self, unsigned offset, uint32_t value)
{
	(void)self;
	return offset == PCI_BAR0 ? value & 0xffff : value;
}

START_TEST(test_odd_bars)
{
	struct fake_function *fake;
	struct pci_function *function;

	pci_devices_begin();
	fake = pci_device_make(1, PCI_DEVICE_NETWORK);
	fake->written = written_size;
	fake->answer = answer_short_ports;
	pci_device_bar(fake, 0, 0xc000, 256, 1);
	pci_device_bar(fake, 1, 0xc0001000, 16 * KIB, 0);   /* not where it could be */
	fake_pci_put(fake, PCI_BAR0 + 8, 4, 0xd0000000);    /* constant, so it has no size */
	pci_device_bar(fake, 3, 0x8000000000, 8 * GIB, 12); /* its lower half has no bits */
	fake_pci_put(fake, PCI_BAR0 + 20, 4, 0xe0000004);   /* 64 bits, and there is no other half */
	fake_pci_put(fake, PCI_BAR0 + 24, 4, 0x12345678);
	fake_pci_put(fake, PCI_COMMAND, 2, PCI_DEVICE_MASTER | PCI_COMMAND_IO);
	pci_devices_find((struct phys_range){ 0 });
	function = pci_device_function(fake);
	ck_assert_int_eq(pci_bars_size(function), STATUS_OK);
	ck_assert_uint_eq(function->bars[0].bytes, 256);
	ck_assert_uint_eq(function->bars[0].start, 0xc000);
	ck_assert_uint_eq(function->bars[1].bytes, 16 * KIB);
	ck_assert_uint_eq(function->bars[1].start, 0);
	ck_assert_uint_eq(function->bars[3].bytes, 8 * GIB);
	ck_assert_uint_eq(function->bars[3].start, 0x8000000000);
	ck_assert(!function->bars[5].wide);
	ck_assert_uint_eq(function->bars[5].start, 0xe0000000);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
}
END_TEST

/* A bridge has two BARs, where devices have six; what follows are its numbers of buses. */
START_TEST(test_bridges_are_not_sized)
{
	for (unsigned type = 1; type <= 2; type++) {
		struct fake_function *fake;
		struct pci_function *bridge;

		pci_devices_begin();
		fake = pci_device_make(1, 0x060400);
		fake_pci_put(fake, PCI_HEADER_TYPE, 1, type);
		pci_device_bar(fake, 0, 0xc0000000, MIB, 0);
		pci_device_bar(fake, 1, 0xc0100000, MIB, 0);
		fake_pci_put(fake, PCI_BAR0 + 8, 4, 0x00020100);
		pci_devices_find((struct phys_range){ 0 });
		bridge = pci_device_function(fake);
		ck_assert_uint_eq(bridge->bars[0].start, type == 1 ? 0xc0000000 : 0);
		ck_assert_uint_eq(bridge->bars[1].start, type == 1 ? 0xc0100000 : 0);
		ck_assert_uint_eq(bridge->bars[2].start, 0);
		ck_assert_int_eq(pci_bars_size(bridge), STATUS_UNSUPPORTED);
		ck_assert_uint_eq(fake->bar_writes, 0);
	}
}
END_TEST

START_TEST(test_host_bridges_are_not_sized)
{
	struct fake_function *host, *other;

	pci_devices_begin();
	host = pci_device_make(0, 0x060000);
	other = pci_device_make(1, 0x068000); /* cards say so that stand behind an old bridge chip */
	pci_devices_find((struct phys_range){ 0 });
	ck_assert_int_eq(pci_bars_size(pci_device_function(host)), STATUS_UNSUPPORTED);
	ck_assert_int_eq(pci_bars_size(pci_device_function(other)), STATUS_OK);
	ck_assert_uint_eq(host->bar_writes, 0);
}
END_TEST

/* Where no driver is for what may have disks behind it, the log says so. */
START_TEST(test_storage)
{
	static const uint32_t storage[] = { 0x010802, 0x010601, 0x010400, 0x080501 },
			      other[] = { 0x020000, 0x080600, 0x060000 };

	pci_devices_begin();
	for (unsigned i = 0; i < ARRAY_LENGTH(storage); i++)
		pci_device_make(i, storage[i]);
	for (unsigned i = 0; i < ARRAY_LENGTH(other); i++)
		pci_device_make(16 + i, other[i]);
	pci_devices_find((struct phys_range){ 0 });
	list_for_each (link, &fake_pci_found) {
		const struct pci_function *function = container_of(link, struct pci_function, link);

		ck_assert_int_eq(pci_is_storage(function), function->slot < 16);
	}
}
END_TEST

/* Reasons -------------------------------------------------------------------------------------- */

static const char *reason(uint16_t vendor, uint16_t id, uint32_t class_code, uint8_t header, status_t status)
{
	static char text[PCI_REASON_BYTES];
	struct fake_function *fake;

	pci_devices_begin();
	fake = fake_pci_function(0, 0, 1, 0, vendor, id);
	fake_pci_put(fake, PCI_REVISION, 4, class_code << 8);
	fake_pci_put(fake, PCI_HEADER_TYPE, 1, header);
	pci_devices_find((struct phys_range){ 0 });
	pci_device_function(fake)->driver_status = status;
	return pci_reason(pci_device_function(fake), text);
}

START_TEST(test_reasons)
{
	const status_t none = STATUS_NOT_FOUND;

	ck_assert_str_eq(reason(0x8086, 0x2922, 0x010601, 0, none), "AHCI: no driver");
	ck_assert_str_eq(reason(0x8086, 0x10d3, PCI_DEVICE_NETWORK, 0, none), "network: no driver");
	ck_assert_str_eq(reason(0x8086, 0x9a0b, 0x010400, 0, none), "VMD is on: switch the firmware to NVMe");
	ck_assert_str_eq(reason(0x8086, 0x201d, 0x088000, 0, none), "VMD is on: switch the firmware to NVMe");
	ck_assert_str_eq(reason(0x8086, 0x2822, 0x010400, 0, none),
			 "RAID mode is on, and may hide NVMe disks: switch the firmware to AHCI");
	ck_assert_str_eq(reason(0x1000, 0x005d, 0x010400, 0, none), "RAID: no driver");
	ck_assert_str_eq(reason(0x1af4, 0x1001, 0x010000, 0, STATUS_UNSUPPORTED), "legacy virtio: use disable-legacy=on");
	ck_assert_str_eq(reason(0x1af4, 0x1042, 0x010000, 0, STATUS_UNSUPPORTED), "its driver did not start: not supported");
	ck_assert_str_eq(reason(0x144d, 0xa808, 0x010802, 0, STATUS_GONE), "its driver was removed");
	ck_assert_str_eq(reason(0x8086, 0x1237, 0x060000, 0, none), "needs no driver");
	ck_assert_str_eq(reason(0x8086, 0x1234, 0x080600, 0, none), "needs no driver");
	ck_assert_str_eq(reason(0x8086, 0x5acc, 0x080501, 0, none), "SD card: no driver");
	ck_assert_str_eq(reason(0x8086, 0x3420, 0x060400, 1, none), "closed by firmware: what is behind it cannot be seen");
	ck_assert_str_eq(reason(0x1234, 0x5678, 0xff0000, 0, none), "this device: no driver");
}
END_TEST

HOST_TEST_MAIN("pci_functions", test_endpoints_are_quieted, test_console_is_left_alone, test_console_of_unknown_owner,
	       test_console_is_in_no_ports, test_rights_change_alone, test_dma_has_arrived, test_bars_are_sized_at_bind,
	       test_odd_bars, test_bridges_are_not_sized, test_host_bridges_are_not_sized, test_storage, test_reasons)
