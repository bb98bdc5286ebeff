// SPDX-License-Identifier: BSD-2-Clause
/* The NVMe driver over a fake controller: what real ones do that QEMU's does not. */
#include "drivers/nvme/nvme.h"
#include "fake/drivers/fake_nvme.h"
#include "host/host_test.h"

static struct fake_bus bus;
static struct fake_nvme fake;

static void setup(void)
{
	fake_nvme_init(&fake, &bus);
}

static struct nvme *driver(void)
{
	return nvme_of(bus.function.driver_data);
}

static void start(void)
{
	ck_assert_int_eq(fake_bus_probe(&bus, "nvme"), STATUS_OK);
}

static void finish(void)
{
	fake_bus_remove(&bus);
	fake_nvme_fini(&fake);
}

static status_t transfer(enum block_operation operation, uint64_t offset, struct phys_range range)
{
	return block_device_transfer(block_device_find(&bus.disks, "nvme0n1"), operation, offset, &range, 1);
}

START_TEST(test_writes_and_reads)
{
	struct phys_range range;

	setup();
	start();
	range = fake_bus_alloc(256 * KIB);
	memset(platform_virt(range.start), 0x5a, range.bytes);
	ck_assert_int_eq(transfer(BLOCK_WRITE, 4096, range), STATUS_OK);
	memset(platform_virt(range.start), 0, range.bytes);
	ck_assert_int_eq(transfer(BLOCK_READ, 4096, range), STATUS_OK);
	ck_assert_int_eq(((uint8_t *)platform_virt(range.start))[256 * KIB - 1], 0x5a);
	ck_assert_int_eq(fake.blocks[4095], 0);
	fake_bus_free(range);
	finish();
	ck_assert(!bus.loose && bus.reset);
	ck_assert_uint_eq(fake.shutdown, NVME_CC_SHUTDOWN_NORMAL);
}
END_TEST

/* Errors that are not final ------------------------------------------------------------------- */

#define MEDIA_ERROR FAKE_NVME_STATUS(2, 0x81)

static unsigned failures_left;
static uint32_t failure;

static uint32_t fail_io(struct fake_nvme *nvme, unsigned queue, const struct nvme_command *command)
{
	(void)nvme, (void)command;
	if (queue == 0 || failures_left == 0)
		return 0;
	failures_left--;
	return failure;
}

/* How a read ends, and how many commands it takes, when this is what the first ones end with. */
static status_t read_failing(uint32_t status, unsigned times, unsigned *commands)
{
	struct phys_range range;
	status_t result;

	setup();
	start();
	fake.answer = fail_io;
	failures_left = times;
	failure = status;
	range = fake_bus_alloc(8 * KIB);
	fake.blocks[8 * KIB - 1] = 0x77;
	result = transfer(BLOCK_READ, 0, range);
	if (result == STATUS_OK)
		ck_assert_uint_eq(((uint8_t *)platform_virt(range.start))[8 * KIB - 1], 0x77);
	*commands = fake.io_commands[NVME_IO_READ];
	fake_bus_free(range);
	finish();
	return result;
}

START_TEST(test_tries_passing_errors_again)
{
	unsigned commands;

	ck_assert_int_eq(read_failing(MEDIA_ERROR, NVME_TRIES_MAX - 1, &commands), STATUS_OK);
	ck_assert_uint_eq(commands, NVME_TRIES_MAX);
	ck_assert_int_eq(read_failing(MEDIA_ERROR, UINT32_MAX, &commands), STATUS_IO_ERROR);
	ck_assert_uint_eq(commands, NVME_TRIES_MAX);
	ck_assert_int_eq(read_failing(MEDIA_ERROR | NVME_STATUS_FINAL, UINT32_MAX, &commands), STATUS_IO_ERROR);
	ck_assert_uint_eq(commands, 1);
	ck_assert_int_eq(read_failing(FAKE_NVME_STATUS(0, NVME_CODE_ABORTED), UINT32_MAX, &commands), STATUS_TIMEOUT);
	ck_assert_uint_eq(commands, 1);
}
END_TEST

/* More commands than the ring has entries at once, each of which fails once or twice. */
START_TEST(test_tries_many_again)
{
	struct phys_range range;

	setup();
	start();
	range = fake_bus_alloc(MIB);
	fake.answer = fail_io;
	failure = MEDIA_ERROR;
	for (unsigned i = 0; i < 500; i++) {
		failures_left = i % NVME_TRIES_MAX;
		ck_assert_int_eq(transfer(i % 2 ? BLOCK_WRITE : BLOCK_READ, 0, range), STATUS_OK);
	}
	fake_bus_free(range);
	finish();
}
END_TEST

static uint32_t fail_admin(struct fake_nvme *nvme, unsigned queue, const struct nvme_command *command)
{
	(void)nvme;
	if (queue != 0 || command->opcode != NVME_ADMIN_IDENTIFY || failures_left == 0)
		return 0;
	failures_left--;
	return failure;
}

START_TEST(test_tries_admin_commands_again)
{
	setup();
	fake.answer = fail_admin;
	failure = MEDIA_ERROR;
	failures_left = NVME_TRIES_MAX - 1;
	start();
	finish();
	setup();
	fake.answer = fail_admin;
	failures_left = NVME_TRIES_MAX;
	ck_assert_int_ne(fake_bus_probe(&bus, "nvme"), STATUS_OK);
	fake_nvme_fini(&fake);
}
END_TEST

/* Registers and namespaces --------------------------------------------------------------------- */

START_TEST(test_waits_before_it_looks_where_it_must)
{
	static const uint16_t ids[][2] = { { 0x1c58, 3 },      { 0x1c58, 0x23 },   { 0x1c5f, 0x540 },
					   { 0x144d, 0xa821 }, { 0x144d, 0xa822 }, { 0x1bb1, 0x100 } };

	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
		ck_assert_uint_eq(nvme_ready_pause_ns(ids[i][0], ids[i][1]), 2300 * NS_PER_MS);
	ck_assert_uint_eq(nvme_ready_pause_ns(0x144d, 0xa808), 0);
	ck_assert_uint_eq(nvme_ready_pause_ns(0x1c5f, 3), 0);
	setup();
	bus.function.vendor_id = 0x144d;
	bus.function.device_id = 0xa821;
	start();
	ck_assert_uint_eq(bus.paused_ns, 0); /* it was not enabled */
	finish();
	ck_assert_uint_ge(bus.paused_ns, 2300 * NS_PER_MS);
	setup();
	start();
	finish();
	ck_assert_uint_lt(bus.paused_ns, NS_PER_S);
}
END_TEST

static unsigned disks_found(uint32_t version)
{
	struct block_device *disk = NULL;
	unsigned count = 0;

	fake.version = version;
	start();
	while ((disk = block_device_next(&bus.disks, disk)))
		count++;
	fake_bus_remove(&bus);
	return count;
}

START_TEST(test_asks_for_the_list_from_1_1_on)
{
	setup();
	fake.ids[0] = 2;
	fake.ids[1] = 5;
	ck_assert_uint_eq(disks_found(NVME_VERSION(1, 0)), 2);
	ck_assert_uint_eq(fake.active_lists, 0);
	ck_assert_uint_eq(disks_found(0), 2);
	ck_assert_uint_eq(fake.active_lists, 0);
	ck_assert_uint_eq(disks_found(NVME_VERSION(1, 1)), 2);
	ck_assert_uint_eq(fake.active_lists, 1);
	ck_assert_uint_eq(disks_found(NVME_VERSION(2, 0)), 2);
	ck_assert_uint_eq(fake.active_lists, 2);
	fake_nvme_fini(&fake);
}
END_TEST

/* A name for two disks would be two answers to one question. */
START_TEST(test_takes_each_namespace_once)
{
	static const uint32_t list[] = { 3, 3, 4, 2, 9 };

	setup();
	memcpy(fake.ids, list, sizeof(list));
	ck_assert_uint_eq(disks_found(NVME_VERSION(1, 4)), 1);
	for (uint32_t i = 0; i < FAKE_NVME_NAMESPACES; i++)
		fake.ids[i] = i + 1;
	ck_assert_uint_eq(disks_found(NVME_VERSION(1, 4)), DISK_BLOCKS_MAX);
	fake_nvme_fini(&fake);
}
END_TEST

/* What the namespace says of itself; the fake one has no metadata and blocks of 512 bytes. */
static struct {
	uint64_t blocks;
	uint16_t metadata_bytes;
	uint8_t sector_shift, format;
} described;

static void describe(struct fake_nvme *nvme, const struct nvme_command *command, uint8_t *answer, uint64_t bytes)
{
	(void)nvme, (void)bytes;
	if (command->opcode != NVME_ADMIN_IDENTIFY || command->dwords[0] != NVME_IDENTIFY_NAMESPACE)
		return;
	memcpy(answer + NVME_NAMESPACE_BLOCKS, &described.blocks, 8);
	answer[NVME_NAMESPACE_FORMAT] = described.format;
	memcpy(answer + NVME_NAMESPACE_FORMATS + 4 * (described.format & 0xf), &described.metadata_bytes, 2);
	answer[NVME_NAMESPACE_FORMATS + 4 * (described.format & 0xf) + 2] = described.sector_shift;
}

/* How large the disk is that the driver makes of this; 0: it makes none. */
static uint64_t disk_bytes(uint64_t blocks, uint16_t metadata_bytes, uint8_t sector_shift, uint8_t format)
{
	const struct block_device *disk;
	uint64_t bytes;

	described.blocks = blocks;
	described.metadata_bytes = metadata_bytes;
	described.sector_shift = sector_shift;
	described.format = format;
	setup();
	fake.fill = describe;
	start();
	disk = block_device_find(&bus.disks, "nvme0n1");
	bytes = disk ? disk->size_bytes : 0;
	ck_assert(!disk || (sector_shift < 32 && disk->sector_bytes == 1u << sector_shift));
	finish();
	return bytes;
}

START_TEST(test_formats_that_cannot_be_used)
{
	for (unsigned shift = 0; shift < 256; shift += shift < 16 ? 1 : 13)
		ck_assert_uint_eq(disk_bytes(2048, 0, (uint8_t)shift, 0), shift >= 9 && shift <= 12 ? 2048ull << shift : 0);
	ck_assert_uint_eq(disk_bytes(2048, 8, 9, 0), 0);
	ck_assert_uint_eq(disk_bytes(2048, 0x100, 12, 0), 0);
	ck_assert_uint_eq(disk_bytes(0, 0, 9, 0), 0);
	ck_assert_uint_eq(disk_bytes(1, 0, 12, 15), 4096);
	ck_assert_uint_eq(disk_bytes(1, 0, 12, 0xff), 4096);
	ck_assert_uint_eq(disk_bytes(UINT64_MAX >> 9, 0, 9, 0), UINT64_MAX << 9);
	ck_assert_uint_eq(disk_bytes((UINT64_MAX >> 9) + 1, 0, 9, 0), 0);
	ck_assert_uint_eq(disk_bytes((UINT64_MAX >> 12) + 1, 0, 12, 3), 0);
	ck_assert_uint_eq(disk_bytes(UINT64_MAX, 0, 9, 0), 0);
}
END_TEST

static uint8_t transfer_shift;
static uint32_t blocks_most;

static void limit(struct fake_nvme *nvme, const struct nvme_command *command, uint8_t *answer, uint64_t bytes)
{
	(void)nvme, (void)bytes;
	if (command->opcode == NVME_ADMIN_IDENTIFY && command->dwords[0] == NVME_IDENTIFY_CONTROLLER)
		answer[NVME_CONTROLLER_MDTS] = transfer_shift;
}

static uint32_t note_blocks(struct fake_nvme *nvme, unsigned queue, const struct nvme_command *command)
{
	(void)nvme;
	if (queue > 0 && command->opcode == NVME_IO_READ)
		blocks_most = MAX(blocks_most, (command->dwords[2] & 0xffff) + 1);
	return 0;
}

/* The exponent, in pages of the controller's least size, may be anything; 0: there is no limit. */
START_TEST(test_keeps_to_the_longest_transfer)
{
	for (unsigned shift = 0; shift < 256; shift += shift < 24 ? 1 : 11) {
		struct phys_range range;

		setup();
		fake.fill = limit;
		fake.answer = note_blocks;
		transfer_shift = (uint8_t)shift;
		blocks_most = 0;
		start();
		range = fake_bus_alloc(MIB);
		ck_assert_int_eq(transfer(BLOCK_READ, 0, range), STATUS_OK);
		ck_assert_uint_eq(blocks_most * 512, shift == 0 || shift > 8 ? MIB : PAGE_BYTES << shift);
		fake_bus_free(range);
		finish();
	}
}
END_TEST

/* Events --------------------------------------------------------------------------------------- */

static char text[8192];

static void hot_fill(struct fake_nvme *nvme, const struct nvme_command *command, uint8_t *answer, uint64_t bytes)
{
	(void)nvme, (void)bytes;
	if (command->opcode != NVME_ADMIN_GET_LOG)
		return;
	answer[NVME_HEALTH_WARNING] = 2;
	answer[NVME_HEALTH_KELVIN] = (273 + 91) & 0xff;
	answer[NVME_HEALTH_KELVIN + 1] = (273 + 91) >> 8;
	answer[NVME_HEALTH_SPARE_PERCENT] = 40;
}

START_TEST(test_shows_events)
{
	setup();
	fake.fill = hot_fill;
	start();
	ck_assert(fake.event_asked);
	host_log_level(LOG_INFO);
	host_output_capture(text, sizeof(text));
	fake_nvme_event(&fake, NVME_EVENT_HEALTH | 1u << 8 | NVME_LOG_HEALTH << 16);
	ck_assert(!fake.event_asked);
	fake_bus_run(&bus);
	host_output_capture(NULL, 0);
	host_log_level(LOG_WARN);
	ck_assert_ptr_nonnull(strstr(text, "nvme0: the disk reports: its temperature passed a threshold"));
	ck_assert_ptr_nonnull(strstr(text, "critical warning 0x2, 91 C, percent of spare blocks left 40 "));
	ck_assert_uint_eq(fake.admin_commands[NVME_ADMIN_GET_LOG], 1);
	ck_assert(fake.event_asked); /* again */
	ck_assert(!atomic_load(&driver()->common.reset_reason));
	finish();
}
END_TEST

/* Each event costs a look of the watch task, and the log gets no longer for it. */
START_TEST(test_bears_a_flood_of_events)
{
	unsigned lines = 0;

	setup();
	start();
	memset(text, 0, sizeof(text));
	host_output_capture(text, sizeof(text));
	for (unsigned i = 0; i < 1000; i++) {
		fake_nvme_event(&fake, i);
		fake_nvme_event(&fake, i);
		fake_bus_run(&bus);
	}
	host_output_capture(NULL, 0);
	for (const char *at = text; (at = strstr(at, "the disk reports")); at++)
		lines++;
	ck_assert_uint_eq(lines, 32);
	ck_assert_uint_eq(fake.admin_commands[NVME_ADMIN_GET_LOG], 1000);
	ck_assert_uint_eq(driver()->common.resets, 0);
	finish();
}
END_TEST

/* One that knows no events goes on without; one that ends a second one is reset. */
START_TEST(test_resets_after_an_event_that_was_not_asked_for)
{
	const struct nvme_completion event = { .id = 0, .status = FAKE_NVME_STATUS(1, 5) | NVME_STATUS_FINAL };

	setup();
	start();
	fake.event_asked = false;
	fake_nvme_complete(&fake, 0, &event);
	fake_bus_run(&bus);
	fake_bus_run(&bus);
	ck_assert(!fake.event_asked);
	ck_assert_uint_eq(driver()->common.resets, 0);
	fake_nvme_complete(&fake, 0, &event);
	fake_bus_run(&bus);
	ck_assert_uint_eq(driver()->common.resets, 1);
	ck_assert(fake.event_asked);
	finish();
}
END_TEST

static void run_for(uint64_t ns)
{
	const uint64_t end_ns = platform_now_ns() + ns;

	while (platform_now_ns() < end_ns)
		fake_bus_run(&bus);
}

static unsigned done_count;

static void note_done(struct block_request *request)
{
	(void)request;
	done_count++;
}

static uint32_t swallow_io(struct fake_nvme *nvme, unsigned queue, const struct nvme_command *command)
{
	(void)nvme, (void)command;
	return queue > 0 ? FAKE_NVME_NO_ANSWER : 0;
}

/* The latest admin command has ended; it ends again. */
START_TEST(test_resets_after_an_answer_that_comes_twice)
{
	struct nvme_completion again = { .submission_head = 1 };

	setup();
	start();
	again.id = driver()->admin.id;
	fake_nvme_complete(&fake, 0, &again);
	run_for(NS_PER_S);
	ck_assert_uint_eq(driver()->common.resets, 1);
	finish();
}
END_TEST

/* Completions of no queue, and of more submissions than there are. */
START_TEST(test_resets_after_a_completion_that_cannot_be)
{
	static const struct nvme_completion wrong[] = {
		{ .submission_id = 2, .submission_head = 1 },
		{ .submission_id = 0, .submission_head = 1 },
		{ .submission_id = 1, .submission_head = 64 },
		{ .submission_id = 1, .submission_head = UINT16_MAX },
		{ .submission_id = 1, .submission_head = 1, .id = 63 },
		{ .submission_id = 1, .submission_head = 1, .id = UINT16_MAX },
	};
	struct phys_range range;

	for (unsigned i = 0; i < ARRAY_LENGTH(wrong); i++) {
		struct block_request request = {
			.operation = BLOCK_READ, .segments = &range, .segment_count = 1, .done = note_done
		};

		setup();
		start();
		range = fake_bus_alloc(PAGE_BYTES);
		fake.answer = swallow_io;
		done_count = 0;
		block_device_find(&bus.disks, "nvme0n1")->submit(block_device_find(&bus.disks, "nvme0n1"), &request);
		fake.answer = NULL;
		fake_nvme_complete(&fake, 1, &wrong[i]); /* the request has slot 0 of queue 1 */
		run_for(NS_PER_S);
		ck_assert_uint_eq(driver()->common.resets, 1);
		ck_assert_uint_eq(done_count, 1);
		ck_assert_int_eq(request.status, STATUS_OK);
		fake_bus_free(range);
		finish();
	}
}
END_TEST

static uint64_t fatal(struct fake_nvme *nvme, uint64_t offset, uint64_t truth)
{
	(void)nvme;
	return offset == NVME_CSTS && (truth & NVME_CSTS_READY) ? truth | NVME_CSTS_FATAL : truth;
}

/*
 * A controller that is broken again after each reset costs no more than a reset a minute, and is
 * used when it is well again. One that works in between is reset at once.
 */
START_TEST(test_resets_in_vain_become_rare)
{
	struct phys_range range;

	setup();
	start();
	range = fake_bus_alloc(PAGE_BYTES);
	fake.lie = fatal;
	run_for(1000 * NS_PER_S);
	ck_assert_uint_ge(driver()->common.resets, 10);
	ck_assert_uint_le(driver()->common.resets, 35);
	fake.lie = NULL;
	run_for(130 * NS_PER_S); /* the reset that is due, and the pause after it */
	for (unsigned i = 0; i < 10; i++) {
		const unsigned before = driver()->common.resets;

		ck_assert_int_eq(transfer(BLOCK_READ, 0, range), STATUS_OK);
		disk_device_request_reset(&driver()->common, "the test asks for it");
		run_for(2 * NS_PER_S);
		ck_assert_uint_eq(driver()->common.resets, before + 1);
	}
	fake_bus_free(range);
	finish();
}
END_TEST

/* The end -------------------------------------------------------------------------------------- */

static status_t panic_write(struct phys_range range)
{
	struct block_device *disk = block_device_find(&bus.disks, "nvme0n1");
	struct block_request request = { .operation = BLOCK_WRITE, .segments = &range, .segment_count = 1 };

	return disk->panic_transfer(disk, &request);
}

START_TEST(test_tells_the_controller_of_the_end)
{
	struct phys_range range;

	setup();
	start();
	fake_bus_panic_end(&bus);
	ck_assert_uint_eq(fake.shutdown, NVME_CC_SHUTDOWN_ABRUPT);
	finish();
	setup();
	start();
	range = fake_bus_alloc(PAGE_BYTES);
	memset(platform_virt(range.start), 0x33, PAGE_BYTES);
	ck_assert_int_eq(panic_write(range), STATUS_OK);
	ck_assert_uint_eq(fake.blocks[PAGE_BYTES - 1], 0x33);
	fake_bus_panic_end(&bus);
	ck_assert_uint_eq(fake.shutdown, NVME_CC_SHUTDOWN_NORMAL);
	fake_bus_free(range);
	finish();
	setup();
	start();
	fake_bus_shutdown(&bus);
	ck_assert_uint_eq(fake.shutdown, NVME_CC_SHUTDOWN_NORMAL);
	finish();
}
END_TEST

static uint64_t never_done(struct fake_nvme *nvme, uint64_t offset, uint64_t truth)
{
	(void)nvme;
	return offset == NVME_CSTS ? truth & ~(uint64_t)NVME_CSTS_SHUTDOWN_MASK : truth;
}

START_TEST(test_waits_not_for_ever_at_a_panic)
{
	uint64_t began_ns;

	setup();
	start();
	fake.lie = never_done;
	began_ns = platform_now_ns();
	fake_bus_panic_end(&bus);
	ck_assert_uint_le(platform_now_ns() - began_ns, 6 * NS_PER_S);
	finish();
}
END_TEST

/* An answer that does not come ends the probe, and its memory stays until DMA has ended. */
static uint32_t fall_silent(struct fake_nvme *nvme, unsigned queue, const struct nvme_command *command)
{
	(void)nvme, (void)queue;
	return command->opcode == NVME_ADMIN_IDENTIFY ? FAKE_NVME_NO_ANSWER : 0;
}

START_TEST(test_keeps_memory_of_an_unanswered_command)
{
	setup();
	fake.answer = fall_silent;
	ck_assert_int_eq(fake_bus_probe(&bus, "nvme"), STATUS_TIMEOUT);
	fake_nvme_fini(&fake);
}
END_TEST

/* Each allocation fails once: the probe fails and leaves nothing, or does without. */
START_TEST(test_probe_without_memory)
{
	status_t status = STATUS_NO_MEMORY;

	for (unsigned i = 1; status != STATUS_OK; i++) {
		setup();
		bus.fail_at = i;
		status = fake_bus_probe(&bus, "nvme");
		if (status == STATUS_OK)
			fake_bus_remove(&bus);
		ck_assert(status == STATUS_OK || status == STATUS_NO_MEMORY || status == STATUS_BUSY);
		fake_nvme_fini(&fake);
		ck_assert_uint_lt(i, 100);
	}
}
END_TEST

HOST_TEST_MAIN("nvme", test_writes_and_reads, test_tries_passing_errors_again, test_tries_many_again,
	       test_tries_admin_commands_again, test_waits_before_it_looks_where_it_must, test_asks_for_the_list_from_1_1_on,
	       test_takes_each_namespace_once, test_formats_that_cannot_be_used, test_keeps_to_the_longest_transfer,
	       test_shows_events, test_bears_a_flood_of_events, test_resets_after_an_event_that_was_not_asked_for,
	       test_resets_after_an_answer_that_comes_twice, test_resets_after_a_completion_that_cannot_be,
	       test_resets_in_vain_become_rare, test_tells_the_controller_of_the_end, test_waits_not_for_ever_at_a_panic,
	       test_keeps_memory_of_an_unanswered_command, test_probe_without_memory)
