// SPDX-License-Identifier: BSD-2-Clause
/*
 * Operations of the page cache, each with what may come of it: it does what the model expects, or
 * fails for a reason that is there, and then leaves what its contract says. Operations that would
 * wait for the fuzzer's own mappings do nothing.
 */
#pragma once

#include "cache_model.h"

void model_read(struct model *model, struct node *node, uint64_t offset, uint64_t bytes);
void model_write(struct model *model, struct node *node, uint64_t offset, uint64_t bytes);
void model_discard(struct model *model, struct node *node, uint64_t offset, uint64_t bytes);
void model_direct(struct model *model, struct node *node, enum block_operation operation, uint64_t offset, uint64_t bytes);
void model_map(struct model *model, struct node *node, uint64_t offset, uint64_t bytes, enum map_access access);
void model_unmap(struct model *model, unsigned number);
void model_evict(struct model *model, struct node *node, uint64_t number);

void model_flush(struct model *model, unsigned volume);
void model_flush_node(struct model *model, struct node *node);

/*
 * Closes the file and opens it again, with its extents in another order; detaches the volume and
 * attaches it again.
 */
void model_reopen(struct model *model, unsigned file, bool discard, unsigned turn);
void model_reattach(struct model *model, unsigned volume, bool discard, unsigned turn);

/* Takes `count` runs of memory, and writes to them. */
void model_take(struct model *model, uint64_t blocks, uint32_t count, enum memory_wait wait);
void model_free_run(struct model *model, uint32_t which);
