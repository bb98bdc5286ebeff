// SPDX-License-Identifier: BSD-2-Clause
/* Tests that only the test image has. */
#include "parts.h"
#include "test/image/image_test.h"

IMAGE_TEST(parts_are_linked)
{
	expect_equal(parts_in_assembler(), 42);
	expect_equal(parts_in_library(), 7);
}

IMAGE_TEST(parts_have_a_card)
{
	expect_equal(parts_cards(), 1);
}
