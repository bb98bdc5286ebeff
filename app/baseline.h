// SPDX-License-Identifier: BSD-2-Clause
/* A request served the naive ways, to compare with: see baseline.c. */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct device;
struct dma_request;
struct scenario;
struct testbed;

/*
 * Gets the cache full with loads of its own, then serves a request for `count` buffers in each way,
 * and prints a result line for each, "result: NAME way=...". STATUS_CORRUPT: something went wrong
 * that has nothing to do with the ways.
 */
status_t baseline_run(struct scenario *scenario, const struct device *device, const struct dma_request *request,
		      uint64_t count) MUST_CHECK;

/*
 * The same after a testbed has ended, if its option baseline=1 asks for it; what goes wrong counts
 * as its failure.
 */
void baseline_beside(struct testbed *testbed, const struct device *device, const struct dma_request *request, uint64_t count);
