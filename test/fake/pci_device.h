// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices on bus 0 of a fake configuration space, running as firmware leaves them, for tests of
 * what is done with functions that were found.
 */
#pragma once

#include "fake/fake_pci.h"
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/log.h"

#define PCI_DEVICE_MASTER  (PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)
#define PCI_DEVICE_NETWORK 0x020000u /* a class */

static inline void pci_devices_begin(void)
{
	fake_pci_begin();
	fake_pci_host(0, 0, 255, true);
	host_clock_set(HOST_CLOCK_ALONE);
	host_log_level(LOG_ERROR);
}

/* A running device in slot `slot`. */
static inline struct fake_function *pci_device_make(unsigned slot, uint32_t class_code)
{
	struct fake_function *fake = fake_pci_function(0, 0, slot, 0, 0x8086, (uint16_t)(0x100 + slot));

	fake_pci_put(fake, PCI_REVISION, 4, class_code << 8);
	fake_pci_put(fake, PCI_COMMAND, 2, PCI_DEVICE_MASTER);
	return fake;
}

static inline void pci_device_bar(struct fake_function *fake, unsigned index, uint64_t start, uint64_t bytes, unsigned flags)
{
	fake->bar_bytes[index] = bytes;
	fake_pci_put(fake, PCI_BAR0 + 4 * index, 4, (uint32_t)start | flags);
	if ((flags & 7) == 4)
		fake_pci_put(fake, PCI_BAR0 + 4 * index + 4, 4, (uint32_t)(start >> 32));
}

static inline struct pci_function *pci_device_function(const struct fake_function *fake)
{
	list_for_each (link, &fake_pci_found) {
		struct pci_function *function = container_of(link, struct pci_function, link);

		if (function->bus == fake->bus && function->slot == fake->slot && function->number == fake->number)
			return function;
	}
	return NULL;
}

static inline void pci_devices_find(struct phys_range screen)
{
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	pci_functions_quiet(&fake_pci_found, screen);
}
