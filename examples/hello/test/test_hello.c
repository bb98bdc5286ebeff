// SPDX-License-Identifier: BSD-2-Clause
/* Tests that run in the image, on a machine of their own: `make test`. */
#include "app/scenario.h"
#include "heap/memory.h"
#include "test/image/image_test.h"

IMAGE_TEST(hello_gives_its_memory_back)
{
	struct scenario scenario = { .environment = test->environment, .name = "hello", .options = "bytes=8M" };
	uint64_t free_bytes;

	expect_equal(scenario_run(&scenario), STATUS_OK); /* afterwards Weir's own objects are there */
	free_bytes = memory_free_bytes(test->environment->memory);
	expect_equal(scenario_run(&scenario), STATUS_OK);
	expect_equal(memory_free_bytes(test->environment->memory), free_bytes);
}
