// SPDX-License-Identifier: BSD-2-Clause
/*
 * Capability lists: PCI 3.0, section 6.7, and PCIe 4.0, section 7.6. The device wrote the links, so
 * a walk ends after as many steps as there is room for capabilities.
 */
#include "pci_internal.h"
#include "runtime/base/log.h"

#define CAPABILITY_FIRST      0x40
#define CAPABILITIES_MAX      48 /* more do not fit into 192 bytes */
#define EXTENDED_FIRST        0x100
#define EXTENDED_MAX          480 /* more do not fit into 3840 bytes */
#define EXTENDED_ID(header)   ((header)&0xffff)
#define EXTENDED_NEXT(header) ((header) >> 20 & ~3u)

unsigned pci_capability_find(const struct pci_function *function, uint8_t id, unsigned after)
{
	unsigned offset = after ? after + 1 : PCI_CAPABILITIES;

	if (!(pci_read16(function, PCI_STATUS) & PCI_STATUS_CAPABILITIES))
		return 0;
	for (unsigned i = 0; i < CAPABILITIES_MAX; i++) {
		unsigned capability = pci_read8(function, offset) & ~3u;

		if (capability < CAPABILITY_FIRST || capability > 0xfc)
			return 0;
		if (pci_read8(function, capability) == id)
			return capability;
		offset = capability + 1;
	}
	log_warn("pci: the capabilities of %s are a loop", function->name);
	return 0;
}

unsigned pci_extended_capability_find(const struct pci_function *function, uint16_t id)
{
	unsigned offset = EXTENDED_FIRST;

	for (unsigned i = 0; i < EXTENDED_MAX && offset >= EXTENDED_FIRST; i++) {
		const uint32_t header = pci_read32(function, offset);

		if (header == 0 || header == UINT32_MAX)
			return 0;
		if (EXTENDED_ID(header) == id)
			return offset;
		offset = EXTENDED_NEXT(header);
	}
	return 0;
}
