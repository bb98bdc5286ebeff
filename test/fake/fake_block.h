/*
 * A block device over host memory. It completes requests at once, or from a thread of its own in order, and fails those that a
 * test asks it to.
 */
#pragma once

#include <pthread.h>

#include "runtime/base/block_device.h"

struct fake_block {
	struct block_device device;
	unsigned char *data;
	_Atomic uint64_t reads, writes, flushes;

	/* Requests that touch [fail_start, fail_end) fail with fail_status. Set with nothing under way. */
	bool fail_reads, fail_writes, fail_flushes;
	uint64_t fail_start, fail_end;
	status_t fail_status;

	bool threaded;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct list queue; /* [mutex] */
	bool stopping;     /* [mutex] */
};

/* `threaded`: requests complete on a thread. Limits as of a small disk: 512-byte sectors, 64 segments, 256 KB a request. */
void fake_block_init(struct fake_block *fake, uint64_t bytes, bool threaded);
void fake_block_fini(struct fake_block *fake);
