// SPDX-License-Identifier: BSD-2-Clause
/* Looking up addresses in the memory map, beside a walk over all ranges page by page. */
#include "host/host_test.h"

#include "runtime/base/boot_info.h"
#include "runtime/base/random.h"
#include "runtime/kernel/memory_map.h"

#define RANGES 12u
#define PAGES  100u

static struct boot_memory_range ranges[RANGES];
static struct boot_info boot = { .memory = ranges };

/* Ranges with and without holes between them. */
static void map_make(struct random *random)
{
	uint64_t page = 0;

	boot.memory_ranges = (uint32_t)random_below(random, RANGES + 1);
	for (uint32_t i = 0; i < boot.memory_ranges; i++) {
		const uint64_t pages = 1 + random_below(random, 6);

		page += random_below(random, 2) * random_below(random, 5);
		ranges[i] = (struct boot_memory_range){ { { page * PAGE_BYTES }, pages * PAGE_BYTES },
							(enum boot_memory_type)random_below(random, BOOT_MEMORY_TYPES) };
		page += pages;
	}
	memory_map_init(&boot);
}

static bool byte_is_ram(uint64_t address)
{
	for (uint32_t i = 0; i < boot.memory_ranges; i++) {
		const enum boot_memory_type type = ranges[i].type;

		if (address - ranges[i].range.start.value < ranges[i].range.bytes)
			return type == BOOT_MEMORY_USABLE || type == BOOT_MEMORY_KERNEL || type == BOOT_MEMORY_ACPI;
	}
	return false;
}

START_TEST(ram_is_found_in_any_range)
{
	struct random random;

	random_seed(&random, 1);
	for (unsigned round = 0; round < 20000; round++) {
		/* As a BAR has it, and any bytes. */
		const uint64_t unit = random_below(&random, 2) ? PAGE_BYTES : 1 + random_below(&random, 2000);
		const uint64_t start = random_below(&random, PAGES * PAGE_BYTES / unit) * unit;
		const uint64_t bytes = random_below(&random, 12) * unit;
		bool has_ram = false;

		map_make(&random);
		for (uint64_t address = start; address < start + bytes; address = (address / PAGE_BYTES + 1) * PAGE_BYTES)
			has_ram = has_ram || byte_is_ram(address);
		ck_assert_int_eq(memory_map_has_ram((struct phys_addr){ start }, bytes), has_ram);
	}
}
END_TEST

START_TEST(far_addresses_are_no_ram)
{
	struct random random;

	random_seed(&random, 2);
	map_make(&random);
	ck_assert(!memory_map_has_ram((struct phys_addr){ UINT64_MAX - PAGE_BYTES }, PAGE_BYTES));
	ck_assert(!memory_map_has_ram((struct phys_addr){ 65ull << 40 }, 1ull << 40));
}
END_TEST

HOST_TEST_MAIN("memory map", ram_is_found_in_any_range, far_addresses_are_no_ram)
