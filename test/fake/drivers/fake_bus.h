// SPDX-License-Identifier: BSD-2-Clause
/*
 * The world of a driver on the host: one PCI function, and all that a driver calls below and beside
 * itself: registers, interrupts, DMA memory, deferred work, its watch task, time. A fake device
 * answers. The drivers run as they are; what they must never do ends the test:
 *
 *	struct fake_bus bus; the device's hooks; fake_bus_init(&bus, &device)
 *	status = fake_bus_probe(&bus, "nvme");
 *	... block requests; fake_bus_run(&bus) lets time pass ...
 *	fake_bus_remove(&bus); fake_bus_fini(&bus)
 *
 * 1. Each register access lies in a window that the driver has mapped, aligned, and the function
 *    answers to memory accesses at that moment.
 * 2. DMA memory has poisoned bytes around each piece (AddressSanitizer); the device reaches only
 *    what is allocated, and only as long as the function is a bus master.
 * 3. Rings, tables and answers that the device knows of are not freed as long as it is a bus
 *    master, unless it says that it has done with them (fake_device.holds).
 * 4. What probe has taken is given back when it fails, and by remove.
 *
 * One thread; HOST_CLOCK_ALONE. While the driver waits, time passes: the device does something,
 * deferred work and the watch task run. One bus at a time.
 */
#pragma once

#include "drivers/driver.h"
#include "host/platform_host.h"
#include "runtime/base/block_device.h"

#define FAKE_CONFIG_BYTES 256
#define FAKE_WINDOWS      32

struct fake_bus;

/* What answers. Offsets are within the BAR; `bytes` is 1, 2, 4 or 8. */
struct fake_device {
	uint64_t (*read)(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes);
	void (*write)(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes, uint64_t value);
	void (*step)(struct fake_device *device);                                      /* the driver waits */
	bool (*holds)(struct fake_device *device, const void *memory, uint64_t bytes); /* NULL: all of it */
};

struct fake_bus {
	struct fake_device *device;
	struct pci_function function; /* ids, class and BARs: set after fake_bus_init */
	uint8_t config[FAKE_CONFIG_BYTES];
	enum pci_interrupt_mode mode; /* what the driver gets */
	unsigned vectors_max;
	unsigned fail_at; /* that many allocations from now on succeed, and then one fails; 0: none fails */

	struct driver_environment environment;
	struct block_device_table disks;
	unsigned rights;   /* enum pci_rights that the function has */
	bool loose, reset; /* what the driver has said of its device */
	unsigned long registers_used;
	uint64_t paused_ns; /* by driver_pause */
};

void fake_bus_init(struct fake_bus *bus, struct fake_device *device);
/* Nothing may be left. */
void fake_bus_fini(struct fake_bus *bus);

/* Probes with the driver of that name, as driver.c does. */
status_t fake_bus_probe(struct fake_bus *bus, const char *driver) MUST_CHECK;
void fake_bus_remove(struct fake_bus *bus);
/* The other two ways out: power-off, and after a panic. The driver goes on being bound. */
void fake_bus_shutdown(struct fake_bus *bus);
void fake_bus_panic_end(struct fake_bus *bus);

/* Time passes: the device steps, deferred work runs, and the watch task looks once. */
void fake_bus_run(struct fake_bus *bus);

/* The device raises the interrupt; nothing happens when the vector has no handler. */
void fake_bus_interrupt(struct fake_bus *bus, unsigned vector);

/*
 * For the device: memory that it may reach by DMA. NULL: it may not, now. fake_bus_reach is for
 * what the driver gave to the device: an address outside of allocated memory ends the test.
 */
void *fake_bus_memory(struct fake_bus *bus, uint64_t address, uint64_t bytes);
void *fake_bus_reach(struct fake_bus *bus, uint64_t address, uint64_t bytes);

/* A piece of DMA memory, by number modulo how many there are; NULL: there is none. */
void *fake_bus_piece(unsigned number, uint64_t *bytes);

/* For the test's own requests. */
struct phys_range fake_bus_alloc(uint64_t bytes);
void fake_bus_free(struct phys_range range);
