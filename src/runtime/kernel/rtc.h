// SPDX-License-Identifier: BSD-2-Clause
/*
 * The clock in the CMOS memory: Motorola's MC146818, which every PC has or imitates. What its
 * registers mean is here; reading them is clock_wall.c's.
 */
#pragma once

#include "runtime/base/calendar.h"

enum rtc_register {
	RTC_SECOND = 0x00,
	RTC_MINUTE = 0x02,
	RTC_HOUR = 0x04,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_STATUS_A = 0x0a,
	RTC_STATUS_B = 0x0b,
};

#define RTC_UPDATING 0x80 /* status A: the others change now */
#define RTC_24_HOURS 0x02 /* status B; else 1 to 12, and bit 7 for afternoon */
#define RTC_BINARY   0x04 /* status B; else two decimal digits in a byte */

/* The registers' contents. */
struct rtc_reading {
	uint8_t second, minute, hour, day, month, year;
	uint8_t century;
	uint8_t status_b;
};

/*
 * The date that they tell. Without a century (`has_century` is false: this machine has no such
 * register; or it makes no sense) the year is one from 1970 to 2069. STATUS_INVALID: it is none.
 */
status_t rtc_decode(const struct rtc_reading *reading, bool has_century, struct calendar *calendar) MUST_CHECK;
