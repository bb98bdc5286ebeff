// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the registers of the CMOS clock mean. Each number may be binary or two decimal digits; one
 * that is neither becomes a number that no date has, so a check of the date finds it.
 */
#include "rtc.h"

#define AFTERNOON   0x80
#define NONE        255u
#define CENTURY_MIN 19u
#define CENTURY_MAX 24u

static unsigned number(uint8_t value, uint8_t status_b)
{
	if (status_b & RTC_BINARY)
		return value;
	return (value >> 4) <= 9 && (value & 15) <= 9 ? (value >> 4) * 10u + (value & 15) : NONE;
}

static unsigned hour_of(const struct rtc_reading *reading)
{
	const bool afternoon = !(reading->status_b & RTC_24_HOURS) && (reading->hour & AFTERNOON);
	const unsigned hour = number(afternoon ? reading->hour & (uint8_t)~AFTERNOON : reading->hour, reading->status_b);

	if (reading->status_b & RTC_24_HOURS)
		return hour;
	return hour >= 1 && hour <= 12 ? hour % 12 + (afternoon ? 12 : 0) : NONE;
}

static unsigned year_of(const struct rtc_reading *reading, bool has_century)
{
	const unsigned year = number(reading->year, reading->status_b);
	const unsigned century = has_century ? number(reading->century, reading->status_b) : NONE;

	if (year > 99)
		return 0;
	if (century >= CENTURY_MIN && century <= CENTURY_MAX)
		return century * 100 + year;
	return year + (year < 70 ? 2000 : 1900);
}

status_t rtc_decode(const struct rtc_reading *reading, bool has_century, struct calendar *calendar)
{
	uint64_t seconds;

	*calendar = (struct calendar){
		.year = year_of(reading, has_century),
		.month = number(reading->month, reading->status_b),
		.day = number(reading->day, reading->status_b),
		.hour = hour_of(reading),
		.minute = number(reading->minute, reading->status_b),
		.second = number(reading->second, reading->status_b),
	};
	return calendar_to_seconds(calendar, &seconds);
}
