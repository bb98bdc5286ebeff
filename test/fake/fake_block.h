// SPDX-License-Identifier: BSD-2-Clause
/*
 * A block device over host memory. It completes requests at once, or from a thread of its own: in
 * order or shuffled, after a delay, or only when a test lets it. It fails those that a test asks it
 * to, and can keep a log of what it did, from which the disk can be made as a power cut at any
 * point may leave it. A forgetful one has a volatile cache: it loses that when a flush fails, and
 * when a test resets it.
 */
#pragma once

#include <pthread.h>

#include "runtime/base/block_device.h"
#include "runtime/base/random.h"

/* A request that has been completed with success. */
struct fake_block_event {
	enum block_operation operation;
	uint64_t offset_bytes;
	uint64_t bytes;
	unsigned char *data; /* of a write */
};

struct fake_block {
	struct block_device device;
	unsigned char *data;
	_Atomic uint64_t reads, writes, flushes;

	/* Requests that touch [fail_start, fail_end) fail with fail_status. */
	_Atomic bool fail_reads, fail_writes, fail_flushes;
	_Atomic uint64_t fail_start, fail_end;
	_Atomic status_t fail_status;

	/* Set with nothing under way. */
	bool shuffled;     /* the thread takes any of the requests that wait, not the oldest */
	uint64_t delay_ns; /* that a request on the thread takes */

	unsigned char *durable;  /* [mutex] what a power cut would leave; NULL: it is not forgetful */
	unsigned char *cached;   /* by page: `data` is newer */
	_Atomic bool must_reset; /* before the next request */

	bool logging;
	unsigned char *log_start;     /* [mutex] what the disk held when the log began */
	struct fake_block_event *log; /* [mutex] */
	size_t log_count;             /* [mutex] */
	size_t log_room;              /* [mutex] */

	bool threaded;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct list queue;    /* [mutex] */
	uint32_t queued;      /* [mutex] */
	bool held;            /* [mutex] the thread takes no request */
	bool stopping;        /* [mutex] */
	struct random random; /* the thread's */
};

/*
 * `threaded`: requests complete on a thread. Limits as of a small disk: 512-byte sectors, 64
 * segments, 256 KB a request.
 */
void fake_block_init(struct fake_block *fake, uint64_t bytes, bool threaded);
void fake_block_fini(struct fake_block *fake);

/*
 * Holds all requests that have not been begun, or lets them go on. Returns how many wait. Only a
 * threaded one.
 */
uint32_t fake_block_hold(struct fake_block *fake, bool hold);

/* Makes it forgetful. With nothing under way. */
void fake_block_forgetful(struct fake_block *fake);

/*
 * A forgetful one loses its cache, before the next request or (without a thread) at once, and
 * counts that as a driver does.
 */
void fake_block_reset(struct fake_block *fake);

/* Begins the log. With nothing under way. */
void fake_block_log(struct fake_block *fake);

/* Events so far. */
size_t fake_block_log_count(struct fake_block *fake);

/*
 * Makes in `image` the disk after a power cut behind the first `cut` events: all that a flush made
 * durable, and of the later writes any, each as a whole or not at all.
 */
void fake_block_crash(struct fake_block *fake, size_t cut, struct random *random, unsigned char *image);
