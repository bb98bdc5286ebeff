// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a program with an instrument does: takes its buffers, lets the card fill them, checks the
 * samples, writes them to a volume, and reads them back. Between the rounds all buffers are freed,
 * so the memory is page cache when the next round wants it.
 *
 * Options: buffers=256 (of 4 MB each), rounds=2, volume=NAME (the first one), monitor=1 (stay in
 * the monitor afterwards).
 */
#include "app/app.h"
#include "instrument.h"
#include "pagecache/volume.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/console/monitor.h"
#include "runtime/kernel/power.h"
#include "window.h"

#define BUFFER_BYTES (4 * MIB)
#define BUFFERS      256
#define BUFFERS_MAX  WINDOW_SLOTS
#define ROUNDS       2
#define TAKE_WAIT_NS (60 * NS_PER_S)
#define FILL_WAIT_NS (30 * NS_PER_S)
#define PIECE_BYTES  (256 * KIB) /* that is read back at a time */

struct recording {
	const struct app_environment *environment;
	struct instrument *card;
	struct volume *volume;
	struct dma_buffer *buffers[BUFFERS_MAX];
	uint64_t count;
	void *piece;
	uint64_t take_ns, bad_samples;
};

static const char *fault; /* what could not be done, for the result line */

static status_t failed(const char *what, status_t status)
{
	if (status != STATUS_OK) {
		fault = what;
		log_error("instrument: cannot %s: %s", what, status_text(status));
	}
	return status;
}

static uint64_t count_bad(const uint64_t *samples, uint64_t first, uint64_t bytes)
{
	uint64_t expected = (first + 1) * WINDOW_SAMPLE_STEP, bad = 0;

	for (uint64_t i = 0; i < bytes / sizeof(*samples); i++, expected += WINDOW_SAMPLE_STEP)
		bad += samples[i] != expected;
	return bad;
}

static void buffers_give(struct recording *recording)
{
	for (uint64_t i = 0; i < recording->count; i++) {
		dma_free(memory_dma(recording->environment->memory), recording->buffers[i]);
		recording->buffers[i] = NULL;
	}
}

static status_t buffers_take(struct recording *recording)
{
	const uint64_t start_ns = platform_now_ns();
	status_t status = STATUS_OK;

	for (uint64_t i = 0; i < recording->count && status == STATUS_OK; i++) {
		const struct dma_request request = { .bytes = BUFFER_BYTES,
						     .segments_max = 1,
						     .wait = MEMORY_WAIT_DEADLINE,
						     .deadline_ns = start_ns + TAKE_WAIT_NS };

		status = dma_alloc(memory_dma(recording->environment->memory), instrument_device(recording->card), &request,
				   &recording->buffers[i]);
	}
	recording->take_ns = platform_now_ns() - start_ns;
	return status;
}

/* Each buffer as it comes: check, and write to the volume behind the one before. */
static status_t buffers_store(struct recording *recording)
{
	struct instrument_filled filled;
	status_t status = STATUS_OK;

	for (uint64_t i = 0; i < recording->count && status == STATUS_OK; i++)
		status = instrument_queue(recording->card, recording->buffers[i]);
	for (uint64_t i = 0; i < recording->count && status == STATUS_OK; i++) {
		status = failed("get a buffer from the card",
				instrument_next(recording->card, platform_now_ns() + FILL_WAIT_NS, &filled));
		if (status != STATUS_OK)
			break;
		recording->bad_samples += count_bad(filled.buffer->memory, filled.sample, filled.bytes);
		status = failed("write to the volume", node_write(volume_whole_node(recording->volume), i * BUFFER_BYTES,
								  filled.buffer->memory, filled.bytes));
	}
	return status;
}

static status_t read_back(struct recording *recording)
{
	status_t status = STATUS_OK;

	for (uint64_t offset = 0; offset < recording->count * BUFFER_BYTES && status == STATUS_OK; offset += PIECE_BYTES) {
		status = failed("read the volume",
				node_read(volume_whole_node(recording->volume), offset, recording->piece, PIECE_BYTES));
		if (status == STATUS_OK)
			recording->bad_samples += count_bad(recording->piece, offset / sizeof(uint64_t), PIECE_BYTES);
	}
	return status;
}

static status_t record(struct recording *recording)
{
	const struct instrument_stream stream = { .rate = 0, .trigger = WINDOW_NO_TRIGGER };
	status_t status = failed("take the buffers", buffers_take(recording)), stopped;

	if (status == STATUS_OK)
		status = failed("start the card", instrument_start(recording->card, &stream));
	if (status == STATUS_OK)
		status = buffers_store(recording);
	stopped = failed("stop the card", instrument_stop(recording->card));
	buffers_give(recording);
	if (status == STATUS_OK)
		status = stopped;
	if (status == STATUS_OK)
		status = failed("flush the volume", volume_flush(recording->volume));
	return status == STATUS_OK ? read_back(recording) : status;
}

/* The volume of that name, or the first one; all buffers fit onto it. */
static struct volume *volume_choose(const struct recording *recording)
{
	struct pagecache *pagecache = recording->environment->pagecache;
	char name[VOLUME_NAME_BYTES];
	struct volume *volume;

	if (options_get(recording->environment->command_line, "volume", name, sizeof(name))) {
		volume = volume_find(pagecache, name);
	} else {
		volume = volume_next(pagecache, NULL);
		if (volume)
			volume_put(volume);
	}
	if (volume && volume_bytes(volume) >= recording->count * BUFFER_BYTES)
		return volume;
	log_error("instrument: no volume of %lu MB; `volumes` lists what there is",
		  (uint64_t)(recording->count * BUFFER_BYTES / MIB));
	return NULL;
}

static status_t run(const struct app_environment *environment)
{
	static struct recording recording;
	const uint64_t rounds = options_get_number(environment->command_line, "rounds", ROUNDS);
	status_t status = STATUS_OK;

	recording.environment = environment;
	recording.count = options_get_number(environment->command_line, "buffers", BUFFERS);
	if (recording.count == 0 || recording.count > BUFFERS_MAX) {
		log_error("instrument: buffers=%lu is not from 1 to %u", recording.count, BUFFERS_MAX);
		return STATUS_INVALID;
	}
	recording.card = instrument_find();
	if (!recording.card) {
		log_error("instrument: there is no card; examples/instrument/run.sh starts one");
		return STATUS_NOT_FOUND;
	}
	recording.volume = volume_choose(&recording);
	recording.piece = heap_alloc(memory_general_heap(environment->memory), PIECE_BYTES, PAGE_BYTES);
	if (!recording.volume || !recording.piece)
		return STATUS_NOT_FOUND;
	for (uint64_t i = 0; i < rounds && status == STATUS_OK; i++) {
		status = record(&recording);
		print("result: instrument round=%lu buffers=%lu buffer_bytes=%lu take_ms=%lu bad_samples=%lu failed=%s\n",
		      i + 1, recording.count, (uint64_t)BUFFER_BYTES, (uint64_t)(recording.take_ns / NS_PER_MS),
		      recording.bad_samples, status == STATUS_OK ? "no" : fault);
		if (recording.bad_samples > 0)
			status = STATUS_IO_ERROR;
	}
	heap_free(memory_general_heap(environment->memory), recording.piece);
	return status;
}

_Noreturn void app_main(const struct app_environment *environment)
{
	const status_t status = options_check(environment->command_line) ? run(environment) : STATUS_INVALID;

	if (options_get_number(environment->command_line, "monitor", 0) != 0) {
		print("The monitor is open: help lists its commands, poweroff ends.\n");
		monitor_run(environment->commands);
	}
	power_exit(status == STATUS_OK ? 0 : 1);
}
