/*
 * I/O of pages: consecutive pages of a volume in one request to the device. The objects come from a reserve; a task that finds
 * none waits on pagecache->progress until one comes back, so I/O never fails for want of memory.
 *
 * `requests` of them are for all volumes, the last quarter for reads only: a disk that serves reads and no writes holds up
 * neither its own nor another one's. When these are under way, which a silent disk may bring about, each volume has IO_OWN more
 * for its reads and IO_OWN for its writes, the last of which only a task that cleans may take.
 */
#pragma once

#include "volume.h"

#define IO_PAGES_MAX  256
#define IO_OWN        2
#define IO_READ_SHARE 4

struct io {
	struct block_request request;
	struct volume *volume;
	struct node *node; /* of a write */
	uint64_t end;      /* of the pages, in bytes of the volume */
	uint32_t count;
	uint64_t write;   /* when it was begun, on volume->clock */
	uint64_t losses;  /* written_losses() when it was submitted */
	struct list link; /* [D] in volume->in_flight */
	struct page *pages[IO_PAGES_MAX];
	struct phys_range segments[IO_PAGES_MAX];
};

/* Waits for an object. Whoever holds one that is not submitted must not call it. */
struct io *io_begin(struct volume *volume, enum block_operation operation);

/* The same without waiting; NULL: there is none. `left`: so many of those for all must be left for others. */
struct io *io_try_begin(struct volume *volume, enum block_operation operation, uint32_t left);

/* Gives back what was not submitted, or is done. */
void io_end(struct io *io);

/* Pages that one request to this volume's device can take. */
uint32_t io_pages_max(const struct volume *volume);

/* Appends a page that has its key. False: full, or it does not lie behind the last one. */
bool io_add(struct io *io, struct page *page);

/* Appends bytes of memory to a list of segments, which has room; what lies behind the last one is joined with it. */
void io_add_segment(struct phys_range *segments, uint32_t *count, struct phys_addr start, uint64_t bytes);

/* `done` gets io->request.status and calls io_end in the end. */
void io_submit(struct io *io, void (*done)(struct block_request *request));

/* Submits the read of pages that are READING and each have a pin for it; ends them as page.h says. */
void io_submit_read(struct io *io);
