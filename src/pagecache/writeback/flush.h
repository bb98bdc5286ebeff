// SPDX-License-Identifier: BSD-2-Clause
/*
 * Flushes: a flush makes durable what was written before it began. It goes through these stages,
 * each of which ends by itself:
 *
 *	FLUSH_CLAIM   claims the pages that were dirty and begins their writes; tries each page that
 *	              failed before once
 *	FLUSH_BUSY    claims each page that a writer had when the writer is done
 *	FLUSH_WRITES  all writes that were in flight by then have ended
 *	FLUSH_DEVICE  a device flush that began after that has ended well: this flush's, or one that
 *	              it joins (written.h)
 *
 * If the device may have lost its cache meanwhile, the flush makes what is cached dirty again and
 * begins anew, once. Flushes of nodes and volumes go on side by side; no flush waits for another
 * node's pages.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct node;
struct volume;

enum flush_stage {
	FLUSH_CLAIM,
	FLUSH_BUSY,
	FLUSH_WRITES,
	FLUSH_DEVICE,
	FLUSH_OVER,
};

struct flush {
	struct volume *volume;
	struct node *node; /* NULL: all of the volume */
	bool again;        /* it has begun again */
	bool waits;        /* a writer has a page that it waits for */
	enum flush_stage stage;
	uint64_t since;  /* when the stage began, on volume->writeback.clock */
	uint64_t number; /* the device flush, or a later one, that covers it */
	uint64_t losses; /* losses of the device's cache that were handled when it began */
	status_t failed; /* of writes before the device flush, which covers no later try */
	status_t status; /* when it is over */
};

/*
 * Begins a flush. A flush that is not over may be abandoned at any time: the writes that it began
 * end by themselves. Where platform_may_sleep().
 */
void flush_begin(struct flush *flush, struct volume *volume, struct node *node);

/*
 * Goes on as far as it can without waiting for the disk or a page. True: over, with flush->status.
 */
bool flush_step(struct flush *flush);

/*
 * Begins a flush and waits for it; STATUS_TIMEOUT: it was not over when `deadline_ns` had passed.
 */
status_t flush_wait(struct volume *volume, struct node *node, uint64_t deadline_ns) MUST_CHECK;
