// SPDX-License-Identifier: BSD-2-Clause
/* Capability lists that a device wrote. */
#include "host/host_test.h"

#include "drivers/pci/pci_internal.h"
#include "fake/pci_device.h"
#include "runtime/base/random.h"

/* Lists that the device wrote: loops, and offsets that lead anywhere. */
START_TEST(test_capability_lists_end)
{
	struct random random;

	pci_devices_begin();
	random_seed(&random, 15);
	struct fake_function *fake = pci_device_make(1, PCI_DEVICE_NETWORK);

	pci_devices_find((struct phys_range){ 0 });
	host_log_level(LOG_ERROR);
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0x34; i < PCI_CONFIG_BYTES; i++)
			fake->bytes[i] = (uint8_t)(random_below(&random, 4) ? random_next(&random) & 0xfc : 0x40);
		fake_pci_put(fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
		const unsigned plain = pci_capability_find(pci_device_function(fake), (uint8_t)random_next(&random), 0);
		const unsigned extended =
			pci_extended_capability_find(pci_device_function(fake), (uint16_t)random_next(&random));

		ck_assert(plain == 0 || (plain >= 0x40 && plain < 0x100));
		ck_assert(extended == 0 || (extended >= 0x100 && extended < PCI_CONFIG_BYTES));
	}
}
END_TEST

/* The list leads through the places in this order, and perhaps back to one of them. */
static void list_put(struct fake_function *fake, const uint8_t *places, unsigned count, uint8_t back_to)
{
	fake_pci_put(fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
	fake_pci_put(fake, PCI_CAPABILITIES, 1, places[0]);
	for (unsigned i = 0; i < count; i++)
		fake_pci_put(fake, places[i], 2,
			     PCI_CAPABILITY_VENDOR | (uint32_t)(i + 1 < count ? places[i + 1] : back_to) << 8);
}

/* One that is asked for after the other is found once, in any order and in a loop. */
START_TEST(test_capabilities_one_by_one)
{
	static const uint8_t places[] = { 0xfc, 0x40, 0xa0, 0x44, 0x80 }, backs[] = { 0, 0xfc, 0x40, 0x44, 0x80 };

	pci_devices_begin();
	struct fake_function *fake = pci_device_make(1, PCI_DEVICE_NETWORK);

	pci_devices_find((struct phys_range){ 0 });
	for (unsigned i = 0; i < ARRAY_LENGTH(backs); i++) {
		unsigned at = 0;

		list_put(fake, places, ARRAY_LENGTH(places), backs[i]);
		for (unsigned j = 0; j < ARRAY_LENGTH(places); j++) {
			at = pci_capability_find(pci_device_function(fake), PCI_CAPABILITY_VENDOR, at);
			ck_assert_uint_eq(at, places[j]);
		}
		ck_assert_uint_eq(pci_capability_find(pci_device_function(fake), PCI_CAPABILITY_VENDOR, at), 0);
		ck_assert_uint_eq(pci_capability_find(pci_device_function(fake), PCI_CAPABILITY_MSI, 0), 0);
		ck_assert_uint_eq(pci_capability_find(pci_device_function(fake), PCI_CAPABILITY_VENDOR, 0x60), 0);
	}
}
END_TEST

HOST_TEST_MAIN("pci_capability", test_capability_lists_end, test_capabilities_one_by_one)
