// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page cache against a flat array: the input is a stream of operations. See cache_model.h for
 * the machine, and cache_ops.h for what is expected of each.
 */
#include "cache_ops.h"
#include "input.h"

#define OPERATIONS_MAX 400

/*
 * A range of a node: mostly within it, in a few hot places or anywhere; some lie partly or wholly
 * outside.
 */
struct node_range {
	struct node *node;
	uint64_t offset;
	uint64_t bytes;
};

static uint64_t decode_offset(struct input *input, const struct node *node)
{
	const uint8_t kind = input_byte(input);
	const uint64_t skip = kind & 0x80 ? input_below(input, PAGE_BYTES) : 0;

	switch (kind % 8) {
	case 0:
	case 1:
	case 2:
		return kind / 8 % 16 * PAGE_BYTES + skip;
	case 3:
		return node->bytes - MIN(node->bytes, (uint64_t)input_below(input, 65536) * (kind & 8 ? 1 : 64));
	case 4:
		return UINT64_MAX - input_below(input, 8192);
	default:
		return input_below(input, (uint32_t)node_pages(node)) * PAGE_BYTES + skip;
	}
}

static uint64_t decode_bytes(struct input *input, const struct node *node, uint64_t offset)
{
	const uint8_t kind = input_byte(input);

	switch (kind % 8) {
	case 0:
		return PAGE_BYTES;
	case 1:
		return kind / 8 * 512ull;
	case 2:
		return input_below(input, PAGE_BYTES);
	case 3:
		return kind / 8 * PAGE_BYTES;
	case 4:
		return input_below(input, 256) * PAGE_BYTES;
	case 5:
		return offset < node->bytes ? node->bytes - offset : 1;
	case 6:
		return kind & 0x80 ? UINT64_MAX - input_below(input, 8192) : input_below(input, 65536) * 8ull;
	default:
		return PAGE_BYTES - offset % PAGE_BYTES;
	}
}

static struct node_range decode_range(struct model *model, struct input *input)
{
	struct node_range range = { .node = model_node(model, input_below(input, MODEL_NODES)) };

	range.offset = decode_offset(input, range.node);
	range.bytes = decode_bytes(input, range.node, range.offset);
	return range;
}

static void set_faults(struct model *model, struct input *input)
{
	const uint8_t kind = input_byte(input);
	const uint64_t pages = model->disk.device.size_bytes / PAGE_BYTES;

	model->disk.fail_reads = kind & 1;
	model->disk.fail_writes = kind & 2;
	model->disk.fail_flushes = (kind & 12) == 4;
	model->may_have_lost |= model->disk.fail_flushes;
	model->disk.fail_status = (kind & 0x70) == 0x10 ? STATUS_GONE : STATUS_IO_ERROR;
	model->disk.fail_start = kind & 0x80 ? 0 : input_below(input, (uint32_t)pages) * PAGE_BYTES;
	model->disk.fail_end = kind & 0x80 ? UINT64_MAX : model->disk.fail_start + input_byte(input) * PAGE_BYTES;
}

static void clear_faults(struct model *model)
{
	model->disk.fail_reads = model->disk.fail_writes = model->disk.fail_flushes = false;
}

static void ranged(struct model *model, struct input *input, unsigned operation)
{
	const struct node_range range = decode_range(model, input);

	switch (operation) {
	case 0:
		model_read(model, range.node, range.offset, range.bytes);
		break;
	case 1:
		model_write(model, range.node, range.offset, range.bytes);
		break;
	case 2:
		model_map(model, range.node, range.offset, range.bytes, MAP_READ);
		break;
	case 3:
		model_map(model, range.node, range.offset, range.bytes, MAP_WRITE);
		break;
	case 4:
		model_direct(model, range.node, BLOCK_READ, range.offset, range.bytes);
		break;
	case 5:
		model_direct(model, range.node, BLOCK_WRITE, range.offset, range.bytes);
		break;
	case 6:
		model_discard(model, range.node, range.offset, range.bytes);
		break;
	default:
		model_evict(model, range.node, range.offset / PAGE_BYTES);
	}
}

/* Fault-free sequential reading: what makes the cache grow, and turn over. */
static void scan(struct model *model, struct input *input)
{
	struct node *node = model_node(model, input_below(input, MODEL_NODES));
	const uint64_t start = input_below(input, (uint32_t)node_pages(node)) * PAGE_BYTES;
	const uint64_t pieces = input_byte(input);

	for (uint64_t offset = start, i = 0; i < pieces && offset + 8 * PAGE_BYTES <= node->bytes;
	     offset += 8 * PAGE_BYTES, i++)
		model_read(model, node, offset, 8 * PAGE_BYTES);
}

static void whole(struct model *model, struct input *input, unsigned operation)
{
	const uint8_t argument = input_byte(input);

	switch (operation) {
	case 0:
		model_flush(model, argument % MODEL_VOLUMES);
		break;
	case 1:
		model_flush_node(model, model_node(model, argument % MODEL_NODES));
		break;
	case 2:
		model_reopen(model, argument % MODEL_FILES, argument & 2, argument / 4);
		break;
	case 3:
		model_reattach(model, argument % MODEL_VOLUMES, argument & 2, argument / 4);
		break;
	case 4:
		(void)volume_drop(&model->volumes[argument % MODEL_VOLUMES]);
		break;
	case 5:
	case 6:
		model_take(model, argument & 0x80 ? 1 + argument / 32 % 4 : 1, 1 + argument % 8,
			   argument & 8 ? MEMORY_WAIT_NEVER : MEMORY_WAIT_DEADLINE);
		break;
	case 7:
		model_free_run(model, argument % MODEL_RUNS);
		break;
	case 8:
		host_clock_turn((uint64_t)argument * NS_PER_S);
		break;
	case 9:
		for (unsigned i = 0; i <= argument % 16; i++)
			pagecache_writeback_step(&model->pagecache);
		break;
	case 10:
		model_check_valid(model);
		break;
	default:
		(void)memory_drain(&model->memory, argument % 8 * BLOCK_BYTES, argument & 8);
	}
}

static void step(struct model *model, struct input *input)
{
	const uint8_t operation = input_byte(input) % 64;

	if (operation < 16)
		ranged(model, input, operation % 2);
	else if (operation < 32)
		ranged(model, input, operation % 8);
	else if (operation < 40)
		model_unmap(model, operation % MODEL_MAPPINGS);
	else if (operation < 44)
		scan(model, input);
	else if (operation < 46)
		set_faults(model, input);
	else if (operation < 48)
		clear_faults(model);
	else
		whole(model, input, operation % 16 % 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model model;
	struct input input = { data, size };

	host_log_level(LOG_ERROR);
	model_init(&model);
	for (unsigned i = 0; i < OPERATIONS_MAX && !input_is_over(&input); i++)
		step(&model, &input);
	clear_faults(&model);
	for (unsigned i = 0; i < MODEL_MAPPINGS; i++)
		model_unmap(&model, i);
	model_fini(&model);
	return 0;
}
