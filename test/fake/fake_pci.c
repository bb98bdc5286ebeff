// SPDX-License-Identifier: BSD-2-Clause
#include "fake_pci.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/bits.h"
#include "runtime/base/heap.h"

#define HOSTS_MAX  16
#define ECAM_START 0xe0000000
#define ECAM_BYTES (PCI_BUSES * PCI_BUS_BYTES)

static struct fake_function *at[2][PCI_BUSES][PCI_SLOTS][PCI_FUNCTIONS]; /* of the two segments that tests use */
static struct fake_host {
	struct pci_host host;
	bool opens;
} hosts[HOSTS_MAX];
static unsigned host_count;
static bool ecam_hidden;
static uint64_t reads;

static void *host_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	(void)heap;
	(void)alignment;
	return malloc(bytes);
}

static void host_free(struct heap *heap, void *memory)
{
	(void)heap;
	free(memory);
}

struct heap fake_pci_heap = { "host", host_alloc, host_free };
struct list fake_pci_found = { &fake_pci_found, &fake_pci_found };

void fake_pci_begin(void)
{
	struct fake_function **function = &at[0][0][0][0];

	list_for_each_safe (link, &fake_pci_found)
		free(container_of(link, struct pci_function, link));
	list_init(&fake_pci_found);
	for (size_t i = 0; i < sizeof(at) / sizeof(*function); i++)
		free(function[i]);
	memset(at, 0, sizeof(at));
	host_count = 0;
	ecam_hidden = false;
	reads = 0;
}

void fake_pci_host(uint16_t segment, uint8_t first_bus, uint8_t last_bus, bool opens)
{
	hosts[host_count++] = (struct fake_host){
		.host = { .ecam = ECAM_START + segment * ECAM_BYTES,
			  .segment = segment,
			  .first_bus = first_bus,
			  .last_bus = last_bus },
		.opens = opens,
	};
}

void fake_pci_move_ecam(uint64_t ecam)
{
	hosts[host_count - 1].host.ecam = ecam;
}

void fake_pci_hide_ecam(bool hide)
{
	ecam_hidden = hide;
}

struct fake_function *fake_pci_find(uint16_t segment, unsigned bus, unsigned slot, unsigned number)
{
	return segment < ARRAY_LENGTH(at) ? at[segment][bus][slot][number] : NULL;
}

struct fake_function *fake_pci_function(uint16_t segment, unsigned bus, unsigned slot, unsigned number, uint16_t vendor,
					uint16_t device)
{
	struct fake_function *function = calloc(1, sizeof(*function));

	function->segment = segment;
	function->bus = (uint8_t)bus;
	function->slot = (uint8_t)slot;
	function->number = (uint8_t)number;
	fake_pci_put(function, PCI_VENDOR_ID, 2, vendor);
	fake_pci_put(function, PCI_DEVICE_ID, 2, device);
	at[segment][bus][slot][number] = function;
	return function;
}

void fake_pci_put(struct fake_function *function, unsigned offset, unsigned bytes, uint32_t value)
{
	memcpy(function->bytes + offset, &value, bytes);
}

uint32_t fake_pci_get(const struct fake_function *function, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, function->bytes + offset, bytes);
	return value;
}

uint64_t fake_pci_reads(void)
{
	return reads;
}

bool pci_host_get(unsigned index, struct pci_host *host)
{
	*host = index < host_count ? hosts[index].host : (struct pci_host){ .last_bus = PCI_BUSES - 1 };
	return index <= host_count;
}

bool pci_host_open(struct pci_host *host)
{
	for (unsigned i = 0; i < host_count; i++) {
		if (host->ecam != 0 && hosts[i].host.segment == host->segment && hosts[i].host.first_bus == host->first_bus)
			return hosts[i].opens;
	}
	return true;
}

/* A pointer that is never followed says that the function is reached through ECAM, and whose. */
static volatile uint8_t ecam[ARRAY_LENGTH(at)];

void pci_config_find(const struct pci_host *host, struct pci_function *function)
{
	function->config = host->ecam != 0 ? &ecam[(host->ecam - ECAM_START) / ECAM_BYTES] : NULL;
}

static struct fake_function *reached(const struct pci_function *function)
{
	const uint16_t segment = function->config ? (uint16_t)(function->config - ecam) : 0;

	return function->config && ecam_hidden ? NULL : fake_pci_find(segment, function->bus, function->slot, function->number);
}

static uint32_t read_bytes(const struct pci_function *function, unsigned offset, unsigned bytes)
{
	const unsigned end = function->config ? PCI_CONFIG_BYTES : PCI_CONFIG_BYTES_LEGACY;
	struct fake_function *fake = reached(function);
	uint32_t value;

	reads++;
	if (!fake || offset + bytes > end)
		return UINT32_MAX;
	value = fake_pci_get(fake, offset, bytes);
	return fake->answer ? fake->answer(fake, offset, value) : value;
}

/* The address bits above the size stay what was written; its flags never change. */
static uint32_t bar_value(const struct fake_function *fake, unsigned index, uint32_t value)
{
	const bool upper = index > 0 && fake->bar_bytes[index] == 0 && fake->bar_bytes[index - 1] != 0 &&
			   (fake->bytes[PCI_BAR0 + 4 * (index - 1)] & 7) == 4;
	const uint64_t size = fake->bar_bytes[upper ? index - 1 : index];
	const uint32_t now = fake_pci_get(fake, PCI_BAR0 + 4 * index, 4);
	const uint32_t flags = upper ? 0 : now & ((now & 1) ? 3 : 15);

	if (size == 0)
		return now;
	return (value & (uint32_t)(~(size - 1) >> (upper ? 32 : 0))) | flags;
}

static void write_bytes(const struct pci_function *function, unsigned offset, unsigned bytes, uint32_t value)
{
	struct fake_function *fake = reached(function);

	if (!fake || offset + bytes > PCI_CONFIG_BYTES)
		return;
	if (fake->written)
		fake->written(fake, offset, value);
	fake->command_writes += offset == PCI_COMMAND;
	if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * PCI_BARS) {
		fake->bar_writes++;
		fake_pci_put(fake, offset, 4, bar_value(fake, (offset - PCI_BAR0) / 4, value));
	} else if (offset == PCI_COMMAND || offset == PCI_INTERRUPT_LINE || offset >= 64) {
		fake_pci_put(fake, offset, bytes, value);
	}
}

uint8_t pci_read8(const struct pci_function *function, unsigned offset)
{
	return (uint8_t)read_bytes(function, offset, 1);
}

uint16_t pci_read16(const struct pci_function *function, unsigned offset)
{
	return (uint16_t)read_bytes(function, offset, 2);
}

uint32_t pci_read32(const struct pci_function *function, unsigned offset)
{
	return read_bytes(function, offset, 4);
}

void pci_write16(const struct pci_function *function, unsigned offset, uint16_t value)
{
	write_bytes(function, offset, 2, value);
}

void pci_write32(const struct pci_function *function, unsigned offset, uint32_t value)
{
	write_bytes(function, offset, 4, value);
}
