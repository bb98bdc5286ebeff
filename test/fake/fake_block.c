// SPDX-License-Identifier: BSD-2-Clause
#include "fake_block.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/assert.h"

static bool must_fail(const struct fake_block *fake, const struct block_request *request)
{
	const uint64_t end = request->offset_bytes + block_request_bytes(request);

	switch (request->operation) {
	case BLOCK_FLUSH:
		return fake->fail_flushes;
	case BLOCK_READ:
		return fake->fail_reads && request->offset_bytes < fake->fail_end && end > fake->fail_start;
	case BLOCK_WRITE:
		return fake->fail_writes && request->offset_bytes < fake->fail_end && end > fake->fail_start;
	}
	return false;
}

static void transfer(struct fake_block *fake, const struct block_request *request)
{
	unsigned char *data = fake->data + request->offset_bytes;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		void *memory = platform_virt(request->segments[i].start);

		if (request->operation == BLOCK_READ)
			memcpy(memory, data, request->segments[i].bytes);
		else
			memcpy(data, memory, request->segments[i].bytes);
		data += request->segments[i].bytes;
	}
	if (fake->durable && request->operation == BLOCK_WRITE)
		memset(fake->cached + request->offset_bytes / PAGE_BYTES, 1,
		       (size_t)(data - fake->data - 1) / PAGE_BYTES - request->offset_bytes / PAGE_BYTES + 1);
}

/* What is in the cache becomes durable, or is lost. */
static void empty_cache(struct fake_block *fake, bool lost)
{
	pthread_mutex_lock(&fake->mutex);
	for (uint64_t page = 0; page * PAGE_BYTES < fake->device.size_bytes; page++) {
		const uint64_t start = page * PAGE_BYTES, bytes = MIN(PAGE_BYTES, fake->device.size_bytes - start);

		if (!fake->cached[page])
			continue;
		memcpy((lost ? fake->data : fake->durable) + start, (lost ? fake->durable : fake->data) + start, bytes);
		fake->cached[page] = 0;
	}
	pthread_mutex_unlock(&fake->mutex);
}

static void reset(struct fake_block *fake)
{
	empty_cache(fake, true);
	atomic_fetch_add(&fake->device.cache_losses, 1);
}

/* A log of the order in which things reached the disk; the mutex makes it that of the device. */
static void log_event(struct fake_block *fake, const struct block_request *request)
{
	struct fake_block_event event = {
		.operation = request->operation,
		.offset_bytes = request->offset_bytes,
		.bytes = block_request_bytes(request),
	};

	if (request->operation == BLOCK_WRITE) {
		event.data = malloc(event.bytes);
		assert(event.data);
		memcpy(event.data, fake->data + event.offset_bytes, event.bytes);
	}
	pthread_mutex_lock(&fake->mutex);
	if (fake->log_count == fake->log_room) {
		fake->log_room = MAX(2 * fake->log_room, (size_t)1024);
		fake->log = realloc(fake->log, fake->log_room * sizeof(event));
		assert(fake->log);
	}
	fake->log[fake->log_count++] = event;
	pthread_mutex_unlock(&fake->mutex);
}

static void execute(struct fake_block *fake, struct block_request *request)
{
	if (fake->delay_ns > 0)
		usleep((useconds_t)(fake->delay_ns / 1000));
	if (atomic_exchange(&fake->must_reset, false))
		reset(fake);
	request->status = block_request_check(&fake->device, request);
	if (request->status == STATUS_OK && must_fail(fake, request))
		request->status = fake->fail_status;
	if (request->operation == BLOCK_READ)
		atomic_fetch_add(&fake->reads, 1);
	else if (request->operation == BLOCK_WRITE)
		atomic_fetch_add(&fake->writes, 1);
	else
		atomic_fetch_add(&fake->flushes, 1);
	if (request->status == STATUS_OK && request->operation != BLOCK_FLUSH)
		transfer(fake, request);
	if (fake->durable && request->operation == BLOCK_FLUSH)
		empty_cache(fake, request->status != STATUS_OK);
	if (request->status == STATUS_OK && request->operation != BLOCK_READ && fake->logging)
		log_event(fake, request);
	request->done(request);
}

static void submit(struct block_device *device, struct block_request *request)
{
	struct fake_block *fake = container_of(device, struct fake_block, device);

	if (!fake->threaded) {
		execute(fake, request);
		return;
	}
	pthread_mutex_lock(&fake->mutex);
	list_insert_last(&fake->queue, &request->link);
	fake->queued++;
	pthread_cond_signal(&fake->changed);
	pthread_mutex_unlock(&fake->mutex);
}

/* The mutex is held. */
static struct block_request *take_locked(struct fake_block *fake)
{
	struct list *link = fake->queue.next;

	if (fake->queued == 0 || fake->held)
		return NULL;
	for (uint64_t skip = fake->shuffled ? random_below(&fake->random, fake->queued) : 0; skip > 0; skip--)
		link = link->next;
	list_remove(link);
	fake->queued--;
	return container_of(link, struct block_request, link);
}

static void *serve(void *context)
{
	struct fake_block *fake = context;
	struct block_request *request;

	pthread_mutex_lock(&fake->mutex);
	for (;;) {
		while ((request = take_locked(fake)) == NULL && !fake->stopping)
			pthread_cond_wait(&fake->changed, &fake->mutex);
		if (!request)
			break;
		pthread_mutex_unlock(&fake->mutex);
		execute(fake, request);
		pthread_mutex_lock(&fake->mutex);
	}
	pthread_mutex_unlock(&fake->mutex);
	return NULL;
}

uint32_t fake_block_hold(struct fake_block *fake, bool hold)
{
	uint32_t waiting;

	pthread_mutex_lock(&fake->mutex);
	fake->held = hold;
	waiting = fake->queued;
	pthread_cond_signal(&fake->changed);
	pthread_mutex_unlock(&fake->mutex);
	return waiting;
}

void fake_block_forgetful(struct fake_block *fake)
{
	fake->durable = malloc(fake->device.size_bytes);
	fake->cached = calloc(1, fake->device.size_bytes / PAGE_BYTES + 1);
	assert(fake->durable && fake->cached);
	memcpy(fake->durable, fake->data, fake->device.size_bytes);
}

void fake_block_reset(struct fake_block *fake)
{
	if (fake->threaded)
		atomic_store(&fake->must_reset, true);
	else
		reset(fake);
}

void fake_block_log(struct fake_block *fake)
{
	fake->log_start = malloc(fake->device.size_bytes);
	assert(fake->log_start);
	memcpy(fake->log_start, fake->data, fake->device.size_bytes);
	fake->logging = true;
}

size_t fake_block_log_count(struct fake_block *fake)
{
	size_t count;

	pthread_mutex_lock(&fake->mutex);
	count = fake->log_count;
	pthread_mutex_unlock(&fake->mutex);
	return count;
}

void fake_block_crash(struct fake_block *fake, size_t cut, struct random *random, unsigned char *image)
{
	size_t durable = 0;

	memcpy(image, fake->log_start, fake->device.size_bytes);
	for (size_t i = 0; i < cut; i++)
		if (fake->log[i].operation == BLOCK_FLUSH)
			durable = i;
	for (size_t i = 0; i < cut; i++) {
		const struct fake_block_event *event = &fake->log[i];

		if (event->operation == BLOCK_WRITE && (i < durable || random_below(random, 2) == 0))
			memcpy(image + event->offset_bytes, event->data, event->bytes);
	}
}

void fake_block_init(struct fake_block *fake, uint64_t bytes, bool threaded)
{
	*fake = (struct fake_block){
		.device = {
			.name = "fake0",
			.size_bytes = bytes,
			.sector_bytes = 512,
			.segment_alignment = 512,
			.segments_max = 64,
			.transfer_bytes_max = 256 * KIB,
			.write_cache = true,
			.submit = submit,
		},
		.data = calloc(1, bytes),
		.fail_status = STATUS_IO_ERROR,
		.threaded = threaded,
	};
	assert(fake->data);
	list_init(&fake->device.link);
	list_init(&fake->queue);
	random_seed(&fake->random, 1);
	pthread_mutex_init(&fake->mutex, NULL);
	pthread_cond_init(&fake->changed, NULL);
	if (threaded)
		assert(pthread_create(&fake->thread, NULL, serve, fake) == 0);
}

void fake_block_fini(struct fake_block *fake)
{
	if (fake->threaded) {
		pthread_mutex_lock(&fake->mutex);
		fake->stopping = true;
		pthread_cond_signal(&fake->changed);
		pthread_mutex_unlock(&fake->mutex);
		pthread_join(fake->thread, NULL);
	}
	for (size_t i = 0; i < fake->log_count; i++)
		free(fake->log[i].data);
	free(fake->log);
	free(fake->log_start);
	free(fake->durable);
	free(fake->cached);
	free(fake->data);
}
