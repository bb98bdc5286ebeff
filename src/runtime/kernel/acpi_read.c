// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel reads out of single ACPI tables. It works on tables that are checked already and
 * touches no hardware, so tests on the host can run it.
 */
#include "acpi.h"

#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* MADT, section 5.2.12. */
#define MADT_LOCAL_APIC   36
#define MADT_FLAGS        40
#define MADT_ENTRIES      44
#define MADT_HAS_PIC      1u
#define MADT_CPU_ENABLED  1u
#define MADT_ENTRY_HEADER 2u
#define MADT_NO_ID        0xffu /* of no CPU: messages to it go to all; firmware has it in places that are empty */
#define MADT_NO_ID_X2     0xffffffffu

enum madt_entry {
	MADT_CPU = 0,     /* 8 bytes: APIC id at 3, flags at 4 */
	MADT_IOAPIC = 1,  /* 12 bytes: address at 4 */
	MADT_ADDRESS = 5, /* 12 bytes: 64-bit address of the local APICs at 4 */
	MADT_CPU_X2 = 9,  /* 16 bytes: x2APIC id at 4, flags at 8 */
};

/* Fixed ACPI Description Table, section 5.2.9. */
#define FADT_SCI_LINE       46
#define FADT_SMI_COMMAND    48
#define FADT_ACPI_ENABLE    52
#define FADT_PM1A_EVENT     56
#define FADT_PM1B_EVENT     60
#define FADT_PM1A_CONTROL   64
#define FADT_PM1B_CONTROL   68
#define FADT_PM_TIMER       76
#define FADT_GPE0           80
#define FADT_GPE1           84
#define FADT_PM1_BYTES      88
#define FADT_PM_TIMER_BYTES 91
#define FADT_GPE0_BYTES     92
#define FADT_GPE1_BYTES     93
#define FADT_CENTURY        108
#define FADT_BOOT_FLAGS     109
#define FADT_FLAGS          112
#define FADT_RESET          116
#define FADT_RESET_VALUE    128
#define FADT_X_PM1A_EVENT   148
#define FADT_X_PM1B_EVENT   160
#define FADT_X_PM1A_CONTROL 172
#define FADT_X_PM1B_CONTROL 184
#define FADT_X_PM_TIMER     208
#define FADT_X_GPE0         220
#define FADT_X_GPE1         232
#define FADT_SLEEP_CONTROL  244
#define FADT_SLEEP_STATUS   256
#define FADT_BUTTON_BY_AML  (1u << 4)
#define FADT_NO_CMOS_CLOCK  (1u << 5) /* of the boot flags */
#define FADT_TIMER_32_BITS  (1u << 8)
#define FADT_HAS_RESET      (1u << 10)
#define FADT_HW_REDUCED     (1u << 20)

/* AML, section 20.2. */
#define AML_ZERO    0x00
#define AML_ONE     0x01
#define AML_NAME    0x08
#define AML_BYTE    0x0a
#define AML_PACKAGE 0x12
#define AML_ONES    0xff

#define SLEEP_TYPE_MAX 7

static void cpu_add(struct acpi_interrupts *interrupts, uint32_t apic_id, uint32_t no_id, uint64_t flags)
{
	if (!(flags & MADT_CPU_ENABLED) || apic_id == no_id)
		return;
	for (unsigned i = 0; i < interrupts->cpu_count; i++) {
		if (interrupts->apic_ids[i] == apic_id)
			return; /* firmware may list one CPU both ways */
	}
	if (interrupts->cpu_count == ACPI_CPUS_MAX)
		interrupts->cpus_ignored++;
	else
		interrupts->apic_ids[interrupts->cpu_count++] = apic_id;
}

static void madt_entry(const struct acpi_header *madt, size_t offset, size_t bytes, struct acpi_interrupts *interrupts)
{
	uint64_t type = acpi_read(madt, offset, 1);

	if (type == MADT_CPU && bytes >= 8) {
		cpu_add(interrupts, (uint32_t)acpi_read(madt, offset + 3, 1), MADT_NO_ID, acpi_read(madt, offset + 4, 4));
	} else if (type == MADT_CPU_X2 && bytes >= 16) {
		cpu_add(interrupts, (uint32_t)acpi_read(madt, offset + 4, 4), MADT_NO_ID_X2, acpi_read(madt, offset + 8, 4));
	} else if (type == MADT_ADDRESS && bytes >= 12) {
		interrupts->local_apic.value = acpi_read(madt, offset + 4, 8);
	} else if (type == MADT_IOAPIC && bytes >= 12 && interrupts->ioapic_count < ACPI_IOAPICS_MAX) {
		interrupts->ioapics[interrupts->ioapic_count++].value = acpi_read(madt, offset + 4, 4);
	}
}

void acpi_read_madt(const struct acpi_header *madt, struct acpi_interrupts *interrupts)
{
	*interrupts = (struct acpi_interrupts){ .has_pic = true };
	if (!madt)
		return;
	interrupts->has_pic = acpi_read(madt, MADT_FLAGS, 4) & MADT_HAS_PIC;
	interrupts->local_apic.value = acpi_read(madt, MADT_LOCAL_APIC, 4);
	for (size_t offset = MADT_ENTRIES; offset + MADT_ENTRY_HEADER <= madt->length;) {
		size_t bytes = acpi_read(madt, offset + 1, 1);

		if (bytes < MADT_ENTRY_HEADER || bytes > madt->length - offset) {
			log_warn("acpi: the MADT is cut off or broken at byte %zu; the rest is ignored", offset);
			return;
		}
		madt_entry(madt, offset, bytes, interrupts);
		offset += bytes;
	}
}

/*
 * A register block's I/O port: from the extended field where there is one, else from the old one.
 */
static uint16_t fadt_port(const struct acpi_header *fadt, size_t offset, size_t extended)
{
	struct acpi_address address = acpi_read_address(fadt, extended);
	uint64_t port = address.space == ACPI_SPACE_IO ? address.address : 0;

	if (!port)
		port = acpi_read(fadt, offset, 4);
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static void fadt_find_s5(struct acpi_power *power)
{
	const struct acpi_header *table = acpi_find_table("DSDT", 0, 0);

	for (unsigned i = 0; table && !power->has_s5; table = acpi_find_table("SSDT", i++, 0)) {
		power->has_s5 = acpi_find_s5((const uint8_t *)table + sizeof(*table), table->length - sizeof(*table),
					     &power->s5_type_a, &power->s5_type_b);
	}
}

/*
 * Such a machine has none of the registers that are at fixed places; what firmware leaves in these
 * fields says nothing. ACPI 6.5, section 4.1.
 */
static void fixed_hardware_forget(struct acpi_power *power)
{
	power->pm1a_event = 0;
	power->pm1b_event = 0;
	power->pm1a_control = 0;
	power->pm1b_control = 0;
	power->gpe0 = 0;
	power->gpe1 = 0;
	power->smi_command = 0;
	power->pm_timer = 0;
}

void acpi_read_fadt(const struct acpi_header *fadt, struct acpi_power *power)
{
	uint64_t flags = acpi_read(fadt, FADT_FLAGS, 4);

	*power = (struct acpi_power){
		.pm1a_control = fadt_port(fadt, FADT_PM1A_CONTROL, FADT_X_PM1A_CONTROL),
		.pm1b_control = fadt_port(fadt, FADT_PM1B_CONTROL, FADT_X_PM1B_CONTROL),
		.pm1a_event = fadt_port(fadt, FADT_PM1A_EVENT, FADT_X_PM1A_EVENT),
		.pm1b_event = fadt_port(fadt, FADT_PM1B_EVENT, FADT_X_PM1B_EVENT),
		.pm1_event_bytes = (uint8_t)acpi_read(fadt, FADT_PM1_BYTES, 1),
		.gpe0 = fadt_port(fadt, FADT_GPE0, FADT_X_GPE0),
		.gpe1 = fadt_port(fadt, FADT_GPE1, FADT_X_GPE1),
		.gpe0_bytes = (uint8_t)acpi_read(fadt, FADT_GPE0_BYTES, 1),
		.gpe1_bytes = (uint8_t)acpi_read(fadt, FADT_GPE1_BYTES, 1),
		.sci_line = (uint16_t)acpi_read(fadt, FADT_SCI_LINE, 2),
		.sleep_control = acpi_read_address(fadt, FADT_SLEEP_CONTROL),
		.sleep_status = acpi_read_address(fadt, FADT_SLEEP_STATUS),
		.smi_command = (uint16_t)acpi_read(fadt, FADT_SMI_COMMAND, 4),
		.acpi_enable = (uint8_t)acpi_read(fadt, FADT_ACPI_ENABLE, 1),
		.reset = acpi_read_address(fadt, FADT_RESET),
		.reset_value = (uint8_t)acpi_read(fadt, FADT_RESET_VALUE, 1),
		.pm_timer_32 = flags & FADT_TIMER_32_BITS,
		.century_register = (uint8_t)acpi_read(fadt, FADT_CENTURY, 1),
		.no_cmos_clock = acpi_read(fadt, FADT_BOOT_FLAGS, 2) & FADT_NO_CMOS_CLOCK,
	};
	power->has_reset = (flags & FADT_HAS_RESET) && power->reset.address;
	if (acpi_read(fadt, FADT_PM_TIMER_BYTES, 1) == 4)
		power->pm_timer = fadt_port(fadt, FADT_PM_TIMER, FADT_X_PM_TIMER);
	if (flags & FADT_HW_REDUCED)
		fixed_hardware_forget(power);
	power->has_power_button = power->pm1a_event && power->pm1_event_bytes >= 4 && !(flags & FADT_BUTTON_BY_AML);
	fadt_find_s5(power);
}

/* A small integer constant at `aml`; returns its length, or 0 when there is none. */
static size_t aml_integer(const uint8_t *aml, size_t bytes, uint8_t *value)
{
	if (bytes >= 1 && (aml[0] == AML_ZERO || aml[0] == AML_ONE || aml[0] == AML_ONES)) {
		*value = aml[0];
		return 1;
	}
	if (bytes >= 2 && aml[0] == AML_BYTE) {
		*value = aml[1];
		return 2;
	}
	return 0;
}

/*
 * The package behind the name: PackageOp, its length (one byte, plus as many as its two top bits
 * say), count, elements.
 */
static bool s5_package(const uint8_t *aml, size_t bytes, uint8_t *type_a, uint8_t *type_b)
{
	size_t offset, length;

	if (bytes < 2 || aml[0] != AML_PACKAGE)
		return false;
	offset = 1 + 1 + (aml[1] >> 6) + 1;
	if (offset > bytes || aml[offset - 1] < 1)
		return false;
	length = aml_integer(aml + offset, bytes - offset, type_a);
	if (length == 0 || *type_a > SLEEP_TYPE_MAX)
		return false;
	offset += length;
	if (aml_integer(aml + offset, bytes - offset, type_b) == 0 || *type_b > SLEEP_TYPE_MAX)
		*type_b = *type_a;
	return true;
}

bool acpi_find_s5(const uint8_t *aml, size_t bytes, uint8_t *type_a, uint8_t *type_b)
{
	static const char name[4] = { '_', 'S', '5', '_' };

	for (size_t i = 1; i + sizeof(name) < bytes; i++) {
		bool named = aml[i - 1] == AML_NAME || (aml[i - 1] == '\\' && i >= 2 && aml[i - 2] == AML_NAME);

		if (named && memcmp(aml + i, name, sizeof(name)) == 0 &&
		    s5_package(aml + i + sizeof(name), bytes - i - sizeof(name), type_a, type_b))
			return true;
	}
	return false;
}
