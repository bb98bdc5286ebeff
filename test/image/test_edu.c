// SPDX-License-Identifier: BSD-2-Clause
/* The example device: memory goes there and comes back, below its 28 bits, within its bounds. */
#include "image_test.h"

#include "drivers/driver.h"
#include "drivers/edu/edu.h"
#include "runtime/base/string.h"

#define BYTES (64 * KIB)

IMAGE_TEST(edu_copies_memory_there_and_back)
{
	struct edu *edu = edu_find();
	struct dma_buffer *buffer = NULL;
	uint8_t *bytes;

	if (!edu)
		skip("no edu device");
	expect_equal(edu_buffer_alloc(edu, BYTES, &buffer), STATUS_OK);
	require(buffer);
	expect(buffer->segments[0].start.value + BYTES <= 1ull << 28);
	bytes = buffer->memory;
	for (unsigned i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i * 13 + i / 251);
	for (uint32_t length = 1; length <= EDU_TRANSFER_BYTES; length = length * 2 + 1) {
		memset(bytes + BYTES / 2, 0, BYTES / 2);
		expect_equal(edu_transfer(edu, EDU_TO_DEVICE, buffer, length, 0, length), STATUS_OK);
		expect_equal(edu_transfer(edu, EDU_FROM_DEVICE, buffer, BYTES / 2, 0, length), STATUS_OK);
		expect(memcmp(bytes + length, bytes + BYTES / 2, length) == 0);
		expect_equal(bytes[BYTES / 2 + length], 0);
	}
	edu_buffer_free(edu, buffer);
}

IMAGE_TEST(edu_refuses_what_is_out_of_bounds)
{
	struct edu *edu = edu_find();
	struct dma_buffer *buffer = NULL;

	if (!edu)
		skip("no edu device");
	expect_equal(edu_buffer_alloc(edu, BYTES, &buffer), STATUS_OK);
	require(buffer);
	expect_equal(edu_transfer(edu, EDU_TO_DEVICE, buffer, 0, 0, 0), STATUS_RANGE);
	expect_equal(edu_transfer(edu, EDU_TO_DEVICE, buffer, 0, 0, EDU_MEMORY_BYTES), STATUS_RANGE);
	expect_equal(edu_transfer(edu, EDU_TO_DEVICE, buffer, 0, UINT32_MAX, 1), STATUS_RANGE);
	expect_equal(edu_transfer(edu, EDU_FROM_DEVICE, buffer, BYTES, 0, 1), STATUS_RANGE);
	expect_equal(edu_transfer(edu, EDU_FROM_DEVICE, buffer, UINT64_MAX, 0, 2), STATUS_RANGE);
	expect_equal(edu_transfer(edu, EDU_FROM_DEVICE, buffer, BYTES - 1, EDU_TRANSFER_BYTES - 1, 1), STATUS_OK);
	edu_buffer_free(edu, buffer);
}

IMAGE_TEST(edu_can_be_removed_and_probed_again)
{
	struct pci_function *function = driver_function("edu", NULL);

	if (!function)
		skip("no edu device");
	for (unsigned i = 0; i < 3; i++) {
		expect_equal(driver_remove(function), STATUS_OK);
		expect(edu_find() == NULL);
		expect_equal(driver_remove(function), STATUS_NOT_FOUND);
		expect_equal(driver_probe(function), STATUS_OK);
		expect_equal(driver_probe(function), STATUS_BUSY);
	}
	expect(edu_find() != NULL);
}
