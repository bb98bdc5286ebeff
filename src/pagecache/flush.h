/*
 * Flushes: they make durable what was written before they began. A flush goes through these stages, each of which ends by
 * itself:
 *
 *	FLUSH_CLAIM   the pages that were dirty are claimed and their writes begun; each page that failed before is tried once
 *	FLUSH_BUSY    the pages that a writer had are claimed when the writer is done
 *	FLUSH_WRITES  all writes that were in flight by then have ended
 *	FLUSH_DEVICE  a device flush that began after that has ended well: this flush's, or one that it joins (written.h)
 *
 * When the device may have lost its cache meanwhile, the flush begins again, once, after what is cached was made dirty again.
 * Flushes of nodes and volumes go on side by side; none waits for another node's pages.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct node;
struct pagecache;
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
	bool waits;        /* for a page that a writer has */
	enum flush_stage stage;
	uint64_t since;  /* on volume->clock: dirty, busy, or begun to be written, by then */
	uint64_t number; /* of the device flush, or a later one */
	uint64_t losses; /* of the device's cache that were seen to when it began */
	status_t failed; /* what could not be written before the device's flush: that does not cover a later try */
	status_t status; /* when it is over */
};

/* A flush that is not over may be forgotten at any time: what it began ends by itself. Where platform_may_sleep(). */
void flush_begin(struct flush *flush, struct volume *volume, struct node *node);

/* Goes on as far as it can without waiting for the disk or for a page. True: it is over, with flush->status. */
bool flush_step(struct flush *flush);

/* Both, and waits; STATUS_TIMEOUT: it was not over when `deadline_ns` had passed. */
status_t flush_wait(struct volume *volume, struct node *node, uint64_t deadline_ns) MUST_CHECK;
