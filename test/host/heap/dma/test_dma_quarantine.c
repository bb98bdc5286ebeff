// SPDX-License-Identifier: BSD-2-Clause
/* DMA memory of devices that may still be at work. */
#include "host/host_test.h"

#include "fake/heap_fixture.h"
#include "heap/dma/dma_quarantine.h"
#include "heap/dma/dma_state.h"

#define BLOCKS 32

static struct machine machine;
static struct memory *const memory = &machine.memory;

static const struct device broken = { .name = "broken", .dma_mask = UINT64_MAX };
static const struct device other = { .name = "other", .dma_mask = UINT64_MAX };

static void setup(void)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, BLOCKS, 0, 0);
}

static void teardown(void)
{
	(void)memory_drain(memory, UINT64_MAX / 2, true);
	machine_fini(&machine);
}

static struct dma_buffer *take(const struct device *device, uint64_t bytes)
{
	const struct dma_request request = { .bytes = bytes };
	struct dma_buffer *buffer;

	ck_assert_int_eq(dma_alloc(memory_dma(memory), device, &request, &buffer), STATUS_OK);
	return buffer;
}

static uint64_t free_blocks(void)
{
	return memory_free_bytes(memory) >> BLOCK_SHIFT;
}

START_TEST(what_is_freed_stays_until_the_reset)
{
	struct dma_buffer *large, *small, *mine;
	struct dma_coherent queue;
	uint64_t left;

	setup();
	large = take(&broken, 6 * MIB);
	small = take(&broken, 1000);
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &broken, 4096, 4096, &queue), STATUS_OK);
	mine = take(&other, 4 * MIB);
	ck_assert_uint_eq(dma_quarantine(memory_dma(memory), &broken), 6 * MIB + 1000 + 4096);
	left = free_blocks();

	dma_free(memory_dma(memory), large);
	dma_free(memory_dma(memory), small);
	dma_coherent_free(memory_dma(memory), &queue);
	ck_assert_ptr_null(queue.memory);
	(void)memory_drain(memory, UINT64_MAX / 2, true);
	ck_assert_uint_le(free_blocks(), left);
	ck_assert_uint_eq(dma_quarantine_bytes(memory_dma(memory), &broken), 6 * MIB + 1000 + 4096);
	ck_assert_uint_eq(dma_quarantine_bytes(memory_dma(memory), &other), 0);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &broken), 0);
	ck_assert(memory_is_valid(memory));

	ck_assert_uint_eq(dma_quarantine_end(memory_dma(memory), &other), 0);
	ck_assert_uint_eq(dma_quarantine_end(memory_dma(memory), &broken), 6 * MIB + 1000 + 4096);
	ck_assert_uint_ge(free_blocks(), left + 3);
	ck_assert_uint_eq(dma_quarantine_bytes(memory_dma(memory), &broken), 0);
	ck_assert(memory_is_valid(memory));
	dma_free(memory_dma(memory), mine);
	teardown();
}
END_TEST

START_TEST(nobody_is_given_it)
{
	struct dma_buffer *taken[BLOCKS];
	unsigned count = 0;
	uint64_t first, last;

	setup();
	struct dma_buffer *const held = take(&broken, 4 * MIB);
	first = held->segments[0].start.value;
	last = first + 4 * MIB - 1;
	(void)dma_quarantine(memory_dma(memory), &broken);
	dma_free(memory_dma(memory), held);
	for (; free_blocks() > 1; count++) {
		taken[count] = take(&other, BLOCK_BYTES);
		ck_assert(taken[count]->segments[0].start.value > last || taken[count]->segments[0].start.value < first);
	}
	while (count > 0)
		dma_free(memory_dma(memory), taken[--count]);
	ck_assert_uint_eq(dma_quarantine_end(memory_dma(memory), &broken), 4 * MIB);
	teardown();
}
END_TEST

/*
 * A driver that comes back begins anew, beside what its predecessor left; which may happen twice.
 */
START_TEST(the_next_driver_has_memory_of_its_own)
{
	struct dma_buffer *second, *third;

	setup();
	(void)take(&broken, 2 * MIB);
	ck_assert_uint_eq(dma_quarantine(memory_dma(memory), &broken), 2 * MIB);
	ck_assert_uint_eq(dma_quarantine(memory_dma(memory), &broken), 0);
	second = take(&broken, 4 * MIB);
	ck_assert_uint_eq(dma_quarantine(memory_dma(memory), &broken), 4 * MIB);
	third = take(&broken, 8 * MIB);
	ck_assert(memory_is_valid(memory));
	ck_assert_uint_eq(dma_quarantine_bytes(memory_dma(memory), &broken), 6 * MIB);
	dma_free(memory_dma(memory), second);
	ck_assert_uint_eq(dma_quarantine_end(memory_dma(memory), &broken), 6 * MIB);
	memset(third->memory, 1, 8 * MIB);
	dma_free(memory_dma(memory), third);
	teardown();
}
END_TEST

START_TEST(it_shows_who_and_where)
{
	static char text[16 * 1024];

	setup();
	(void)take(&broken, 4 * MIB);
	(void)dma_quarantine(memory_dma(memory), &broken);
	host_output_capture(text, sizeof(text));
	memory_print_owners(memory);
	ck_assert_ptr_nonnull(strstr(text, "broken, quarantined"));
	memset(text, 0, sizeof(text));
	host_output_capture(text, sizeof(text));
	host_log_level(LOG_INFO);
	(void)dma_quarantine_end(memory_dma(memory), &broken);
	host_output_capture(NULL, 0);
	ck_assert_ptr_nonnull(strstr(text, "broken has been reset"));
	memset(text, 0, sizeof(text));
	host_output_capture(text, sizeof(text));
	memory_print_owners(memory);
	host_output_capture(NULL, 0);
	ck_assert_ptr_null(strstr(text, "quarantined"));
	teardown();
}
END_TEST

/* One frees as a driver does while the other ones end the quarantine, again and again. */
static void take_and_give(void *context, unsigned index)
{
	static const struct device devices[] = { { .name = "a", .dma_mask = UINT64_MAX },
						 { .name = "b", .dma_mask = UINT64_MAX } };
	const struct device *device = &devices[index % 2];

	(void)context;
	for (unsigned i = 0; i < 300; i++) {
		if (index < 2) {
			struct dma_buffer *buffer = take(device, i % 2 ? 4096 : BLOCK_BYTES);

			(void)dma_quarantine(memory_dma(memory), device);
			dma_free(memory_dma(memory), buffer);
			(void)dma_quarantine_end(memory_dma(memory), device);
		} else {
			(void)dma_quarantine_bytes(memory_dma(memory), device);
			(void)dma_device_leaks(memory_dma(memory), device);
			dma_explain(&memory->dma.explainer, (struct phys_addr){ 0 }, (struct phys_addr){ UINT64_MAX });
		}
	}
}

START_TEST(threads_come_and_go)
{
	setup();
	host_threads_run(4, take_and_give, NULL);
	ck_assert(memory_is_valid(memory));
	teardown();
}
END_TEST

HOST_TEST_MAIN("dma_quarantine", what_is_freed_stays_until_the_reset, nobody_is_given_it, the_next_driver_has_memory_of_its_own,
	       it_shows_who_and_where, threads_come_and_go)
