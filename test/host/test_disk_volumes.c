// SPDX-License-Identifier: BSD-2-Clause
/*
 * Volumes of disks: what is attached, with which values, what excludes what, and changes while they
 * are in use.
 */
#include <stdio.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "runtime/base/crc32.h"
#include "runtime/base/options.h"
#include "disk_volumes.h"

#define SMALL_DISK   (4 * MIB)
#define SECTOR_BYTES 512
#define SECTORS      (SMALL_DISK / SECTOR_BYTES)
#define ENTRIES      128

static struct cache_machine machine;
static struct fake_block disks[2];
static struct block_device_table disk_table;
static struct command_table command_table;
static struct volumes volumes;
static char output[8192];

/* Disks ---------------------------------------------------------------------------------------- */

static void put(struct fake_block *disk, uint64_t offset, uint64_t value, size_t bytes)
{
	memcpy(disk->data + offset, &value, bytes);
}

static void entry_put(struct fake_block *disk, unsigned index, uint64_t first, uint64_t last, const char *label)
{
	const uint64_t offset = 2 * SECTOR_BYTES + index * 128;

	put(disk, offset, 0x1234, 8);
	for (unsigned i = 0; i < 16; i++)
		put(disk, offset + 16 + i, 0x10 * index + i + 1, 1);
	put(disk, offset + 32, first, 8);
	put(disk, offset + 40, last, 8);
	for (unsigned i = 0; label[i] != '\0'; i++)
		put(disk, offset + 56 + 2 * i, (unsigned char)label[i], 2);
}

static const char *first_label = "first one";

/*
 * Partitions 1 "first one" and 2 "second"; the second label has a letter of two bytes, and one of
 * three.
 */
static void gpt_put(struct fake_block *disk)
{
	put(disk, 446 + 4, 0xee, 1);
	put(disk, 446 + 8, 1, 4);
	put(disk, 446 + 12, SECTORS - 1, 4);
	put(disk, 510, 0xaa55, 2);
	entry_put(disk, 0, 64, 2047, first_label);
	entry_put(disk, 1, 2048, 4095, "second");
	put(disk, 2 * SECTOR_BYTES + 128 + 56, 0xe9, 2);
	put(disk, 2 * SECTOR_BYTES + 128 + 58, 0x20ac, 2);
	memcpy(disk->data + SECTOR_BYTES, "EFI PART", 8);
	put(disk, SECTOR_BYTES + 12, 92, 4);
	put(disk, SECTOR_BYTES + 24, 1, 8);
	put(disk, SECTOR_BYTES + 32, SECTORS - 1, 8);
	put(disk, SECTOR_BYTES + 40, 34, 8);
	put(disk, SECTOR_BYTES + 48, SECTORS - 34, 8);
	put(disk, SECTOR_BYTES + 72, 2, 8);
	put(disk, SECTOR_BYTES + 80, ENTRIES, 4);
	put(disk, SECTOR_BYTES + 84, 128, 4);
	put(disk, SECTOR_BYTES + 88, crc32_update(0, disk->data + 2 * SECTOR_BYTES, ENTRIES * 128), 4);
	put(disk, SECTOR_BYTES + 16, crc32_update(0, disk->data + SECTOR_BYTES, 92), 4);
}

static void disks_init(void)
{
	static const char *const names[] = { "nvme0n1", "virtio0" };
	static const char *const serials[] = { "  S 1234 ", "WD-99\0rest" };

	cache_machine_init(&machine, SMALL_DISK, false);
	block_device_table_init(&disk_table);
	for (unsigned i = 0; i < ARRAY_LENGTH(disks); i++) {
		fake_block_init(&disks[i], SMALL_DISK, false);
		memset(disks[i].data, 0, SMALL_DISK);
		disks[i].device.name = names[i];
		block_device_set_serial(&disks[i].device, serials[i], 10);
		block_device_register(&disk_table, &disks[i].device);
	}
	gpt_put(&disks[1]);
	output[0] = '\0';
	host_output_capture(output, sizeof(output));
}

static void start(const char *table, const char *command_line)
{
	static const struct volume_config defaults = { .preference = 50, .keep_bytes = MIB, .retain_bytes = 2 * MIB };

	volumes_start(&volumes, &machine.memory, &machine.pagecache, &disk_table, &defaults, table, command_line);
	command_table_init(&command_table);
	volumes_commands_register(&volumes, &command_table);
}

static void disks_fini(void)
{
	struct volume *volume;

	for (unsigned i = 0; i < ARRAY_LENGTH(disks); i++) {
		char name[VOLUME_NAME_BYTES];

		for (unsigned part = 0; part < 3; part++) {
			snprintf(name, sizeof(name), part == 0 ? "%s" : "%sp%u", disks[i].device.name, part);
			volume = volume_find(&machine.pagecache, name);
			if (!volume)
				continue;
			ck_assert_int_eq(volume_detach(volume, false), STATUS_OK);
			heap_free(memory_general_heap(&machine.memory), volume); /* the first member of what was allocated */
		}
	}
	host_output_capture(NULL, 0);
	cache_machine_fini(&machine);
	for (unsigned i = 0; i < ARRAY_LENGTH(disks); i++)
		fake_block_fini(&disks[i]);
}

static struct volume_config config_of(const char *name)
{
	struct volume *volume = volume_find(&machine.pagecache, name);

	ck_assert_msg(volume, "there is no %s: %s", name, output);
	return volume_configuration(volume);
}

static status_t command(const char *text)
{
	char line[256];

	output[0] = '\0';
	host_output_capture(output, sizeof(output));
	snprintf(line, sizeof(line), "%s", text);
	return command_execute(&command_table, line);
}

static void expect_output(const char *part)
{
	ck_assert_msg(strstr(output, part), "\"%s\" is not in: %s", part, output);
}

/* Starting ------------------------------------------------------------------------------------- */

START_TEST(partitions_are_attached_or_the_disk_as_a_whole)
{
	disks_init();
	start("", "");
	ck_assert_ptr_nonnull(volume_find(&machine.pagecache, "nvme0n1"));
	ck_assert_ptr_null(volume_find(&machine.pagecache, "virtio0"));
	ck_assert_uint_eq(volume_find(&machine.pagecache, "virtio0p1")->start_bytes, 64 * SECTOR_BYTES);
	ck_assert_uint_eq(volume_find(&machine.pagecache, "virtio0p2")->bytes, 2048 * SECTOR_BYTES);
	ck_assert_uint_eq(config_of("virtio0p2").preference, 50);
	ck_assert_str_eq(output, "");
	disks_fini();

	disks_init();
	start("serial=WD-99 whole=1", "");
	ck_assert_uint_eq(volume_find(&machine.pagecache, "virtio0")->bytes, SMALL_DISK);
	ck_assert_ptr_null(volume_find(&machine.pagecache, "virtio0p1"));
	ck_assert_str_eq(output, "");
	disks_fini();
}
END_TEST

START_TEST(rules_of_the_table_and_of_the_command_line_count)
{
	disks_init();
	start("'S 1234' preference=1 retain=0; label='first one' cache_min=2M preference=2 read_only=1;"
	      "guid=14131211-1615-1817-191a-1b1c1d1e1f20 preference=3",
	      "loops=1 volumes=\"virtio0 preference=9; 'label=\xc3\xa9\xe2\x82\xac"
	      "cond' retain=1M; nvme0 preference=4; nvme0n1 retian=5\" monitor=1");
	ck_assert_uint_eq(config_of("nvme0n1").preference, 1);
	ck_assert_uint_eq(config_of("nvme0n1").retain_bytes, 0);
	ck_assert_uint_eq(config_of("virtio0p1").preference, 9);
	ck_assert_uint_eq(config_of("virtio0p1").keep_bytes, 2 * MIB);
	ck_assert(config_of("virtio0p1").read_only && !config_of("virtio0p2").read_only);
	ck_assert_uint_eq(config_of("virtio0p2").preference, 9);
	ck_assert_uint_eq(config_of("virtio0p2").retain_bytes, MIB);
	expect_output("volumes=: there is no volume nvme0; the nearest name is nvme0n1");
	expect_output("volumes=: there is no retian=; the nearest one is retain=; this rule is not used");
	ck_assert_ptr_null(strstr(output, "PAGECACHE_VOLUMES"));
	disks_fini();
}
END_TEST

START_TEST(a_cache_minimum_beyond_half_of_the_memory_is_refused)
{
	disks_init();
	start("nvme0n1 cache_min=1T; virtio0 cache_min=20M", "");
	expect_output("volume nvme0n1: cache_min is 1 TB");
	ck_assert_uint_eq(config_of("nvme0n1").keep_bytes, MIB);
	ck_assert_uint_eq(config_of("virtio0p1").keep_bytes, 20 * MIB);
	ck_assert_uint_eq(config_of("virtio0p2").keep_bytes, MIB); /* 4, 1 and 20 MB are kept, of 40 */
	disks_fini();
}
END_TEST

/* What "disk" and the first one keep is half of the memory. */
START_TEST(the_cache_minimums_of_all_volumes_are_at_most_half_of_the_memory)
{
	disks_init();
	start("nvme0n1 cache_min=36M; virtio0p2 cache_min=3M", "");
	ck_assert_uint_eq(config_of("nvme0n1").keep_bytes, 36 * MIB);
	ck_assert_uint_eq(config_of("virtio0p1").keep_bytes, 0);
	ck_assert_uint_eq(config_of("virtio0p2").keep_bytes, 0);
	expect_output("volume virtio0p2: cache_min is 3 MB, and of half of the memory other volumes leave 0");
	ck_assert_int_eq(command("volumes set nvme0n1 cache_min=30M"), STATUS_OK);
	ck_assert_int_eq(command("volumes set virtio0p1 cache_min=6M"), STATUS_OK);
	disks_fini();
}
END_TEST

START_TEST(a_run_does_not_begin_with_wrong_rules)
{
	char line[700] = "volumes=\"virtio0 preference=5;";

	host_output_capture(output, sizeof(output));
	ck_assert(options_check("volumes=\"virtio0 preference=5; serial='a b' retain=0\""));
	ck_assert_str_eq(output, "");
	ck_assert(!options_check("volumes=\"virtio0 preference=5; serial='a b' retian=0\""));
	expect_output("volumes=: there is no retian=; the nearest one is retain=");
	ck_assert(!options_check("volumes=virtio0"));
	memset(line + strlen(line), ' ', 600);
	ck_assert(!options_check(line));
	expect_output("volumes=: it has more than 510 letters, and is cut off");
	host_output_capture(NULL, 0);
}
END_TEST

/* Commands ------------------------------------------------------------------------------------- */

START_TEST(values_are_set_at_run_time)
{
	disks_init();
	start("", "");
	ck_assert_int_eq(command("volumes set virtio0 preference=10 cache_min=3M"), STATUS_OK);
	ck_assert_str_eq(output, "virtio0p1: preference 10, cache_min 3 MB, retain 2 MB\n"
				 "virtio0p2: preference 10, cache_min 3 MB, retain 2 MB\n");
	ck_assert_int_eq(command("volumes set label='first one' retain=0"), STATUS_OK);
	ck_assert_uint_eq(config_of("virtio0p1").retain_bytes, 0);
	ck_assert_uint_eq(config_of("virtio0p1").keep_bytes, 3 * MIB);
	ck_assert_uint_eq(config_of("virtio0p2").retain_bytes, 2 * MIB);
	ck_assert_uint_eq(config_of("nvme0n1").preference, 50);
	ck_assert_int_eq(command("volumes names"), STATUS_OK);
	expect_output("virtio0p1        virtio0      WD-99                  04030201-0605-0807-090a-0b0c0d0e0f10 first one\n");
	expect_output("nvme0n1          nvme0n1      S 1234 ");
	disks_fini();
}
END_TEST

START_TEST(what_cannot_be_set_is_refused_with_a_reason)
{
	static const struct {
		const char *line, *reason;
	} wrong[] = {
		{ "volumes set", "usage: volumes set VOLUME" },
		{ "volumes set virtio0", "a rule sets something" },
		{ "volumes set vitrio0 preference=1", "there is no volume vitrio0; the nearest name is virtio0" },
		{ "volumes set label=frist preference=1", "there is no volume frist; the nearest name is first one" },
		{ "volumes set virtio0 prefrence=1", "there is no prefrence=; the nearest one is preference=" },
		{ "volumes set virtio0 preference=101", "preference=101: it is 0 (gives first) to 100" },
		{ "volumes set virtio0 cache_min=lots", "cache_min=lots: it is a number of bytes" },
		{ "volumes set virtio0 cache_min=18M", "half of the memory, 40 MB, is the most" },
		{ "volumes set virtio0 cache_min=18446744073709551615", "half of the memory, 40 MB, is the most" },
		{ "volumes set virtio0 retain=65M", "retain=65M: it is a number of bytes up to 64M" },
		{ "volumes set virtio0 read_only=1", "read_only= and whole= are for config.h and the command line" },
		{ "volumes set preference=1", "a rule begins with the volume" },
	};

	disks_init();
	start("", "");
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		ck_assert_int_eq(command(wrong[i].line), STATUS_INVALID);
		expect_output(wrong[i].reason);
		ck_assert_uint_eq(config_of("virtio0p1").preference, 50);
		ck_assert_uint_eq(config_of("virtio0p1").keep_bytes, MIB);
		ck_assert_uint_eq(config_of("virtio0p1").retain_bytes, 2 * MIB);
	}
	disks_fini();
}
END_TEST

START_TEST(tab_knows_volumes_and_settings)
{
	static const char *const lines[] = { "volumes set virtio0p2", "volumes set disk",
					     "volumes set virtio0p2 cache_min=", "volumes set virtio0p2 retain=" };
	char text[COMMAND_LINE_BYTES];

	disks_init();
	start("", "");
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		const size_t typed = i < 2 ? 12 : 22;
		const char *found;
		unsigned index = 0;

		while ((found = command_candidate(&command_table, lines[i], typed, index, text)) != NULL &&
		       strcmp(found, lines[i]) != 0)
			index++;
		ck_assert_msg(found, "%s", lines[i]);
	}
	disks_fini();
}
END_TEST

/* Volumes that share sectors ------------------------------------------------------------------- */

#define PLACES 12

/* One that is attached, as the obvious model knows it. */
struct place {
	struct volume volume;
	bool attached, read_only;
	unsigned disk;
	uint64_t start, end;
};

static bool may_be_attached(const struct place *places, const struct place *wanted)
{
	for (unsigned i = 0; i < PLACES; i++)
		for (uint64_t sector = wanted->start; places[i].attached && sector < wanted->end; sector += SECTOR_BYTES)
			if (places[i].disk == wanted->disk && sector >= places[i].start && sector < places[i].end &&
			    !(places[i].read_only && wanted->read_only))
				return false;
	return true;
}

static void attach_any(struct place *places, struct place *place, struct random *random)
{
	const struct volume_config config = { .preference = 50, .read_only = random_below(random, 2) == 0 };
	const unsigned first = (unsigned)random_below(random, 64), last = first + (unsigned)random_below(random, 64 - first);
	char name[2] = { (char)('a' + (place - places)), 0 };
	bool possible;

	place->disk = (unsigned)random_below(random, ARRAY_LENGTH(disks));
	place->read_only = config.read_only || disks[place->disk].device.read_only;
	place->start = first * SECTOR_BYTES;
	place->end = (last + 1) * SECTOR_BYTES;
	possible = may_be_attached(places, place);
	ck_assert_int_eq(volume_attach(&place->volume, &machine.pagecache, &disks[place->disk].device, name, place->start,
				       place->end - place->start, &config),
			 possible ? STATUS_OK : STATUS_BUSY);
	place->attached = possible;
}

/* What is written through one volume is what any other one reads of these sectors, at any time. */
static void use_any(struct place *place, struct random *random)
{
	const uint64_t bytes = place->end - place->start, offset = random_below(random, bytes);
	const size_t length = random_below(random, bytes - offset) + 1;
	unsigned char *model = machine.model + place->disk * 64 * SECTOR_BYTES + place->start + offset;
	unsigned char buffer[64 * SECTOR_BYTES];

	if (random_below(random, 2)) {
		memset(buffer, (int)random_next(random), length);
		ck_assert_int_eq(node_write(&place->volume.node, offset, buffer, length),
				 place->read_only ? STATUS_READ_ONLY : STATUS_OK);
		if (!place->read_only)
			memcpy(model, buffer, length);
	}
	ck_assert_int_eq(node_read(&place->volume.node, offset, buffer, length), STATUS_OK);
	ck_assert_int_eq(memcmp(buffer, model, length), 0);
}

START_TEST(volumes_never_show_each_other_stale_data)
{
	static struct place places[PLACES];
	struct random random;
	unsigned refused = 0;

	disks_init();
	random_seed(&random, 3);
	for (unsigned i = 0; i < ARRAY_LENGTH(disks); i++)
		memcpy(machine.model + i * 64 * SECTOR_BYTES, disks[i].data, 64 * SECTOR_BYTES);
	for (unsigned step = 0; step < 20000; step++) {
		struct place *place = &places[random_below(&random, PLACES)];

		if (place->attached && random_below(&random, 8) > 0) {
			use_any(place, &random);
		} else if (place->attached) {
			ck_assert_int_eq(volume_detach(&place->volume, false), STATUS_OK);
			place->attached = false;
		} else {
			attach_any(places, place, &random);
			refused += !place->attached;
			output[0] = '\0';
			host_output_capture(output, sizeof(output));
		}
	}
	ck_assert_uint_gt(refused, 1000);
	for (unsigned i = 0; i < PLACES; i++)
		if (places[i].attached)
			ck_assert_int_eq(volume_detach(&places[i].volume, false), STATUS_OK);
	memcpy(machine.model, machine.disk.data, SMALL_DISK);
	disks_fini();
}
END_TEST

START_TEST(nothing_writes_through_a_read_only_volume)
{
	const struct volume_config config = { .read_only = true };
	static unsigned char page[PAGE_BYTES];
	struct phys_range segment;
	struct mapping *mapping;
	struct volume volume, whole;

	disks_init();
	segment = (struct phys_range){ host_arena_range(machine.arena).start, PAGE_BYTES };
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &disks[0].device, "part", MIB, MIB, &config), STATUS_OK);
	ck_assert_int_eq(volume_attach(&whole, &machine.pagecache, &disks[0].device, "all", 0, SMALL_DISK, &config), STATUS_OK);
	ck_assert_int_eq(node_write(&volume.node, 0, page, PAGE_BYTES), STATUS_READ_ONLY);
	ck_assert_int_eq(node_direct(&volume.node, BLOCK_WRITE, 0, &segment, 1), STATUS_READ_ONLY);
	ck_assert_int_eq(node_map(&volume.node, 0, PAGE_BYTES, MAP_WRITE, &mapping), STATUS_READ_ONLY);
	ck_assert_int_eq(volume_flush(&volume), STATUS_OK);
	ck_assert_uint_eq(atomic_load(&disks[0].writes), 0);
	ck_assert_int_eq(volume_detach(&whole, false), STATUS_OK);
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_OK);
	disks_fini();
}
END_TEST

START_TEST(a_refusal_names_the_volume_that_is_in_the_way)
{
	const struct volume_config config = { .preference = 50 };
	struct volume whole;

	disks_init();
	start("", "");
	ck_assert_int_eq(volume_attach(&whole, &machine.pagecache, &disks[1].device, "virtio0", 0, SMALL_DISK, &config),
			 STATUS_BUSY);
	expect_output("volume virtio0: it shares sectors with virtio0p");
	disks_fini();
}
END_TEST

/* 0x9b begins a command of many terminals, as escape and a bracket do. */
START_TEST(what_terminals_obey_is_not_in_a_label)
{
	first_label = "a\x1b[2Jb\x7f\x80\x9b\x9f\xa0z";
	disks_init();
	start("", "");
	ck_assert_int_eq(command("volumes names"), STATUS_OK);
	expect_output(" a?[2Jb????\xc2\xa0z\n");
	ck_assert_int_eq(command("volumes set 'label=a?[2Jb????\xc2\xa0z' preference=7"), STATUS_OK);
	ck_assert_uint_eq(config_of("virtio0p1").preference, 7);
	disks_fini();
}
END_TEST

HOST_TEST_MAIN("disk_volumes", partitions_are_attached_or_the_disk_as_a_whole, rules_of_the_table_and_of_the_command_line_count,
	       a_cache_minimum_beyond_half_of_the_memory_is_refused,
	       the_cache_minimums_of_all_volumes_are_at_most_half_of_the_memory, a_run_does_not_begin_with_wrong_rules,
	       values_are_set_at_run_time, what_cannot_be_set_is_refused_with_a_reason, tab_knows_volumes_and_settings,
	       volumes_never_show_each_other_stale_data, nothing_writes_through_a_read_only_volume,
	       a_refusal_names_the_volume_that_is_in_the_way, what_terminals_obey_is_not_in_a_label)
