// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each piece that is read is compared with what the streams expect. One that fits moves its stream
 * on, and the stream orders what comes next; one that fits none begins a stream in the place of
 * the one that has proved least.
 */
#include "readahead.h"

#include "exclusive.h"
#include "io.h"

#define STRIDE_MAX   1024 /* pages; reads that lie farther apart are no stream */
#define STREAM_PAGES 64   /* pages of a node for each stream in its table */
#define STREAMS_MIN  8
#define RECENT       16 /* pieces: one near a stream this old may be a stride away from it */
#define TURNS_MAX    256

/*
 * The share of a volume's memory that guesses may fill: a probation queue of usual size. One stream
 * has a quarter of it.
 */
#define CACHE_SHARE 10
#define TURNS_MIN   4

void readahead_init(struct node *node)
{
	struct readahead *readahead = &node->readahead;
	const uint64_t count = MIN(MAX(node_pages(node) / STREAM_PAGES, STREAMS_MIN), READAHEAD_STREAMS);
	const size_t bytes = count * sizeof(struct stream);

	*readahead = (struct readahead){ .count = 0 };
	spinlock_init(&readahead->lock, "readahead");
	if (node->volume->pagecache->config.readahead_bytes > 0)
		readahead->streams =
			heap_alloc_zeroed(memory_general_heap(node->volume->pagecache->memory), bytes, _Alignof(struct stream));
	if (!readahead->streams)
		return;
	readahead->latest = readahead->streams;
	readahead->count = (uint32_t)count;
}

void readahead_fini(struct node *node)
{
	if (node->readahead.streams)
		heap_free(memory_general_heap(node->volume->pagecache->memory), node->readahead.streams);
}

/* Streams -------------------------------------------------------------------------------------- */

/* Pages that are read at once. */
struct piece {
	uint64_t first, end;
	uint64_t misses;
	uint32_t clock;
};

/*
 * Whether the piece follows the last one. Pages that were read ahead may be used a little out of
 * order.
 */
static bool goes_on(const struct stream *stream, const struct piece *piece)
{
	return (stream->stride == 0 || stream->window == 0) && piece->first >= stream->first && piece->end > stream->end &&
	       piece->first <= MAX(stream->end, stream->ahead);
}

static bool goes_apart(const struct stream *stream, const struct piece *piece)
{
	return stream->stride != 0 && (int64_t)piece->first == (int64_t)stream->first + stream->stride;
}

/*
 * A new stream that begins with the piece, perhaps with the distance from another stream's last
 * piece as its stride.
 */
static struct stream stream_begin(const struct stream *from, const struct piece *piece)
{
	const int64_t distance = from && from->end != 0 ? (int64_t)piece->first - (int64_t)from->first : 0;

	return (struct stream){
		.first = piece->first,
		.end = piece->end,
		.stride = distance <= STRIDE_MAX && distance >= -STRIDE_MAX ? distance : 0,
		.run = piece->end - piece->first,
		.used = piece->clock,
	};
}

/*
 * Begins a stream with a piece that no stream expects, in the place of the oldest. A stream that
 * was never used is older than all others.
 */
static void add(struct readahead *readahead, const struct piece *piece)
{
	struct stream *oldest = readahead->streams, *oldest_new = NULL, *near = NULL;
	uint32_t fresh = 0;

	for (struct stream *stream = readahead->streams; stream < readahead->streams + readahead->count; stream++) {
		const uint64_t distance = MAX(stream->first, piece->first) - MIN(stream->first, piece->first);
		const uint32_t age = piece->clock - stream->used;

		if (age > piece->clock - oldest->used)
			oldest = stream;
		if (stream->window > 0)
			continue;
		fresh++;
		if (!oldest_new || age > piece->clock - oldest_new->used)
			oldest_new = stream;
		if (age <= RECENT && distance <= STRIDE_MAX && (!near || age < piece->clock - near->used))
			near = stream;
	}
	*(fresh > readahead->count / 4 ? oldest_new : oldest) = stream_begin(near, piece);
}

/*
 * The stream that expects the piece; NULL: none does. A piece that goes on with a stride begins a
 * stream of its own, too: readers that take turns at equal distances look like a stride.
 */
static struct stream *find(struct readahead *readahead, const struct piece *piece)
{
	struct stream *apart = NULL;

	if (readahead->count > 0 && readahead->latest->end != 0 && goes_on(readahead->latest, piece))
		return readahead->latest;
	for (struct stream *stream = readahead->streams; stream < readahead->streams + readahead->count; stream++) {
		if (stream->end != 0 && goes_on(stream, piece))
			return readahead->latest = stream;
		if (goes_apart(stream, piece))
			apart = stream;
	}
	if (readahead->count > 0)
		add(readahead, piece);
	return apart;
}

/* The largest window that the cache has room for. */
static uint64_t window_max(const struct stream *stream, const struct volume *volume)
{
	const struct pagecache *pagecache = volume->pagecache;
	const uint64_t blocks = atomic_load_explicit(&volume->eviction.heap.blocks, memory_order_relaxed) +
				(memory_free_bytes(pagecache->memory) >> BLOCK_SHIFT);

	return MIN(pagecache->config.readahead_bytes / PAGE_BYTES,
		   blocks * PAGES_PER_BLOCK / CACHE_SHARE / MAX(stream->turns, (uint32_t)TURNS_MIN));
}

/* The next pieces of a stream to be read: `pieces` of `count` pages each, `stride` apart. */
struct order {
	uint64_t first;
	uint64_t count;
	int64_t stride;
	uint64_t pieces;
};

/* Orders whole requests of `most` pages, as long as the window has room for one. */
static bool order_sequential(struct stream *stream, uint64_t most, struct order *order)
{
	const uint64_t start = MAX(stream->ahead, stream->end);
	const uint64_t limit = stream->end + stream->window;
	uint64_t room = limit > start ? limit - start : 0;

	if (room == 0 || room < MIN(most, stream->window * 3ull / 4))
		return false;
	if (room > most)
		room -= room % most;
	*order = (struct order){ .first = start, .count = room, .pieces = 1 };
	stream->ahead = start + room;
	return true;
}

/*
 * Orders pieces that lie apart, as many as fit the window; anew when half of them have been used.
 */
static bool order_strided(struct stream *stream, struct order *order)
{
	const uint64_t count = stream->end - stream->first;
	const int64_t pieces = (int64_t)MAX(stream->window / count, 1ull);
	const int64_t next = (int64_t)stream->first + stream->stride;
	const int64_t behind = stream->ahead == 0 ? 0 : ((int64_t)stream->ahead - next) / stream->stride;
	const int64_t have = MAX(behind, 0);

	if (have > pieces / 2)
		return false;
	*order = (struct order){ .count = count, .stride = stream->stride, .pieces = (uint64_t)(pieces - have) };
	if (next + have * stream->stride < 0)
		return false;
	order->first = (uint64_t)(next + have * stream->stride);
	stream->ahead = (uint64_t)MAX((int64_t)order->first + (pieces - have) * stream->stride, 0);
	return true;
}

/* Moves the stream on to the piece, which it expected; true: something is to be read. */
static bool follow(struct stream *stream, const struct volume *volume, const struct piece *piece, struct order *order)
{
	const bool sequential = goes_on(stream, piece);
	const uint64_t asked_to = sequential ? MAX(stream->ahead, piece->first) : piece->end;

	/* Pages that were evicted unused, or got no frame, are ordered again. */
	if (stream->window > 0 && piece->misses > piece->end - MIN(asked_to, piece->end)) {
		stream->run /= 2;
		stream->ahead = 0;
	}
	if (sequential)
		stream->stride = 0;
	stream->turns = (stream->turns * 3 + MIN(piece->clock - stream->used, TURNS_MAX)) / 4;
	stream->used = piece->clock;
	stream->run += piece->end - piece->first;
	stream->first = piece->first;
	stream->end = piece->end;
	stream->window = (uint32_t)MIN(stream->run, window_max(stream, volume));
	if (stream->window == 0)
		return false;
	return sequential ? order_sequential(stream, io_pages_max(volume), order) : order_strided(stream, order);
}

/* Reading -------------------------------------------------------------------------------------- */

/*
 * Reads the missing pages of [first, last); false: there are no more frames or I/O objects. Half of
 * the objects are left for readers that wait for their pages.
 */
static bool read_piece(struct node *node, uint64_t first, uint64_t last)
{
	struct volume *volume = node->volume;
	struct io *io = io_try_begin(volume, BLOCK_READ, volume->pagecache->config.requests / 2);
	bool more = io != NULL;

	for (uint64_t number = first; more && number < last; number++) {
		struct page *page;

		if (index_look(&volume->pagecache->pages.index, page_key_make(node->id, number)))
			continue;
		page = cpu_frames_take(volume, QUEUE_PROBATION);
		more = page != NULL;
		if (!more || !page_insert(node, page, QUEUE_PROBATION, number, page_state_make(PAGE_READING, PAGE_AHEAD | 1)))
			continue;
		atomic_fetch_add_explicit(&volume->counts.ahead_pages, 1, memory_order_relaxed);
		if (io_add(io, page))
			continue;
		io_submit_read(io);
		io = io_begin(volume, BLOCK_READ); /* the page is in the index: it has to be read */
		(void)io_add(io, page);
	}
	if (io && io->count > 0)
		io_submit_read(io);
	else if (io)
		io_end(io);
	return more;
}

/* Follows the stream of a reader that keeps it itself. */
static bool follow_own(struct stream *stream, const struct volume *volume, const struct piece *piece, struct order *order)
{
	if (goes_on(stream, piece) || goes_apart(stream, piece))
		return follow(stream, volume, piece, order);
	*stream = stream_begin(stream, piece);
	return false;
}

static bool follow_any(struct readahead *readahead, const struct volume *volume, const struct piece *piece, struct order *order)
{
	struct stream *stream;
	bool read;

	if (!spinlock_try_lock(&readahead->lock))
		return false;
	stream = find(readahead, piece);
	read = stream && follow(stream, volume, piece, order);
	spinlock_unlock(&readahead->lock);
	return read;
}

void readahead_note(struct node *node, struct stream *stream, uint64_t first, uint64_t end, uint64_t misses)
{
	struct volume *volume = node->volume;
	struct piece piece = { .first = first, .end = end, .misses = misses };
	const uint64_t pages = node_pages(node);
	struct order order = { .pieces = 0 };
	bool read;

	if (volume->pagecache->config.readahead_bytes == 0)
		return;
	piece.clock = atomic_fetch_add_explicit(&volume->node.readahead.clock, 1, memory_order_relaxed) + 1;
	read = stream ? follow_own(stream, volume, &piece, &order) : follow_any(&node->readahead, volume, &piece, &order);
	for (uint64_t i = 0; read && i < order.pieces && order.first < pages; i++) {
		read = read_piece(node, order.first, MIN(order.first + order.count, pages));
		order.first += (uint64_t)order.stride;
	}
}
