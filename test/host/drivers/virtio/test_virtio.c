// SPDX-License-Identifier: BSD-2-Clause
/* The virtio driver over a fake device: with and without indirect tables, queues of any size. */
#include "drivers/virtio/virtio_blk.h"
#include "fake/drivers/fake_virtio.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"

static struct fake_bus bus;
static struct fake_virtio fake;

static struct virtio_blk *driver(void)
{
	return virtio_blk_of(bus.function.driver_data);
}

/* Scattered pages, written and read back. */
static void copy_back_and_forth(void)
{
	struct block_device *disk = block_device_find(&bus.disks, "virtio0");
	const struct phys_range range = fake_bus_alloc(512 * KIB);
	struct phys_range pages[64];
	uint32_t *words = platform_virt(range.start);

	for (unsigned i = 0; i < ARRAY_LENGTH(pages); i++)
		pages[i] = (struct phys_range){ { range.start.value + 2 * i * PAGE_BYTES }, PAGE_BYTES };
	for (unsigned i = 0; i < range.bytes / 4; i++)
		words[i] = i * 2654435761u;
	ck_assert_int_eq(block_device_transfer(disk, BLOCK_WRITE, 8192, pages, ARRAY_LENGTH(pages)), STATUS_OK);
	ck_assert_int_eq(block_device_transfer(disk, BLOCK_FLUSH, 0, NULL, 0), STATUS_OK);
	for (unsigned i = 0; i < ARRAY_LENGTH(pages); i++) {
		ck_assert_mem_eq(fake.blocks + 8192 + i * PAGE_BYTES, (char *)words + 2 * i * PAGE_BYTES, PAGE_BYTES);
		memset((char *)words + 2 * i * PAGE_BYTES, 0, PAGE_BYTES);
	}
	ck_assert_int_eq(block_device_transfer(disk, BLOCK_READ, 8192, pages, ARRAY_LENGTH(pages)), STATUS_OK);
	for (unsigned i = 0; i < ARRAY_LENGTH(pages); i++)
		ck_assert_mem_eq(fake.blocks + 8192 + i * PAGE_BYTES, (char *)words + 2 * i * PAGE_BYTES, PAGE_BYTES);
	fake_bus_free(range);
}

START_TEST(test_any_queue_with_and_without_tables)
{
	static const uint16_t sizes[] = { 4, 8, 16, 64, 128, 256, 1024 };

	for (unsigned i = 0; i < 2 * ARRAY_LENGTH(sizes); i++) {
		const uint16_t size = sizes[i / 2];

		fake_virtio_init(&fake, &bus);
		fake.queue_size = size;
		fake.seg_max = i % 3 == 0 ? 254 : MAX(size - 2u, 2u);
		if (i % 2)
			fake.features &= ~VIRTIO_FEATURE_INDIRECT;
		ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_OK);
		copy_back_and_forth();
		ck_assert_uint_eq(fake.tables, i % 2 ? 0 : fake.commands);
		ck_assert_uint_le(fake.chain_max, size);
		if (i % 2)
			ck_assert_uint_eq(virtio_blk_queue_at(&driver()->common, 0)->slots,
					  MIN(size / MIN(MAX(size / 4, 4), 16), VIRTIO_BLK_SLOTS));
		ck_assert_uint_eq(driver()->common.resets, 0);
		fake_bus_remove(&bus);
		fake_virtio_fini(&fake);
	}
}
END_TEST

START_TEST(test_refuses_a_queue_without_room)
{
	for (unsigned i = 0; i < 8; i++) {
		fake_virtio_init(&fake, &bus);
		fake.queue_size = (uint16_t)(i / 2);
		if (i % 2)
			fake.features &= ~VIRTIO_FEATURE_INDIRECT;
		ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_UNSUPPORTED);
		fake_virtio_fini(&fake);
	}
}
END_TEST

/* An entry that begins no slot's chain is a lie. */
START_TEST(test_resets_a_device_that_completes_the_middle_of_a_chain)
{
	fake_virtio_init(&fake, &bus);
	fake.features &= ~VIRTIO_FEATURE_INDIRECT;
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_OK);
	fake_virtio_complete(&fake, 0, 1);
	fake_bus_run(&bus);
	fake_bus_run(&bus);
	ck_assert_uint_eq(driver()->common.resets, 1);
	copy_back_and_forth();
	fake_bus_remove(&bus);
	fake_virtio_fini(&fake);
}
END_TEST

/* After a reset the device offers less than the queues were made for: it is given up. */
START_TEST(test_gives_up_a_device_that_forgets_features)
{
	fake_virtio_init(&fake, &bus);
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_OK);
	fake.features &= ~VIRTIO_FEATURE_INDIRECT;
	fake_virtio_complete(&fake, 0, 255);
	fake_bus_run(&bus);
	fake_bus_run(&bus);
	ck_assert(driver()->common.gone);
	fake_bus_remove(&bus);
	fake_virtio_fini(&fake);
}
END_TEST

static uint64_t features_not_ok(struct fake_virtio *virtio, uint64_t offset, uint64_t truth)
{
	const bool packed = virtio->accepted & VIRTIO_FEATURE_PACKED;

	return offset == 0x14 && !packed ? truth & ~8ull : truth;
}

/* Section 2.6: a device has split queues, packed ones or both. Split ones are what is taken. */
START_TEST(test_takes_split_queues_of_a_device_with_packed_ones)
{
	fake_virtio_init(&fake, &bus);
	fake.features |= VIRTIO_FEATURE_PACKED;
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_OK);
	ck_assert(!(fake.accepted & VIRTIO_FEATURE_PACKED));
	copy_back_and_forth();
	fake_bus_remove(&bus);
	fake.lie = features_not_ok;
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_UNSUPPORTED);
	fake_virtio_fini(&fake);
}
END_TEST

static uint64_t notify_offset_odd(struct fake_virtio *virtio, uint64_t offset, uint64_t truth)
{
	(void)virtio;
	return offset == 0x1e ? 1 : truth;
}

/* Registers are read and written whole: a structure at an odd place is passed over. */
START_TEST(test_refuses_registers_that_are_not_aligned)
{
	static const unsigned places[] = { 0x40 + 8, 0x68 + 8, 0x7c + 8 };

	for (unsigned i = 0; i < ARRAY_LENGTH(places); i++) {
		fake_virtio_init(&fake, &bus);
		bus.config[places[i]] |= 1;
		ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_UNSUPPORTED);
		fake_virtio_fini(&fake);
	}
	fake_virtio_init(&fake, &bus);
	bus.config[0x7c + 16] = 1; /* the multiplier: queue N is notified at byte N */
	fake.lie = notify_offset_odd;
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_UNSUPPORTED);
	fake_virtio_fini(&fake);
}
END_TEST

#define CONFIG       0x200 /* in the fake device's BAR */
#define HAS_SIZE_MAX (1ull << 1)
#define HAS_BLK_SIZE (1ull << 6)

static unsigned lie_offset;
static uint64_t lie_value;

static uint64_t lie_in_config(struct fake_virtio *virtio, uint64_t offset, uint64_t truth)
{
	(void)virtio;
	if (offset == CONFIG + lie_offset)
		return (uint32_t)lie_value;
	return lie_offset == 0 && offset == CONFIG + 4 ? lie_value >> 32 : truth;
}

/* The size of the disk where the configuration has this value there; UINT64_MAX: no disk. */
static uint64_t disk_bytes(uint64_t features, unsigned offset, uint64_t value)
{
	uint64_t bytes = UINT64_MAX;

	lie_offset = offset;
	lie_value = value;
	fake_virtio_init(&fake, &bus);
	fake.features |= features;
	fake.lie = lie_in_config;
	if (fake_bus_probe(&bus, "virtio") == STATUS_OK) {
		bytes = driver()->block.size_bytes;
		fake_bus_remove(&bus);
	}
	fake_virtio_fini(&fake);
	return bytes;
}

START_TEST(test_refuses_impossible_geometry)
{
	ck_assert_uint_eq(disk_bytes(0, 0, 0), 0);
	ck_assert_uint_eq(disk_bytes(0, 0, 7), 7 * 512);
	ck_assert_uint_eq(disk_bytes(0, 0, UINT64_MAX >> 9), UINT64_MAX << 9);
	ck_assert_uint_eq(disk_bytes(0, 0, (UINT64_MAX >> 9) + 1), UINT64_MAX);
	ck_assert_uint_eq(disk_bytes(0, 0, UINT64_MAX), UINT64_MAX);
	for (unsigned bytes = 0; bytes <= 8192; bytes += 256)
		ck_assert_uint_eq(disk_bytes(HAS_BLK_SIZE, 20, bytes),
				  bytes == 512 || bytes == 1024 || bytes == 2048 || bytes == 4096 ? FAKE_VIRTIO_BYTES
												  : UINT64_MAX);
	ck_assert_uint_eq(disk_bytes(HAS_BLK_SIZE, 20, UINT32_MAX), UINT64_MAX);
	ck_assert_uint_eq(disk_bytes(HAS_SIZE_MAX, 8, 511), UINT64_MAX);
	ck_assert_uint_eq(disk_bytes(HAS_SIZE_MAX, 8, 513), FAKE_VIRTIO_BYTES);
	ck_assert_uint_eq(disk_bytes(0, 12, 0), UINT64_MAX);
	ck_assert_uint_eq(disk_bytes(0, 12, UINT32_MAX), FAKE_VIRTIO_BYTES);
}
END_TEST

static unsigned done_count;

static void note_done(struct block_request *request)
{
	(void)request;
	done_count++;
}

static uint32_t swallow(struct fake_virtio *virtio, unsigned queue)
{
	(void)virtio, (void)queue;
	return FAKE_VIRTIO_NO_ANSWER;
}

/* More entries at once than the ring has: none of them counts, and the request is tried again. */
START_TEST(test_resets_a_device_whose_index_jumps)
{
	struct phys_range range;
	struct block_request request = { .operation = BLOCK_READ, .segments = &range, .segment_count = 1, .done = note_done };
	uint16_t *index;

	fake_virtio_init(&fake, &bus);
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_OK);
	range = fake_bus_alloc(PAGE_BYTES);
	fake.answer = swallow;
	done_count = 0;
	driver()->block.submit(&driver()->block, &request);
	fake.answer = NULL;
	index = fake_bus_memory(&bus, fake.queues[0].used + 2, 2);
	memset(index + 1, 0, fake.queues[0].entries * 8ul); /* each says: slot 0 */
	*index = (uint16_t)(fake.queues[0].used_index + fake.queues[0].entries + 1);
	fake_bus_interrupt(&bus, 0);
	for (unsigned i = 0; i < 10; i++)
		fake_bus_run(&bus);
	ck_assert_uint_eq(driver()->common.resets, 1);
	ck_assert_uint_eq(done_count, 1);
	ck_assert_int_eq(request.status, STATUS_OK);
	fake_bus_free(range);
	fake_bus_remove(&bus);
	fake_virtio_fini(&fake);
}
END_TEST

/* One that does not lie in its BAR is passed over for the next of its kind. */
START_TEST(test_passes_over_registers_that_are_not_there)
{
	fake_virtio_init(&fake, &bus);
	memcpy(bus.config + 0xa0, bus.config + 0x40, 16);
	bus.config[0xa1] = 0x40;
	bus.config[0xa0 + 9] = 0x10; /* the offset: where BAR 4 ends */
	bus.config[0x34] = 0xa0;
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_OK);
	copy_back_and_forth();
	fake_bus_remove(&bus);
	fake_virtio_fini(&fake);
}
END_TEST

/* A list without an end, in which a structure is missing: the probe has one. */
START_TEST(test_refuses_capabilities_in_a_loop)
{
	fake_virtio_init(&fake, &bus);
	bus.config[0x7c + 3] = 9; /* of a type that is not known */
	bus.config[0x7c + 1] = 0x40;
	ck_assert_int_eq(fake_bus_probe(&bus, "virtio"), STATUS_UNSUPPORTED);
	fake_virtio_fini(&fake);
}
END_TEST

START_TEST(test_probe_without_memory)
{
	status_t status = STATUS_NO_MEMORY;

	for (unsigned i = 1; status != STATUS_OK; i++) {
		fake_virtio_init(&fake, &bus);
		bus.fail_at = i;
		status = fake_bus_probe(&bus, "virtio");
		if (status == STATUS_OK)
			fake_bus_remove(&bus);
		ck_assert(status == STATUS_OK || status == STATUS_NO_MEMORY || status == STATUS_BUSY);
		fake_virtio_fini(&fake);
		ck_assert_uint_lt(i, 100);
	}
}
END_TEST

HOST_TEST_MAIN("virtio", test_any_queue_with_and_without_tables, test_refuses_a_queue_without_room,
	       test_resets_a_device_that_completes_the_middle_of_a_chain, test_gives_up_a_device_that_forgets_features,
	       test_takes_split_queues_of_a_device_with_packed_ones, test_refuses_registers_that_are_not_aligned,
	       test_refuses_impossible_geometry, test_resets_a_device_whose_index_jumps,
	       test_passes_over_registers_that_are_not_there, test_refuses_capabilities_in_a_loop, test_probe_without_memory)
