// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two tasks. The capturing one takes buffers from the card as they come, and decides what is
 * recorded; it never waits for the volume. The writer is the only one who does. What they share are
 * the three counters of the ring.
 */
#include "recorder.h"

#include "examples/instrument/instrument.h"
#include "pagecache/direct.h"
#include "pagecache/volume.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define LOOK_NS          (100 * NS_PER_MS) /* how often a task that waits looks whether it is to end */
#define SILENCE_NS       (10 * NS_PER_S)   /* a card that fills nothing for so long has failed */
#define SHOW_NS          NS_PER_S
#define RECORDER_STOP    1u
#define RECORDER_TRIGGER 2u

static struct recorder_buffer *slot(struct recorder *recorder, uint32_t number)
{
	return &recorder->ring[number % RECORDER_BUFFERS_MAX];
}

static void fail(struct recorder *recorder, const char *what, status_t status)
{
	status_t none = STATUS_OK;

	if (status != STATUS_OK && atomic_compare_exchange_strong(&recorder->status, &none, status))
		log_error("recorder: %s: %s", what, status_text(status));
}

static void ask(struct recorder *recorder, uint32_t what)
{
	atomic_fetch_or(&recorder->asked, what);
}

void recorder_trigger(struct recorder *recorder)
{
	ask(recorder, RECORDER_TRIGGER);
}

void recorder_stop(struct recorder *recorder)
{
	ask(recorder, RECORDER_STOP);
}

static bool is_asked(struct recorder *recorder, uint32_t what)
{
	return atomic_load(&recorder->asked) & what;
}

/* Capture -------------------------------------------------------------------------------------- */

static void give_back(struct recorder *recorder)
{
	struct dma_buffer *buffer = slot(recorder, recorder->given)->buffer;

	atomic_fetch_add(&recorder->given, 1);
	platform_wake(&recorder->given);
	fail(recorder, "the card takes no buffer", instrument_queue(recorder->card, buffer));
}

static void release(struct recorder *recorder)
{
	atomic_store(&recorder->released, recorder->captured);
	platform_wake(&recorder->released);
}

/*
 * The trigger has come, or none is waited for: all that is in the ring is recorded, and what was
 * lost in between counts.
 */
static void recording_begin(struct recorder *recorder, uint64_t trigger)
{
	recorder->waiting = false;
	recorder->first = recorder->given;
	recorder->trigger = trigger;
	for (uint32_t number = recorder->given + 1; number < recorder->captured; number++) {
		const struct format_chunk *before = &slot(recorder, number - 1)->chunk;

		recorder->lost += slot(recorder, number)->chunk.sample - before->sample - before->bytes / sizeof(uint64_t);
	}
}

static void capture_one(struct recorder *recorder, const struct instrument_filled *filled)
{
	struct recorder_buffer *last = slot(recorder, recorder->captured);

	*last = (struct recorder_buffer){ filled->buffer,
					  { .magic = FORMAT_CHUNK_MAGIC,
					    .recording = recorder->entry->number,
					    .sample = filled->sample,
					    .bytes = filled->bytes,
					    .time_ns = filled->time_ns,
					    .trigger = filled->trigger } };
	if (!recorder->waiting && recorder->captured != recorder->first)
		recorder->lost += filled->sample - recorder->next_sample;
	recorder->next_sample = filled->sample + filled->bytes / sizeof(uint64_t);
	recorder->captured++;
	if (recorder->waiting && (filled->trigger != FORMAT_NO_TRIGGER || is_asked(recorder, RECORDER_TRIGGER)))
		recording_begin(recorder, filled->trigger);
	if (!recorder->waiting)
		release(recorder);
	else if (recorder->captured - recorder->given > recorder->options.pre) {
		recorder->released++;
		give_back(recorder);
	}
}

static bool is_long_enough(const struct recorder *recorder)
{
	return !recorder->waiting && recorder->released - recorder->first >= recorder->length;
}

static void show(struct recorder *recorder)
{
	const uint64_t now = platform_now_ns(), ns = now - recorder->shown_ns;
	const uint32_t chunks = recorder->given - recorder->first;

	if (ns < SHOW_NS)
		return;
	if (recorder->waiting)
		print("recorder: waits for the trigger, %lu samples seen", recorder->next_sample);
	else
		print("recorder: %lu s, %lu MB, %lu MB/s, %u of %lu buffers wait for the volume, %lu samples lost",
		      (uint64_t)((now - recorder->start_ns) / NS_PER_S),
		      (uint64_t)(chunks * recorder->options.buffer_bytes / MIB),
		      (uint64_t)((chunks - recorder->shown_chunks) * recorder->options.buffer_bytes * 1000 / (ns / NS_PER_MS) /
				 MIB),
		      recorder->released - recorder->given, recorder->options.buffers, recorder->lost);
	print("%s", recorder->options.interactive ? "   \r" : "\n");
	recorder->shown_ns = now;
	recorder->shown_chunks = recorder->waiting ? 0 : chunks;
}

/* Takes the next buffer, or finds out why none comes; false: the card has failed. */
static bool capture_next(struct recorder *recorder, uint64_t *heard_ns)
{
	struct instrument_filled filled;
	const uint32_t given = recorder->given;
	const uint64_t now = platform_now_ns();
	const status_t status = instrument_next(recorder->card, now + LOOK_NS, &filled);

	if (status == STATUS_OK) {
		capture_one(recorder, &filled);
		*heard_ns = now;
	} else if (status == STATUS_NOT_FOUND) { /* all buffers wait for the volume */
		(void)platform_wait(&recorder->given, given, now + LOOK_NS);
		*heard_ns = now;
	} else if (status != STATUS_TIMEOUT || now - *heard_ns > SILENCE_NS) {
		fail(recorder, "the card fills no buffer", status);
		return false;
	}
	return true;
}

static void capture_run(void *context)
{
	struct recorder *recorder = context;
	uint64_t heard_ns = platform_now_ns();

	while (!is_asked(recorder, RECORDER_STOP) && recorder->status == STATUS_OK && !is_long_enough(recorder)) {
		if (!capture_next(recorder, &heard_ns))
			break;
		show(recorder);
	}
	fail(recorder, "the card does not stop", instrument_stop(recorder->card));
	atomic_store(&recorder->capture_over, true);
	platform_wake(&recorder->released);
}

/* The writer ----------------------------------------------------------------------------------- */

static status_t make_durable(struct recorder *recorder)
{
	struct format_entry *entry = recorder->entry;
	status_t status = volume_flush(recorder->volume);

	if (status != STATUS_OK)
		return status;
	entry->chunks = recorder->chunks;
	entry->lost = recorder->lost;
	entry->trigger = recorder->trigger;
	recorder->flushed_ns = platform_now_ns();
	return catalogue_write(&recorder->catalogue, entry);
}

static status_t write_one(struct recorder *recorder)
{
	struct recorder_buffer *next = slot(recorder, recorder->given);
	const struct phys_range segments[] = { { recorder->header->pieces[0].start, FORMAT_PAGE_BYTES },
					       { next->buffer->pieces[0].start, next->buffer->bytes } };

	next->chunk.sequence = recorder->chunks;
	memcpy(recorder->header->memory, &next->chunk, sizeof(next->chunk));
	const status_t status = node_direct(volume_whole_node(recorder->volume), BLOCK_WRITE,
					    recorder->entry->start_bytes + recorder->chunks * recorder->entry->chunk_bytes,
					    segments, ARRAY_LENGTH(segments));

	if (status == STATUS_OK)
		recorder->chunks++;
	return status;
}

/*
 * Writes until nothing more is released; what the card cannot be given back any more, since it has
 * been stopped, stays.
 */
static void writer_run(void *context)
{
	struct recorder *recorder = context;
	status_t status = STATUS_OK;

	while (status == STATUS_OK) {
		const bool over = atomic_load(&recorder->capture_over);
		const uint32_t released = atomic_load(&recorder->released);

		if (recorder->waiting || released == recorder->given) {
			if (over)
				break;
			(void)platform_wait(&recorder->released, released, platform_now_ns() + LOOK_NS);
			continue;
		}
		if (recorder->chunks < recorder->length) /* what is captured beyond that is not wanted */
			status = write_one(recorder);
		if (status == STATUS_OK)
			give_back(recorder);
		if (status == STATUS_OK && platform_now_ns() - recorder->flushed_ns >= recorder->options.flush_ns)
			status = make_durable(recorder);
	}
	fail(recorder, "the volume cannot be written", status);
}

/* Start and end -------------------------------------------------------------------------------- */

static bool options_are_good(const struct recorder_options *options)
{
	if (options->buffers >= 2 && options->buffers <= RECORDER_BUFFERS_MAX && options->buffer_bytes > 0 &&
	    options->buffer_bytes % FORMAT_PAGE_BYTES == 0 && options->pre + 1 < options->buffers &&
	    (options->length == 0 || options->length > options->pre))
		return true;
	log_error("recorder: wants 2 to %u buffers of whole pages, pre below buffers - 1, and length 0 or above pre",
		  RECORDER_BUFFERS_MAX);
	return false;
}

static void buffers_free(struct recorder *recorder)
{
	for (uint32_t i = 0; i < RECORDER_BUFFERS_MAX; i++)
		dma_free(memory_dma(recorder->memory), recorder->buffers[i]);
	dma_free(memory_dma(recorder->memory), recorder->header);
}

static status_t buffers_take(struct recorder *recorder)
{
	struct dma_request request = { .bytes = recorder->options.buffer_bytes,
				       .segments_max = 1,
				       .wait = MEMORY_WAIT_FOREVER };
	status_t status = STATUS_OK;

	for (uint64_t i = 0; i < recorder->options.buffers && status == STATUS_OK; i++)
		status = dma_alloc(memory_dma(recorder->memory), instrument_device(recorder->card), &request,
				   &recorder->buffers[i]);
	request = (struct dma_request){ .bytes = FORMAT_PAGE_BYTES, .alignment_bytes = FORMAT_PAGE_BYTES, .zero = true };
	if (status == STATUS_OK)
		status =
			dma_alloc(memory_dma(recorder->memory), instrument_device(recorder->card), &request, &recorder->header);
	return status;
}

static status_t entry_begin(struct recorder *recorder)
{
	const struct recorder_options *options = &recorder->options;
	const status_t status = catalogue_begin(&recorder->catalogue, options->name, FORMAT_PAGE_BYTES + options->buffer_bytes,
						options->rate, &recorder->entry);

	if (status != STATUS_OK) {
		log_error("recorder: volume %s has no room for another recording", volume_name(recorder->volume));
		return status;
	}
	recorder->length = catalogue_chunks_max(&recorder->catalogue, recorder->entry);
	if (options->length > 0)
		recorder->length = MIN(recorder->length, options->length);
	return catalogue_write(&recorder->catalogue, recorder->entry);
}

static status_t card_start(struct recorder *recorder)
{
	const struct instrument_stream stream = { .rate = recorder->options.rate, .trigger = recorder->options.trigger };
	status_t status = instrument_start(recorder->card, &stream);

	for (uint64_t i = 0; i < recorder->options.buffers && status == STATUS_OK; i++)
		status = instrument_queue(recorder->card, recorder->buffers[i]);
	return status;
}

/* The writer first: the capturing task releases to it. */
static status_t tasks_start(struct recorder *recorder)
{
	const struct task_options writer = { .name = "recorder writer", .priority = TASK_NORMAL, .cpu = -1 };
	const struct task_options capture = { .name = "recorder capture", .priority = TASK_HIGH, .cpu = -1 };
	status_t status = task_spawn(&writer, writer_run, recorder, &recorder->writer);

	if (status != STATUS_OK)
		return status;
	status = task_spawn(&capture, capture_run, recorder, &recorder->capture);
	if (status != STATUS_OK) {
		atomic_store(&recorder->capture_over, true);
		task_join(recorder->writer);
	}
	return status;
}

status_t recorder_start(struct recorder *recorder, struct memory *memory, struct instrument *card, struct volume *volume,
			const struct recorder_options *options)
{
	status_t status;

	if (!options_are_good(options))
		return STATUS_INVALID;
	memset(recorder, 0, sizeof(*recorder));
	recorder->memory = memory;
	recorder->card = card;
	recorder->volume = volume;
	recorder->options = *options;
	recorder->waiting = options->triggered;
	recorder->trigger = FORMAT_NO_TRIGGER;
	recorder->start_ns = recorder->shown_ns = recorder->flushed_ns = platform_now_ns();
	status = catalogue_open(&recorder->catalogue, memory, volume);
	if (status != STATUS_OK)
		return status;
	status = buffers_take(recorder);
	if (status == STATUS_OK)
		status = entry_begin(recorder);
	if (status == STATUS_OK)
		status = card_start(recorder);
	if (status == STATUS_OK)
		status = tasks_start(recorder);
	if (status == STATUS_OK)
		return STATUS_OK;
	fail(recorder, "cannot start", status);
	fail(recorder, "the card does not stop", instrument_stop(card));
	buffers_free(recorder);
	catalogue_close(&recorder->catalogue);
	return status;
}

bool recorder_is_over(struct recorder *recorder)
{
	return atomic_load(&recorder->capture_over);
}

static enum format_state final_state(const struct recorder *recorder)
{
	if (recorder->status != STATUS_OK)
		return FORMAT_FAILED;
	return recorder->chunks == catalogue_chunks_max(&recorder->catalogue, recorder->entry) ? FORMAT_FULL : FORMAT_ENDED;
}

status_t recorder_end(struct recorder *recorder)
{
	task_join(recorder->capture);
	task_join(recorder->writer);
	recorder->entry->state = final_state(recorder);
	fail(recorder, "the catalogue cannot be written", make_durable(recorder));
	fail(recorder, "the volume cannot be flushed", volume_flush(recorder->volume));
	buffers_free(recorder);
	catalogue_close(&recorder->catalogue);
	return recorder->status;
}
