// SPDX-License-Identifier: BSD-2-Clause
/*
 * Keeps the time of day at time 0 of the clock; any later time of day is that plus the clock. So
 * the hardware is read once, and the time of day never jumps.
 */
#include "clock_wall.h"

#include "acpi.h"
#include "clock.h"
#include "rtc.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"
#include "runtime/x86_64/port.h"

#define CMOS_INDEX     0x70 /* bit 7 stays 0: it would keep NMIs away */
#define CMOS_DATA      0x71
#define CMOS_REGISTERS 128
#define READ_TRIES     5
#define UPDATE_POLLS   20000 /* a microsecond each, about; an update takes two milliseconds */
#define DATE_BYTES     32

static uint64_t origin_ns; /* at time 0 of the clock; 0: not known */
static const char *source;

static uint8_t cmos_read(uint8_t index)
{
	port_write8(CMOS_INDEX, index);
	return port_read8(CMOS_DATA);
}

static void cmos_read_all(struct rtc_reading *reading, uint8_t century)
{
	for (unsigned i = 0; i < UPDATE_POLLS && (cmos_read(RTC_STATUS_A) & RTC_UPDATING); i++)
		continue;
	*reading = (struct rtc_reading){
		.second = cmos_read(RTC_SECOND),
		.minute = cmos_read(RTC_MINUTE),
		.hour = cmos_read(RTC_HOUR),
		.day = cmos_read(RTC_DAY),
		.month = cmos_read(RTC_MONTH),
		.year = cmos_read(RTC_YEAR),
		.century = century ? cmos_read(century) : 0,
		.status_b = cmos_read(RTC_STATUS_B),
	};
}

uint64_t clock_wall_read_cmos(void)
{
	const struct acpi_power *power = acpi_power();
	const uint8_t century = power->century_register < CMOS_REGISTERS ? power->century_register : 0;
	struct rtc_reading readings[2];
	struct calendar calendar;
	uint64_t seconds;
	unsigned tries = 0;

	if (power->no_cmos_clock)
		return 0;
	/* An update may begin between two registers: only what is read twice is right. */
	do {
		cmos_read_all(&readings[0], century);
		cmos_read_all(&readings[1], century);
	} while (memcmp(&readings[0], &readings[1], sizeof(readings[0])) != 0 && ++tries < READ_TRIES);
	if (tries == READ_TRIES || rtc_decode(&readings[0], century != 0, &calendar) != STATUS_OK ||
	    calendar_to_seconds(&calendar, &seconds) != STATUS_OK)
		return 0;
	return seconds * NS_PER_S;
}

static const char *date_text(char text[DATE_BYTES], uint64_t ns)
{
	struct calendar calendar;

	calendar_from_seconds(ns / NS_PER_S, &calendar);
	format_text(text, DATE_BYTES, "%04u-%02u-%02u %02u:%02u:%02u UTC", calendar.year, calendar.month, calendar.day,
		    calendar.hour, calendar.minute, calendar.second);
	return text;
}

void clock_wall_init(const struct boot_info *boot)
{
	uint64_t now_ns = boot->wall_ns;
	char text[DATE_BYTES];

	source = "the firmware";
	if (now_ns != 0) {
		now_ns += clock_now_ns() + clock_ns_from_ticks(boot->exit_boot_services_tsc - boot->wall_tsc);
	} else {
		source = "the CMOS clock";
		now_ns = clock_wall_read_cmos();
	}
	if (now_ns == 0) {
		log_warn("clock: neither the firmware nor a CMOS clock tells the time of day");
		return;
	}
	origin_ns = now_ns - clock_now_ns();
	log_info("clock: %s by %s", date_text(text, now_ns), source);
}

uint64_t clock_wall_now_ns(void)
{
	return origin_ns == 0 ? 0 : origin_ns + clock_now_ns();
}

static status_t command_date(struct command *self, int argc, char **argv)
{
	char text[DATE_BYTES];

	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	if (origin_ns == 0)
		print("This machine does not know the time of day.\n");
	else
		print("%s, by %s\n", date_text(text, clock_wall_now_ns()), source);
	return STATUS_OK;
}

void clock_wall_commands_register(struct command_table *table)
{
	static struct command date = {
		.name = "date",
		.arguments = "",
		.help = "date and time of day, UTC, and what told it at start-up",
		.run = command_date,
	};

	command_register(table, &date);
}
