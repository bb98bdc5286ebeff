// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers lie in a range of addresses that nothing is mapped at, so that only register_read and
 * register_write reach them.
 */
#include "fake_bus.h"

#include <sys/mman.h>

#include "drivers/registers.h"
#include "fake_kernel.h"
#include "fake_memory.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/string.h"

#define BAR_SPACING  (256 * MIB)
#define WAITS_MAX    1000000
#define CPUS         3
#define PAUSE_MIN_NS (500 * NS_PER_MS)

struct window {
	uint64_t start, end; /* as addresses */
};

static struct fake_bus *bus; /* the one that there is */
static char *bars;           /* nothing is mapped there */
static struct window windows[FAKE_WINDOWS];
static unsigned window_count;
static unsigned waits;

extern const struct driver *const __start_drivers[];
extern const struct driver *const __stop_drivers[];

/* Registers ------------------------------------------------------------------------------------ */

static bool is_mapped(uint64_t start, unsigned bytes)
{
	for (unsigned i = 0; i < window_count; i++) {
		if (start >= windows[i].start && start + bytes <= windows[i].end)
			return true;
	}
	return false;
}

static uint64_t offset_checked(const volatile void *base, size_t offset, unsigned bytes, unsigned *bar)
{
	const uint64_t address = (uint64_t)base + offset;

	if (!is_mapped(address, bytes))
		host_fail("a register outside of what is mapped");
	if (!is_aligned(address, bytes))
		host_fail("a register that is not aligned");
	if (!(bus->rights & PCI_MEMORY))
		host_fail("a register of a function that does not answer");
	bus->registers_used++;
	*bar = (unsigned)((address - (uint64_t)bars) / BAR_SPACING);
	return (address - (uint64_t)bars) % BAR_SPACING;
}

static uint64_t register_read(const volatile void *base, size_t offset, unsigned bytes)
{
	unsigned bar;
	const uint64_t within = offset_checked(base, offset, bytes, &bar);

	return bus->device->read(bus->device, bar, within, bytes);
}

static void register_write(volatile void *base, size_t offset, unsigned bytes, uint64_t value)
{
	unsigned bar;
	const uint64_t within = offset_checked(base, offset, bytes, &bar);

	bus->device->write(bus->device, bar, within, bytes, value);
}

#define REGISTER_FUNCTIONS(bits)                                                                                               \
	uint##bits##_t register_read##bits(const volatile void *base, size_t offset)                                           \
	{                                                                                                                      \
		return (uint##bits##_t)register_read(base, offset, (bits) / 8);                                                \
	}                                                                                                                      \
	void register_write##bits(volatile void *base, size_t offset, uint##bits##_t value)                                    \
	{                                                                                                                      \
		register_write(base, offset, (bits) / 8, value);                                                               \
	}
REGISTER_FUNCTIONS(8)
REGISTER_FUNCTIONS(16)
REGISTER_FUNCTIONS(32)
REGISTER_FUNCTIONS(64)

/* PCI ------------------------------------------------------------------------------------------ */

static uint32_t config_read(unsigned offset, unsigned bytes)
{
	uint32_t value = UINT32_MAX;

	if (!is_aligned(offset, bytes))
		host_fail("configuration space that is not aligned");
	if (offset + bytes <= FAKE_CONFIG_BYTES) {
		value = 0;
		memcpy(&value, bus->config + offset, bytes);
	}
	return value;
}

uint8_t pci_read8(const struct pci_function *function, unsigned offset)
{
	(void)function;
	return (uint8_t)config_read(offset, 1);
}

uint16_t pci_read16(const struct pci_function *function, unsigned offset)
{
	(void)function;
	return (uint16_t)config_read(offset, 2);
}

uint32_t pci_read32(const struct pci_function *function, unsigned offset)
{
	(void)function;
	return config_read(offset, 4);
}

void pci_enable(struct pci_function *function, unsigned rights)
{
	(void)function;
	bus->rights |= rights;
}

void pci_disable(struct pci_function *function)
{
	(void)function;
	bus->rights = 0;
}

void pci_stop_dma(struct pci_function *function)
{
	(void)function;
	bus->rights &= ~(unsigned)PCI_BUS_MASTER;
}

status_t pci_bar_map(struct pci_function *function, unsigned bar, uint64_t offset, uint64_t bytes, enum pci_mapping mapping,
		     volatile void **registers)
{
	(void)mapping;
	if (bar >= PCI_BARS || function->bars[bar].io || function->bars[bar].bytes == 0 || function->bars[bar].start == 0)
		return STATUS_UNSUPPORTED;
	if (offset > function->bars[bar].bytes || bytes > function->bars[bar].bytes - offset)
		return STATUS_RANGE;
	if (window_count == FAKE_WINDOWS)
		return STATUS_NO_MEMORY;
	*registers = bars + bar * BAR_SPACING + offset;
	windows[window_count++] = (struct window){ (uint64_t)*registers, (uint64_t)*registers + bytes };
	return STATUS_OK;
}

unsigned pci_interrupts_open(struct pci_function *function, unsigned wanted)
{
	function->interrupt_mode = bus->mode;
	if (bus->mode == PCI_INTERRUPTS_NONE)
		return 0;
	return bus->mode == PCI_INTERRUPTS_MSIX ? MIN(MAX(bus->vectors_max, 1u), wanted) : 1;
}

status_t pci_interrupt_attach(struct pci_function *function, unsigned vector, struct interrupt *interrupt, const char *name,
			      int cpu, void (*handler)(void *context), void *context)
{
	(void)function, (void)cpu;
	if (fake_memory_fails())
		return STATUS_BUSY;
	interrupt->name = name;
	fake_handler_set(vector, handler, context);
	return STATUS_OK;
}

void pci_interrupts_close(struct pci_function *function)
{
	function->interrupt_mode = PCI_INTERRUPTS_NONE;
	fake_handlers_forget();
}

/* The core of drivers -------------------------------------------------------------------------- */

void driver_pause(uint64_t ns)
{
	bus->paused_ns += ns;
	host_clock_turn(MAX(ns, PAUSE_MIN_NS));
	bus->device->step(bus->device);
	fake_work_run();
}

void driver_device_is_loose(struct pci_function *function)
{
	(void)function;
	bus->loose = true;
}

void driver_device_was_reset(struct pci_function *function)
{
	(void)function;
	bus->reset = true;
}

struct pci_function *driver_function(const char *driver, struct pci_function *after)
{
	return !after && bus->function.driver && strcmp(bus->function.driver->name, driver) == 0 ? &bus->function : NULL;
}

static const struct driver *driver_named(const char *name)
{
	for (const struct driver *const *driver = __start_drivers; driver < __stop_drivers; driver++) {
		if (strcmp((*driver)->name, name) == 0)
			return *driver;
	}
	host_fail("no such driver");
	return NULL;
}

/* What driver.c does when a driver has gone, or has failed. */
static void function_quiet(void)
{
	bus->rights = 0;
	pci_interrupts_close(&bus->function);
	bus->function.driver_data = NULL;
	fake_memory_check(false);
	if (fake_task_is_there())
		host_fail("the driver has left its task behind");
	if (block_device_next(&bus->disks, NULL))
		host_fail("the driver has left a disk behind");
}

status_t fake_bus_probe(struct fake_bus *self, const char *name)
{
	const struct driver *driver = driver_named(name);
	status_t status;

	format_text(self->function.device_name, sizeof(self->function.device_name), "%s", name);
	self->function.device = (struct device){ .name = self->function.device_name, .dma_mask = UINT64_MAX };
	self->rights = 0;
	self->loose = false;
	window_count = 0;
	status = driver->probe(&self->environment, &self->function);
	if (status == STATUS_OK)
		self->function.driver = driver;
	else
		function_quiet();
	return status;
}

void fake_bus_remove(struct fake_bus *self)
{
	const struct driver *driver = self->function.driver;

	self->function.driver = NULL;
	driver->remove(&self->function);
	function_quiet();
}

void fake_bus_shutdown(struct fake_bus *self)
{
	if (self->function.driver->shutdown)
		self->function.driver->shutdown(&self->function);
	pci_stop_dma(&self->function);
}

void fake_bus_panic_end(struct fake_bus *self)
{
	if (self->function.driver->panic_end)
		self->function.driver->panic_end(&self->function);
}

/* Time ----------------------------------------------------------------------------------------- */

void fake_bus_run(struct fake_bus *self)
{
	self->device->step(self->device);
	fake_work_run();
	fake_task_look();
}

void fake_bus_interrupt(struct fake_bus *self, unsigned vector)
{
	if (self->rights & PCI_BUS_MASTER || self->mode == PCI_INTERRUPTS_LINE)
		fake_handler_run(vector);
}

/* A wait of the driver, or of the test for a request. The clock goes on in any case. */
static bool idle(uint64_t deadline_ns)
{
	if (++waits > WAITS_MAX)
		host_fail("a wait that does not end");
	fake_bus_run(bus);
	if (deadline_ns != PLATFORM_FOREVER)
		return false;
	host_clock_turn(NS_PER_MS);
	return true;
}

void fake_bus_init(struct fake_bus *self, struct fake_device *device)
{
	if (!bars) {
		bars = mmap(NULL, PCI_BARS * BAR_SPACING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		host_cpus_set(CPUS);
	}
	host_clock_set(HOST_CLOCK_ALONE);
	host_clock_idle(idle);
	fake_kernel_begin();
	window_count = 0;
	waits = 0;
	bus = self;
	*self = (struct fake_bus){ .device = device, .mode = PCI_INTERRUPTS_MSIX, .vectors_max = CPUS };
	self->function.tracked.heap = fake_memory_begin(self);
	block_device_table_init(&self->disks);
	self->environment = (struct driver_environment){ .block_devices = &self->disks, .io_timeout_ns = NS_PER_S };
}

void fake_bus_fini(struct fake_bus *self)
{
	(void)self;
	fake_memory_check(true);
	host_clock_idle(NULL);
	bus = NULL;
}
