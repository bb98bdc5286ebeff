// SPDX-License-Identifier: BSD-2-Clause
/*
 * Firmware describes one way and means another, so each that fails is followed by the next. What
 * they need of the ACPI tables is read at start-up.
 */
#include "power_ways.h"

#include "acpi.h"
#include "mmio.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/firmware_call.h"
#include "runtime/x86_64/port.h"

/* PM1 control. */
#define PM1_SCI_ENABLE       (1u << 0)
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK  (7u << PM1_SLEEP_TYPE_SHIFT)
#define PM1_SLEEP_ENABLE     (1u << 13)

/* Sleep control and sleep status. */
#define SLEEP_TYPE_SHIFT  2
#define SLEEP_ENABLE      (1u << 5)
#define SLEEP_STATUS_WAKE (1u << 7) /* cleared by writing 1 */

#define RESET_PORT   0xcf9
#define RESET_SYSTEM 0x02 /* what kind of reset; full, of the whole system */
#define RESET_CPU    0x04 /* from 0 to 1: reset */

#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_BUSY    0x02
#define KEYBOARD_RESET   0xfe

#define SPINS_SHORT 100000u
#define SPINS_LONG  10000000u

static struct acpi_power ways; /* what is left of the tables' words once registers are mapped */

/* A rough delay without a clock: the machine is to go away meanwhile. */
static void spin(unsigned spins)
{
	while (spins--)
		__builtin_ia32_pause();
}

/* From here on the address is where the register is mapped; one that cannot be mapped is none. */
static void map(struct acpi_address *address)
{
	void *mapped;

	if (address->address == 0 || address->space != ACPI_SPACE_MEMORY)
		return;
	mapped = mmio_map((struct phys_addr){ address->address }, 1);
	if (!mapped)
		log_warn("power: the register at 0x%llx cannot be mapped", (unsigned long long)address->address);
	address->address = (uintptr_t)mapped;
}

void power_ways_prepare(const struct boot_info *boot)
{
	ways = *acpi_power();
	if (INJECTED("no-s5"))
		ways.has_s5 = false;
	if (INJECTED("no-reset-register"))
		ways.has_reset = false;
	if (ways.has_reset)
		map(&ways.reset);
	map(&ways.sleep_control);
	map(&ways.sleep_status);
	if (!firmware_call_prepare(INJECTED("no-efi-reset") ? 0 : boot->reset_system))
		log_debug("power: the firmware's ResetSystem cannot be called");
}

void power_acpi_enter(void)
{
	if (!ways.smi_command || !ways.acpi_enable || !ways.pm1a_control || (port_read16(ways.pm1a_control) & PM1_SCI_ENABLE))
		return;
	port_write8(ways.smi_command, ways.acpi_enable);
	for (unsigned i = 0; i < SPINS_SHORT && !(port_read16(ways.pm1a_control) & PM1_SCI_ENABLE); i++)
		__builtin_ia32_pause();
}

static void pm1_write(uint16_t port, uint8_t type)
{
	uint16_t value = port_read16(port) & (uint16_t) ~(PM1_SLEEP_TYPE_MASK | PM1_SLEEP_ENABLE);

	port_write16(port, (uint16_t)(value | type << PM1_SLEEP_TYPE_SHIFT));
	port_write16(port, (uint16_t)(value | type << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE));
}

static void off_by_pm1(void)
{
	if (!ways.pm1a_control)
		return;
	power_acpi_enter();
	pm1_write(ways.pm1a_control, ways.s5_type_a);
	if (ways.pm1b_control)
		pm1_write(ways.pm1b_control, ways.s5_type_b);
	spin(SPINS_LONG);
}

static void off_by_sleep_control(void)
{
	(void)power_register_write(&ways.sleep_status, SLEEP_STATUS_WAKE);
	if (power_register_write(&ways.sleep_control, (uint8_t)(ways.s5_type_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE)))
		spin(SPINS_LONG);
}

void power_ways_off(void)
{
	if (ways.has_s5) {
		off_by_pm1();
		off_by_sleep_control();
	}
	log_warn("power: ACPI does not switch this machine off; asking the firmware");
	firmware_reset(FIRMWARE_RESET_OFF);
}

static void reset_by_port(void)
{
	const uint8_t value = port_read8(RESET_PORT) & (uint8_t) ~(RESET_SYSTEM | RESET_CPU);

	if (INJECTED("no-reset-port"))
		return;
	port_write8(RESET_PORT, value | RESET_SYSTEM);
	spin(SPINS_SHORT / 100);
	port_write8(RESET_PORT, value | RESET_SYSTEM | RESET_CPU);
	spin(SPINS_SHORT);
}

static void reset_by_keyboard(void)
{
	for (unsigned i = 0; i < SPINS_SHORT && (port_read8(KEYBOARD_COMMAND) & KEYBOARD_BUSY); i++)
		__builtin_ia32_pause();
	port_write8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	spin(SPINS_SHORT);
}

void power_ways_reset(void)
{
	if (ways.has_reset && power_register_write(&ways.reset, ways.reset_value))
		spin(SPINS_SHORT);
	log_debug("power: no reset by ACPI's register; trying port 0xcf9");
	reset_by_port();
	log_debug("power: no reset by port 0xcf9; asking the firmware");
	firmware_reset(FIRMWARE_RESET_COLD);
	log_debug("power: no reset by the firmware; trying the keyboard controller");
	reset_by_keyboard();
}
