// SPDX-License-Identifier: BSD-2-Clause
/*
 * I/O of pages: consecutive pages of a volume in one request to the device. The I/O objects come
 * from a reserve; a task that finds none waits on pagecache->pages.progress until one comes back,
 * so I/O never fails for want of memory.
 *
 * `requests` of the objects are for all volumes, the last quarter for reads only: so a disk that
 * serves reads and no writes holds up neither its own reads nor another disk's. When all of these
 * are under way, which a silent disk may cause, each volume has IO_OWN more for its reads and
 * IO_OWN for its writes; only a task that cleans may take the last one for writes.
 */
#pragma once

#include "pagecache/volume.h"

#define IO_PAGES_MAX  256
#define IO_OWN        2
#define IO_READ_SHARE 4

struct io {
	struct block_request request;
	struct volume *volume;
	struct node *node; /* of a write */
	uint64_t end;      /* of the pages, in bytes of the volume */
	uint32_t count;
	uint64_t write;   /* when the write began, on volume->writeback.clock */
	uint64_t losses;  /* written_losses() when it was submitted */
	struct list link; /* [D] in volume->writeback.in_flight */
	struct page *pages[IO_PAGES_MAX];
	struct phys_range segments[IO_PAGES_MAX];
};

/* Waits for an object. The caller holds no object that it has not submitted. */
struct io *io_begin(struct volume *volume, enum block_operation operation);

/*
 * The same without waiting; NULL: there is none. `left`: shared objects that must be left for
 * others.
 */
struct io *io_try_begin(struct volume *volume, enum block_operation operation, uint32_t left);

/* Gives back an object that was not submitted, or is done. */
void io_end(struct io *io);

/* The most pages that one request to this volume's device can take. */
uint32_t io_pages_max(const struct volume *volume);

/*
 * Appends a page whose key is set. False: the object is full, or the page does not follow on the
 * disk.
 */
bool io_add(struct io *io, struct page *page);

/*
 * Appends memory to a list of segments, which has room; memory right behind the last segment is
 * joined with it.
 */
void io_add_segment(struct phys_range *segments, uint32_t *count, struct phys_addr start, uint64_t bytes);

/* Submits it; `done` finds io->request.status, and calls io_end in the end. */
void io_submit(struct io *io, void (*done)(struct block_request *request));

/* Submits the read of READING pages that each have a pin for it; ends them as page.h says. */
void io_submit_read(struct io *io);
