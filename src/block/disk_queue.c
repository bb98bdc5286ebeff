// SPDX-License-Identifier: BSD-2-Clause
/*
 * A request is cut into commands only as slots become free, and its place in the cutting is kept
 * in the request itself. So nothing is allocated, a request larger than one command needs no
 * second object, and after a reset it starts over by setting that place back.
 */
#include "disk_queue.h"
#include "runtime/base/log.h"

#define ERRORS_LOGGED_MAX 32
#define ABORT_SHARE       4 /* a command that is to be given up gets this part of its time again */

_Static_assert(sizeof(struct disk_progress) <= sizeof(((struct block_request *)0)->driver), "fits into the request");
_Static_assert(DISK_SEGMENTS_MAX <= UINT16_MAX && DISK_SLOTS_MAX <= UINT8_MAX, "fit into the progress");

static void slots_free(struct disk_queue *queue)
{
	queue->free_count = queue->config.slot_count;
	for (unsigned i = 0; i < queue->config.slot_count; i++) {
		queue->slots[i] = (struct disk_slot){ 0 };
		queue->free[i] = (uint16_t)(queue->config.slot_count - 1 - i);
	}
}

void disk_queue_init(struct disk_queue *queue, const struct disk_queue_config *config)
{
	assert(config->slot_count > 0 && config->slot_count <= DISK_SLOTS_MAX);
	queue->config = *config;
	spinlock_init(&queue->lock, config->name);
	list_init(&queue->waiting);
	queue->state = DISK_QUEUE_STOPPED;
	atomic_fetch_add(&config->activity->slots, config->slot_count);
	slots_free(queue);
}

static void progress_start(struct block_request *request)
{
	struct disk_progress *progress = disk_progress(request);

	progress->offset_bytes = 0;
	progress->issued_bytes = 0;
	progress->segment = 0;
	progress->commands = 0;
	progress->issued = false;
	progress->status = STATUS_OK;
}

struct phys_range disk_peek(struct block_request *request)
{
	const struct disk_progress *progress = disk_progress(request);
	const struct phys_range *segment = &request->segments[progress->segment];

	if (progress->segment >= request->segment_count)
		return (struct phys_range){ 0 };
	return (struct phys_range){ { segment->start.value + progress->offset_bytes },
				    segment->bytes - progress->offset_bytes };
}

void disk_advance(struct block_request *request, uint32_t bytes)
{
	struct disk_progress *progress = disk_progress(request);

	progress->issued_bytes += bytes;
	progress->offset_bytes += bytes;
	if (progress->offset_bytes < request->segments[progress->segment].bytes)
		return;
	progress->offset_bytes = 0;
	progress->segment++;
}

void disk_requests_finish(struct list *done)
{
	struct list *link;

	while ((link = list_take_first(done))) {
		struct block_request *request = container_of(link, struct block_request, link);

		request->status = disk_progress(request)->status;
		request->done(request);
	}
}

/* A flush is one command, whatever its segments say. */
static bool is_issued(const struct block_request *request, const struct disk_progress *progress)
{
	return request->operation == BLOCK_FLUSH || progress->segment >= request->segment_count;
}

void disk_queue_pump_locked(struct disk_queue *queue)
{
	const struct disk_slot fresh = {
		.deadline_ns = platform_now_ns() + queue->config.timeout_ns,
		.completed = atomic_load(&queue->config.activity->completed),
	};
	bool filled = false;

	while (queue->state == DISK_QUEUE_LIVE && queue->free_count > 0 && !list_is_empty(&queue->waiting)) {
		struct block_request *request = container_of(queue->waiting.next, struct block_request, link);
		struct disk_progress *progress = disk_progress(request);
		const unsigned slot = queue->free[--queue->free_count];

		queue->slots[slot] = fresh;
		queue->slots[slot].request = request;
		queue->config.fill(queue, slot, request);
		progress->commands++;
		progress->issued = is_issued(request, progress);
		if (progress->issued)
			list_remove(&request->link);
		filled = true;
	}
	if (filled)
		queue->config.ring(queue);
}

void disk_queue_submit(struct disk_queue *queue, const struct block_device *device, struct block_request *request,
		       uint8_t target)
{
	struct disk_progress *progress = disk_progress(request);
	status_t status = block_request_check(device, request);

	*progress = (struct disk_progress){ .target = target };
	list_init(&request->link);
	if (status == STATUS_OK && request->operation == BLOCK_FLUSH && !device->write_cache) {
		request->status = STATUS_OK;
		request->done(request);
		return;
	}
	spinlock_lock(&queue->lock);
	if (queue->state == DISK_QUEUE_GONE)
		status = STATUS_GONE;
	if (status == STATUS_OK) {
		list_insert_last(&queue->waiting, &request->link);
		disk_queue_pump_locked(queue);
	}
	spinlock_unlock(&queue->lock);
	if (status == STATUS_OK)
		return;
	request->status = status;
	request->done(request);
}

bool disk_queue_is_live_locked(const struct disk_queue *queue)
{
	return queue->state == DISK_QUEUE_LIVE;
}

bool disk_queue_enter(struct disk_queue *queue)
{
	spinlock_lock(&queue->lock);
	return disk_queue_is_live_locked(queue);
}

void disk_queue_leave(struct disk_queue *queue)
{
	spinlock_unlock(&queue->lock);
}

struct block_request *disk_queue_request_locked(const struct disk_queue *queue, unsigned slot)
{
	return slot < queue->config.slot_count ? queue->slots[slot].request : NULL;
}

void disk_queue_distrust_locked(struct disk_queue *queue)
{
	queue->state = DISK_QUEUE_STOPPED;
}

void disk_queue_complete_locked(struct disk_queue *queue, unsigned slot, status_t status, struct list *done)
{
	struct block_request *request = queue->slots[slot].request;
	struct disk_progress *progress = disk_progress(request);

	if (!queue->slots[slot].aborted) {
		atomic_fetch_add(&queue->config.activity->completed, 1);
		atomic_store(&queue->config.activity->last_ns, platform_now_ns());
	}
	queue->slots[slot] = (struct disk_slot){ 0 };
	queue->free[queue->free_count++] = (uint16_t)slot;
	if (status != STATUS_OK) {
		if (progress->status == STATUS_OK)
			progress->status = (int16_t)status;
		progress->issued = true; /* the rest is of no use */
		list_remove(&request->link);
	}
	if (--progress->commands == 0 && progress->issued)
		list_insert_last(done, &request->link);
}

void disk_queue_stop(struct disk_queue *queue)
{
	spinlock_lock(&queue->lock);
	if (queue->state == DISK_QUEUE_LIVE)
		queue->state = DISK_QUEUE_STOPPED;
	spinlock_unlock(&queue->lock);
}

void disk_queue_start(struct disk_queue *queue)
{
	spinlock_lock(&queue->lock);
	if (queue->state == DISK_QUEUE_STOPPED)
		queue->state = DISK_QUEUE_LIVE;
	disk_queue_pump_locked(queue);
	spinlock_unlock(&queue->lock);
}

/* Takes the requests out of all slots, into the waiting list. */
static void slots_empty_locked(struct disk_queue *queue)
{
	for (unsigned i = queue->config.slot_count; i-- > 0;) {
		struct block_request *request = queue->slots[i].request;

		if (!request)
			continue;
		/*
		 * A request with several commands comes here several times, and may be in the
		 * waiting list already.
		 */
		list_remove(&request->link);
		list_insert_first(&queue->waiting, &request->link);
	}
	for (unsigned i = 0; i < queue->config.slot_count; i++) {
		struct block_request *request = queue->slots[i].request;

		if (request && disk_progress(request)->commands > 0) {
			disk_progress(request)->commands = 0;
			disk_progress(request)->retries++;
		}
	}
	slots_free(queue);
}

void disk_queue_recall(struct disk_queue *queue, struct list *done)
{
	spinlock_lock(&queue->lock);
	assert(queue->state != DISK_QUEUE_LIVE);
	slots_empty_locked(queue);
	list_for_each_safe (link, &queue->waiting) {
		struct block_request *request = container_of(link, struct block_request, link);
		struct disk_progress *progress = disk_progress(request);

		if (progress->retries <= DISK_RETRIES && progress->status == STATUS_OK) {
			progress_start(request);
			continue;
		}
		if (progress->status == STATUS_OK)
			progress->status = STATUS_TIMEOUT;
		list_remove(link);
		list_insert_last(done, link);
	}
	queue->config.empty(queue);
	spinlock_unlock(&queue->lock);
}

void disk_queue_fail(struct disk_queue *queue, struct list *done)
{
	struct list *link;

	spinlock_lock(&queue->lock);
	queue->state = DISK_QUEUE_GONE;
	slots_empty_locked(queue);
	while ((link = list_take_first(&queue->waiting))) {
		disk_progress(container_of(link, struct block_request, link))->status = STATUS_GONE;
		list_insert_last(done, link);
	}
	spinlock_unlock(&queue->lock);
}

#define PANIC_NS (5 * NS_PER_S) /* a device may take as long for a command */

static status_t panic_command(struct disk_queue *queue, struct block_request *request,
			      status_t (*poll)(struct disk_queue *queue))
{
	const uint64_t deadline_ns = platform_now_ns() + PANIC_NS;
	status_t status;

	queue->config.fill(queue, 0, request);
	queue->config.ring(queue);
	while ((status = poll(queue)) == STATUS_BUSY) {
		if (platform_now_ns() > deadline_ns)
			return STATUS_TIMEOUT;
		platform_cpu_relax();
	}
	return status;
}

status_t disk_queue_panic_transfer(struct disk_queue *queue, const struct block_device *device, struct block_request *request,
				   uint8_t target, status_t (*poll)(struct disk_queue *queue))
{
	struct disk_progress *progress = disk_progress(request);
	status_t status = block_request_check(device, request);

	*progress = (struct disk_progress){ .target = target };
	if (request->operation == BLOCK_FLUSH && !device->write_cache)
		return STATUS_OK;
	while (status == STATUS_OK && !progress->issued) {
		status = panic_command(queue, request, poll);
		progress->issued = is_issued(request, progress);
	}
	return status;
}

static bool is_late(const struct disk_queue *queue, const struct disk_slot *slot, uint64_t now_ns)
{
	const struct disk_activity *activity = queue->config.activity;

	if (!slot->request || slot->deadline_ns >= now_ns)
		return false;
	return atomic_load(&activity->last_ns) + queue->config.timeout_ns < now_ns ||
	       atomic_load(&activity->completed) - slot->completed >= atomic_load(&activity->slots);
}

unsigned disk_queue_late_locked(const struct disk_queue *queue, uint64_t now_ns)
{
	unsigned slot = 0;

	while (slot < queue->config.slot_count && !is_late(queue, &queue->slots[slot], now_ns))
		slot++;
	return slot;
}

bool disk_queue_is_late(struct disk_queue *queue)
{
	bool late;

	spinlock_lock(&queue->lock);
	late = disk_queue_late_locked(queue, platform_now_ns()) < queue->config.slot_count;
	spinlock_unlock(&queue->lock);
	return late;
}

bool disk_queue_choose_late(struct disk_queue *queue, unsigned *slot, bool *again)
{
	const uint64_t now_ns = platform_now_ns();
	bool late;

	spinlock_lock(&queue->lock);
	*slot = disk_queue_late_locked(queue, now_ns);
	late = queue->state == DISK_QUEUE_LIVE && *slot < queue->config.slot_count;
	if (late) {
		*again = queue->slots[*slot].aborted;
		queue->slots[*slot].aborted = true;
		queue->slots[*slot].deadline_ns = now_ns + queue->config.timeout_ns / ABORT_SHARE;
	}
	spinlock_unlock(&queue->lock);
	return late;
}

void disk_failure_note(struct disk_failures *failures, const char *disk, const struct block_request *request, unsigned code)
{
	if (failures->count++ > 0)
		return;
	failures->disk = disk;
	failures->operation = request->operation;
	failures->offset_bytes = request->offset_bytes;
	failures->code = code;
}

void disk_failures_log(const struct disk_failures *failures, _Atomic unsigned *errors)
{
	static const char *const operations[] = { "read", "write", "flush" };
	unsigned before;

	if (failures->count == 0)
		return;
	before = atomic_fetch_add(errors, failures->count);
	if (before >= ERRORS_LOGGED_MAX)
		return;
	log_warn("%s: %s at %llu failed: status 0x%x%s%s", failures->disk, operations[failures->operation],
		 (unsigned long long)failures->offset_bytes, failures->code, failures->count > 1 ? ", and others with it" : "",
		 before + failures->count >= ERRORS_LOGGED_MAX ? "; no more are logged" : "");
}
