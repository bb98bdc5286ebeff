// SPDX-License-Identifier: BSD-2-Clause
/*
 * Resetting one function from outside (function level reset): PCI Express base specification 4.0,
 * section 6.6.2, and for conventional PCI the ECN "Advanced Capabilities" of 2006.
 *
 * A function has 100 ms for its reset, in which it may drop any request; some say that they need
 * less (section 7.9.17). Then it answers, or says that it is not ready yet (section 2.3.1): as
 * vendor 0x0001, or, where the port above hides that, as nothing at all.
 */
#include "pci_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"

#define EXPRESS_DEVICE_CAPABILITIES 4 /* offsets within the capability */
#define EXPRESS_DEVICE_CONTROL      8
#define EXPRESS_DEVICE_STATUS       10
#define EXPRESS_CAPABILITIES_RESET  (1u << 28)
#define EXPRESS_CONTROL_RESET       (1u << 15)
#define EXPRESS_STATUS_PENDING      (1u << 5)
#define CAPABILITY_ADVANCED         0x13
#define ADVANCED_CAPABILITIES       3
#define ADVANCED_CONTROL            4 /* the status is the byte above it */
#define ADVANCED_CAPABILITIES_RESET (1u << 1)
#define ADVANCED_CONTROL_RESET      (1u << 0)
#define ADVANCED_STATUS_PENDING     (1u << 8)
#define HEADER_BYTES                64
#define HEADER_REWRITTEN_FROM       PCI_BAR0 /* the built-in self test, before it, is not to be started */
#define EXTENDED_READINESS          0x22
#define READINESS_1                 4
#define READINESS_2                 8
#define READINESS_1_VALID           (1u << 31)
#define READINESS_VALUE(bits)       ((bits)&0x1ff)
#define READINESS_SCALE(bits)       ((bits) >> 9 & 7) /* of 32 to that power, in ns */
#define RESET_NS                    (100 * NS_PER_MS)
#define READY_NS                    (60 * NS_PER_S)
#define READY_POLL_NS               (10 * NS_PER_MS)
#define PENDING_NS                  (100 * NS_PER_MS)
#define PENDING_POLL_NS             NS_PER_MS

/* Where a reset is asked for, and where it says that transactions are still under way. */
struct reset_way {
	unsigned control, control_bit;
	unsigned status, status_bit;
};

static bool reset_way_find(const struct pci_function *function, struct reset_way *way)
{
	unsigned capability = pci_capability_find(function, PCI_CAPABILITY_EXPRESS, 0);

	if (capability && (pci_read32(function, capability + EXPRESS_DEVICE_CAPABILITIES) & EXPRESS_CAPABILITIES_RESET)) {
		*way = (struct reset_way){ capability + EXPRESS_DEVICE_CONTROL, EXPRESS_CONTROL_RESET,
					   capability + EXPRESS_DEVICE_STATUS, EXPRESS_STATUS_PENDING };
		return true;
	}
	capability = pci_capability_find(function, CAPABILITY_ADVANCED, 0);
	if (!capability || !(pci_read8(function, capability + ADVANCED_CAPABILITIES) & ADVANCED_CAPABILITIES_RESET))
		return false;
	*way = (struct reset_way){ capability + ADVANCED_CONTROL, ADVANCED_CONTROL_RESET, capability + ADVANCED_CONTROL,
				   ADVANCED_STATUS_PENDING };
	return true;
}

/*
 * A transaction that is still pending then is lost in the reset; the specification asks for no
 * longer wait.
 */
static void pending_wait(const struct pci_function *function, const struct reset_way *way)
{
	const uint64_t deadline_ns = platform_now_ns() + PENDING_NS;

	while ((pci_read16(function, way->status) & way->status_bit) && platform_now_ns() < deadline_ns)
		pci_sleep(PENDING_POLL_NS);
}

/* How long the function must be left alone once its reset was asked for. */
static uint64_t silence_ns(const struct pci_function *function)
{
	const unsigned capability = pci_extended_capability_find(function, EXTENDED_READINESS);
	uint32_t flr;

	if (pci_read16(function, PCI_STATUS) & PCI_STATUS_READY)
		return 0;
	if (!capability || !(pci_read32(function, capability + READINESS_1) & READINESS_1_VALID))
		return RESET_NS;
	flr = pci_read32(function, capability + READINESS_2);
	return MIN((uint64_t)READINESS_VALUE(flr) << (5 * READINESS_SCALE(flr)), RESET_NS);
}

static bool is_back(const struct pci_function *function)
{
	return pci_id_read(function) == ((uint32_t)function->device_id << 16 | function->vendor_id);
}

static status_t ready_wait(const struct pci_function *function)
{
	const uint64_t start_ns = platform_now_ns();
	bool told = false;

	while (!is_back(function)) {
		const uint64_t waited_ns = platform_now_ns() - start_ns;

		if (waited_ns >= READY_NS) {
			log_error("%s: does not come back from a reset", function->device.name);
			return STATUS_IO_ERROR;
		}
		if (waited_ns >= NS_PER_S && !told) {
			log_info("%s: takes long to reset; it has a minute", function->device.name);
			told = true;
		}
		pci_sleep(READY_POLL_NS);
	}
	return STATUS_OK;
}

status_t pci_reset(struct pci_function *function)
{
	uint32_t header[HEADER_BYTES / sizeof(uint32_t)];
	struct reset_way way;
	uint64_t silent_ns;
	status_t status;

	if (!reset_way_find(function, &way))
		return STATUS_UNSUPPORTED;
	pci_disable(function);
	for (unsigned offset = HEADER_REWRITTEN_FROM; offset < HEADER_BYTES; offset += sizeof(uint32_t))
		header[offset / sizeof(uint32_t)] = pci_read32(function, offset);
	silent_ns = silence_ns(function);
	pending_wait(function, &way);
	pci_write16(function, way.control, (uint16_t)(pci_read16(function, way.control) | way.control_bit));
	pci_sleep(silent_ns);
	status = ready_wait(function);
	if (status != STATUS_OK)
		return status;
	for (unsigned offset = HEADER_REWRITTEN_FROM; offset < HEADER_BYTES; offset += sizeof(uint32_t))
		pci_write32(function, offset, header[offset / sizeof(uint32_t)]);
	pci_disable(function);
	return STATUS_OK;
}
