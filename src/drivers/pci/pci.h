// SPDX-License-Identifier: BSD-2-Clause
/*
 * PCI: the functions of the machine, their configuration space, registers (BARs) and interrupts.
 *
 *	pci_enable(function, PCI_MEMORY | PCI_BUS_MASTER);
 *	status = pci_bar_map(function, 0, 0, sizeof(struct registers), PCI_REGISTERS, &registers);
 *	vectors = pci_interrupts_open(function, 1);
 *	status = pci_interrupt_attach(function, 0, &it->interrupt, "it", -1, handler, it);
 *	...
 *	pci_interrupts_close(function);
 *	pci_disable(function);
 *
 * 1. Functions are found once, through all bridges, and live for good; nothing here is hot-plugged.
 * 2. Firmware assigned the addresses; a BAR without one cannot be mapped, and says so.
 * 3. The device is not trusted: capability lists may be loops, offsets and sizes nonsense.
 * 4. A bound function belongs to its driver. Its own functions here are called by one task at a
 *    time.
 *
 * PCI Local Bus specification 3.0, chapter 6; PCI Express base specification 4.0, section 7; PCI
 * firmware specification 3.2, section 4.1 (MCFG).
 */
#pragma once

#include "heap/object/tracked_heap.h"
#include "runtime/base/device.h"
#include "runtime/base/list.h"
#include "runtime/base/status.h"
#include "runtime/kernel/interrupt.h"
#include "runtime/kernel/mmio.h"

struct driver;
struct heap;

#define PCI_BARS        6
#define PCI_NAME_BYTES  16
#define PCI_VECTORS_MAX 65 /* one for each CPU, and one more */
#define PCI_ANY         0xffff

/* What a driver matches: ids, or the class where `vendor_id` is PCI_ANY. */
struct pci_id {
	uint16_t vendor_id;
	uint16_t device_id;  /* PCI_ANY: all of the vendor */
	uint32_t class_code; /* class << 16 | subclass << 8 | interface; for vendor_id PCI_ANY */
};

struct pci_bar {
	uint64_t start; /* memory or I/O address; 0: unassigned */
	uint64_t bytes; /* 0: there is no such BAR */
	bool io;
	bool wide; /* 64 bits: the next BAR is its upper half */
	bool prefetchable;
};

enum pci_interrupt_mode {
	PCI_INTERRUPTS_NONE,
	PCI_INTERRUPTS_LINE, /* shared: a handler looks whether its device asked, and quiets it */
	PCI_INTERRUPTS_MSI,
	PCI_INTERRUPTS_MSIX,
};

struct pci_function {
	struct list link;                     /* [I] in order of discovery */
	char name[PCI_NAME_BYTES];            /* [I] "00:04.0", with the segment "0001:00:04.0" where there are several */
	uint16_t segment;                     /* [I] */
	uint8_t bus, slot, number;            /* [I] */
	uint16_t vendor_id, device_id;        /* [I] */
	uint16_t subsystem_vendor_id;         /* [I] */
	uint16_t subsystem_id;                /* [I] */
	uint32_t class_code;                  /* [I] as in pci_id */
	uint8_t revision;                     /* [I] */
	uint8_t header_type;                  /* [I] 0: device, 1: bridge */
	struct pci_bar bars[PCI_BARS];        /* [I] */
	volatile uint8_t *config;             /* [I] ECAM, or NULL: the legacy ports */
	struct device device;                 /* the driver's to fill in; at first 64 bits, no limits */
	char device_name[2 * PCI_NAME_BYTES]; /* of `device`: "nvme 00:04.0" */
	struct tracked_heap tracked;          /* what its drivers have of the general heap */

	const struct driver *driver; /* [driver mutex] bound to it, or NULL */
	void *driver_data;           /* the driver's */

	enum pci_interrupt_mode interrupt_mode; /* from open to close */
	unsigned vectors;
	struct interrupt *interrupts[PCI_VECTORS_MAX]; /* by vector; NULL: not attached */
	volatile uint32_t *msix_table;
};

/*
 * Configuration space. `offset` is aligned to the width. Beyond what the function has, reads give
 * all ones.
 */
uint8_t pci_read8(const struct pci_function *function, unsigned offset);
uint16_t pci_read16(const struct pci_function *function, unsigned offset);
uint32_t pci_read32(const struct pci_function *function, unsigned offset);
void pci_write16(const struct pci_function *function, unsigned offset, uint16_t value);
void pci_write32(const struct pci_function *function, unsigned offset, uint32_t value);

/*
 * The capability `id` behind the one at `after` (0: the first); 0: none. Ends on lists that are
 * loops.
 */
#define PCI_CAPABILITY_MSI    0x05
#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX   0x11
unsigned pci_capability_find(const struct pci_function *function, uint8_t id, unsigned after);

/*
 * What the function may do; pci_disable takes all of it away, and interrupt lines, too. A function
 * starts disabled.
 */
enum pci_rights {
	PCI_IO = 1 << 0,         /* answer to its I/O BARs */
	PCI_MEMORY = 1 << 1,     /* answer to its memory BARs */
	PCI_BUS_MASTER = 1 << 2, /* DMA and message interrupts */
};
void pci_enable(struct pci_function *function, unsigned rights);
void pci_disable(struct pci_function *function);

/*
 * Takes PCI_BUS_MASTER away: once it returned, the device writes no more memory. For devices that
 * do not stop otherwise.
 */
void pci_stop_dma(struct pci_function *function);

/*
 * Resets the function, if it can be reset from outside: it forgets everything, and has no DMA under
 * way any more. Its addresses are kept; it is disabled then. STATUS_UNSUPPORTED: it cannot;
 * STATUS_IO_ERROR: it does not come back, logged. No other task uses the function meanwhile. Where
 * platform_may_sleep(); takes a tenth of a second.
 */
status_t pci_reset(struct pci_function *function) MUST_CHECK;

/*
 * Maps bytes [offset, offset + bytes) of a memory BAR, for good: as registers (registers.h), or
 * write-combining, for memory that the CPU fills in bulk, as sample or frame memory
 * (write_combining_flush in registers.h). A page has one type: a BAR with both is mapped in two
 * parts that share none. STATUS_UNSUPPORTED: no such memory BAR, or firmware gave it no address;
 * STATUS_RANGE: it is smaller; STATUS_BUSY: a page is mapped already as the other type;
 * STATUS_NO_MEMORY. Failures are logged.
 *
 * Memory behind a BAR lies at `bars[bar].start`, where other devices reach it, too: that address
 * may be a segment of node_direct (pagecache/direct.h).
 */
enum pci_mapping {
	PCI_REGISTERS = MMIO_REGISTERS,
	PCI_WRITE_COMBINING = MMIO_WRITE_COMBINING,
};
status_t pci_bar_map(struct pci_function *function, unsigned bar, uint64_t offset, uint64_t bytes, enum pci_mapping mapping,
		     volatile void **registers) MUST_CHECK;

/*
 * The port of byte `offset` of an I/O BAR that has `bytes` from there on; for kernel/port_io.h. The
 * function answers once it has PCI_IO. Status as above.
 */
status_t pci_bar_ports(struct pci_function *function, unsigned bar, uint64_t offset, uint64_t bytes, uint16_t *port) MUST_CHECK;

/*
 * Interrupts. open chooses MSI-X, else MSI, else the line, and returns how many vectors there are,
 * from 1 to `wanted`: one for MSI and for the line, 0 when the function has no interrupt. attach
 * gives a vector its handler and lets it through; see interrupt_attach_message and
 * interrupt_attach_line for `cpu` and results. close detaches all; afterwards no handler runs. open
 * and close: where platform_may_sleep().
 */
unsigned pci_interrupts_open(struct pci_function *function, unsigned wanted);
status_t pci_interrupt_attach(struct pci_function *function, unsigned vector, struct interrupt *interrupt, const char *name,
			      int cpu, void (*handler)(void *context), void *context) MUST_CHECK;
void pci_interrupts_close(struct pci_function *function);

/* Lets drivers fall back to lines even where messages are there. Before drivers_start. */
void pci_avoid_messages(bool avoid);

/* Finds all functions; once. `heap` keeps them. STATUS_UNSUPPORTED: no PCI here. */
status_t pci_scan(struct heap *heap) MUST_CHECK;

/* The function behind `function` (NULL: the first), or NULL. */
struct pci_function *pci_next(struct pci_function *function);
bool pci_matches(const struct pci_function *function, const struct pci_id *id);
