// SPDX-License-Identifier: BSD-2-Clause
/*
 * The way from the RSDP to the ACPI tables. Every table is checked once, at start-up; usable ones
 * are kept in a list, and all others are treated as absent. So code that looks for a table need
 * not check it again. Firmware changes a table and forgets its checksum more often than memory
 * changes a bit: a wrong sum is said, and the table is used.
 */
#include "acpi.h"

#include "mmio.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define TABLES_MAX       256 /* that the root table names: more than machines have */
#define TABLE_BYTES_MAX  (16 * MIB)
#define RSDP_BYTES_V1    20
#define RSDP_BYTES_V2    36
#define RSDP_SIGNATURE   "RSD PTR "
#define FADT_DSDT        40
#define FADT_X_DSDT      140
#define XSDT_ENTRY_BYTES 8
#define RSDT_ENTRY_BYTES 4
#define NAME_BYTES       4

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* from here on: revision 2 */
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

static const struct acpi_header *tables[TABLES_MAX + 1]; /* in the root table's order; the DSDT last */
static unsigned table_count;
static struct acpi_power power;

uint8_t acpi_checksum(const void *bytes, size_t count)
{
	const uint8_t *byte = bytes;
	uint8_t sum = 0;

	while (count--)
		sum += *byte++;
	return sum;
}

uint64_t acpi_read(const struct acpi_header *table, size_t offset, size_t bytes)
{
	uint64_t value = 0;

	if (offset <= table->length && bytes <= table->length - offset)
		memcpy(&value, (const uint8_t *)table + offset, bytes);
	return value;
}

struct acpi_address acpi_read_address(const struct acpi_header *table, size_t offset)
{
	struct acpi_address address = { 0 };

	if (offset <= table->length && sizeof(address) <= table->length - offset)
		memcpy(&address, (const uint8_t *)table + offset, sizeof(address));
	return address;
}

/* The table's name for a message; what firmware left there may be anything. */
static void name_copy(char name[NAME_BYTES + 1], const char signature[NAME_BYTES])
{
	for (unsigned i = 0; i < NAME_BYTES; i++)
		name[i] = signature[i] >= ' ' && signature[i] <= '~' ? signature[i] : '?';
	name[NAME_BYTES] = '\0';
}

const struct acpi_header *acpi_open_table(uint64_t address, const char *where)
{
	const struct acpi_header *table = address ? firmware_map((struct phys_addr){ address }, sizeof(*table)) : NULL;
	char name[NAME_BYTES + 1];

	if (!table) {
		log_warn("acpi: %s points to 0x%llx, where no table can be; ignored", where, (unsigned long long)address);
		return NULL;
	}
	name_copy(name, table->signature);
	if (table->length < sizeof(*table) || table->length > TABLE_BYTES_MAX) {
		log_warn("acpi: table %s has a length of %u bytes; ignored", name, table->length);
		return NULL;
	}
	table = firmware_map((struct phys_addr){ address }, table->length);
	if (!table) {
		log_warn("acpi: table %s cannot be mapped; ignored", name);
		return NULL;
	}
	if (acpi_checksum(table, table->length) != 0)
		log_warn("acpi: table %s has a wrong checksum; it is used all the same", name);
	return table;
}

static void table_keep(const struct acpi_header *table)
{
	char name[NAME_BYTES + 1];

	if (!table)
		return;
	name_copy(name, table->signature);
	log_debug("acpi: table %s revision %u, %u bytes", name, table->revision, table->length);
	tables[table_count++] = table;
}

static bool has_signature(const struct acpi_header *table, const char signature[NAME_BYTES])
{
	return memcmp(table->signature, signature, NAME_BYTES) == 0;
}

static const struct rsdp *rsdp_open(struct phys_addr address)
{
	const struct rsdp *rsdp;

	if (!address.value) {
		log_warn("acpi: the firmware has no RSDP");
		return NULL;
	}
	rsdp = firmware_map(address, RSDP_BYTES_V1);
	if (!rsdp || memcmp(rsdp->signature, RSDP_SIGNATURE, sizeof(rsdp->signature)) != 0) {
		log_warn("acpi: no RSDP at 0x%llx", (unsigned long long)address.value);
		return NULL;
	}
	if (acpi_checksum(rsdp, RSDP_BYTES_V1) != 0)
		log_warn("acpi: the RSDP has a wrong checksum; it is used all the same");
	if (rsdp->revision < 2)
		return rsdp;
	rsdp = firmware_map(address, RSDP_BYTES_V2);
	if (!rsdp || rsdp->length < RSDP_BYTES_V2 || rsdp->length > PAGE_BYTES || !firmware_map(address, rsdp->length)) {
		log_warn("acpi: the RSDP's second part is broken");
		return NULL;
	}
	if (acpi_checksum(rsdp, rsdp->length) != 0)
		log_warn("acpi: the RSDP's second part has a wrong checksum; it is used all the same");
	return rsdp;
}

const struct acpi_header *acpi_open_root(struct phys_addr address, size_t *entry_bytes)
{
	const struct rsdp *rsdp = rsdp_open(address);
	const struct acpi_header *root;

	if (!rsdp)
		return NULL;
	if (rsdp->revision >= 2 && rsdp->xsdt) {
		root = acpi_open_table(rsdp->xsdt, "the RSDP");
		*entry_bytes = XSDT_ENTRY_BYTES;
		if (root && has_signature(root, "XSDT"))
			return root;
		log_warn("acpi: the XSDT is broken; trying the RSDT");
	}
	root = acpi_open_table(rsdp->rsdt, "the RSDP");
	*entry_bytes = RSDT_ENTRY_BYTES;
	return root && has_signature(root, "RSDT") ? root : NULL;
}

/* The DSDT is not in the root table; the FADT points to it. */
static void dsdt_keep(const struct acpi_header *fadt)
{
	uint64_t address = acpi_read(fadt, FADT_X_DSDT, 8);

	if (!address)
		address = acpi_read(fadt, FADT_DSDT, 4);
	table_keep(acpi_open_table(address, "the FADT"));
}

static void tables_find(const struct acpi_header *root, size_t entry_bytes)
{
	const size_t entries = (root->length - sizeof(*root)) / entry_bytes;

	if (entries > TABLES_MAX)
		log_warn("acpi: the root table has %zu entries; only the first %d count", entries, TABLES_MAX);
	for (size_t i = 0; i < MIN(entries, TABLES_MAX); i++)
		table_keep(acpi_open_table(acpi_read(root, sizeof(*root) + i * entry_bytes, entry_bytes), "the root table"));
}

void acpi_init(const struct boot_info *boot)
{
	size_t entry_bytes = 0;
	const struct acpi_header *root = acpi_open_root(boot->rsdp, &entry_bytes), *fadt;

	table_count = 0;
	power = (struct acpi_power){ 0 };
	if (!root) {
		log_warn("acpi: there are no tables: one CPU, no power-off");
		return;
	}
	tables_find(root, entry_bytes);
	fadt = acpi_find_table("FACP", 0, 0);
	if (fadt) {
		dsdt_keep(fadt);
		acpi_read_fadt(fadt, &power);
	}
}

const struct acpi_header *acpi_find_table(const char signature[4], unsigned index, size_t length_min)
{
	for (unsigned i = 0; i < table_count; i++) {
		if (!has_signature(tables[i], signature) || index-- > 0)
			continue;
		if (tables[i]->length >= length_min)
			return tables[i];
		log_warn("acpi: table %.4s has only %u bytes; ignored", signature, tables[i]->length);
		return NULL;
	}
	return NULL;
}

const struct acpi_power *acpi_power(void)
{
	return &power;
}
