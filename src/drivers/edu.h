/*
 * QEMU's educational device (-device edu): 4 KB of memory that it copies from and to RAM by DMA. An example of a driver for
 * custom hardware; docs/DRIVERS.md walks through it.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct edu;
struct pci_function;

#define EDU_MEMORY_BYTES 4095 /* QEMU refuses a transfer that ends with the 4096th byte */

/* The device behind a function that the driver "edu" is bound to; valid until it is removed. */
struct edu *edu_from_function(struct pci_function *function);

/*
 * Copy between the device's memory and ours; offset + bytes is at most EDU_MEMORY_BYTES. Where platform_may_sleep(); callers
 * take turns. STATUS_RANGE: beyond the memory; STATUS_TIMEOUT: the device did not answer, and is out of order from then on;
 * STATUS_GONE: it is.
 */
status_t edu_write(struct edu *edu, uint32_t offset, const void *from, uint32_t bytes) MUST_CHECK;
status_t edu_read(struct edu *edu, uint32_t offset, void *to, uint32_t bytes) MUST_CHECK;
