// SPDX-License-Identifier: BSD-2-Clause
#include "guarantee_fixture.h"

const struct guarantee_config pieces_config = { .bytes = PIECES * PIECE_BYTES, .piece_bytes = PIECE_BYTES };

bool guarantee_take(struct guarantee *guarantee, const struct device *device, uint64_t bytes, bool beyond,
		    struct phys_addr *start)
{
	const uint64_t interrupts = guarantee_lock(guarantee);
	const void *record = guarantee_take_locked(guarantee, device, bytes, beyond, start);

	guarantee_unlock(guarantee, interrupts);
	return record != NULL;
}

bool guarantee_piece_take(struct guarantee *guarantee, struct phys_addr *start)
{
	static const struct device device = { .name = "camera", .dma_mask = UINT64_MAX };

	return guarantee_take(guarantee, &device, guarantee_piece_bytes(guarantee), true, start);
}
