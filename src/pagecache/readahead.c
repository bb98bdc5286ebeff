#include "readahead.h"

#include "exclusive.h"
#include "io.h"
#include "runtime/base/bits.h"

#define STRIDE_MAX 1024 /* pages; what lies farther apart is no stream */

/* Of a volume's cached pages, the share that one stream may fill with guesses: a quarter of a probation queue of usual size. */
#define CACHE_SHARE 40

void readahead_init(struct readahead *readahead)
{
	spinlock_init(&readahead->lock, "readahead");
	for (unsigned i = 0; i < READAHEAD_STREAMS; i++)
		readahead->streams[i] = (struct stream){ .count = 0 };
}

/* Streams ------------------------------------------------------------------------------------------------------------------ */

static bool is_sequential(const struct stream *stream)
{
	return stream->stride == (int64_t)stream->count;
}

/* Whether the stream was expected to come to this piece. What has been read ahead of it may be used out of order a little. */
static bool expects(const struct stream *stream, uint64_t first)
{
	if (stream->count == 0)
		return false;
	if (stream->window > 0 && is_sequential(stream))
		return first > stream->last && first <= MAX(stream->ahead, stream->last + stream->count);
	return stream->stride != 0 && (int64_t)first == (int64_t)stream->last + stream->stride;
}

/* A stream that was seen once takes the piece as its second, which is near. */
static bool could_be(const struct stream *stream, uint64_t first)
{
	const int64_t distance = (int64_t)first - (int64_t)stream->last;

	return stream->count != 0 && stream->window == 0 && distance != 0 && distance <= STRIDE_MAX && distance >= -STRIDE_MAX;
}

static struct stream *find(struct readahead *readahead, uint64_t first)
{
	struct stream *near = NULL, *oldest = &readahead->streams[0];

	for (struct stream *stream = readahead->streams; stream < readahead->streams + READAHEAD_STREAMS; stream++) {
		if (expects(stream, first))
			return stream;
		if (could_be(stream, first) && (!near || first - stream->last == stream->count))
			near = stream;
		if (readahead->clock - stream->used > readahead->clock - oldest->used || stream->count == 0)
			oldest = stream;
	}
	if (near)
		return near;
	*oldest = (struct stream){ .count = 0 };
	return oldest;
}

/* The largest window that the cache has room for. */
static uint32_t window_max(const struct volume *volume)
{
	const uint64_t pages = atomic_load_explicit(&volume->heap.blocks, memory_order_relaxed) * PAGES_PER_BLOCK;

	return (uint32_t)MIN(volume->pagecache->config.readahead_bytes / PAGE_BYTES, pages / CACHE_SHARE);
}

/* As much as the stream has read so far. What was evicted unused meanwhile, if it is much, has been too much. */
static void set_window(struct readahead *readahead, struct stream *stream, const struct volume *volume)
{
	const uint64_t wasted = atomic_load_explicit(&volume->counts.ahead_wasted, memory_order_relaxed);

	if (wasted - readahead->wasted > stream->window)
		stream->run = stream->run / 2;
	readahead->wasted = wasted;
	stream->window = (uint32_t)MIN(stream->run, (uint64_t)window_max(volume));
}

/* The next pieces of a stream that are to be read: `pieces` of `count` pages each, `stride` apart. */
struct order {
	uint64_t first;
	uint64_t count;
	int64_t stride;
	uint64_t pieces;
};

/* A sequential stream: the window begins behind the piece, and is filled up when half of it has been used. */
static bool order_sequential(struct stream *stream, struct order *order)
{
	const uint64_t reader = stream->last + stream->count;
	const uint64_t start = MAX(stream->ahead, reader);

	if (start - reader > stream->window / 2)
		return false;
	*order = (struct order){ .first = start, .count = reader + stream->window - start, .pieces = 1 };
	stream->ahead = reader + stream->window;
	return order->count > 0;
}

/* Pieces apart: as many as the window's pages make; asked for anew when half of them have been used. */
static bool order_strided(struct stream *stream, struct order *order)
{
	const int64_t pieces = (int64_t)MAX(stream->window / stream->count, 1u);
	const int64_t next = (int64_t)stream->last + stream->stride;
	const int64_t behind = stream->ahead == 0 ? 0 : ((int64_t)stream->ahead - next) / stream->stride;
	const int64_t have = MAX(behind, 0);

	if (have > pieces / 2)
		return false;
	*order = (struct order){ .count = stream->count, .stride = stream->stride, .pieces = (uint64_t)(pieces - have) };
	if (next + have * stream->stride < 0)
		return false;
	order->first = (uint64_t)(next + have * stream->stride);
	stream->ahead = (uint64_t)MAX((int64_t)order->first + (pieces - have) * stream->stride, 0);
	return true;
}

/* What the piece makes of the stream; true: it was expected. [lock] is held. */
static bool advance(struct readahead *readahead, struct stream *stream, uint64_t first, uint64_t count)
{
	const bool expected = expects(stream, first);
	const bool adjacent = stream->count == 0 || first == stream->last + stream->count;

	if (adjacent || (expected && is_sequential(stream)))
		stream->stride = (int64_t)count;
	else if (!expected)
		stream->stride = (int64_t)first - (int64_t)stream->last;
	if (!expected) {
		stream->ahead = 0;
		stream->run = 0;
	}
	stream->run += count;
	stream->used = ++readahead->clock;
	stream->last = first;
	stream->count = count;
	return expected;
}

/* Follows the stream to the piece; true: something is to be read. [lock] is held. */
static bool follow(struct readahead *readahead, struct stream *stream, const struct volume *volume, uint64_t first,
		   uint64_t count, struct order *order)
{
	if (!advance(readahead, stream, first, count))
		return false;
	set_window(readahead, stream, volume);
	return stream->window > 0 && (is_sequential(stream) ? order_sequential(stream, order) : order_strided(stream, order));
}

/* Reading ------------------------------------------------------------------------------------------------------------------ */

/* A frame for the page, in the index, READING. NULL with *more: it is cached already; without: there is no frame to be had. */
static struct page *take(struct node *node, uint64_t number, bool *more)
{
	struct page *page;

	*more = true;
	if (index_has(&node->volume->pagecache->index, page_key_make(node->id, number)))
		return NULL;
	page = lookaside_take(node->volume, LANE_PROBATION);
	*more = page != NULL;
	return page && page_insert(node, page, LANE_PROBATION, number, page_state_make(PAGE_READING, PAGE_AHEAD | 1)) ? page
														      : NULL;
}

/* Leaves half of the I/O objects to those who wait for what they read. */
static struct io *begin(struct volume *volume)
{
	return io_try_begin(volume, BLOCK_READ, volume->pagecache->config.requests / 2);
}

static void end(struct io *io)
{
	if (io && io->count > 0)
		io_submit_read(io);
	else if (io)
		io_end(io);
}

/* Reads what is missing of [first, last); false: there are no more frames or I/O objects. */
static bool read_piece(struct node *node, uint64_t first, uint64_t last)
{
	struct io *io = begin(node->volume);
	uint64_t pages = 0;
	bool more = io != NULL;

	for (uint64_t number = first; more && number < last; number++) {
		struct page *page = take(node, number, &more);

		if (!page)
			continue;
		pages++;
		if (io_add(io, page))
			continue;
		io_submit_read(io);
		io = io_begin(node->volume, BLOCK_READ); /* the page is in the index: it has to be read */
		(void)io_add(io, page);
	}
	end(io);
	atomic_fetch_add_explicit(&node->volume->counts.ahead_pages, pages, memory_order_relaxed);
	return more;
}

void readahead_note(struct node *node, uint64_t first, uint64_t count)
{
	struct readahead *readahead = &node->readahead;
	const uint64_t pages = node_pages(node);
	struct order order = { .pieces = 0 };
	bool read;

	if (node->volume->pagecache->config.readahead_bytes == 0 || !spinlock_try_lock(&readahead->lock))
		return;
	read = follow(readahead, find(readahead, first), node->volume, first, count, &order);
	spinlock_unlock(&readahead->lock);
	for (uint64_t piece = 0; read && piece < order.pieces && order.first < pages; piece++) {
		read = read_piece(node, order.first, MIN(order.first + order.count, pages));
		order.first += (uint64_t)order.stride;
	}
}
