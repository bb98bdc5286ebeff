// SPDX-License-Identifier: BSD-2-Clause
/*
 * The controller's registers: on, off, and shut down. Each of the three writes a bit and waits
 * until the status register agrees, within the time that the controller itself announces. Base
 * specification 1.4, sections 3.1 and 7.6.
 */
#include "nvme.h"
#include "drivers/registers.h"
#include "runtime/base/log.h"

#define READY_POLL_NS             (1 * NS_PER_MS)
#define READY_MIN_NS              (1 * NS_PER_S) /* some controllers promise less than they need */
#define PAGE_SHIFT_MAX            16
#define ADMIN_QUEUE_SIZE(entries) (((entries)-1u) << 16 | ((entries)-1u))

/*
 * Controllers whose registers must be left alone for a while after they were disabled: they do not
 * answer a read of the status register then, which hangs the bus or makes them vanish from it. From
 * the lists of Linux and FreeBSD, as are the 2.3 seconds.
 */
#define READY_PAUSE_NS (2300 * NS_PER_MS)
static const struct {
	uint16_t vendor_id, device_id;
} paused[] = {
	{ 0x1c58, 0x0003 }, /* HGST SN100: while it activates firmware */
	{ 0x1c58, 0x0023 }, /* WDC SN200: as SN100 */
	{ 0x1c5f, 0x0540 }, /* Memblaze PBlaze4: resets itself when it is disabled */
	{ 0x144d, 0xa821 }, /* Samsung PM1725: fails the read */
	{ 0x144d, 0xa822 }, /* Samsung PM1725a: as PM1725 */
	{ 0x1bb1, 0x0100 }, /* Seagate Nytro: gives up its reset */
};

uint64_t nvme_ready_pause_ns(uint16_t vendor_id, uint16_t device_id)
{
	for (size_t i = 0; i < ARRAY_LENGTH(paused); i++) {
		if (paused[i].vendor_id == vendor_id && paused[i].device_id == device_id)
			return READY_PAUSE_NS;
	}
	return 0;
}

status_t nvme_controller_open(struct nvme *nvme)
{
	volatile void *registers;
	uint64_t stride, doorbells;
	status_t status;

	status = pci_bar_map(nvme->common.function, 0, 0, NVME_DOORBELLS, PCI_REGISTERS, &registers);
	if (status != STATUS_OK)
		return status;
	nvme->cap = register_read64(registers, NVME_CAP);
	nvme->version = register_read32(registers, NVME_VS);
	nvme->ready_pause_ns = nvme_ready_pause_ns(nvme->common.function->vendor_id, nvme->common.function->device_id);
	nvme->page_shift = MAX(NVME_CAP_PAGE_SHIFT_MIN(nvme->cap), (unsigned)PAGE_SHIFT);
	if (nvme->cap == UINT64_MAX || !(nvme->cap & NVME_CAP_COMMANDS_NVM) || NVME_CAP_ENTRIES_MAX(nvme->cap) < 2) {
		log_error("%s: capabilities 0x%llx: no NVM command set", nvme->common.name, (unsigned long long)nvme->cap);
		return STATUS_UNSUPPORTED;
	}
	if (nvme->page_shift > PAGE_SHIFT_MAX) {
		log_error("%s: the controller wants pages of at least 2^%u bytes", nvme->common.name, nvme->page_shift);
		return STATUS_UNSUPPORTED;
	}
	/*
	 * As many doorbells as the BAR has room for: two for the admin queue, and two for each
	 * other one.
	 */
	stride = NVME_CAP_STRIDE_BYTES(nvme->cap);
	doorbells = (nvme->common.function->bars[0].bytes - NVME_DOORBELLS) / stride;
	nvme->common.queue_count =
		(unsigned)MIN(MIN(platform_cpu_count(), DISK_QUEUES_MAX), doorbells / 2 > 0 ? doorbells / 2 - 1 : 0);
	if (nvme->common.queue_count == 0) {
		log_error("%s: BAR 0 has no room for doorbells", nvme->common.name);
		return STATUS_UNSUPPORTED;
	}
	return pci_bar_map(nvme->common.function, 0, 0, NVME_DOORBELLS + (2ull * nvme->common.queue_count + 2) * stride,
			   PCI_REGISTERS, &nvme->registers);
}

/* Waits until the status register, masked, has `value`. */
static status_t status_wait(struct nvme *nvme, uint32_t mask, uint32_t value, uint64_t ns)
{
	const uint64_t deadline_ns = platform_now_ns() + ns;

	for (;;) {
		const uint32_t now = register_read32(nvme->registers, NVME_CSTS);

		if (now == NVME_CSTS_ABSENT)
			return STATUS_GONE;
		if ((now & mask) == value)
			return STATUS_OK;
		if ((now & NVME_CSTS_FATAL) && value != 0)
			return STATUS_IO_ERROR;
		if (platform_now_ns() > deadline_ns)
			return STATUS_TIMEOUT;
		driver_pause(READY_POLL_NS);
	}
}

static uint64_t ready_ns(const struct nvme *nvme)
{
	return MAX(NVME_CAP_TIMEOUT_NS(nvme->cap), READY_MIN_NS);
}

status_t nvme_controller_disable(struct nvme *nvme)
{
	spinlock_lock(&nvme->admin.lock);
	nvme->admin.open = false;
	spinlock_unlock(&nvme->admin.lock);
	return nvme_registers_disable(nvme);
}

status_t nvme_registers_disable(struct nvme *nvme)
{
	uint32_t configuration = register_read32(nvme->registers, NVME_CC);
	status_t status;

	/*
	 * Being disabled while it is still becoming ready is not allowed; one that never does so is
	 * disabled all the same.
	 */
	if (configuration & NVME_CC_ENABLE) {
		if (status_wait(nvme, NVME_CSTS_READY, NVME_CSTS_READY, ready_ns(nvme)) != STATUS_OK)
			log_debug("%s: was enabled and is not ready", nvme->common.name);
		configuration &= ~(NVME_CC_ENABLE | NVME_CC_SHUTDOWN_MASK);
		register_write32(nvme->registers, NVME_CC, configuration);
		if (nvme->ready_pause_ns > 0)
			driver_pause(nvme->ready_pause_ns);
	}
	status = status_wait(nvme, NVME_CSTS_READY, 0, ready_ns(nvme));
	if (status != STATUS_OK)
		log_error("%s: the controller does not stop: %s", nvme->common.name, status_text(status));
	return status;
}

status_t nvme_registers_enable(struct nvme *nvme)
{
	struct nvme_admin *admin = &nvme->admin;
	status_t status;

	nvme_ring_reset(&admin->ring);
	register_write32(nvme->registers, NVME_AQA, ADMIN_QUEUE_SIZE(admin->ring.entries));
	register_write64(nvme->registers, NVME_ASQ, admin->memory.submissions.address.value);
	register_write64(nvme->registers, NVME_ACQ, admin->memory.completions.address.value);
	register_write32(nvme->registers, NVME_CC, NVME_CC_ENABLE | NVME_CC_PAGE_SHIFT(nvme->page_shift) | NVME_CC_ENTRY_SIZES);
	status = status_wait(nvme, NVME_CSTS_READY, NVME_CSTS_READY, ready_ns(nvme));
	if (status != STATUS_OK)
		log_error("%s: the controller does not start: %s", nvme->common.name, status_text(status));
	return status;
}

status_t nvme_controller_enable(struct nvme *nvme)
{
	const status_t status = nvme_registers_enable(nvme);

	if (status != STATUS_OK)
		return status;
	spinlock_lock(&nvme->admin.lock);
	nvme->admin.event_asked = false;
	atomic_store(&nvme->admin.event_there, false);
	nvme->admin.open = true;
	spinlock_unlock(&nvme->admin.lock);
	return STATUS_OK;
}

void nvme_controller_shutdown(struct nvme *nvme, uint32_t how, uint64_t ns)
{
	const uint32_t configuration = register_read32(nvme->registers, NVME_CC);

	if (!(configuration & NVME_CC_ENABLE))
		return;
	register_write32(nvme->registers, NVME_CC, (configuration & ~NVME_CC_SHUTDOWN_MASK) | how);
	if (status_wait(nvme, NVME_CSTS_SHUTDOWN_MASK, NVME_CSTS_SHUTDOWN_DONE, ns) != STATUS_OK)
		log_warn("%s: did not finish its shutdown", nvme->common.name);
}

void nvme_line_unmask(struct nvme *nvme)
{
	if (nvme->common.function->interrupt_mode == PCI_INTERRUPTS_LINE && !atomic_load(&nvme->common.stopped) &&
	    !atomic_load(&nvme->common.reset_reason))
		register_write32(nvme->registers, NVME_INTMC, 1);
}
