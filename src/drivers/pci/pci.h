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
 * 1. Functions are found once, on every bus that answers, and live for good; nothing here is
 *    hot-plugged.
 * 2. Firmware assigned the addresses; a BAR without one cannot be mapped, and says so. Its size is
 *    known from the bind of a driver on: asking for it takes the BAR away for a moment, so a host
 *    bridge and what shows the console are never asked.
 * 3. The device is not trusted: bridges and capability lists may be loops, offsets and sizes
 *    nonsense.
 * 4. A bound function belongs to its driver. Its own functions here are called by one task at a
 *    time.
 * 5. After the scan no endpoint reaches memory until its driver lets it: firmware may have left
 *    some running. Exempt are what shows the console, USB controllers, whose firmware plays the
 *    keyboard, and what belongs to the chipset.
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
	uint64_t bytes; /* 0: there is no such BAR, or pci_bars_size was not called */
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
	struct list link;                     /* [I] in order of segment and bus */
	struct pci_function *parent;          /* [I] the bridge above it; NULL: it is on a root bus */
	char name[PCI_NAME_BYTES];            /* [I] "00:04.0", with the segment "0001:00:04.0" where there are several */
	uint16_t segment;                     /* [I] */
	uint8_t bus, slot, number;            /* [I] */
	uint16_t vendor_id, device_id;        /* [I] */
	uint16_t subsystem_vendor_id;         /* [I] */
	uint16_t subsystem_id;                /* [I] */
	uint32_t class_code;                  /* [I] as in pci_id */
	uint8_t revision;                     /* [I] */
	uint8_t header_type;                  /* [I] 0: device, 1: bridge */
	bool shows_console;                   /* [I] the screen's memory is in one of its BARs */
	bool bars_sized;                      /* [driver mutex] */
	struct pci_bar bars[PCI_BARS];        /* [I], but for `bytes`: from pci_bars_size on */
	volatile uint8_t *config;             /* [I] ECAM, or NULL: the legacy ports */
	struct device device;                 /* the driver's to fill in; at first 64 bits, no limits */
	char device_name[2 * PCI_NAME_BYTES]; /* of `device`: "nvme 00:04.0" */
	struct tracked_heap tracked;          /* what its drivers have of the general heap */

	const struct driver *driver; /* [driver mutex] bound to it, or NULL */
	status_t driver_status;      /* [driver mutex] without one: what the last probe returned; GONE: it was removed */
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
 * The capability `id` behind the one at `after` (0: the first); 0: none. From one to the next, each
 * is found once, and then none, also in lists that are loops.
 */
#define PCI_CAPABILITY_MSI     0x05
#define PCI_CAPABILITY_VENDOR  0x09
#define PCI_CAPABILITY_EXPRESS 0x10
#define PCI_CAPABILITY_MSIX    0x11
unsigned pci_capability_find(const struct pci_function *function, uint8_t id, unsigned after);

/* The same for extended capabilities, which only ECAM reaches (PCIe 4.0, section 7.6). */
unsigned pci_extended_capability_find(const struct pci_function *function, uint16_t id);

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
 * Lets all bridges above the function pass on memory accesses, in both directions: firmware that
 * protects memory before the system starts leaves them closed. Under the driver mutex.
 */
void pci_bridges_open(struct pci_function *function);

/*
 * Takes PCI_BUS_MASTER away: once it returned, the device writes no more memory. For devices that
 * do not stop otherwise.
 */
void pci_stop_dma(struct pci_function *function);

/*
 * Resets the function, if it can be reset from outside: it forgets everything, and has no DMA under
 * way any more. Its addresses are kept; it is disabled then. STATUS_UNSUPPORTED: it cannot;
 * STATUS_IO_ERROR: it does not come back, logged. No other task uses the function meanwhile. Where
 * platform_may_sleep(); takes a tenth of a second, and up to a minute for a device that says that
 * it is not ready yet. PCIe 4.0, sections 6.6.2, 2.3.1 and 7.9.17.
 */
status_t pci_reset(struct pci_function *function) MUST_CHECK;

/*
 * Finds out how large the BARs are; the function is disabled and does not answer meanwhile. The
 * driver core does so before probe. STATUS_UNSUPPORTED: a bridge, or it shows the console; nothing
 * was done then. Under the driver mutex.
 */
status_t pci_bars_size(struct pci_function *function) MUST_CHECK;

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

/*
 * Finds all functions; once. `heap` keeps them; `screen` is the memory that the console draws into,
 * empty where there is none. STATUS_UNSUPPORTED: no PCI here. Where platform_may_sleep().
 */
status_t pci_scan(struct heap *heap, struct phys_range screen) MUST_CHECK;

/* The function behind `function` (NULL: the first), or NULL. */
struct pci_function *pci_next(struct pci_function *function);
bool pci_matches(const struct pci_function *function, const struct pci_id *id);

/* "NVMe controller": what the function is by its class. */
const char *pci_class_text(const struct pci_function *function);

/* Whether disks may be behind it. */
bool pci_is_storage(const struct pci_function *function);

/*
 * Why the function has no driver, and what to do where something can be done: "AHCI: no driver".
 * Not for a function with a driver. `text` may be needed to compose it. Reads its capabilities.
 */
#define PCI_REASON_BYTES 96
const char *pci_reason(const struct pci_function *function, char text[PCI_REASON_BYTES]);
