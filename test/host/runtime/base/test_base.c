// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/block_device.h"
#include "runtime/base/crc32.h"
#include "runtime/base/list.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "runtime/base/sort.h"

struct item {
	int value;
	struct list link;
};

static int item_value(struct list *link)
{
	return container_of(link, struct item, link)->value;
}

START_TEST(list_keeps_order)
{
	struct item items[6];
	struct list head;
	int expected = 0;

	list_init(&head);
	ck_assert(list_is_empty(&head));
	ck_assert_ptr_null(list_first(&head));
	ck_assert_ptr_null(list_take_first(&head));
	for (int i = 0; i < 6; i++) {
		items[i].value = i;
		if (i < 3)
			list_insert_last(&head, &items[i].link);
	}
	list_insert_last(&head, &items[5].link);
	list_insert_after(&items[2].link, &items[3].link);
	list_insert_after(&items[3].link, &items[4].link);
	list_for_each (link, &head)
		ck_assert_int_eq(item_value(link), expected++);
	ck_assert_int_eq(expected, 6);

	list_for_each_safe (link, &head) {
		if (item_value(link) % 2 == 0)
			list_remove(link);
	}
	list_remove(&items[0].link);
	list_insert_first(&head, &items[0].link);
	ck_assert_int_eq(item_value(list_take_first(&head)), 0);
	ck_assert_int_eq(item_value(list_take_first(&head)), 1);
	ck_assert_int_eq(item_value(list_take_first(&head)), 3);
	ck_assert_int_eq(item_value(list_take_first(&head)), 5);
	ck_assert(list_is_empty(&head));
}
END_TEST

START_TEST(bits_and_powers)
{
	ck_assert(!is_power_of_two(0));
	ck_assert(is_power_of_two(1));
	ck_assert(is_power_of_two(1ull << 63));
	ck_assert(!is_power_of_two(3));
	ck_assert_uint_eq(align_up(0, 4096), 0);
	ck_assert_uint_eq(align_up(1, 4096), 4096);
	ck_assert_uint_eq(align_up(4096, 4096), 4096);
	ck_assert_uint_eq(align_up(UINT64_MAX, 4096), 0);
	ck_assert_uint_eq(align_down(8191, 4096), 4096);
	ck_assert(is_aligned(8192, 4096));
	ck_assert(!is_aligned(8200, 4096));
	ck_assert_uint_eq(divide_round_up(0, 7), 0);
	ck_assert_uint_eq(divide_round_up(14, 7), 2);
	ck_assert_uint_eq(divide_round_up(UINT64_MAX, 2), 1ull << 63);
	for (unsigned i = 0; i < 64; i++) {
		ck_assert_uint_eq(log2_floor(1ull << i), i);
		ck_assert_uint_eq(log2_ceil(1ull << i), i);
		ck_assert_uint_eq(log2_floor((1ull << i) | 1), i);
		if (i > 0 && i < 63)
			ck_assert_uint_eq(log2_ceil((1ull << i) + 1), i + 1);
	}
}
END_TEST

/* Bit by bit. */
static uint64_t slow_run(const uint64_t *map, uint64_t from, uint64_t until, uint64_t bits, uint64_t length)
{
	for (; from < until; from++) {
		uint64_t i = from;

		while (i < from + length && i < bits && bitmap_test(map, i))
			i++;
		if (i == from + length)
			return from;
	}
	return until;
}

START_TEST(bitmap_runs_and_counts_like_bit_by_bit)
{
	enum { WORDS = 5 };
	uint64_t map[WORDS];
	struct random random;

	random_seed(&random, 5);
	for (unsigned round = 0; round < 200000; round++) {
		const unsigned density = (unsigned)random_below(&random, 4);
		uint64_t expected = 0;

		for (unsigned i = 0; i < WORDS; i++) {
			map[i] = random_next(&random);
			for (unsigned j = 0; j < density; j++)
				map[i] |= random_next(&random);
		}
		const uint64_t end = 1 + random_below(&random, WORDS * 64);
		const uint64_t until = random_below(&random, end + 1), from = random_below(&random, until + 1);
		const uint64_t length = 1 + random_below(&random, random_below(&random, 2) ? 8 : 100);
		ck_assert_uint_eq(bitmap_find_run(map, from, until, end, length),
				  slow_run(map, from, until, align_up(end, 64), MIN(length, 64)));
		for (uint64_t i = from; i < until; i++)
			expected += bitmap_test(map, i);
		ck_assert_uint_eq(bitmap_count(map, from, until), expected);
	}
}
END_TEST

START_TEST(bitmap_bits_stand_alone)
{
	uint64_t map[3] = { 0 };

	ck_assert_uint_eq(bitmap_words(0), 0);
	ck_assert_uint_eq(bitmap_words(64), 1);
	ck_assert_uint_eq(bitmap_words(65), 2);
	for (uint64_t bit = 0; bit < 192; bit += 7)
		bitmap_set(map, bit);
	bitmap_clear(map, 70);
	for (uint64_t bit = 0; bit < 192; bit++)
		ck_assert_int_eq(bitmap_test(map, bit), bit % 7 == 0 && bit != 70);
}
END_TEST

static uint32_t crc_by_bits(uint32_t polynomial, const uint8_t *data, size_t bytes)
{
	uint32_t crc = UINT32_MAX;

	while (bytes-- > 0) {
		crc ^= *data++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
	}
	return ~crc;
}

START_TEST(crc_known_values)
{
	uint8_t bytes[32];

	ck_assert_uint_eq(crc32_update(0, "123456789", 9), 0xcbf43926);
	ck_assert_uint_eq(crc32c_update(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32_update(0, "", 0), 0);
	/* RFC 3720, appendix B.4 */
	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(crc32c_update(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(crc32c_update(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c_update(0, bytes, sizeof(bytes)), 0x46dd794e);
}
END_TEST

START_TEST(crc_like_bit_by_bit)
{
	struct random random;
	uint8_t data[300];

	random_seed(&random, 7);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_next(&random);
	for (size_t bytes = 0; bytes < 280; bytes++) {
		const uint8_t *start = data + bytes % 9;
		const size_t half = bytes / 3;

		ck_assert_uint_eq(crc32_update(0, start, bytes), crc_by_bits(0xedb88320, start, bytes));
		ck_assert_uint_eq(crc32c_update(0, start, bytes), crc_by_bits(0x82f63b78, start, bytes));
		ck_assert_uint_eq(crc32c_update(crc32c_update(0, start, half), start + half, bytes - half),
				  crc32c_update(0, start, bytes));
	}
}
END_TEST

/*
 * Beside counting how many are smaller: each number of which n are smaller is at n, or right behind
 * another one like it.
 */
START_TEST(numbers_are_sorted)
{
	uint64_t numbers[100], before[100];
	struct random random;

	random_seed(&random, 1);
	for (unsigned round = 0; round < 2000; round++) {
		const uint64_t count = random_below(&random, ARRAY_LENGTH(numbers) + 1);
		const uint64_t range = random_below(&random, 2) ? random_below(&random, 20) + 1 : UINT64_MAX;

		for (uint64_t i = 0; i < count; i++)
			before[i] = numbers[i] = random_below(&random, range) - (round % 2);
		sort_numbers(numbers, count);
		for (uint64_t i = 0; i < count; i++) {
			uint64_t smaller = 0, alike = 0;

			for (uint64_t j = 0; j < count; j++) {
				smaller += before[j] < numbers[i];
				alike += before[j] == numbers[i];
			}
			ck_assert(smaller <= i && i < smaller + alike);
		}
	}
}
END_TEST

START_TEST(options_found)
{
	static const char line[] = "  scenario=capture loops=20\tmonitor flag= disk=\"My Disk\" loops=7 x=\"open\n";
	char value[32];

	ck_assert_str_eq(options_get(line, "scenario", value, sizeof(value)), "capture");
	ck_assert_str_eq(options_get(line, "loops", value, sizeof(value)), "7");
	ck_assert_str_eq(options_get(line, "monitor", value, sizeof(value)), "");
	ck_assert_str_eq(options_get(line, "flag", value, sizeof(value)), "");
	ck_assert_str_eq(options_get(line, "disk", value, sizeof(value)), "My Disk");
	ck_assert_str_eq(options_get(line, "x", value, sizeof(value)), "open\n");
	ck_assert_str_eq(options_get(line, "scenario", value, 4), "cap");
	strcpy(value, "before");
	ck_assert_ptr_null(options_get(line, "scen", value, sizeof(value)));
	ck_assert_ptr_null(options_get(line, "capture", value, sizeof(value)));
	ck_assert_ptr_null(options_get("", "a", value, sizeof(value)));
	ck_assert_str_eq(value, "before");
}
END_TEST

START_TEST(options_as_numbers)
{
	ck_assert_uint_eq(options_get_number("loops=20 size=1G", "loops", 5), 20);
	ck_assert_uint_eq(options_get_number("loops=20 size=1G", "size", 5), GIB);
	ck_assert_uint_eq(options_get_number("loops=many", "loops", 5), 5);
	ck_assert_uint_eq(options_get_number("", "loops", 5), 5);
}
END_TEST

START_TEST(status_texts)
{
	for (status_t status = STATUS_RANGE; status <= STATUS_OK; status++)
		ck_assert_str_ne(status_text(status), "unknown status");
	ck_assert_str_eq(status_text(-1000), "unknown status");
	ck_assert_str_eq(status_text(1), "unknown status");
}
END_TEST

static void submit_at_once(struct block_device *device, struct block_request *request)
{
	request->status = block_request_check(device, request);
	request->done(request);
}

static struct block_device test_device(const char *name)
{
	return (struct block_device){
		.name = name,
		.size_bytes = MIB,
		.sector_bytes = 512,
		.segment_alignment = 4,
		.segments_max = 4,
		.transfer_bytes_max = 16384,
		.submit = submit_at_once,
	};
}

START_TEST(block_requests_checked)
{
	struct block_device device = test_device("ram0");
	struct phys_range one = { { 0x1000 }, 4096 };
	const struct phys_range five[5] = { one, one, one, one, one };

	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, 0, &one, 1), STATUS_OK);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, MIB - 4096, &one, 1), STATUS_OK);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, MIB - 3584, &one, 1), STATUS_RANGE);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, UINT64_MAX - 511, &one, 1), STATUS_RANGE);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, 100, &one, 1), STATUS_INVALID);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, 0, five, 4), STATUS_OK);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, 0, five, 5), STATUS_INVALID);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_READ, 0, five, 0), STATUS_INVALID);
	one.bytes = 20480;
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_WRITE, 0, &one, 1), STATUS_INVALID);
	one.bytes = 516;
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_WRITE, 0, &one, 1), STATUS_INVALID);
	one = (struct phys_range){ { 0x1002 }, 512 };
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_WRITE, 0, &one, 1), STATUS_INVALID);
	device.read_only = true;
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_WRITE, 0, five, 1), STATUS_READ_ONLY);
	ck_assert_int_eq(block_device_transfer(&device, BLOCK_FLUSH, 0, NULL, 0), STATUS_OK);
}
END_TEST

START_TEST(block_devices_found)
{
	struct block_device first = test_device("first");
	struct block_device second = test_device("second");
	struct block_device_table table;

	block_device_table_init(&table);
	ck_assert_ptr_null(block_device_next(&table, NULL));
	block_device_register(&table, &first);
	block_device_register(&table, &second);
	ck_assert_ptr_eq(block_device_find(&table, "second"), &second);
	ck_assert_ptr_null(block_device_find(&table, "third"));
	ck_assert_ptr_eq(block_device_next(&table, NULL), &first);
	ck_assert_ptr_eq(block_device_next(&table, &first), &second);
	ck_assert_ptr_null(block_device_next(&table, &second));
	block_device_unregister(&table, &first);
	ck_assert_ptr_null(block_device_find(&table, "first"));
	ck_assert_ptr_eq(block_device_next(&table, NULL), &second);
}
END_TEST

/* Disks of two functions, beside a count of those who keep each. */
#define DISKS    5
#define KEPT_MAX 3

START_TEST(devices_are_retired_together_and_only_when_unused)
{
	static const struct device functions[2] = { { .name = "one" }, { .name = "two" } };
	struct block_device disks[DISKS];
	struct block_device_table table;
	uint32_t kept[DISKS] = { 0 };
	bool retired[2] = { false };
	struct random random;

	random_seed(&random, 3);
	block_device_table_init(&table);
	for (unsigned i = 0; i < DISKS; i++) {
		disks[i] = test_device("disk");
		disks[i].device = &functions[i % 2];
		block_device_register(&table, &disks[i]);
	}
	for (unsigned step = 0; step < 100000; step++) {
		const unsigned i = (unsigned)random_below(&random, DISKS);
		const unsigned choice = (unsigned)random_below(&random, 8);
		uint32_t all = 0;

		for (unsigned j = i % 2; j < DISKS; j += 2)
			all += kept[j];
		if (choice < 3 && kept[i] < KEPT_MAX) {
			ck_assert_int_eq(block_device_get(&disks[i]), retired[i % 2] ? STATUS_GONE : STATUS_OK);
			kept[i] += !retired[i % 2];
		} else if (choice < 7 && kept[i] > 0) {
			block_device_put(&disks[i]);
			kept[i]--;
		} else if (!retired[i % 2]) {
			ck_assert_int_eq(block_devices_retire(&table, &functions[i % 2]), all > 0 ? STATUS_BUSY : STATUS_OK);
			retired[i % 2] = all == 0;
		} else { /* probed again */
			for (unsigned j = i % 2; j < DISKS; j += 2)
				atomic_store(&disks[j].users, 0);
			retired[i % 2] = false;
		}
	}
}
END_TEST

struct removal {
	struct block_device_table table;
	struct block_device disk;
	_Atomic bool there; /* the driver is bound */
	_Atomic bool over;
};

static void keep_or_remove(void *context, unsigned index)
{
	struct removal *removal = context;

	while (index > 0 && !atomic_load(&removal->over)) {
		if (block_device_get(&removal->disk) != STATUS_OK)
			continue;
		ck_assert(atomic_load(&removal->there));
		platform_yield();
		ck_assert(atomic_load(&removal->there));
		block_device_put(&removal->disk);
		for (unsigned i = 0; i < 4; i++)
			platform_yield();
	}
	for (unsigned i = 0; index == 0 && i < 1000; i++) {
		while (block_devices_retire(&removal->table, NULL) != STATUS_OK)
			platform_yield();
		atomic_store(&removal->there, false);
		platform_yield();
		atomic_store(&removal->there, true);
		atomic_store(&removal->disk.users, 0);
		platform_yield();
	}
	if (index == 0)
		atomic_store(&removal->over, true);
}

START_TEST(threads_keep_no_device_that_is_retired)
{
	static struct removal removal;

	block_device_table_init(&removal.table);
	removal.disk = test_device("disk");
	block_device_register(&removal.table, &removal.disk);
	atomic_store(&removal.there, true);
	host_threads_run(2, keep_or_remove, &removal);
}
END_TEST

HOST_TEST_MAIN("base", list_keeps_order, bits_and_powers, bitmap_bits_stand_alone, bitmap_runs_and_counts_like_bit_by_bit,
	       crc_known_values, crc_like_bit_by_bit, numbers_are_sorted, options_found, options_as_numbers, status_texts,
	       block_requests_checked, block_devices_found, devices_are_retired_together_and_only_when_unused,
	       threads_keep_no_device_that_is_retired)
