// SPDX-License-Identifier: BSD-2-Clause
/*
 * The interrupts of a function: MSI-X (PCI 3.0, section 6.8.2), else MSI (6.8.1), else its line.
 * All is masked until a handler is there.
 */
#include "pci_internal.h"
#include "drivers/registers.h"
#include "runtime/base/log.h"
#include "runtime/kernel/task.h"

#define MSI_CONTROL        2
#define MSI_CONTROL_ENABLE (1u << 0)
#define MSI_CONTROL_COUNT  (7u << 4) /* messages in use, as a power of two */
#define MSI_CONTROL_64     (1u << 7)
#define MSI_ADDRESS        4
#define MSI_ADDRESS_HIGH   8
#define MSI_DATA_32        8
#define MSI_DATA_64        12

#define MSIX_CONTROL        2
#define MSIX_CONTROL_SIZE   0x7ffu
#define MSIX_CONTROL_MASK   (1u << 14)
#define MSIX_CONTROL_ENABLE (1u << 15)
#define MSIX_TABLE          4
#define MSIX_TABLE_BAR      7u
#define MSIX_ENTRY_BYTES    16
#define MSIX_ENTRY_DATA     8
#define MSIX_ENTRY_CONTROL  12
#define MSIX_ENTRY_MASKED   1u

#define MESSAGE_NS NS_PER_MS
#define LINE_NONE  255

static bool messages_avoided;

void pci_avoid_messages(bool avoid)
{
	messages_avoided = avoid;
}

static void control_change(const struct pci_function *function, unsigned offset, unsigned clear, unsigned set)
{
	pci_write16(function, offset, (uint16_t)((pci_read16(function, offset) & ~clear) | set));
}

static volatile void *msix_entry(const struct pci_function *function, unsigned vector)
{
	return (volatile char *)function->msix_table + (size_t)vector * MSIX_ENTRY_BYTES;
}

/*
 * Maps the table and turns MSI-X on with all vectors masked. Returns the size of the table; 0: not
 * to be had.
 */
static unsigned msix_open(struct pci_function *function)
{
	const unsigned capability = pci_capability_find(function, PCI_CAPABILITY_MSIX, 0);
	volatile void *table;
	unsigned entries;
	uint32_t where;

	if (!capability)
		return 0;
	entries = (pci_read16(function, capability + MSIX_CONTROL) & MSIX_CONTROL_SIZE) + 1;
	where = pci_read32(function, capability + MSIX_TABLE);
	if (pci_bar_map(function, where & MSIX_TABLE_BAR, where & ~MSIX_TABLE_BAR, (uint64_t)entries * MSIX_ENTRY_BYTES,
			PCI_REGISTERS, &table) != STATUS_OK)
		return 0;
	function->msix_table = table;
	control_change(function, capability + MSIX_CONTROL, 0, MSIX_CONTROL_MASK | MSIX_CONTROL_ENABLE);
	for (unsigned i = 0; i < entries; i++)
		register_write32(msix_entry(function, i), MSIX_ENTRY_CONTROL, MSIX_ENTRY_MASKED);
	control_change(function, capability + MSIX_CONTROL, MSIX_CONTROL_MASK, 0);
	return entries;
}

static enum pci_interrupt_mode mode_choose(struct pci_function *function, unsigned *vectors)
{
	*vectors = messages_avoided ? 0 : msix_open(function);
	if (*vectors > 0)
		return PCI_INTERRUPTS_MSIX;
	*vectors = 1;
	if (!messages_avoided && pci_capability_find(function, PCI_CAPABILITY_MSI, 0))
		return PCI_INTERRUPTS_MSI;
	if (pci_read8(function, PCI_INTERRUPT_PIN) != 0 && pci_read8(function, PCI_INTERRUPT_LINE) != LINE_NONE)
		return PCI_INTERRUPTS_LINE;
	*vectors = 0;
	return PCI_INTERRUPTS_NONE;
}

/* The function raises no interrupt, neither ours nor any that firmware asked for. */
static void interrupts_quiet(struct pci_function *function)
{
	unsigned capability;

	control_change(function, PCI_COMMAND, 0, PCI_COMMAND_LINE_DISABLE);
	capability = pci_capability_find(function, PCI_CAPABILITY_MSIX, 0);
	if (capability)
		control_change(function, capability + MSIX_CONTROL, MSIX_CONTROL_ENABLE, MSIX_CONTROL_MASK);
	capability = pci_capability_find(function, PCI_CAPABILITY_MSI, 0);
	if (capability)
		control_change(function, capability + MSI_CONTROL, MSI_CONTROL_ENABLE, 0);
}

unsigned pci_interrupts_open(struct pci_function *function, unsigned wanted)
{
	unsigned vectors;

	interrupts_quiet(function);
	function->interrupt_mode = mode_choose(function, &vectors);
	function->vectors = vectors < wanted ? vectors : wanted;
	if (function->vectors > PCI_VECTORS_MAX)
		function->vectors = PCI_VECTORS_MAX;
	return function->vectors;
}

static void msix_let_through(struct pci_function *function, unsigned vector, const struct interrupt_message *message)
{
	volatile void *entry = msix_entry(function, vector);

	register_write64(entry, 0, message->address);
	register_write32(entry, MSIX_ENTRY_DATA, message->data);
	register_write32(entry, MSIX_ENTRY_CONTROL, 0);
}

static void msi_let_through(struct pci_function *function, const struct interrupt_message *message)
{
	const unsigned capability = pci_capability_find(function, PCI_CAPABILITY_MSI, 0);
	const bool wide = pci_read16(function, capability + MSI_CONTROL) & MSI_CONTROL_64;

	pci_write32(function, capability + MSI_ADDRESS, (uint32_t)message->address);
	if (wide)
		pci_write32(function, capability + MSI_ADDRESS_HIGH, (uint32_t)(message->address >> 32));
	pci_write16(function, capability + (wide ? MSI_DATA_64 : MSI_DATA_32), (uint16_t)message->data);
	control_change(function, capability + MSI_CONTROL, MSI_CONTROL_COUNT, MSI_CONTROL_ENABLE);
}

status_t pci_interrupt_attach(struct pci_function *function, unsigned vector, struct interrupt *interrupt, const char *name,
			      int cpu, void (*handler)(void *context), void *context)
{
	struct interrupt_message message;
	status_t status;

	if (vector >= function->vectors || function->interrupts[vector])
		return STATUS_INVALID;
	if (function->interrupt_mode == PCI_INTERRUPTS_LINE)
		status = interrupt_attach_line(interrupt, name, pci_read8(function, PCI_INTERRUPT_LINE), INTERRUPT_LEVEL,
					       handler, context);
	else
		status = interrupt_attach_message(interrupt, name, cpu, handler, context, &message);
	if (status != STATUS_OK)
		return status;
	function->interrupts[vector] = interrupt;
	if (function->interrupt_mode == PCI_INTERRUPTS_MSIX)
		msix_let_through(function, vector, &message);
	else if (function->interrupt_mode == PCI_INTERRUPTS_MSI)
		msi_let_through(function, &message);
	else
		control_change(function, PCI_COMMAND, PCI_COMMAND_LINE_DISABLE, 0);
	return STATUS_OK;
}

void pci_interrupts_close(struct pci_function *function)
{
	interrupts_quiet(function);
	if (function->vectors > 0 && function->interrupt_mode != PCI_INTERRUPTS_LINE)
		task_sleep(MESSAGE_NS); /* a message may be on its way, and must find its handler */
	for (unsigned vector = 0; vector < function->vectors; vector++) {
		if (function->interrupts[vector])
			interrupt_detach(function->interrupts[vector]);
		function->interrupts[vector] = NULL;
	}
	function->vectors = 0;
	function->interrupt_mode = PCI_INTERRUPTS_NONE;
}
