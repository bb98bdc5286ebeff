// SPDX-License-Identifier: BSD-2-Clause
/*
 * General heap and objcaches against a list of what they gave: the input is a stream of operations.
 * See heap_model.h for the machine and for what is expected of each.
 */
#include "heap_model.h"
#include "input.h"
#include "runtime/base/bits.h"

#define OPERATIONS_MAX 300
#define MANY_MAX       1000

static size_t decode_bytes(struct input *input)
{
	const uint8_t kind = input_byte(input);

	switch (kind % 8) {
	case 0:
		return 1 + kind / 8;
	case 1:
		return 1 + input_below(input, 256);
	case 2:
	case 3:
		return 1 + input_below(input, 5000);
	case 4:
		return 1 + input_below(input, 65536);
	case 5: /* around the sizes of classes */
		return (16ull << kind / 8 % 17) - 1 + input_below(input, 3);
	case 6:
		return 1 + (input_number(input, 3) & (2 * MIB - 1));
	default:
		return kind & 0x80 ? 1 + input_number(input, 3) : 1 + kind / 8 * 16ull;
	}
}

static size_t decode_alignment(struct input *input)
{
	const uint8_t kind = input_byte(input);

	return kind < 160 ? 0 : 1ull << kind % 24;
}

static void alloc_many(struct heap_model *model, struct input *input)
{
	const unsigned kind = input_byte(input);
	const size_t bytes = MIN(decode_bytes(input), 65536);
	const unsigned count = input_below(input, bytes > 8192 ? 100 : MANY_MAX);

	for (unsigned i = 0; i < count; i++) {
		if (kind & 1)
			heap_model_alloc_from(model, kind / 2, kind & 0x80);
		else
			heap_model_alloc(model, bytes, 0, HEAP_MODEL_PLAIN);
	}
}

/* One of every few objects, from a place on. */
static void free_many(struct heap_model *model, struct input *input)
{
	const unsigned count = input_below(input, 3 * MANY_MAX);
	const unsigned stride = 1 + input_byte(input) % 8;
	const unsigned start = input_below(input, HEAP_MODEL_OBJECTS);

	for (unsigned i = 0; i < count; i++)
		heap_model_free(model, start + i * stride);
}

static void drain(struct heap_model *model, struct input *input)
{
	const uint8_t which = input_byte(input);
	const uint8_t how_much = input_byte(input);
	const uint64_t bytes = how_much & 0x80 ? UINT64_MAX : how_much * (BLOCK_BYTES / 4);
	const uint64_t retain = which & 0x80 ? input_byte(input) * (BLOCK_BYTES / 16) : 0;
	const uint64_t lowest = input_below(input, HEAP_MODEL_BLOCKS);

	heap_model_drain(model, which, bytes, retain, lowest, lowest + 1 + input_below(input, HEAP_MODEL_BLOCKS));
}

static void operate(struct heap_model *model, struct input *input)
{
	switch (input_byte(input) % 20) {
	case 0:
	case 1: {
		const size_t bytes = decode_bytes(input);
		const size_t alignment = decode_alignment(input);

		heap_model_alloc(model, bytes, alignment, input_byte(input) % HEAP_MODEL_WAYS);
		break;
	}
	case 2:
	case 3:
		heap_model_free(model, (unsigned)input_number(input, 2));
		break;
	case 4: {
		const unsigned number = (unsigned)input_number(input, 2);
		const size_t bytes = decode_bytes(input);

		heap_model_resize(model, number, bytes, decode_alignment(input));
		break;
	}
	case 5: {
		const uint8_t kind = input_byte(input);

		heap_model_alloc_from(model, kind, kind & 0x80);
		break;
	}
	case 6:
	case 7:
	case 8:
		alloc_many(model, input);
		break;
	case 9:
	case 10:
	case 11:
		free_many(model, input);
		break;
	case 12:
	case 13:
		drain(model, input);
		break;
	case 14:
		heap_model_grow(model, input_byte(input));
		break;
	case 15:
		heap_model_reserve(model, input_below(input, 2) ? input_below(input, 2000) : 0);
		break;
	case 16:
		model->fail_bits = input_number(input, 1 + input_byte(input) % 8);
		break;
	case 17:
		heap_model_inject(model, input_number(input, input_byte(input) % 3));
		break;
	case 18: {
		const unsigned kind = input_byte(input);

		heap_model_alloc_wrong(model, kind, input_number(input, kind % 9));
		break;
	}
	default:
		if (input_byte(input) & 1)
			objcaches_detach(&model->blocks);
		heap_model_check_counts(model);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct heap_model model;
	struct input input = { data, size };
	const uint8_t kind = input_byte(&input);
	const struct heap_model_setup setup = {
		.blocks = 1 + input_below(&input, HEAP_MODEL_BLOCKS),
		.seed_bytes = kind & 2 ? 0 : (kind & 4 ? 2 * MIB : 512 * KIB),
		.powers_only = kind & 1,
	};

	host_random_seed(1);
	if (!heap_model_init(&model, &setup))
		return 0;
	for (unsigned i = 0; i < OPERATIONS_MAX && !input_is_over(&input); i++)
		operate(&model, &input);
	heap_model_fini(&model);
	return 0;
}
