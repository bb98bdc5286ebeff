// SPDX-License-Identifier: BSD-2-Clause
/*
 * A bounded set of ranges of bytes. A byte that was added is in the set until it is removed: when
 * the set is full, the two ranges that lie closest are joined, with the bytes between them. No
 * lock; the set is its owner's.
 */
#pragma once

#include "runtime/base/types.h"

#define RANGES_MAX 32

struct range {
	uint64_t start, end;
};

/* In order, without overlap, not adjacent; all zero is an empty set. */
struct ranges {
	uint32_t count;
	struct range list[RANGES_MAX + 1];
};

void ranges_add(struct ranges *ranges, uint64_t start, uint64_t end);
void ranges_add_all(struct ranges *ranges, const struct ranges *others);

/*
 * If the middle of a range is removed from a full set, one of its rests may be joined with another
 * range.
 */
void ranges_remove(struct ranges *ranges, uint64_t start, uint64_t end);

bool ranges_touch(const struct ranges *ranges, uint64_t start, uint64_t end);
uint64_t ranges_covered_bytes(const struct ranges *ranges);
