// SPDX-License-Identifier: BSD-2-Clause
/*
 * Quarantine: DMA memory of a device that may still be at work, though its driver has gone or has
 * given up. Until the device has been reset, this memory is given to no other owner, and its
 * records stay.
 *
 *	if (!device_stopped(it))
 *		dma_quarantine(dma, &function->device);   then free everything as always: it stays
 *	...
 *	dma_quarantine_end(dma, &function->device);       once the device has been reset: it is free
 *
 * 1. All that the device has at that moment goes into quarantine. dma_free and dma_coherent_free of
 *    it end the caller's use and nothing else, so a driver cleans up as if the device had stopped.
 *    What the driver leaves behind stays in quarantine as well.
 * 2. `mem owners` shows the blocks as held by "NAME, quarantined", `dma` shows all of them, and the
 *    log says when they enter and leave.
 * 3. Memory that is allocated for the device afterwards, by the driver's next probe, is not in
 *    quarantine.
 *
 * The core (drivers/driver.c) quarantines what a driver leaves behind, and resets functions that
 * can be reset from outside. A driver quarantines its memory when it cannot stop its device, and
 * ends the quarantine when it has reset it.
 */
#pragma once

#include "dma.h"

/*
 * Returns how many bytes of buffers and objects the device had. The caller sees to it that nothing
 * is allocated for the device meanwhile. Any task context.
 */
uint64_t dma_quarantine(struct dma *dma, const struct device *device);

/*
 * Frees all that the device has in quarantine, and returns the bytes. Where platform_may_sleep().
 */
uint64_t dma_quarantine_end(struct dma *dma, const struct device *device);

/* Bytes of buffers and objects that the device has in quarantine. Any task context. */
uint64_t dma_quarantine_bytes(struct dma *dma, const struct device *device);
