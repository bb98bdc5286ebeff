// SPDX-License-Identifier: BSD-2-Clause
#include "reserving_machine.h"

#include "host/host_test.h"

const struct device reserving_devices[RESERVING_DEVICES] = {
	{ .name = "camera", .dma_mask = UINT64_MAX },
	{ .name = "radio", .dma_mask = UINT64_MAX },
	{ .name = "card", .dma_mask = UINT64_MAX },
	{ .name = "guest", .dma_mask = UINT64_MAX },
};

void machine_with_pieces(struct machine *machine, uint64_t pieces, uint64_t piece_bytes)
{
	const struct memory_config config = {
		.watermarks.atomic_percent = 100,
		.guarantee = { .bytes = pieces * piece_bytes, .piece_bytes = piece_bytes },
	};

	host_log_level(LOG_ERROR);
	machine_init_with(machine, MACHINE_START, 128, &config);
	ck_assert_uint_eq(machine->memory.guarantee.pieces, pieces);
}
