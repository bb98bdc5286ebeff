// SPDX-License-Identifier: BSD-2-Clause
/*
 * The firmware's memory map: the input is descriptors of any type, start, length and attributes, on
 * a machine of a few pages or on one with many address bits. The result has to be the model's.
 */
#include "fake/map_check.h"

#include "input.h"

/* A shift moves choices near to all ends; most addresses begin a page. */
static uint64_t number(struct input *input)
{
	const uint8_t how = input_byte(input);
	const uint64_t value = input_number(input, 2);

	return how & 0x80 ? 0 - (value << (how & 63)) : value << (how & 63);
}

static void descriptor_read(struct input *input, struct map_descriptor *descriptor)
{
	descriptor->type = input_byte(input);
	descriptor->start = number(input);
	descriptor->pages = number(input);
	descriptor->attributes = number(input) ^ 8;
}

static struct phys_range range_read(struct input *input)
{
	return (struct phys_range){ { input_below(input, 256) * PAGE_BYTES }, input_below(input, 256) * PAGE_BYTES };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct map_case map;
	struct input input = { data, size };

	map.stride_bytes = 40 + input_below(&input, 64);
	map.limit = PAGE_BYTES << input_below(&input, 36);
	map.image = range_read(&input);
	map.pool = range_read(&input);
	map.screen = range_read(&input);
	for (map.count = 0; map.count < MAP_DESCRIPTORS_MAX && !input_is_over(&input); map.count++)
		descriptor_read(&input, &map.descriptors[map.count]);
	map_check(&map);
	return 0;
}
