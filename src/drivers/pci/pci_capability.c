// SPDX-License-Identifier: BSD-2-Clause
/*
 * Capability lists: PCI 3.0, section 6.7, and PCIe 4.0, section 7.6. The device wrote the links, so
 * a walk ends where it comes to a place again, or after as many steps as there is room for
 * capabilities.
 */
#include "pci_internal.h"
#include "runtime/base/log.h"

#define CAPABILITY_FIRST      0x40
#define EXTENDED_FIRST        0x100
#define EXTENDED_MAX          480 /* more do not fit into 3840 bytes */
#define EXTENDED_ID(header)   ((header)&0xffff)
#define EXTENDED_NEXT(header) ((header) >> 20 & ~3u)

static unsigned next_read(const struct pci_function *function, unsigned link)
{
	const unsigned capability = pci_read8(function, link) & ~3u;

	return capability < CAPABILITY_FIRST ? 0 : capability;
}

/*
 * Walks from the start, also to what lies behind `after`: so a caller that asks for one after the
 * other comes to each once, and to the end, in lists of any order and in loops.
 */
unsigned pci_capability_find(const struct pci_function *function, uint8_t id, unsigned after)
{
	bool passed = after == 0;
	uint64_t seen = 0; /* a bit for each place */

	if (!(pci_read16(function, PCI_STATUS) & PCI_STATUS_CAPABILITIES))
		return 0;
	for (unsigned at = next_read(function, PCI_CAPABILITIES); at != 0; at = next_read(function, at + 1)) {
		if (seen >> (at / 4) & 1) {
			log_warn("pci: the capabilities of %s are a loop", function->name);
			return 0;
		}
		seen |= 1ull << (at / 4);
		if (passed && pci_read8(function, at) == id)
			return at;
		passed = passed || at == after;
	}
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
