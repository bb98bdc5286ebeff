// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers that the FADT names by a generic address structure: in memory, at a port, or in a
 * function's configuration space. ACPI 6.5, section 5.2.3.2.
 */
#include "power_ways.h"

#include "acpi.h"
#include "runtime/x86_64/port.h"

/* PCI Local Bus Specification 3.0, section 3.2.2.3.2. */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  0x80000000u

/* The address has the device in bits 32 to 47, the function in 16 to 31, the offset below. */
static bool config_write(uint64_t address, uint8_t value)
{
	const uint64_t device = address >> 32 & 0xffff, function = address >> 16 & 0xffff, offset = address & 0xffff;

	if (address >> 48 || device > 31 || function > 7 || offset > 255)
		return false;
	port_write32(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)(device << 11 | function << 8 | (offset & ~3ull)));
	port_write8((uint16_t)(CONFIG_DATA + (offset & 3)), value);
	return true;
}

bool power_register_write(const struct acpi_address *address, uint8_t value)
{
	if (address->address == 0)
		return false;
	switch (address->space) {
	case ACPI_SPACE_MEMORY:
		*(volatile uint8_t *)address->address = value;
		return true;
	case ACPI_SPACE_IO:
		if (address->address > UINT16_MAX)
			return false;
		port_write8((uint16_t)address->address, value);
		return true;
	case ACPI_SPACE_CONFIG:
		return config_write(address->address, value);
	default:
		return false;
	}
}
