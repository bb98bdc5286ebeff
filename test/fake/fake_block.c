#include "fake_block.h"

#include <stdlib.h>
#include <string.h>

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
}

static void execute(struct fake_block *fake, struct block_request *request)
{
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
	pthread_cond_signal(&fake->changed);
	pthread_mutex_unlock(&fake->mutex);
}

static void *serve(void *context)
{
	struct fake_block *fake = context;
	struct list *link;

	pthread_mutex_lock(&fake->mutex);
	for (;;) {
		while ((link = list_take_first(&fake->queue)) == NULL && !fake->stopping)
			pthread_cond_wait(&fake->changed, &fake->mutex);
		if (!link)
			break;
		pthread_mutex_unlock(&fake->mutex);
		execute(fake, container_of(link, struct block_request, link));
		pthread_mutex_lock(&fake->mutex);
	}
	pthread_mutex_unlock(&fake->mutex);
	return NULL;
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
	free(fake->data);
}
