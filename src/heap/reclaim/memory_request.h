// SPDX-License-Identifier: BSD-2-Clause
/* What a request for runs of blocks wants, and how long it waits (reclaim.h). */
#pragma once

#include "heap/block/block_heap.h"

enum memory_wait {
	MEMORY_WAIT_NEVER,
	MEMORY_WAIT_DEADLINE,
	MEMORY_WAIT_FOREVER,
};

struct memory_request {
	uint64_t blocks;      /* of one run */
	uint64_t last_blocks; /* of the last run, if it is shorter; or 0 */
	struct block_constraints constraints;
	struct owner *owner;
	bool below_min; /* a kernel object: may use the blocks below min */
	enum memory_wait wait;
	uint64_t deadline_ns; /* platform_now_ns, for MEMORY_WAIT_DEADLINE */
};

static inline uint64_t memory_request_last_blocks(const struct memory_request *request)
{
	return request->last_blocks != 0 ? request->last_blocks : request->blocks;
}
