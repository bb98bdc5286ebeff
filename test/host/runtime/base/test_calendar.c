// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dates beside the C library's, and what the CMOS clock's registers mean beside all that they can
 * hold.
 */
#include "host/host_test.h"

#include <time.h>

#include "runtime/base/calendar.h"
#include "runtime/base/random.h"
#include "runtime/base/types.h"
#include "runtime/kernel/rtc.h"

#define DAY_SECONDS 86400ull
#define END_SECONDS 16725225600ull /* 2500-01-01, see ends_are_where_they_are_said */

static struct calendar calendar_of(const struct tm *tm)
{
	return (struct calendar){
		.year = (unsigned)tm->tm_year + 1900,
		.month = (unsigned)tm->tm_mon + 1,
		.day = (unsigned)tm->tm_mday,
		.hour = (unsigned)tm->tm_hour,
		.minute = (unsigned)tm->tm_min,
		.second = (unsigned)tm->tm_sec,
	};
}

static void expect_both_ways(uint64_t seconds)
{
	const time_t time = (time_t)seconds;
	struct calendar ours, theirs;
	uint64_t back;
	struct tm tm;

	gmtime_r(&time, &tm);
	theirs = calendar_of(&tm);
	calendar_from_seconds(seconds, &ours);
	ck_assert_mem_eq(&ours, &theirs, sizeof(ours));
	ck_assert_int_eq(calendar_to_seconds(&theirs, &back), STATUS_OK);
	ck_assert_uint_eq(back, seconds);
}

START_TEST(every_day_like_gmtime)
{
	struct random random;

	random_seed(&random, 1);
	for (uint64_t day = 0; day < END_SECONDS / DAY_SECONDS; day++)
		expect_both_ways(day * DAY_SECONDS + (day % 3 == 0   ? 0
						      : day % 3 == 1 ? DAY_SECONDS - 1
								     : random_below(&random, DAY_SECONDS)));
}
END_TEST

START_TEST(ends_are_where_they_are_said)
{
	const struct calendar last = { CALENDAR_YEAR_MAX, 12, 31, 23, 59, 59 };
	uint64_t seconds;

	ck_assert_int_eq(calendar_to_seconds(&last, &seconds), STATUS_OK);
	ck_assert_uint_eq(seconds + 1, END_SECONDS);
	ck_assert_uint_gt(UINT64_MAX / NS_PER_S, seconds);
}
END_TEST

/* What timegm would change is no date. */
static bool is_date(const struct calendar *calendar)
{
	struct tm tm = {
		.tm_year = (int)calendar->year - 1900,
		.tm_mon = (int)calendar->month - 1,
		.tm_mday = (int)calendar->day,
		.tm_hour = (int)calendar->hour,
		.tm_min = (int)calendar->minute,
		.tm_sec = (int)calendar->second,
	};
	struct calendar back;

	(void)timegm(&tm);
	back = calendar_of(&tm);
	return calendar->year >= CALENDAR_YEAR_MIN && calendar->year <= CALENDAR_YEAR_MAX &&
	       memcmp(&back, calendar, sizeof(back)) == 0;
}

START_TEST(what_is_no_date_is_refused)
{
	struct random random;
	uint64_t seconds;

	random_seed(&random, 2);
	for (unsigned i = 0; i < 30000; i++) {
		const struct calendar calendar = {
			.year = 1960 + (unsigned)random_below(&random, 560),
			.month = (unsigned)random_below(&random, 14),
			.day = (unsigned)random_below(&random, 33),
			.hour = (unsigned)random_below(&random, 25),
			.minute = (unsigned)random_below(&random, 61),
			.second = (unsigned)random_below(&random, 61),
		};

		ck_assert_int_eq(calendar_to_seconds(&calendar, &seconds), is_date(&calendar) ? STATUS_OK : STATUS_INVALID);
	}
}
END_TEST

/* The CMOS clock ------------------------------------------------------------------------------- */

static uint8_t coded(unsigned value, uint8_t status_b)
{
	return (uint8_t)(status_b & RTC_BINARY ? value : value / 10 * 16 + value % 10);
}

static struct rtc_reading reading_of(const struct calendar *calendar, uint8_t status_b)
{
	const unsigned hour = calendar->hour;
	struct rtc_reading reading = {
		.second = coded(calendar->second, status_b),
		.minute = coded(calendar->minute, status_b),
		.hour = coded(hour, status_b),
		.day = coded(calendar->day, status_b),
		.month = coded(calendar->month, status_b),
		.year = coded(calendar->year % 100, status_b),
		.century = coded(calendar->year / 100, status_b),
		.status_b = status_b,
	};

	if (!(status_b & RTC_24_HOURS))
		reading.hour = (uint8_t)(coded(hour % 12 == 0 ? 12 : hour % 12, status_b) | (hour >= 12 ? 0x80 : 0));
	return reading;
}

START_TEST(clock_registers_in_all_codings)
{
	static const uint8_t codings[] = { 0, RTC_24_HOURS, RTC_BINARY, RTC_24_HOURS | RTC_BINARY };
	struct calendar wanted, got;
	struct random random;

	random_seed(&random, 3);
	for (unsigned i = 0; i < 40000; i++) {
		struct rtc_reading reading;
		bool has_century = i & 4;

		calendar_from_seconds(random_below(&random, END_SECONDS), &wanted);
		reading = reading_of(&wanted, codings[i % 4]);
		if (!has_century || i & 8) {
			/* No such register, or one with something else in it. */
			has_century = i & 8;
			reading.century = 0xff;
			wanted.year = wanted.year % 100 + (wanted.year % 100 < 70 ? 2000 : 1900);
			if (wanted.month == 2 && wanted.day == 29)
				wanted.day = 28;
			reading.day = coded(wanted.day, codings[i % 4]);
		}
		ck_assert_int_eq(rtc_decode(&reading, has_century, &got), STATUS_OK);
		ck_assert_mem_eq(&got, &wanted, sizeof(got));
	}
}
END_TEST

/* Whatever the registers hold: a date, or none. */
START_TEST(clock_registers_with_anything)
{
	struct calendar got;
	struct random random;
	uint64_t seconds;

	random_seed(&random, 4);
	for (unsigned i = 0; i < 30000; i++) {
		struct rtc_reading reading;
		uint64_t bits = random_next(&random) & (i % 2 ? UINT64_MAX : 0x021f1f1f1f1f1f1full);

		memcpy(&reading, &bits, sizeof(reading));
		if (rtc_decode(&reading, i % 3 == 0, &got) == STATUS_OK) {
			ck_assert(is_date(&got));
			ck_assert_int_eq(calendar_to_seconds(&got, &seconds), STATUS_OK);
		}
	}
	ck_assert_int_eq(rtc_decode(&(struct rtc_reading){ .hour = 0x12, .day = 0x01, .month = 0x1a }, false, &got),
			 STATUS_INVALID);
	ck_assert_int_eq(rtc_decode(&(struct rtc_reading){ .hour = 0x00, .day = 0x01, .month = 0x01 }, false, &got),
			 STATUS_INVALID);
}
END_TEST

HOST_TEST_MAIN("calendar", every_day_like_gmtime, ends_are_where_they_are_said, what_is_no_date_is_refused,
	       clock_registers_in_all_codings, clock_registers_with_anything)
