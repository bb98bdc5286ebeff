// SPDX-License-Identifier: BSD-2-Clause
/*
 * The life of a disk's device, with a device that this test plays: it writes down what is asked of
 * it, and fails or stays silent where it is told to.
 */
#include "drivers/disk_device.h"
#include "image_test.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define QUEUES  2
#define SLOTS   4
#define TIME_NS (20 * NS_PER_MS) /* of a request that is to be late */
#define LONG_NS (600 * NS_PER_S)

static const struct block_device disk = {
	.name = "fake",
	.size_bytes = GIB,
	.sector_bytes = 512,
	.segment_alignment = 512,
	.segments_max = DISK_SEGMENTS_MAX,
	.transfer_bytes_max = DISK_TRANSFER_BYTES_MAX,
};

static struct fake {
	struct disk_device device;
	struct disk_queue queues[QUEUES];
	struct block_device block;
	_Atomic unsigned steps;
	char trace[64]; /* a letter for each step */
	_Atomic bool answers;
	struct block_request request;
	struct phys_range segment;
	_Atomic unsigned done;
} fake;

static void note(char step)
{
	const unsigned at = atomic_fetch_add(&fake.steps, 1);

	if (at < sizeof(fake.trace) - 1)
		fake.trace[at] = step;
}

static void fake_fill(struct disk_queue *queue, unsigned slot, struct block_request *request)
{
	(void)queue;
	(void)slot;
	disk_advance(request, (uint32_t)disk_peek(request).bytes);
}

static void fake_ring(struct disk_queue *queue)
{
	(void)queue;
}

static void fake_process(struct disk_queue *queue)
{
	struct list done;

	list_init(&done);
	spinlock_lock(&queue->lock);
	if (queue->state == DISK_QUEUE_LIVE && atomic_load(&fake.answers)) {
		for (unsigned slot = 0; slot < queue->config.slot_count; slot++) {
			if (disk_queue_request_locked(queue, slot))
				disk_queue_complete_locked(queue, slot, STATUS_OK, &done);
		}
		disk_queue_pump_locked(queue);
	}
	spinlock_unlock(&queue->lock);
	disk_requests_finish(&done);
}

static void fake_serve(struct disk_device *device, unsigned vector)
{
	note('s');
	disk_vector_serve(device, vector);
}

static void fake_look(struct disk_device *device)
{
	(void)device;
}

static void fake_late(struct disk_device *device, struct disk_queue *queue)
{
	note(queue == &fake.queues[0] ? 'l' : '?');
	disk_device_request_reset(device, "a test's device is silent");
}

static status_t fake_halt(struct disk_device *device)
{
	bool stopped = atomic_load(&device->stopped);

	for (unsigned i = 0; i < QUEUES; i++)
		stopped = stopped && fake.queues[i].state == DISK_QUEUE_STOPPED;
	note(stopped && fake.block.cache_losses == 1 ? 'h' : '?');
	return STATUS_OK;
}

/* By now no slot has a command: its request waits again. */
static void fake_empty(struct disk_queue *queue)
{
	note(queue->free_count == queue->config.slot_count ? 'e' : '?');
}

static status_t fake_restart(struct disk_device *device)
{
	note(atomic_load(&device->reset_reason) ? '?' : 'r');
	atomic_store(&fake.answers, true);
	return STATUS_OK;
}

static const struct disk_operations operations = {
	.serve = fake_serve,
	.process = fake_process,
	.look = fake_look,
	.late = fake_late,
	.halt = fake_halt,
	.restart = fake_restart,
};

static void fake_done(struct block_request *request)
{
	(void)request;
	atomic_fetch_add(&fake.done, 1);
}

static void fake_start(struct image_test_run *test, uint64_t timeout_ns)
{
	memset(&fake, 0, sizeof(fake));
	fake.device.operations = &operations;
	fake.device.timeout_ns = timeout_ns;
	memcpy(fake.device.name, "fake", 5);
	fake.block = disk;
	fake.device.blocks[fake.device.block_count++] = &fake.block;
	for (unsigned i = 0; i < QUEUES; i++) {
		const struct disk_queue_config config = {
			.name = "fake",
			.timeout_ns = timeout_ns,
			.activity = &fake.device.activity,
			.slot_count = SLOTS,
			.fill = fake_fill,
			.ring = fake_ring,
			.empty = fake_empty,
		};

		disk_queue_init(&fake.queues[i], &config);
		fake.device.queues[i] = &fake.queues[i];
	}
	fake.device.queue_count = QUEUES;
	fake.device.vector_count = 1;
	require(disk_device_watch(&fake.device) == STATUS_OK);
	disk_device_start(&fake.device);
	fake.segment = (struct phys_range){ { PAGE_BYTES }, PAGE_BYTES };
	fake.request = (struct block_request){ BLOCK_READ, 0, &fake.segment, 1, 0, fake_done, { 0 }, { 0 } };
	disk_queue_submit(&fake.queues[0], &fake.block, &fake.request, 0);
}

/* A silent device: its request is late, the device is reset, and the same request goes on. */
IMAGE_TEST(disk_device_resets_in_order)
{
	fake_start(test, TIME_NS);
	while (atomic_load(&fake.done) == 0)
		task_sleep(NS_PER_MS);
	disk_device_stop(&fake.device);
	expect_equal(fake.request.status, STATUS_OK);
	expect_equal(strcmp(fake.trace, "slheers"), 0);
	expect_equal(fake.device.resets, 1);
	expect(!fake.device.gone && atomic_load(&fake.device.stopped));
}

/* An interrupt that was lost: the completion is found before the request counts as late. */
IMAGE_TEST(disk_device_finds_a_lost_completion)
{
	fake_start(test, TIME_NS);
	atomic_store(&fake.answers, true);
	while (atomic_load(&fake.done) == 0)
		task_sleep(NS_PER_MS);
	disk_device_stop(&fake.device);
	expect_equal(strcmp(fake.trace, "s"), 0);
	expect_equal(fake.device.resets, 0);
}

/* Queues that are stopped keep their requests; a device that failed ends them. */
IMAGE_TEST(disk_device_ends_its_requests)
{
	fake_start(test, LONG_NS);
	disk_device_stop(&fake.device);
	expect_equal(atomic_load(&fake.done), 0);
	disk_device_fail(&fake.device);
	expect_equal(atomic_load(&fake.done), 1);
	expect_equal(fake.request.status, STATUS_GONE);
}
