// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sequential reading and writing, through the page cache and past it, on both disks: how much of
 * the device's speed the cache lets through. With `make run DISK_MBPS=200` the disk is the limit
 * and not an emulated CPU.
 *
 *	read_direct    requests of 1 MB, 32 in flight, into DMA memory
 *	read_cached    node_read, 256 KB at a time, nothing of it cached before
 *	write_direct   like read_direct, and a flush of the device at the end
 *	write_cached   node_write, 256 KB at a time, and volume_flush at the end
 *
 * All four work on the same range, the end of the disk, one after the other; the first round only
 * makes host and device familiar with it, and of the others the medians count. Ratios are cached to
 * direct. What was written is read back past the cache, and then the range gets the test pattern
 * again.
 *
 * Options: stream_bytes=512M, rounds=3, data=NAME and digitizer=NAME (see disks.h).
 */
#include "app/testbed/buffers.h"
#include "app/testbed/direct.h"
#include "app/testbed/disks.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "app/testbed/pattern.h"
#include "app/testbed/report.h"
#include "runtime/base/block_device.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"

#define STREAM_BYTES (512 * MIB)
#define ROUNDS       3
#define ROUNDS_MAX   99
#define BATCH_BYTES  DIRECT_BYTES_MAX /* of the DMA buffers, which are used in turn */
#define BATCH_COUNT  (BATCH_BYTES / BUFFERS_PIECE_BYTES)
#define PIECE_BYTES  (256 * KIB)
#define PIECE_PAGES  (PIECE_BYTES / PAGE_BYTES)
#define TAKE_WAIT_NS (30 * NS_PER_S)
#define PAUSE_NS     (200 * NS_PER_MS) /* readahead ends, and a throttled disk forgets that it was idle or busy before */

struct streaming {
	const struct app_environment *environment;
	struct volume *volume; /* a whole disk */
	uint64_t seed;         /* of its pattern */
	uint64_t start, bytes; /* the range, in whole batches */
	uint64_t version;      /* of the pages that are written next */
	struct buffers buffers;
	struct dma_buffer **list; /* buffers for the whole range: those that there are, again and again */
	void *piece;
	uint64_t bad_pages;
};

/* Ways to work through the range --------------------------------------------------------------- */

static void check_names(struct streaming *stream, const uint64_t *page, uint64_t offset, uint64_t bytes)
{
	const uint64_t first = offset / PAGE_BYTES;

	for (uint64_t i = 0; i < bytes / PAGE_BYTES; i++, page += PATTERN_PAGE_WORDS)
		if (!pattern_names(page, stream->seed, first + i))
			stream->bad_pages++;
}

static status_t read_direct(struct streaming *stream)
{
	const uint64_t end = stream->start + stream->bytes;
	const status_t status = direct_read(stream->environment->memory, volume_device(stream->volume), stream->start,
					    stream->list, stream->bytes / BUFFERS_PIECE_BYTES);

	/* The last batch is in the buffers now. */
	for (uint64_t i = 0; status == STATUS_OK && i < BATCH_COUNT; i++)
		check_names(stream, stream->list[i]->memory, end - BATCH_BYTES + i * BUFFERS_PIECE_BYTES, BUFFERS_PIECE_BYTES);
	return status;
}

static status_t read_cached(struct streaming *stream)
{
	const uint64_t end = stream->start + stream->bytes;
	status_t status = STATUS_OK;

	for (uint64_t offset = stream->start; offset < end && status == STATUS_OK; offset += PIECE_BYTES) {
		status = node_read(volume_whole_node(stream->volume), offset, stream->piece, PIECE_BYTES);
		if (status == STATUS_OK)
			check_names(stream, stream->piece, offset, PIECE_BYTES);
	}
	return status;
}

static status_t write_direct(struct streaming *stream)
{
	struct block_device *device = volume_device(stream->volume);
	const status_t status = direct_write(stream->environment->memory, device, stream->start, stream->list,
					     stream->bytes / BUFFERS_PIECE_BYTES);

	return status == STATUS_OK ? block_device_transfer(device, BLOCK_FLUSH, 0, NULL, 0) : status;
}

static status_t write_cached(struct streaming *stream)
{
	const uint64_t end = stream->start + stream->bytes;
	status_t status = STATUS_OK;

	stream->version++;
	for (uint64_t offset = stream->start; offset < end && status == STATUS_OK; offset += PIECE_BYTES) {
		uint64_t *page = stream->piece;

		for (uint64_t i = 0; i < PIECE_PAGES; i++, page += PATTERN_PAGE_WORDS)
			pattern_stamp(page, stream->seed, offset / PAGE_BYTES + i, stream->version);
		status = node_write(volume_whole_node(stream->volume), offset, stream->piece, PIECE_BYTES);
	}
	return status == STATUS_OK ? volume_flush(stream->volume) : status;
}

static const struct way {
	const char *name;
	status_t (*run)(struct streaming *stream);
} ways[] = {
	{ "read_direct", read_direct },
	{ "read_cached", read_cached },
	{ "write_direct", write_direct },
	{ "write_cached", write_cached },
};

#define WAYS ARRAY_LENGTH(ways)

/*
 * A drop may leave a block or so, and nothing of the range may stay: it would be quicker to read,
 * and stale after a write.
 */
static status_t forget(struct streaming *stream)
{
	(void)volume_drop(stream->volume);
	return node_discard(volume_whole_node(stream->volume), stream->start, stream->bytes);
}

static status_t run_way(struct streaming *stream, unsigned way, uint64_t *rate)
{
	status_t status;

	task_sleep(PAUSE_NS);
	status = forget(stream);
	const uint64_t start_ns = platform_now_ns();
	if (status == STATUS_OK)
		status = ways[way].run(stream);
	*rate = rate_bytes(stream->bytes, platform_now_ns() - start_ns);
	if (status != STATUS_OK)
		print("FAILED: %s of %s: %s\n", ways[way].name, volume_name(stream->volume), status_text(status));
	return status;
}

/* Afterwards ----------------------------------------------------------------------------------- */

/*
 * Batch by batch: whether the device holds what was written through the cache; and the pattern
 * again.
 */
static status_t verify_and_restore(struct streaming *stream)
{
	struct memory *memory = stream->environment->memory;
	struct block_device *device = volume_device(stream->volume);
	const uint64_t end = stream->start + stream->bytes;
	status_t status = STATUS_OK;

	for (uint64_t offset = stream->start; offset < end && status == STATUS_OK; offset += BATCH_BYTES) {
		uint64_t number = offset / PAGE_BYTES;

		status = direct_read(memory, device, offset, stream->list, BATCH_COUNT);
		if (status != STATUS_OK)
			break;
		for (uint64_t i = 0; i < BATCH_COUNT; i++) {
			uint64_t *page = stream->list[i]->memory;

			for (uint64_t j = 0; j < BUFFERS_PIECE_BYTES / PAGE_BYTES; j++, number++, page += PATTERN_PAGE_WORDS) {
				if (!pattern_names(page, stream->seed, number) || page[PATTERN_WORD_VERSION] != stream->version)
					stream->bad_pages++;
				pattern_fill(page, stream->seed, number, 0);
			}
		}
		status = direct_write(memory, device, offset, stream->list, BATCH_COUNT);
	}
	if (status == STATUS_OK)
		status = block_device_transfer(device, BLOCK_FLUSH, 0, NULL, 0);
	return status == STATUS_OK ? forget(stream) : status;
}

static void print_result(const struct streaming *stream, uint64_t rounds, uint64_t rates[WAYS][ROUNDS_MAX])
{
	char text[WAYS][FORMAT_SHARE_BYTES], read_ratio[FORMAT_SHARE_BYTES], write_ratio[FORMAT_SHARE_BYTES];
	uint64_t medians[WAYS];

	for (unsigned way = 0; way < WAYS; way++) {
		sort_numbers(rates[way], rounds);
		medians[way] = rates[way][rounds / 2];
		format_hundredths(text[way], medians[way], MIB);
	}
	print("result: stream disk=%s read_direct_mbps=%s read_cached_mbps=%s read_ratio=%s write_direct_mbps=%s "
	      "write_cached_mbps=%s write_ratio=%s bytes=%llu rounds=%llu bad_pages=%llu\n",
	      volume_name(stream->volume), text[0], text[1], format_share(read_ratio, medians[1], medians[0]), text[2], text[3],
	      format_share(write_ratio, medians[3], medians[2]), (unsigned long long)stream->bytes, (unsigned long long)rounds,
	      (unsigned long long)stream->bad_pages);
}

static status_t measure(struct streaming *stream, uint64_t rounds)
{
	static uint64_t rates[WAYS][ROUNDS_MAX];
	status_t status = STATUS_OK, restored;
	uint64_t ignored;

	for (unsigned way = 0; way < WAYS && status == STATUS_OK; way++)
		status = run_way(stream, way, &ignored);
	for (uint64_t round = 0; scenario_goes_on(round, &rounds); round++) {
		char text[WAYS][FORMAT_SHARE_BYTES];

		for (unsigned way = 0; way < WAYS && status == STATUS_OK; way++)
			status = run_way(stream, way, &rates[way][round]);
		if (status != STATUS_OK)
			break;
		for (unsigned way = 0; way < WAYS; way++)
			format_hundredths(text[way], rates[way][round], MIB);
		print("%s round %llu/%llu: read %s direct, %s cached; write %s direct, %s cached (MB/s)\n",
		      volume_name(stream->volume), (unsigned long long)round + 1, (unsigned long long)rounds, text[0], text[1],
		      text[2], text[3]);
	}
	restored = verify_and_restore(stream);
	if (restored != STATUS_OK)
		print("FAILED: restoring the pattern of %s: %s\n", volume_name(stream->volume), status_text(restored));
	if (status == STATUS_OK)
		print_result(stream, rounds, rates);
	return status == STATUS_OK ? restored : status;
}

/* Set-up --------------------------------------------------------------------------------------- */

static void stream_fini(struct streaming *stream)
{
	struct heap *heap = memory_general_heap(stream->environment->memory);

	heap_free(heap, stream->list);
	heap_free(heap, stream->piece);
	buffers_fini(&stream->buffers);
}

/* Half of the disk at most: the first page, by which it is known, stays. */
static status_t stream_init(struct streaming *stream, uint64_t bytes)
{
	struct memory *memory = stream->environment->memory;
	struct heap *heap = memory_general_heap(memory);
	struct block_device *device = volume_device(stream->volume);
	const struct dma_request piece = buffers_piece(false);
	uint64_t count;
	status_t status;

	stream->bytes = MIN(bytes, volume_bytes(stream->volume) / 2) / BATCH_BYTES * BATCH_BYTES;
	stream->start = (volume_bytes(stream->volume) - stream->bytes) / PIECE_BYTES * PIECE_BYTES;
	if (stream->bytes == 0 || device->read_only) {
		print("The disk %s is too small or read only.\n", volume_name(stream->volume));
		return STATUS_UNSUPPORTED;
	}
	status = buffers_init(&stream->buffers, memory, direct_device(device), &piece, BATCH_COUNT);
	if (status != STATUS_OK)
		return status;
	count = stream->bytes / BUFFERS_PIECE_BYTES;
	stream->list = heap_alloc(heap, count * sizeof(*stream->list), 0);
	stream->piece = heap_alloc(heap, PIECE_BYTES, PAGE_BYTES);
	status = stream->list && stream->piece ? buffers_take(&stream->buffers, TAKE_WAIT_NS) : STATUS_NO_MEMORY;
	if (status != STATUS_OK) {
		stream_fini(stream);
		return status;
	}
	for (uint64_t i = 0; i < count; i++)
		stream->list[i] = stream->buffers.list[i % BATCH_COUNT];
	return STATUS_OK;
}

static status_t run_disk(const struct scenario *scenario, struct volume *volume, uint64_t seed)
{
	const uint64_t bytes = options_get_number(scenario->options, "stream_bytes", STREAM_BYTES);
	const uint64_t rounds = options_get_number(scenario->options, "rounds", ROUNDS);
	struct streaming stream = { .environment = scenario->environment, .volume = volume, .seed = seed };
	status_t status = stream_init(&stream, bytes);

	if (status != STATUS_OK)
		return status;
	status = measure(&stream, MIN(MAX(rounds, 1), ROUNDS_MAX));
	stream_fini(&stream);
	return status == STATUS_OK && stream.bad_pages > 0 ? STATUS_CORRUPT : status;
}

SCENARIO(stream, "read and write both disks in order, past the cache and through it: stream_bytes=512M rounds=3")
{
	struct volume *digitizer;
	struct disks disks;
	status_t status = disks_find(scenario, &disks);

	if (status != STATUS_OK)
		return status;
	digitizer = volume_find(scenario->environment->pagecache, disks.digitizer->name);
	if (!digitizer)
		return STATUS_NOT_FOUND;
	status = run_disk(scenario, disks.data, PATTERN_SEED_DATA);
	return status == STATUS_OK ? run_disk(scenario, digitizer, PATTERN_SEED_DIGITIZER) : status;
}
