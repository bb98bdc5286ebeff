// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the writeback keeps of a volume, and of a page cache.
 *
 * Lock [D]: volume->writeback.lock, behind a stripe [S] and before the page heap [R]. It covers the
 * dirty sets of the volume's nodes, the writes in flight, what was written but not flushed, and the
 * list of mappings.
 *
 * 1. A dirty page is LISTED in a set of its node, or in a write of `in_flight`. It goes from the
 *    one to the other in one hold of [D], so a flush finds it in one of them.
 * 2. A node is in `dirty_nodes` exactly while its sets have a page.
 * 3. `clock` gives each time once, and `in_flight` is in its order.
 * 4. A task that waits for a write reads `progress` first, then looks, then sleeps on it.
 */
#pragma once

#include "flush.h"
#include "pageout.h"
#include "runtime/base/mutex.h"
#include "runtime/base/worker.h"
#include "written.h"

struct volume_writeback {
	struct mutex flush;             /* held while losses are handled (written.h) */
	struct spinlock lock;           /* [D] */
	struct list dirty_nodes;        /* [D] nodes with dirty pages, the latest looked at last */
	uint64_t clock;                 /* [D] of passes and writes, see dirty.h */
	struct written written;         /* [D] */
	struct pageout pageout;         /* [D] */
	struct list in_flight;          /* [D] writes, from the first claim on, by `clock` */
	_Atomic uint32_t writes;        /* [D] how many, read without */
	_Atomic uint64_t retry_ns;      /* [D] read without: when failed pages are tried again */
	_Atomic uint64_t recent;        /* [D] pages written lately, read without; see recent_pages() */
	struct flush flush_all;         /* [flush_lock] its part of pagecache_flush */
	uint64_t flush_all_number;      /* [flush_lock] the number of the call that began it */
	uint64_t flush_all_ended;       /* [flush_lock] the number of the latest that is over */
	status_t flush_all_status;      /* [flush_lock] how that one ended */
	_Atomic status_t write_status;  /* of the latest write that failed */
	_Atomic uint32_t progress;      /* changes when a write has ended */
	_Atomic uint32_t balance;       /* what writers owe, in 256ths of a page; see pay() */
	_Atomic bool beyond_background; /* more is dirty than its share in the background */
	_Atomic uint64_t mapped_pages;  /* of mappings for writing */
	_Atomic uint64_t cleaned_pages; /* written so far */
	_Atomic uint64_t paid_pages;    /* of cleaned_pages, counted for what writers owe */
};

/* The counts of pages are those of all volumes. */
struct pagecache_writeback {
	struct mutex flush_lock;        /* of the volumes' flush_all */
	_Atomic uint64_t flushes;       /* calls of pagecache_flush */
	_Atomic uint64_t dirty_pages;   /* DIRTY or WRITEBACK */
	_Atomic uint64_t failed_pages;  /* of them FAILED */
	_Atomic uint64_t cleaned_pages; /* written so far */
	struct worker writer;           /* the background writer; kicked when it has something to do */
	_Atomic bool cursor_waits;      /* a cursor has met dirty pages */
};
