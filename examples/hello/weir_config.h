// SPDX-License-Identifier: BSD-2-Clause
/*
 * What this program changes of Weir's config.h, and values of its own. The monitor's `config` shows
 * all of them.
 */
#pragma once

/* DMA memory that the scenario takes, in bytes. */
#define HELLO_BYTES (16ull << 20)

/* Of config.h: there is no device here that a guarantee would serve. */
#define DMA_GUARANTEE_BYTES 0
