// SPDX-License-Identifier: BSD-2-Clause
/*
 * The time of day: as the machine was told (wall=SECONDS, with QEMU's -rtc base), as the CMOS clock
 * has it, and steady.
 */
#include "image_test.h"

#include "runtime/base/options.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/clock_wall.h"
#include "runtime/kernel/task.h"

/*
 * The firmware's clock counts seconds; TCG's counter and its clock may differ a little over the
 * minutes of all tests.
 */
#define CLOCKS_DIFFER_NS (10 * NS_PER_S)

/* From power-on to this test. */
#define START_NS (300 * NS_PER_S)

IMAGE_TEST(clock_wall_agrees_with_the_cmos_clock)
{
	const uint64_t cmos_ns = clock_wall_read_cmos(), ns = clock_wall_now_ns();

	require(cmos_ns != 0 && ns != 0);
	expect(ns < cmos_ns + CLOCKS_DIFFER_NS && cmos_ns < ns + CLOCKS_DIFFER_NS);
}

IMAGE_TEST(clock_wall_is_as_set)
{
	const uint64_t seconds = options_get_number(test->environment->command_line, "wall", 0), ns = clock_wall_now_ns();

	if (seconds == 0)
		skip("needs wall=, and a machine with that time");
	expect(ns >= seconds * NS_PER_S);
	expect(ns < seconds * NS_PER_S + START_NS);
}

IMAGE_TEST(clock_wall_goes_with_the_clock)
{
	const uint64_t before_ns = clock_wall_now_ns() - clock_now_ns();

	task_sleep(20 * NS_PER_MS);

	/* Between the two readings of a difference some time passes, always to the same side. */
	const uint64_t after_ns = clock_now_ns(), wall_ns = clock_wall_now_ns();

	expect(wall_ns - after_ns >= before_ns);
	expect(wall_ns - after_ns <= before_ns + (clock_now_ns() - after_ns) + NS_PER_S);
}
