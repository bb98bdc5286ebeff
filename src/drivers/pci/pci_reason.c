// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a function is, and why it has no driver, in words that name a cure where there is one. The
 * classes are those of the PCI code and id assignment specification 1.11, chapter 1.
 */
#include "pci_internal.h"
#include "runtime/base/format.h"

#define INTEL  0x8086
#define VIRTIO 0x1af4

/* Virtio ids below are transitional: modern only where capabilities say where its registers are. */
#define VIRTIO_MODERN 0x1040

struct class_row {
	uint32_t class_code, mask;
	const char *class_text; /* in lists */
	const char *short_text; /* in reasons; NULL: it needs no driver */
};

static const struct class_row classes[] = {
	{ 0x010802, 0xffffff, "NVMe controller", "NVMe" },
	{ 0x010601, 0xffffff, "AHCI controller", "AHCI" },
	{ 0x0c0330, 0xffffff, "xHCI USB controller", "USB" },
	{ 0x010000, 0xffff00, "SCSI controller", "SCSI" },
	{ 0x010100, 0xffff00, "IDE controller", "IDE" },
	{ 0x010400, 0xffff00, "RAID controller", "RAID" },
	{ 0x010700, 0xffff00, "SAS controller", "SAS" },
	{ 0x060000, 0xffff00, "host bridge", NULL },
	{ 0x060100, 0xffff00, "ISA bridge", NULL },
	{ 0x060400, 0xffff00, "PCI bridge", NULL },
	{ 0x0c0300, 0xffff00, "USB controller", "USB" },
	{ 0x0c0500, 0xffff00, "SMBus", NULL },
	{ 0x010000, 0xff0000, "mass storage", "mass storage" },
	{ 0x020000, 0xff0000, "network", "network" },
	{ 0x030000, 0xff0000, "display", "display" },
	{ 0x040000, 0xff0000, "multimedia", "multimedia" },
	{ 0x050000, 0xff0000, "memory", "memory" },
	{ 0x060000, 0xff0000, "bridge", NULL },
	{ 0x070000, 0xff0000, "communication", "communication" },
	{ 0x080500, 0xffff00, "SD host controller", "SD card" },
	{ 0x080000, 0xff0000, "system peripheral", NULL },
	{ 0x0c0000, 0xff0000, "serial bus", "serial bus" },
	{ 0, 0, "other", "this device" },
};

/* Intel's Volume Management Device, which hides NVMe disks behind a bus of its own. */
static const uint16_t vmd_ids[] = { 0x201d, 0x28c0, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f };

static const struct class_row *class_find(const struct pci_function *function)
{
	const struct class_row *row = classes;

	while ((function->class_code & row->mask) != row->class_code)
		row++;
	return row;
}

const char *pci_class_text(const struct pci_function *function)
{
	return class_find(function)->class_text;
}

static bool is_vmd(const struct pci_function *function)
{
	for (size_t i = 0; i < ARRAY_LENGTH(vmd_ids); i++) {
		if (function->vendor_id == INTEL && function->device_id == vmd_ids[i])
			return true;
	}
	return false;
}

/* What a device shows whose interface is that from before virtio 1.0, and no other. */
static bool is_legacy_virtio(const struct pci_function *function)
{
	return function->vendor_id == VIRTIO && function->device_id < VIRTIO_MODERN &&
	       !pci_capability_find(function, PCI_CAPABILITY_VENDOR, 0);
}

static const char *bridge_reason(const struct pci_function *function)
{
	if (pci_read8(function, PCI_SECONDARY_BUS) == 0)
		return "closed by firmware: what is behind it cannot be seen";
	return "needs no driver";
}

bool pci_is_storage(const struct pci_function *function)
{
	return PCI_CLASS_BASE(function) == PCI_BASE_STORAGE || PCI_CLASS_SUB(function) == PCI_SUB_SD_HOST || is_vmd(function);
}

/* What says more than the class; NULL: nothing does. */
static const char *special_reason(const struct pci_function *function)
{
	if (function->shows_console)
		return "shows the console, so no driver may have it";
	if (function->header_type == PCI_HEADER_BRIDGE)
		return bridge_reason(function);
	if (is_vmd(function))
		return "VMD is on: switch the firmware to NVMe";
	if (function->vendor_id == INTEL && PCI_CLASS_SUB(function) == PCI_SUB_RAID)
		return "RAID mode is on, and may hide NVMe disks: switch the firmware to AHCI";
	if (is_legacy_virtio(function))
		return "legacy virtio: use disable-legacy=on";
	return NULL;
}

const char *pci_reason(const struct pci_function *function, char text[PCI_REASON_BYTES])
{
	const struct class_row *row = class_find(function);
	const char *special = special_reason(function);

	if (special)
		return special;
	if (function->driver_status == STATUS_GONE)
		return "its driver was removed";
	if (function->driver_status != STATUS_NOT_FOUND)
		format_text(text, PCI_REASON_BYTES, "its driver did not start: %s", status_text(function->driver_status));
	else if (row->short_text)
		format_text(text, PCI_REASON_BYTES, "%s: no driver", row->short_text);
	else
		return "needs no driver";
	return text;
}
