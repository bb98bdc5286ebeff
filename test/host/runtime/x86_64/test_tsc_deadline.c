// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include "runtime/x86_64/tsc_deadline.h"

START_TEST(known_cpus)
{
	ck_assert_uint_eq(tsc_deadline_microcode(0x306c3), 0x22);       /* Core i7-4770 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x306f2), 0x3a);       /* Xeon E5-2690 v3 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x306f4), 0x0f);       /* Xeon E7-8890 v3 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x306f3), 0);          /* between these */
	ck_assert_uint_eq(tsc_deadline_microcode(0x406f1), 0x0b000020); /* Xeon E5-2690 v4 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x50664), 0x0f00000c); /* Xeon D-1587 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x506e3), 0xb2);       /* Core i7-6700 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x50654), 0x02000014); /* Xeon Gold 6130 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x50657), 0);          /* Xeon Gold 6230 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x906ea), 0x52);       /* Core i7-8700 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x206a7), 0);          /* Core i7-2600 */
	ck_assert_uint_eq(tsc_deadline_microcode(0xa0671), 0);          /* Core i9-11900 */
	ck_assert_uint_eq(tsc_deadline_microcode(0x800f11), 0);         /* Ryzen 7 1700 */
}
END_TEST

/* The fields of a signature that say nothing of model and family change nothing. */
START_TEST(reserved_bits_do_not_count)
{
	ck_assert_uint_eq(tsc_deadline_microcode(0x306c3 | 3u << 12 | 0xf0000000u), 0x22);
	for (uint32_t family = 0; family < 16; family++)
		ck_assert_uint_eq(tsc_deadline_microcode(0x300c3 | family << 8), family == 6 ? 0x22 : 0);
}
END_TEST

HOST_TEST_MAIN("tsc_deadline", known_cpus, reserved_bits_do_not_count)
