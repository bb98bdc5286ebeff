// SPDX-License-Identifier: BSD-2-Clause
/* The loader, with a firmware made of fakes. */
#include "host/host_test.h"

#include <string.h>

#include "boot/loader.h"

#define DESCRIPTORS_MAX 300
#define PAGES_MAX       64

/* The firmware's descriptors may be larger than the structure that we know. */
struct descriptor {
	EFI_MEMORY_DESCRIPTOR known;
	uint64_t unknown;
};

#define DIRECT_LIMIT (1ull << 47)

static struct {
	struct descriptor map[DESCRIPTORS_MAX];
	UINTN map_count;
	UINTN key;
	EFI_STATUS map_status; /* of GetMemoryMap, from the call `map_fails_at` on */
	unsigned map_fails_at, map_calls;
	UINTN descriptor_bytes; /* what it says; 0: the truth */
	unsigned failing_exits; /* calls of ExitBootServices that still find a changed map */
	bool map_grows;
	unsigned exits;
	UINTN pages_given;
	const char *file; /* weir.cfg; NULL: there is none */
	EFI_TIME time;
	EFI_STATUS time_status;
} firmware;

static uint8_t pages_memory[PAGES_MAX][PAGE_BYTES] __attribute__((aligned(4096)));

static EFI_STATUS EFIAPI fake_get_memory_map(UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *descriptor_bytes,
					     UINT32 *version)
{
	const UINTN needed = firmware.map_count * sizeof(struct descriptor), given = *bytes;

	if (firmware.map_status != EFI_SUCCESS && firmware.map_calls++ >= firmware.map_fails_at)
		return firmware.map_status;
	*bytes = needed;
	*descriptor_bytes = firmware.descriptor_bytes ? firmware.descriptor_bytes : sizeof(struct descriptor);
	if (given < needed)
		return EFI_BUFFER_TOO_SMALL;
	memcpy(map, firmware.map, needed);
	*key = firmware.key;
	*version = 1;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_allocate_pages(EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN pages,
					     EFI_PHYSICAL_ADDRESS *address)
{
	ck_assert_int_eq(how, AllocateAnyPages);
	ck_assert_int_eq(type, EfiLoaderData);
	ck_assert_uint_le(firmware.pages_given + pages, PAGES_MAX);
	*address = (uintptr_t)pages_memory[firmware.pages_given];
	firmware.pages_given += pages;
	return EFI_SUCCESS;
}

static void map_add(uint32_t type, uint64_t start_page, uint64_t pages, uint64_t attributes)
{
	firmware.map[firmware.map_count++].known = (EFI_MEMORY_DESCRIPTOR){
		.Type = type,
		.PhysicalStart = start_page * PAGE_BYTES,
		.NumberOfPages = pages,
		.Attribute = attributes,
	};
}

static EFI_STATUS EFIAPI fake_exit_boot_services(EFI_HANDLE image, UINTN key)
{
	(void)image;
	firmware.exits++;
	if (firmware.failing_exits > 0) {
		firmware.failing_exits--;
		firmware.key++;
		firmware.map[0].known.NumberOfPages++;
		while (firmware.map_grows && firmware.map_count < DESCRIPTORS_MAX)
			map_add(EfiConventionalMemory, 1000 + 2 * firmware.map_count, 1, EFI_MEMORY_WB);
	}
	return key == firmware.key ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

static EFI_STATUS EFIAPI fake_read(struct _EFI_FILE_HANDLE *file, UINTN *bytes, void *buffer)
{
	const size_t length = strlen(firmware.file);

	(void)file;
	*bytes = length < *bytes ? length : *bytes;
	memcpy(buffer, firmware.file, *bytes);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_close(struct _EFI_FILE_HANDLE *file)
{
	(void)file;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_open(struct _EFI_FILE_HANDLE *directory, struct _EFI_FILE_HANDLE **file, CHAR16 *name,
				   UINT64 mode, UINT64 attributes)
{
	char text[16];

	(void)attributes;
	loader_copy_utf16(text, sizeof(text), name, sizeof(text));
	ck_assert_str_eq(text, "\\weir.cfg");
	ck_assert_uint_eq(mode, EFI_FILE_MODE_READ);
	*file = directory;
	return firmware.file ? EFI_SUCCESS : EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI fake_open_volume(struct _EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *file_system, struct _EFI_FILE_HANDLE **root)
{
	static struct _EFI_FILE_HANDLE file = { .Open = fake_open, .Close = fake_close, .Read = fake_read };

	(void)file_system;
	*root = &file;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_handle_protocol(EFI_HANDLE handle, EFI_GUID *protocol, void **interface)
{
	static EFI_SIMPLE_FILE_SYSTEM_PROTOCOL file_system = { .OpenVolume = fake_open_volume };

	(void)handle;
	(void)protocol;
	*interface = &file_system;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_get_time(EFI_TIME *time, EFI_TIME_CAPABILITIES *capabilities)
{
	(void)capabilities;
	*time = firmware.time;
	return firmware.time_status;
}

static EFI_BOOT_SERVICES services = {
	.GetMemoryMap = fake_get_memory_map,
	.AllocatePages = fake_allocate_pages,
	.ExitBootServices = fake_exit_boot_services,
	.HandleProtocol = fake_handle_protocol,
};
static EFI_LOADED_IMAGE image;
static EFI_RUNTIME_SERVICES runtime_services = { .GetTime = fake_get_time };
static EFI_SYSTEM_TABLE firmware_table = { .RuntimeServices = &runtime_services };
static const struct loader loader = { .system = &firmware_table, .services = &services, .image = &image };
static struct boot_info boot;

/* The memory map ------------------------------------------------------------------------------- */

static void map_convert(void)
{
	struct loader_map map = { 0 };
	UINTN key;

	boot.direct_limit = DIRECT_LIMIT;
	ck_assert_uint_eq(loader_map_prepare(&loader, &map), EFI_SUCCESS);
	ck_assert_uint_eq(loader_map_read(&loader, &map, &key), EFI_SUCCESS);
	loader_map_convert(&map, &boot);
}

static void range_check(uint32_t index, enum boot_memory_type type, uint64_t start_page, uint64_t pages)
{
	ck_assert_uint_lt(index, boot.memory_ranges);
	ck_assert_int_eq(boot.memory[index].type, type);
	ck_assert_uint_eq(boot.memory[index].range.start.value, start_page * PAGE_BYTES);
	ck_assert_uint_eq(boot.memory[index].range.bytes, pages * PAGE_BYTES);
}

START_TEST(map_is_sorted_and_merged)
{
	map_add(EfiConventionalMemory, 200, 50, EFI_MEMORY_WB);
	map_add(EfiBootServicesCode, 100, 60, EFI_MEMORY_WB);
	map_add(EfiLoaderData, 160, 40, EFI_MEMORY_WB);
	map_add(EfiRuntimeServicesData, 0, 10, EFI_MEMORY_WB | EFI_MEMORY_RUNTIME);
	boot.image = (struct phys_range){ { 0x700000000000 }, 0 };
	map_convert();
	range_check(0, BOOT_MEMORY_RUNTIME, 0, 10);
	range_check(1, BOOT_MEMORY_USABLE, 100, 150);
}
END_TEST

START_TEST(map_has_every_type)
{
	map_add(EfiReservedMemoryType, 10, 1, EFI_MEMORY_WB);
	map_add(EfiReservedMemoryType, 20, 1, EFI_MEMORY_UC);
	map_add(EfiACPIReclaimMemory, 30, 1, EFI_MEMORY_WB);
	map_add(EfiACPIMemoryNVS, 40, 1, EFI_MEMORY_WB);
	map_add(EfiMemoryMappedIO, 50, 1, EFI_MEMORY_UC);
	map_add(EfiUnusableMemory, 60, 1, EFI_MEMORY_WB);
	map_add(EfiConventionalMemory, 70, 1, EFI_MEMORY_WB | 0x40000); /* for a specific purpose */
	map_add(14, 80, 1, EFI_MEMORY_WB);                              /* persistent */
	map_add(0x80000000, 90, 1, EFI_MEMORY_WB);                      /* of an operating system's making */
	map_add(EfiConventionalMemory, 100, 1, EFI_MEMORY_WB | 0x8000); /* not volatile */
	map_add(EfiBootServicesData, 110, 1, EFI_MEMORY_WB | 0x100000); /* hot-pluggable */
	boot.image = (struct phys_range){ { 0x700000000000 }, 0 };
	map_convert();
	range_check(0, BOOT_MEMORY_RUNTIME, 10, 1);
	range_check(1, BOOT_MEMORY_MMIO, 20, 1);
	range_check(2, BOOT_MEMORY_ACPI, 30, 1);
	range_check(3, BOOT_MEMORY_RUNTIME, 40, 1);
	range_check(4, BOOT_MEMORY_MMIO, 50, 1);
	range_check(5, BOOT_MEMORY_BROKEN, 60, 1);
	range_check(6, BOOT_MEMORY_SPECIAL, 70, 1);
	range_check(7, BOOT_MEMORY_PERSISTENT, 80, 1);
	range_check(8, BOOT_MEMORY_MMIO, 90, 1);
	range_check(9, BOOT_MEMORY_PERSISTENT, 100, 1);
	range_check(10, BOOT_MEMORY_HOT_PLUG, 110, 1);
}
END_TEST

START_TEST(image_is_cut_out)
{
	map_add(EfiConventionalMemory, 100, 100, EFI_MEMORY_WB);
	map_add(EfiLoaderCode, 200, 50, EFI_MEMORY_WB);
	map_add(EfiLoaderCode, 250, 50, EFI_MEMORY_WB);
	boot.image = (struct phys_range){ { 210 * PAGE_BYTES }, 60 * PAGE_BYTES };
	map_convert();
	range_check(0, BOOT_MEMORY_USABLE, 100, 110);
	range_check(1, BOOT_MEMORY_KERNEL, 210, 60);
	range_check(2, BOOT_MEMORY_USABLE, 270, 30);
	ck_assert_int_eq(boot.memory[3].type, BOOT_MEMORY_KERNEL); /* the ranges themselves */
	ck_assert_uint_eq(boot.memory[3].range.start.value, (uintptr_t)boot.memory);
	ck_assert_uint_eq(boot.memory_ranges, 4);
}
END_TEST

static EFI_STATUS boot_services_leave(struct loader_map *map)
{
	EFI_STATUS status;

	boot.direct_limit = DIRECT_LIMIT;
	map_add(EfiConventionalMemory, 100, 100, EFI_MEMORY_WB);
	ck_assert_uint_eq(loader_map_prepare(&loader, map), EFI_SUCCESS);
	status = loader_exit_boot_services(&loader, map);
	if (status == EFI_SUCCESS)
		loader_map_convert(map, &boot);
	return status;
}

START_TEST(exit_tries_again_with_a_new_map)
{
	struct loader_map map = { 0 };

	firmware.failing_exits = 2;
	ck_assert_uint_eq(boot_services_leave(&map), EFI_SUCCESS);
	ck_assert_uint_eq(firmware.exits, 3);
	range_check(0, BOOT_MEMORY_USABLE, 100, 102);
}
END_TEST

/* Of all services only GetMemoryMap, AllocatePages and ExitBootServices are there. */
START_TEST(exit_tries_again_with_a_larger_map)
{
	struct loader_map map = { 0 };

	firmware.failing_exits = 1;
	firmware.map_grows = true;
	ck_assert_uint_eq(boot_services_leave(&map), EFI_SUCCESS);
	range_check(0, BOOT_MEMORY_USABLE, 100, 101);
	range_check(DESCRIPTORS_MAX - 1, BOOT_MEMORY_USABLE, 1000 + 2 * (DESCRIPTORS_MAX - 1), 1);
}
END_TEST

START_TEST(exit_gives_up)
{
	struct loader_map map = { 0 };

	firmware.failing_exits = 1000;
	ck_assert_uint_ne(boot_services_leave(&map), EFI_SUCCESS);
	ck_assert_uint_lt(firmware.exits, 100);
}
END_TEST

/* A map that cannot be read again ends the attempt: the key is an old one. */
START_TEST(exit_needs_a_map)
{
	struct loader_map map = { 0 };

	firmware.failing_exits = 1;
	firmware.map_status = EFI_DEVICE_ERROR;
	firmware.map_fails_at = 2; /* for the size, for the first exit, for the second one */
	ck_assert_uint_eq(boot_services_leave(&map), EFI_DEVICE_ERROR);
	ck_assert_uint_eq(firmware.exits, 1);
}
END_TEST

START_TEST(map_that_cannot_be_read)
{
	struct loader_map map = { 0 };
	UINTN key;

	map_add(EfiConventionalMemory, 100, 100, EFI_MEMORY_WB);
	firmware.map_status = EFI_UNSUPPORTED;
	ck_assert_uint_ne(loader_map_prepare(&loader, &map), EFI_SUCCESS);
	firmware.map_status = EFI_SUCCESS;
	ck_assert_uint_eq(loader_map_prepare(&loader, &map), EFI_SUCCESS);
	firmware.descriptor_bytes = sizeof(EFI_MEMORY_DESCRIPTOR) - 1;
	ck_assert_uint_ne(loader_map_read(&loader, &map, &key), EFI_SUCCESS);
	ck_assert_uint_ne(loader_map_prepare(&loader, &map), EFI_SUCCESS);
}
END_TEST

/* Two events and two ranges for each descriptor that fits, and for four of the loader's own. */
START_TEST(map_has_room_for_any_descriptors)
{
	for (UINTN count = 1; count < DESCRIPTORS_MAX; count += 13) {
		struct loader_map map = { 0 };
		uint64_t descriptors;

		firmware.map_count = count;
		firmware.pages_given = 0;
		ck_assert_uint_eq(loader_map_prepare(&loader, &map), EFI_SUCCESS);
		ck_assert_uint_ge(map.capacity_bytes * 3, count * sizeof(struct descriptor) * 5);
		descriptors = map.capacity_bytes / sizeof(EFI_MEMORY_DESCRIPTOR) + 4;
		ck_assert_uint_eq((uintptr_t)map.ranges, map.ranges_memory.start.value);
		ck_assert_uint_ge((uintptr_t)map.events - (uintptr_t)map.ranges, 2 * descriptors * sizeof(*map.ranges));
		ck_assert_uint_le((uintptr_t)(map.events + 2 * descriptors),
				  map.ranges_memory.start.value + map.ranges_memory.bytes);
	}
}
END_TEST

START_TEST(pool_is_the_kernels)
{
	map_add(EfiLoaderData, 100, 100, EFI_MEMORY_WB);
	ck_assert_uint_eq(loader_pool_alloc(&loader, PAGE_BYTES + 1, &boot), EFI_SUCCESS);
	ck_assert_uint_eq(boot.pool.bytes, 2 * PAGE_BYTES);
	map_convert();
	range_check(0, BOOT_MEMORY_USABLE, 100, 100);
	for (uint32_t i = 1; i < boot.memory_ranges; i++)
		ck_assert_int_eq(boot.memory[i].type, BOOT_MEMORY_KERNEL);
}
END_TEST

/* The command line ----------------------------------------------------------------------------- */

static void options_check(const CHAR16 *options, size_t units, const char *file, const char *line, const char *source)
{
	firmware.file = file;
	image.LoadOptions = (void *)options;
	image.LoadOptionsSize = (UINT32)(units * sizeof(*options));
	loader_find_command_line(&loader, &boot);
	ck_assert_str_eq(boot.command_line, line);
	ck_assert_str_eq(boot.command_line_source, source);
}

#define TEXT(text) (const CHAR16 *)L##text, sizeof(L##text) / sizeof(CHAR16)

START_TEST(options_of_every_kind)
{
	static const CHAR16 binary[] = { 0xac4e, 0xd6c1, 3, 4 };

	options_check(TEXT("a=1 b=2"), NULL, "a=1 b=2", "load options");
	options_check(TEXT("weir.efi a=1"), NULL, "a=1", "load options");
	options_check(TEXT("FS0:\\EFI\\BOOT\\BOOTX64.EFI  a=1"), NULL, "a=1", "load options");
	options_check(TEXT("disk=data.efi a=1"), NULL, "disk=data.efi a=1", "load options");
	options_check(TEXT("weir.efi"), "c=3", "c=3", "weir.cfg");
	options_check(TEXT(""), "c=3", "c=3", "weir.cfg");
	options_check(NULL, 0, "c=3", "c=3", "weir.cfg");
	options_check(binary, 4, "c=3", "c=3", "weir.cfg");
	options_check(binary, 4, NULL, "", "none");
	options_check((const CHAR16 *)L"a=12345", 4, NULL, "a=12", "load options"); /* without a NUL */
}
END_TEST

START_TEST(file_becomes_one_line)
{
	options_check(NULL, 0, "# comment\r\na=1\r\n\r\nb=2 # more\r\n", "a=1    b=2", "weir.cfg");
	options_check(NULL, 0,
		      "\xef\xbb\xbf"
		      "a=1\tb=\xc3\xa4\n",
		      "a=1 b=??", "weir.cfg");
	options_check(NULL, 0, "", "", "weir.cfg");
}
END_TEST

START_TEST(long_options_are_cut)
{
	static CHAR16 options[2 * BOOT_COMMAND_LINE_BYTES];

	for (size_t i = 0; i < 2 * BOOT_COMMAND_LINE_BYTES - 1; i++)
		options[i] = 'x';
	image.LoadOptions = options;
	image.LoadOptionsSize = sizeof(options);
	loader_find_command_line(&loader, &boot);
	ck_assert_uint_eq(strlen(boot.command_line), BOOT_COMMAND_LINE_BYTES - 1);
}
END_TEST

/* The clock ------------------------------------------------------------------------------------ */

static uint64_t clock_read(EFI_TIME time)
{
	firmware.time = time;
	boot.wall_ns = boot.wall_tsc = 0;
	loader_read_clock(&loader, &boot);
	return boot.wall_ns;
}

#define LEAP_EVE_SECONDS 1709164799ull /* 2024-02-28 23:59:59 */
#define LEAP_EVE         .Year = 2024, .Month = 2, .Day = 28, .Hour = 23, .Minute = 59, .Second = 59

START_TEST(clock_in_all_zones)
{
	const uint64_t utc = LEAP_EVE_SECONDS * NS_PER_S;

	ck_assert_uint_eq(clock_read((EFI_TIME){ LEAP_EVE, .TimeZone = 2047 }), utc);
	ck_assert_uint_ne(boot.wall_tsc, 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ LEAP_EVE, .Nanosecond = 999999999 }), utc + 999999999);
	/* Local time is UTC less the zone: what is west of Greenwich has a positive one. */
	for (int zone = -1440; zone <= 1440; zone++)
		ck_assert_int_eq((int64_t)(clock_read((EFI_TIME){ LEAP_EVE, .TimeZone = (INT16)zone }) - utc),
				 zone * 60 * (int64_t)NS_PER_S);
}
END_TEST

START_TEST(clock_that_makes_no_sense)
{
	ck_assert_uint_eq(clock_read((EFI_TIME){ 0 }), 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ LEAP_EVE, .TimeZone = 1441 }), 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ LEAP_EVE, .TimeZone = -1441 }), 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ LEAP_EVE, .Nanosecond = 1000000000 }), 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ .Year = 9999, .Month = 12, .Day = 31, .TimeZone = 2047 }), 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ .Year = 1970, .Month = 1, .Day = 1, .TimeZone = -60 }), 0);
	ck_assert_uint_eq(clock_read((EFI_TIME){ .Year = 2023, .Month = 2, .Day = 29, .TimeZone = 2047 }), 0);
	firmware.time_status = EFI_DEVICE_ERROR;
	ck_assert_uint_eq(clock_read((EFI_TIME){ LEAP_EVE, .TimeZone = 2047 }), 0);
}
END_TEST

HOST_TEST_MAIN("loader", map_is_sorted_and_merged, map_has_every_type, image_is_cut_out, exit_tries_again_with_a_new_map,
	       exit_tries_again_with_a_larger_map, exit_gives_up, exit_needs_a_map, map_that_cannot_be_read,
	       map_has_room_for_any_descriptors, pool_is_the_kernels, options_of_every_kind, file_becomes_one_line,
	       long_options_are_cut, clock_in_all_zones, clock_that_makes_no_sense)
