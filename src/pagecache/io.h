/*
 * I/O of pages: consecutive pages of a node in one request to the device. The objects come from a reserve; who finds none waits
 * until one comes back, so I/O never fails for want of memory.
 */
#pragma once

#include "volume.h"

#define IO_PAGES_MAX 256

struct io {
	struct block_request request;
	struct volume *volume;
	struct node *node;
	uint64_t number; /* of the first page */
	uint32_t count;
	uint64_t write;   /* number of the write, see volume->in_flight */
	struct list link; /* [D] in volume->in_flight */
	struct page *pages[IO_PAGES_MAX];
	struct phys_range segments[IO_PAGES_MAX];
};

/* Waits for an object. Whoever holds one that is not submitted must not call it. */
struct io *io_begin(struct node *node, enum block_operation operation);

/* Gives back what was not submitted, or is done. */
void io_end(struct io *io);

/* Pages that one request to this volume's device can take. */
uint32_t io_pages_max(const struct volume *volume);

/* Appends the page with the next number. False: full, or not the next. */
bool io_add(struct io *io, struct page *page, uint64_t number);

/* `done` gets io->request.status and calls io_end in the end. */
void io_submit(struct io *io, void (*done)(struct block_request *request));

/* Submits the read of pages that are READING and each have a pin for it; ends them as page.h says. */
void io_submit_read(struct io *io);

/* Bytes of this page that belong to the node: 4096, or less at its end. */
uint64_t node_page_bytes(const struct node *node, uint64_t number);
