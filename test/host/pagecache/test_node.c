// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nodes made of extents: where their pages lie, what is refused, flushing, discarding and closing.
 */
#include "fake/cache_fixture.h"
#include "host/host_test.h"

#define PAGE(n) ((n)*PAGE_BYTES)

static struct cache_machine machine;

/* Three extents, the last page in part: node pages 0..3, 4..5, 6..8 at disk pages 100, 300, 50. */
static const struct extent extents[] = { { 0, PAGE(100), 4 }, { 4, PAGE(300), 2 }, { 6, PAGE(50), 3 } };
#define NODE_BYTES (8 * PAGE_BYTES + 100)

static uint64_t disk_page(uint64_t number)
{
	static const uint64_t pages[] = { 100, 101, 102, 103, 300, 301, 50, 51, 52 };

	return pages[number];
}

START_TEST(reads_and_writes_go_where_the_extents_say)
{
	static unsigned char data[NODE_BYTES], back[NODE_BYTES];
	struct node node;

	cache_machine_init(&machine, 16 * MIB, false);
	ck_assert_int_eq(node_open(&node, &machine.volume, extents, 3, NODE_BYTES), STATUS_OK);
	ck_assert_int_eq(node_read(&node, 0, back, sizeof(back)), STATUS_OK);
	for (uint64_t i = 0; i < NODE_BYTES; i++)
		ck_assert_uint_eq(back[i], machine.model[PAGE(disk_page(i / PAGE_BYTES)) + i % PAGE_BYTES]);
	for (uint64_t i = 0; i < NODE_BYTES; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	ck_assert_int_eq(node_write(&node, 10, data + 10, NODE_BYTES - 10), STATUS_OK);
	memcpy(data, back, 10);
	ck_assert_int_eq(node_flush(&node), STATUS_OK);
	for (uint64_t i = 0; i < NODE_BYTES; i++)
		ck_assert_uint_eq(machine.disk.data[PAGE(disk_page(i / PAGE_BYTES)) + i % PAGE_BYTES], data[i]);
	ck_assert_int_eq(node_read(&node, 1, back, NODE_BYTES), STATUS_RANGE);
	ck_assert_int_eq(node_write(&node, NODE_BYTES, back, 1), STATUS_RANGE);
	ck_assert_int_eq(node_close(&node, false), STATUS_OK);
	memcpy(machine.model, machine.disk.data, machine.disk.device.size_bytes);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(wrong_extents_are_refused)
{
	static const struct {
		struct extent extents[2];
		uint32_t count;
		uint64_t bytes;
		status_t status;
	} cases[] = {
		{ { { 0, 0, 1 } }, 1, 0, STATUS_INVALID },
		{ { { 1, 0, 1 } }, 1, PAGE_BYTES, STATUS_INVALID },
		{ { { 0, 0, 1 }, { 2, PAGE(1), 1 } }, 2, PAGE(2), STATUS_INVALID },
		{ { { 0, 0, 2 } }, 1, PAGE_BYTES, STATUS_INVALID },
		{ { { 0, 0, 1 } }, 1, PAGE(2), STATUS_INVALID },
		{ { { 0, 100, 1 } }, 1, PAGE_BYTES, STATUS_INVALID },
		{ { { 0, 16 * MIB, 1 } }, 1, PAGE_BYTES, STATUS_RANGE },
		{ { { 0, UINT64_MAX - 511, 1 } }, 1, PAGE_BYTES, STATUS_RANGE },
		{ { { 0, 16 * MIB - 512, 1 } }, 1, 512, STATUS_OK },
	};
	struct node node;

	cache_machine_init(&machine, 16 * MIB, false);
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		const status_t status = node_open(&node, &machine.volume, cases[i].extents, cases[i].count, cases[i].bytes);

		ck_assert_msg(status == cases[i].status, "case %u: %d", i, status);
		if (status == STATUS_OK)
			ck_assert_int_eq(node_close(&node, false), STATUS_OK);
	}
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(as_many_nodes_as_configured_and_ids_come_back)
{
	static struct node nodes[4];
	struct pagecache_config config = cache_machine_config;
	const struct extent extent = { 0, 0, 1 };

	config.nodes = 4;
	cache_machine_init_config(&machine, MIB, false, &config);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(node_open(&nodes[i], &machine.volume, &extent, 1, PAGE_BYTES), STATUS_OK);
	ck_assert_int_eq(node_open(&nodes[3], &machine.volume, &extent, 1, PAGE_BYTES), STATUS_NO_MEMORY);
	ck_assert_int_eq(node_close(&nodes[1], false), STATUS_OK);
	ck_assert_int_eq(node_open(&nodes[3], &machine.volume, &extent, 1, PAGE_BYTES), STATUS_OK);
	ck_assert_uint_eq(nodes[3].id, nodes[1].id);
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			ck_assert_int_eq(node_close(&nodes[i], false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(discarded_writes_are_forgotten_and_the_rest_is_not)
{
	struct node *node = &machine.volume.node;
	unsigned char page[PAGE_BYTES];

	cache_machine_init(&machine, MIB, false);
	memset(page, 0xee, sizeof(page));
	for (uint64_t number = 0; number < 8; number++)
		ck_assert_int_eq(node_write(node, PAGE(number), page, PAGE_BYTES), STATUS_OK);
	/* Only pages that lie wholly in the range: 2 to 4. */
	ck_assert_int_eq(node_discard(node, PAGE(1) + 1, PAGE(4)), STATUS_OK);
	ck_assert_int_eq(node_discard(node, PAGE(200), PAGE(100)), STATUS_RANGE);
	for (uint64_t number = 0; number < 8; number++)
		if (number < 2 || number > 4)
			memset(machine.model + PAGE(number), 0xee, PAGE_BYTES);
	cache_machine_read(&machine, 0, PAGE(8));
	cache_machine_fini(&machine);
}
END_TEST

/* Blocks that a discard has emptied hold nothing back. */
START_TEST(emptied_blocks_are_given)
{
	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	ck_assert_int_eq(node_discard(&machine.volume.node, 0, DISK_BYTES), STATUS_OK);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->cached_pages, 0);
	ck_assert_uint_eq(memory_drain(&machine.memory, 10 * BLOCK_BYTES, true), 10 * BLOCK_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_failure_is_told_to_its_node_only)
{
	const struct extent first = { 0, 0, 16 }, second = { 0, PAGE(16), 16 };
	unsigned char page[PAGE_BYTES] = { 1 };
	struct node bad, good;

	cache_machine_init(&machine, MIB, false);
	ck_assert_int_eq(node_open(&bad, &machine.volume, &first, 1, PAGE(16)), STATUS_OK);
	ck_assert_int_eq(node_open(&good, &machine.volume, &second, 1, PAGE(16)), STATUS_OK);
	ck_assert_int_eq(node_write(&bad, PAGE(3), page, PAGE_BYTES), STATUS_OK);
	ck_assert_int_eq(node_write(&good, PAGE(3), page, PAGE_BYTES), STATUS_OK);
	machine.disk.fail_status = STATUS_IO_ERROR;
	machine.disk.fail_start = PAGE(3);
	machine.disk.fail_end = PAGE(4);
	machine.disk.fail_writes = true;
	ck_assert_int_eq(node_flush(&bad), STATUS_IO_ERROR);
	ck_assert_int_eq(node_flush(&good), STATUS_OK);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_int_eq(node_close(&bad, false), STATUS_IO_ERROR);
	ck_assert_int_eq(node_close(&good, false), STATUS_OK);
	ck_assert_int_eq(node_close(&bad, true), STATUS_IO_ERROR);
	memcpy(machine.model + PAGE(19), page, PAGE_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_device_that_is_gone_takes_no_writes)
{
	unsigned char page[PAGE_BYTES] = { 1 };

	cache_machine_init(&machine, MIB, false);
	cache_machine_read(&machine, 0, PAGE(4));
	atomic_store(&machine.disk.device.gone, true);
	ck_assert_int_eq(node_write(&machine.volume.node, 0, page, sizeof(page)), STATUS_GONE);
	cache_machine_read(&machine, 0, PAGE(4)); /* what is cached is still there */
	cache_machine_fini(&machine);
}
END_TEST

/*
 * Each volume counts, one that could not be attached does not, and afterwards there is nothing to
 * attach to.
 */
START_TEST(a_disk_with_volumes_cannot_be_removed)
{
	const struct volume_config config = { .preference = 50 };
	struct block_device_table table;
	struct volume half, same;

	cache_machine_init(&machine, 4 * MIB, false);
	block_device_table_init(&table);
	block_device_register(&table, &machine.disk.device);
	cache_machine_shrink(&machine, 2 * MIB);
	ck_assert_int_eq(volume_attach(&half, &machine.pagecache, &machine.disk.device, "half", 2 * MIB, 2 * MIB, &config),
			 STATUS_OK);
	ck_assert_int_eq(volume_attach(&same, &machine.pagecache, &machine.disk.device, "half", 2 * MIB, MIB, &config),
			 STATUS_INVALID);
	ck_assert_int_eq(block_devices_retire(&table, NULL), STATUS_BUSY);
	cache_machine_read(&machine, 0, MIB);
	ck_assert_int_eq(volume_detach(&machine.volume, false), STATUS_OK);
	ck_assert_int_eq(block_devices_retire(&table, NULL), STATUS_BUSY);
	ck_assert_int_eq(volume_detach(&half, false), STATUS_OK);
	ck_assert_int_eq(block_devices_retire(&table, NULL), STATUS_OK);
	ck_assert_int_eq(volume_attach(&half, &machine.pagecache, &machine.disk.device, "half", 2 * MIB, 2 * MIB, &config),
			 STATUS_GONE);
	cache_machine_free(&machine);
}
END_TEST

HOST_TEST_MAIN("node", a_disk_with_volumes_cannot_be_removed, a_device_that_is_gone_takes_no_writes,
	       reads_and_writes_go_where_the_extents_say, wrong_extents_are_refused,
	       as_many_nodes_as_configured_and_ids_come_back, discarded_writes_are_forgotten_and_the_rest_is_not,
	       emptied_blocks_are_given, a_failure_is_told_to_its_node_only)
