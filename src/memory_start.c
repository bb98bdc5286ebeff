// SPDX-License-Identifier: BSD-2-Clause
/*
 * From the ranges that the loader left to the memory runtime: where its metadata lies, and which
 * values follow the size of the machine. What config.h leaves open, as 0, is chosen here; what is
 * too much for this machine is refused or cut.
 */
#include "memory_start.h"

#include "heap/memory.h"
#include "runtime/base/bits.h"
#include "runtime/base/config_value.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "runtime/kernel/boot_heap.h"

#define GUARANTEE_SHARE 8 /* of the memory, at most */

/*
 * The heap has a descriptor for each block between its first and its last one. So RAM that is far
 * from all other is left out if these would take more than this share of the memory.
 */
#define DESCRIPTORS_SHARE 32

/* Metadata of the block heap: from the fragments, or else cut off the end of the largest range. */
static void *metadata_take(struct phys_range *ranges, size_t count)
{
	const uint64_t bytes = memory_metadata_bytes(ranges, (uint32_t)count);
	void *metadata = heap_alloc(boot_heap(), bytes, PAGE_BYTES);
	struct phys_range *largest = ranges;

	if (metadata)
		return metadata;
	for (size_t i = 1; i < count; i++)
		if (ranges[i].bytes > largest->bytes)
			largest = &ranges[i];
	largest->bytes -= MIN(largest->bytes, align_up(bytes, BLOCK_BYTES));
	return platform_virt((struct phys_addr){ largest->start.value + largest->bytes });
}

static uint64_t ranges_bytes(const struct phys_range *ranges, size_t count)
{
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all += ranges[i].bytes;
	return all;
}

/* Watermarks that config.h leaves open follow the size of the memory. */
static void watermarks_choose(struct watermarks *watermarks, uint64_t all)
{
	if (watermarks->min_bytes == 0)
		watermarks->min_bytes =
			MIN(MIN(MAX(all / 512, 8 * MIB), 64 * MIB), watermarks->low_bytes == 0 ? all : watermarks->low_bytes);
	if (watermarks->low_bytes == 0)
		watermarks->low_bytes = MAX(MIN(MAX(all / 128, 32 * MIB), 256 * MIB), watermarks->min_bytes);
	if (watermarks->high_bytes == 0)
		watermarks->high_bytes = watermarks->low_bytes + MAX(watermarks->min_bytes / 4, 4 * MIB);
}

static uint64_t guarantee_bytes(const struct memory_config *config, const char *command_line, uint64_t all)
{
	const uint64_t wanted = options_get_number(command_line, "guarantee", config->guarantee.bytes);

	const uint64_t given = align_down(MIN(wanted, all / GUARANTEE_SHARE), config->guarantee.piece_bytes);

	if (wanted > given)
		log_warn("memory: the DMA guarantee is %s, not %s: it has at most an eighth of the memory, in whole pieces",
			 format_bytes((char[FORMAT_BYTES_SIZE]){ 0 }, given),
			 format_bytes((char[FORMAT_BYTES_SIZE]){ 0 }, wanted));
	return given;
}

/*
 * Refuses what is too much for the machine, and chooses what config.h and the command line leave
 * open.
 */
static void configure(struct memory_config *config, const struct memory_limits *limits, const char *command_line, uint64_t all)
{
	const char *origin = options_get(command_line, "guarantee", (char[2]){ 0 }, 2) ? "command line" : "this machine";
	const struct memory_config built = *config;

	for (size_t i = 0; i < limits->share_count; i++)
		config_share_check(&limits->shares[i], all);
	config->guarantee.bytes = guarantee_bytes(config, command_line, all);
	if (config->guarantee.bytes != built.guarantee.bytes)
		config_value_set(limits->table, "DMA_GUARANTEE_BYTES", config->guarantee.bytes, origin);
	watermarks_choose(&config->watermarks, all);
	if (config->watermarks.min_bytes != built.watermarks.min_bytes)
		config_value_set(limits->table, "MEMORY_MIN_BYTES", config->watermarks.min_bytes, "this machine");
	if (config->watermarks.low_bytes != built.watermarks.low_bytes)
		config_value_set(limits->table, "MEMORY_LOW_BYTES", config->watermarks.low_bytes, "this machine");
	if (config->watermarks.high_bytes != built.watermarks.high_bytes)
		config_value_set(limits->table, "MEMORY_HIGH_BYTES", config->watermarks.high_bytes, "this machine");
}

/* The index of the range behind the widest hole. `count` is at least 2. */
static size_t widest_hole(const struct phys_range *ranges, size_t count)
{
	uint64_t widest = 0;
	size_t behind = 1;

	for (size_t i = 1; i < count; i++) {
		const uint64_t hole = ranges[i].start.value - (ranges[i - 1].start.value + ranges[i - 1].bytes);

		if (hole > widest) {
			widest = hole;
			behind = i;
		}
	}
	return behind;
}

/* Leaves out the smaller side of the widest hole, until descriptors take their share at most. */
static size_t far_ranges_leave(struct phys_range *ranges, size_t count)
{
	while (count > 1 && memory_metadata_bytes(ranges, (uint32_t)count) > ranges_bytes(ranges, count) / DESCRIPTORS_SHARE) {
		const size_t behind = widest_hole(ranges, count);
		const uint64_t below = ranges_bytes(ranges, behind), above = ranges_bytes(ranges + behind, count - behind);

		log_warn("memory: %s at 0x%llx are left out: too far from the other memory",
			 format_bytes((char[FORMAT_BYTES_SIZE]){ 0 }, MIN(below, above)),
			 (unsigned long long)ranges[below < above ? 0 : behind].start.value);
		count = below < above ? count - behind : behind;
		if (below < above)
			memmove(ranges, ranges + behind, count * sizeof(*ranges));
	}
	return count;
}

/* All free blocks, in an array that stays in the boot heap. */
static struct phys_range *ranges_take(size_t *count)
{
	/* The array itself may break a block, which makes one range more at most. */
	const size_t max = boot_heap_take_blocks(NULL, 0) + 1;
	struct phys_range *ranges = heap_alloc(boot_heap(), max * sizeof(*ranges), 0);

	*count = ranges ? boot_heap_take_blocks(ranges, max) : 0;
	return ranges;
}

void memory_start(struct memory *memory, struct memory_config *config, const struct memory_limits *limits,
		  const char *command_line)
{
	size_t count;
	struct phys_range *const ranges = ranges_take(&count);

	count = far_ranges_leave(ranges, count);
	configure(config, limits, command_line, ranges_bytes(ranges, count));
	if (count == 0 || memory_init(memory, config, ranges, (uint32_t)count, metadata_take(ranges, count)) != STATUS_OK)
		platform_panic("there is too little memory: no whole 2 MB block is left for the heap");
	boot_heap_set_parent(memory_general_heap(memory));
}
