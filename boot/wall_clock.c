// SPDX-License-Identifier: BSD-2-Clause
/*
 * The time of day by the firmware's runtime services, which the kernel does not keep. The
 * time-stamp counter is read beside it, so the kernel can tell the time later. A time that cannot
 * be is left out. UEFI specification 2.10, section 8.3.
 */
#include "loader.h"

#include "runtime/base/calendar.h"

#define ZONE_UNSPECIFIED 2047 /* then it is taken for UTC */
#define ZONE_MINUTES_MAX 1440
#define NS_MAX           999999999u

void loader_read_clock(const struct loader *loader, struct boot_info *boot)
{
	EFI_TIME time = { 0 };
	struct calendar calendar;
	uint64_t seconds, wall_ns;
	int64_t zone_minutes;

	if (loader->system->RuntimeServices->GetTime(&time, NULL) != EFI_SUCCESS)
		return;
	boot->wall_tsc = __builtin_ia32_rdtsc();
	calendar = (struct calendar){
		.year = time.Year,
		.month = time.Month,
		.day = time.Day,
		.hour = time.Hour,
		.minute = time.Minute,
		.second = time.Second,
	};
	if (calendar_to_seconds(&calendar, &seconds) != STATUS_OK || time.Nanosecond > NS_MAX)
		return;
	/* Local time = UTC - zone. */
	zone_minutes = time.TimeZone == ZONE_UNSPECIFIED ? 0 : time.TimeZone;
	wall_ns = seconds * NS_PER_S + time.Nanosecond;
	if (zone_minutes < -ZONE_MINUTES_MAX || zone_minutes > ZONE_MINUTES_MAX || seconds < ZONE_MINUTES_MAX * 60)
		return;
	boot->wall_ns = wall_ns + (uint64_t)(zone_minutes * 60 * (int64_t)NS_PER_S);
}
