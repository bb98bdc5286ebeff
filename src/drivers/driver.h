// SPDX-License-Identifier: BSD-2-Clause
/*
 * Drivers: each says what it matches, and is probed for every PCI function that does. See
 * docs/DRIVERS.md.
 *
 *	static const struct pci_id ids[] = { { 0x1234, 0x11e8, 0 }, { 0 } };
 *	static const struct driver edu = { .name = "edu", .ids = ids, .probe = edu_probe, .remove = edu_remove };
 *	DRIVER(edu);
 *
 * 1. probe either takes the function or fails and leaves nothing behind: no memory, no interrupt,
 *    no DMA. It logs why it failed.
 * 2. remove stops the device, completes what is under way with STATUS_GONE, and frees everything.
 *    The core calls it only while no volume keeps one of the device's disks (block_device_get); all
 *    other interfaces have to be let go before.
 * 3. What a driver needs of the general heap it takes from driver_heap(function).
 * 4. After either, the core takes DMA and interrupts from the function, and reports memory that was
 *    left behind, with those who took it. What is of the general heap stays allocated; DMA memory
 *    stays in quarantine (heap/dma/dma_quarantine.h) until the function has been reset: by the core
 *    at once if it can, or by the next probe, which then calls driver_device_was_reset. A driver
 *    that cannot stop its device calls driver_device_is_loose before it frees.
 * 5. probe and remove run one at a time, in a task that may sleep.
 */
#pragma once

#include "drivers/pci/pci.h"

struct block_device_table;
struct command_table;
struct dma;
struct memory;

/* What drivers work with; lives on for good. */
struct driver_environment {
	struct memory *memory;
	struct dma *dma; /* of the memory */
	struct block_device_table *block_devices;
	struct command_table *commands;
	uint64_t io_timeout_ns;     /* a disk that answers nothing for longer is recovered; 0: 30 s */
	bool no_message_interrupts; /* use interrupt lines even where MSI-X or MSI are there */
	struct phys_range screen;   /* what the console draws into: its device is left alone; empty: no screen */
};

struct driver {
	const char *name;
	const struct pci_id *ids; /* ends with one that is all zero */
	status_t (*probe)(const struct driver_environment *environment, struct pci_function *function);
	void (*remove)(struct pci_function *function);
	void (*shutdown)(struct pci_function *function); /* for power-off, see drivers_stop; NULL: nothing to tell it */
	/* The same after a panic, whatever it was in the middle of: no locks, no sleep. Or NULL. */
	void (*panic_end)(struct pci_function *function);
};

/* The general heap, for the driver of this function: it knows what the driver has not freed. */
static inline struct heap *driver_heap(struct pci_function *function)
{
	return tracked_heap_interface(&function->tracked);
}

/* For a loop that waits for a device: sleeps, or, after a panic, waits awake. */
void driver_pause(uint64_t ns);

/* Puts the driver into the table. */
#define DRIVER(identifier)                                                                                                     \
	static const struct driver *const driver_link_##identifier __attribute__((section("drivers"), used)) = &(identifier)

/*
 * Scans PCI and probes every function that a driver matches; in order of discovery. A driver or
 * device that fails does not keep others from starting. STATUS_UNSUPPORTED: no PCI. Once, where
 * platform_may_sleep().
 */
status_t drivers_start(const struct driver_environment *environment) MUST_CHECK;

/*
 * For power-off: tells all devices, in reverse order, and ends their DMA. Nothing is freed, since
 * tasks may still use them; what they ask for from then on does not end. Where
 * platform_may_sleep().
 */
void drivers_stop(void);

/*
 * After a panic, when its report is written: the devices hear that power may go, each for some
 * seconds at most. Takes no lock.
 */
void drivers_panic_end(void);

/*
 * One function. STATUS_BUSY: bound already; STATUS_NOT_FOUND: no driver wants it;
 * STATUS_UNSUPPORTED: it is a bridge, or shows the console; else what probe returned.
 */
status_t driver_probe(struct pci_function *function) MUST_CHECK;

/* STATUS_NOT_FOUND: not bound; STATUS_BUSY: a volume is on a disk of it; then nothing was done. */
status_t driver_remove(struct pci_function *function) MUST_CHECK;

/*
 * From probe or remove, or as soon as the driver finds that it cannot stop the device: it may go on
 * writing to the memory that it has; what is freed of that stays until its reset.
 */
void driver_device_is_loose(struct pci_function *function);

/* From probe: the device has been reset, so nothing that it had is in use any more. */
void driver_device_was_reset(struct pci_function *function);

/* The monitor command `pci`. */
void pci_commands_register(struct command_table *table);

/*
 * The first function that the driver of that name is bound to, behind `after` (NULL: from the
 * start), or NULL.
 */
struct pci_function *driver_function(const char *driver, struct pci_function *after);
