/*
 * Quarantine: DMA memory of a device that may still be at work, though its driver has gone or has given up. Until the device
 * has been reset it is neither given to anyone nor forgotten.
 *
 *	if (!device_stopped(it))
 *		dma_quarantine(memory, &function->device);   then free everything as always: it stays
 *	...
 *	dma_quarantine_end(memory, &function->device);       once the device has been reset: it is free
 *
 * 1. What the device has at that moment goes into quarantine as a whole. dma_free and dma_coherent_free of it end the caller's
 *    use and nothing else, so a driver cleans up as if the device had stopped. What it leaves behind stays there as well.
 * 2. `mem owners` shows its blocks as held by "NAME, quarantined", `dma` all of it, and the log says when it comes and goes.
 * 3. What is allocated for the device afterwards, by the driver's next probe, is not in quarantine.
 *
 * The core (drivers/driver.c) quarantines what a driver leaves behind, and resets functions that can be reset from outside.
 * Drivers do it when they cannot stop their device, and end it once they have reset it.
 */
#pragma once

#include "dma.h"

/* Returns how many bytes of buffers and objects the device had. Nobody allocates for it meanwhile. Any task context. */
uint64_t dma_quarantine(struct memory *memory, const struct device *device);

/* Frees all that the device has in quarantine, and returns the bytes. Where platform_may_sleep(). */
uint64_t dma_quarantine_end(struct memory *memory, const struct device *device);

/* Bytes of buffers and objects that the device has in quarantine. Any task context. */
uint64_t dma_quarantine_bytes(struct memory *memory, const struct device *device);
