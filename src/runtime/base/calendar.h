// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dates of the Gregorian calendar and seconds since 1970, both UTC, without leap seconds. Any
 * context.
 */
#pragma once

#include "status.h"

/* Beyond, nanoseconds since 1970 would soon not fit into 64 bits. */
#define CALENDAR_YEAR_MIN 1970
#define CALENDAR_YEAR_MAX 2499

struct calendar {
	unsigned year;
	unsigned month; /* 1 to 12 */
	unsigned day;   /* 1 to 31 */
	unsigned hour;
	unsigned minute;
	unsigned second;
};

/*
 * Seconds from 1970-01-01 00:00:00 until then. STATUS_INVALID: there is no such day or time, or it
 * lies beyond those years.
 */
status_t calendar_to_seconds(const struct calendar *calendar, uint64_t *seconds) MUST_CHECK;

/* The other way round. `seconds` lie within those years. */
void calendar_from_seconds(uint64_t seconds, struct calendar *calendar);
