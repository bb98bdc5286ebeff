// SPDX-License-Identifier: BSD-2-Clause
/*
 * The catalogue of a volume (format.h): which recordings there are, and where the next one begins.
 *
 *	status = catalogue_open(&catalogue, memory, volume);        a crash before does not matter
 *	status = catalogue_begin(&catalogue, "run 7", chunk_bytes, rate, &entry);
 *	... entry->chunks = ...; status = catalogue_write(&catalogue, entry);      after a flush of the volume
 *	catalogue_close(&catalogue);
 *
 * One task at a time. All functions: where platform_may_sleep().
 */
#pragma once

#include "format.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/status.h"

struct volume;

struct catalogue {
	struct memory *memory;
	struct volume *volume;
	struct dma_buffer *page; /* that is read or written */
	struct format_entry entries[FORMAT_ENTRIES];
};

/*
 * STATUS_UNSUPPORTED: the volume is neither blank nor has recordings, and was left alone; said in
 * the log. STATUS_RANGE: it is too small. STATUS_NO_MEMORY; what the device says.
 */
status_t catalogue_open(struct catalogue *catalogue, struct memory *memory, struct volume *volume) MUST_CHECK;
void catalogue_close(struct catalogue *catalogue);

/*
 * A new entry, running, not written yet. STATUS_NO_SPACE: all entries are taken, or not one chunk
 * fits behind the last one.
 */
status_t catalogue_begin(struct catalogue *catalogue, const char *name, uint64_t chunk_bytes, uint64_t rate,
			 struct format_entry **entry) MUST_CHECK;

/* Chunks that fit from the entry's start on. */
uint64_t catalogue_chunks_max(const struct catalogue *catalogue, const struct format_entry *entry);

/* Writes the entry, past the cache; durable with the next flush of the volume. */
status_t catalogue_write(struct catalogue *catalogue, struct format_entry *entry) MUST_CHECK;

/* One line for each recording. */
void catalogue_print(const struct catalogue *catalogue);
