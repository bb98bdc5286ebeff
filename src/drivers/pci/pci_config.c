// SPDX-License-Identifier: BSD-2-Clause
/*
 * Configuration space: memory-mapped (ECAM, found through the MCFG table), or through the ports
 * 0xcf8 and 0xcfc (PCI 3.0, section 3.2.2.3.2).
 */
#include "pci_internal.h"
#include "drivers/registers.h"
#include "runtime/base/log.h"
#include "runtime/base/spinlock.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/mmio.h"
#include "runtime/kernel/port_io.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define PORT_ENABLE  (1u << 31)

/* MCFG: a header, 8 reserved bytes, and an entry for each range of buses. */
#define MCFG_ENTRIES      44
#define MCFG_ENTRY_BYTES  16
#define ECAM_SLOT_SHIFT   15
#define ECAM_NUMBER_SHIFT 12

static struct spinlock port_lock = { .name = "pci ports" };

bool pci_host_get(unsigned index, struct pci_host *host)
{
	const struct acpi_header *mcfg = acpi_find_table("MCFG", 0, MCFG_ENTRIES);
	const size_t entries = mcfg ? (mcfg->length - MCFG_ENTRIES) / MCFG_ENTRY_BYTES : 0;
	const size_t entry = MCFG_ENTRIES + (size_t)index * MCFG_ENTRY_BYTES;

	if (index >= entries) {
		*host = (struct pci_host){ .last_bus = PCI_BUSES - 1 };
		return index == entries;
	}
	*host = (struct pci_host){
		.ecam = acpi_read(mcfg, entry, 8),
		.segment = (uint16_t)acpi_read(mcfg, entry + 8, 2),
		.first_bus = (uint8_t)acpi_read(mcfg, entry + 10, 1),
		.last_bus = (uint8_t)acpi_read(mcfg, entry + 11, 1),
	};
	return true;
}

/* All of the range at once, which takes a few large pages; the scan looks at every bus of it. */
bool pci_host_open(struct pci_host *host)
{
	const uint64_t first = host->ecam + host->first_bus * PCI_BUS_BYTES;

	if (host->ecam == 0)
		return true;
	if (host->first_bus <= host->last_bus && first >= host->ecam)
		host->config = mmio_map((struct phys_addr){ first }, (host->last_bus - host->first_bus + 1) * PCI_BUS_BYTES);
	if (!host->config)
		log_warn("pci: the configuration space of segment %u, buses %u to %u cannot be mapped at 0x%llx; ignored",
			 host->segment, host->first_bus, host->last_bus, (unsigned long long)host->ecam);
	return host->config != NULL;
}

void pci_config_find(const struct pci_host *host, struct pci_function *function)
{
	const size_t bus = (size_t)(function->bus - host->first_bus);

	if (host->config)
		function->config = host->config + (bus * PCI_BUS_BYTES | (size_t)function->slot << ECAM_SLOT_SHIFT |
						   (size_t)function->number << ECAM_NUMBER_SHIFT);
}

static bool reachable(const struct pci_function *function, unsigned offset, unsigned bytes)
{
	return offset + bytes <= (function->config ? PCI_CONFIG_BYTES : PCI_CONFIG_BYTES_LEGACY);
}

/* Selects the register; port_lock is held until the data port was used. */
static uint64_t port_select(const struct pci_function *function, unsigned offset)
{
	const uint64_t state = spinlock_lock_interrupts(&port_lock);

	port_write32(PORT_ADDRESS, PORT_ENABLE | (uint32_t)function->bus << 16 | (uint32_t)function->slot << 11 |
					   (uint32_t)function->number << 8 | (offset & 0xfc));
	return state;
}

#define CONFIG_ACCESS(bits)                                                                                                    \
	uint##bits##_t pci_read##bits(const struct pci_function *function, unsigned offset)                                    \
	{                                                                                                                      \
		uint##bits##_t value;                                                                                          \
		uint64_t state;                                                                                                \
                                                                                                                               \
		if (!reachable(function, offset, (bits) / 8))                                                                  \
			return (uint##bits##_t) - 1;                                                                           \
		if (function->config)                                                                                          \
			return register_read##bits(function->config, offset);                                                  \
		state = port_select(function, offset);                                                                         \
		value = port_read##bits((uint16_t)(PORT_DATA + (offset & 3)));                                                 \
		spinlock_unlock_interrupts(&port_lock, state);                                                                 \
		return value;                                                                                                  \
	}                                                                                                                      \
	void pci_write##bits(const struct pci_function *function, unsigned offset, uint##bits##_t value)                       \
	{                                                                                                                      \
		uint64_t state;                                                                                                \
                                                                                                                               \
		if (!reachable(function, offset, (bits) / 8))                                                                  \
			return;                                                                                                \
		if (function->config) {                                                                                        \
			register_write##bits(function->config, offset, value);                                                 \
			return;                                                                                                \
		}                                                                                                              \
		state = port_select(function, offset);                                                                         \
		port_write##bits((uint16_t)(PORT_DATA + (offset & 3)), value);                                                 \
		spinlock_unlock_interrupts(&port_lock, state);                                                                 \
	}

CONFIG_ACCESS(8)
CONFIG_ACCESS(16)
CONFIG_ACCESS(32)
