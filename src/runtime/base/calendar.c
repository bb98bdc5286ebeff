// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dates and seconds. A year of the calculation begins in March: so a leap day is the last day of
 * its year, the months before it have a regular pattern, and divisions take the place of tables
 * and cases.
 */
#include "calendar.h"

#define DAY_SECONDS  86400u
#define YEAR_DAYS    365u
#define ERA_YEARS    400u
#define ERA_DAYS     146097u /* of 400 years, after which everything repeats */
#define CENTURY_DAYS 36524u  /* without the leap day that only the fourth one has */
#define FOUR_DAYS    1461u   /* of four years */
#define EPOCH_DAYS   719468u /* from March 1 of the year 0 to 1970-01-01 */
#define MARCH_MONTHS 10      /* of the calendar's year behind its February */

/* Days from March 1 to the first of a month; March is 0. */
static unsigned month_start(unsigned month)
{
	return (153 * month + 2) / 5;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

status_t calendar_to_seconds(const struct calendar *calendar, uint64_t *seconds)
{
	unsigned year = calendar->year, month = calendar->month;
	uint64_t days;

	if (year < CALENDAR_YEAR_MIN || year > CALENDAR_YEAR_MAX || month < 1 || month > 12 || calendar->day < 1 ||
	    calendar->day > month_days(year, month) || calendar->hour > 23 || calendar->minute > 59 || calendar->second > 59)
		return STATUS_INVALID;
	if (month <= 2) {
		year--;
		month += 12;
	}
	days = (uint64_t)YEAR_DAYS * year + year / 4 - year / 100 + year / 400 + month_start(month - 3) + calendar->day - 1;
	*seconds = ((days - EPOCH_DAYS) * 24 + calendar->hour) * 3600 + calendar->minute * 60 + calendar->second;
	return STATUS_OK;
}

void calendar_from_seconds(uint64_t seconds, struct calendar *calendar)
{
	const uint64_t days = seconds / DAY_SECONDS + EPOCH_DAYS;
	const unsigned rest = (unsigned)(seconds % DAY_SECONDS), in_era = (unsigned)(days % ERA_DAYS);
	/* Leap days taken out, every year has 365 days. */
	const unsigned year = (in_era - in_era / (FOUR_DAYS - 1) + in_era / CENTURY_DAYS - in_era / (ERA_DAYS - 1)) / YEAR_DAYS;
	const unsigned in_year = in_era - (YEAR_DAYS * year + year / 4 - year / 100);
	const unsigned month = (5 * in_year + 2) / 153;

	*calendar = (struct calendar){
		.year = (unsigned)(days / ERA_DAYS) * ERA_YEARS + year + (month >= MARCH_MONTHS ? 1 : 0),
		.month = month >= MARCH_MONTHS ? month - MARCH_MONTHS + 1 : month + 3,
		.day = in_year - month_start(month) + 1,
		.hour = rest / 3600,
		.minute = rest / 60 % 60,
		.second = rest % 60,
	};
}
