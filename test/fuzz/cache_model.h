// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page cache beside what it should hold: a small machine with a disk of which two volumes take
 * a part each, and a flat copy of that disk as the last successful writes have left it. The first
 * volume is used as a whole, the second one through two nodes of several extents, one of which
 * begins in the middle of pages of the volume.
 *
 *	expected   what is read through the cache
 *	disk.data  what the device has; the same as soon as a flush has succeeded
 *
 * One thread, and a disk that completes at once: between two calls nothing is under way.
 */
#pragma once

#include "fake/fake_block.h"
#include "host/platform_host.h"
#include "pagecache/map.h"
#include "pagecache/page/exclusive.h"
#include "pagecache/volume.h"
#include "runtime/base/random.h"

#define MODEL_VOLUMES      2
#define MODEL_NODES        3 /* volumes[0].node, and the files on volumes[1] */
#define MODEL_FILES        2
#define MODEL_EXTENTS      4
#define MODEL_MAPPINGS     3
#define MODEL_RUNS         10
#define MODEL_BUFFER_BYTES MIB

struct model_file {
	struct node node;
	struct extent extents[MODEL_EXTENTS];
	bool open;
};

struct model_mapping {
	struct mapping *mapping; /* NULL: none */
	uint64_t first;
	uint64_t count;
};

struct model {
	struct memory memory;
	struct owner owner; /* of the runs and of the direct buffer */
	struct pagecache pagecache;
	struct fake_block disk;
	struct volume volumes[MODEL_VOLUMES];
	struct model_file files[MODEL_FILES];
	struct model_mapping mappings[MODEL_MAPPINGS];
	struct phys_addr runs[MODEL_RUNS];
	uint32_t run_count;
	struct phys_addr direct; /* a block, for direct I/O */
	struct random random;
	bool may_have_lost; /* a device flush may have failed: what is not cached any more is told until it is cleared */

	/* These last from one input to the next. */
	struct host_arena *arena;
	void *metadata;
	unsigned char *expected;
	unsigned char buffer[MODEL_BUFFER_BYTES];
};

void model_init(struct model *model);

/* With all faults gone: flushes, checks everything, and takes it all down. */
void model_fini(struct model *model);

/*
 * Attaches a volume, and opens its files, the extents of which come in an order that `turn` says.
 */
void model_attach(struct model *model, unsigned volume, unsigned turn);
void model_file_open(struct model *model, unsigned file, unsigned turn);

/* Between two operations, all are open. */
struct node *model_node(struct model *model, unsigned number);

bool model_is_in_range(const struct node *node, uint64_t offset, uint64_t bytes);

/* Where the byte lies on the disk. */
uint64_t model_position(const struct node *node, uint64_t offset);

/* Of [offset, offset + bytes), what lies in the first page. */
uint64_t model_piece(uint64_t offset, uint64_t bytes);

/* Between `expected` and a buffer. */
bool model_is_expected(struct model *model, const struct node *node, uint64_t offset, const unsigned char *data,
		       uint64_t bytes);
void model_expect(struct model *model, const struct node *node, uint64_t offset, const unsigned char *data, uint64_t bytes);

/* What was not written is lost: the disk's content is expected of this range of pages. */
void model_expect_disk(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes);

/* Everything that was written to the node, or the volume, is on the disk. */
void model_check_node_written(struct model *model, const struct node *node);
void model_check_written(struct model *model, unsigned volume);
void model_check_valid(struct model *model);

/* Whether a page of the range is mapped: for writing, or at all. */
bool model_is_mapped(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes, bool only_writes);
bool model_has_mapping(const struct model *model, bool only_writes);

/* Why something may fail now. */
bool model_read_may_fail(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes);
bool model_is_short(const struct model *model);

/*
 * Blocks that the volume gives to others when it has to: not the open ones, and none that would
 * leave it less than its `keep` if all its pages lay in as few blocks as they fit in.
 */
uint64_t model_blocks_to_give(const struct volume *volume);

uint64_t model_failed_pages(struct model *model);
bool model_is_device_error(status_t status);
