// SPDX-License-Identifier: BSD-2-Clause
#include "place_model.h"

#include "runtime/base/bits.h"

static bool fits_at(const struct place_model *model, const struct block_constraints *constraints, uint64_t index,
		    uint64_t blocks)
{
	const uint64_t start = (model->first + index) << BLOCK_SHIFT, last = start + (blocks << BLOCK_SHIFT) - 1;

	if (blocks > PLACE_MODEL_BLOCKS || index + blocks > PLACE_MODEL_BLOCKS || start < constraints->lowest.value ||
	    (constraints->highest.value != 0 && last > constraints->highest.value) ||
	    start % MAX(constraints->alignment_bytes, 1) != 0)
		return false;
	if (constraints->boundary_bytes != 0 && start / constraints->boundary_bytes != last / constraints->boundary_bytes)
		return false;
	for (uint64_t i = index; i < index + blocks; i++)
		if (!model->usable[i])
			return false;
	return true;
}

/*
 * The most runs that begin at a block or above, for each block from the last one down; with and
 * without the other run.
 */
bool place_model_holds(const struct place_model *model, const struct block_constraints *constraints, uint64_t blocks,
		       uint64_t count, uint64_t last_blocks)
{
	int64_t most[PLACE_MODEL_BLOCKS + 1][2] = { [PLACE_MODEL_BLOCKS] = { 0, last_blocks == 0 ? 0 : INT64_MIN / 2 } };

	for (uint64_t i = PLACE_MODEL_BLOCKS; i-- > 0;) {
		const bool run_fits = fits_at(model, constraints, i, blocks);

		for (unsigned with = 0; with < 2; with++) {
			most[i][with] = most[i + 1][with];
			if (run_fits)
				most[i][with] = MAX(most[i][with], most[i + blocks][with] + 1);
		}
		if (last_blocks != 0 && fits_at(model, constraints, i, last_blocks))
			most[i][1] = MAX(most[i][1], most[i + last_blocks][0]);
	}
	return most[0][1] >= (int64_t)count;
}
