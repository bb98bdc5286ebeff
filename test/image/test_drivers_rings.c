// SPDX-License-Identifier: BSD-2-Clause
/* Devices that lie: rings whose other side is written by the test. */
#include "drivers/nvme/nvme.h"
#include "drivers/nvme/nvme_namespace.h"
#include "drivers/virtio/virtio_blk.h"
#include "image_test.h"
#include "runtime/base/string.h"

#define ENTRIES  8
#define REQUESTS 20
#define SECTOR   512u

struct fake_request {
	struct block_request request;
	struct phys_range segments[4];
	unsigned done;
};

static void fake_done(struct block_request *request)
{
	container_of(request, struct fake_request, request)->done++;
}

static void fake_submit(struct disk_queue *queue, const struct block_device *device, struct fake_request *request,
			uint64_t offset_bytes)
{
	*request = (struct fake_request){
		.request = { BLOCK_READ, offset_bytes, request->segments, 1, 0, fake_done, { 0 }, { 0 } },
		.segments = { { { PAGE_BYTES }, PAGE_BYTES } },
	};
	disk_queue_submit(queue, device, &request->request, 0);
}

static const struct block_device any_disk = {
	.name = "fake",
	.size_bytes = GIB,
	.sector_bytes = SECTOR,
	.segment_alignment = SECTOR,
	.segments_max = DISK_SEGMENTS_MAX,
	.transfer_bytes_max = DISK_TRANSFER_BYTES_MAX,
};

/* NVMe ----------------------------------------------------------------------------------------- */

static struct {
	struct nvme nvme;
	struct nvme_namespace disk;
	struct nvme_queue queue;
	struct nvme_command submissions[ENTRIES];
	struct nvme_completion completions[ENTRIES];
	uint64_t lists[ENTRIES][NVME_LIST_ENTRIES];
	uint32_t doorbells[2];
	struct fake_request requests[REQUESTS];
} nvme_fake;

/* A queue whose controller is this test. */
static struct nvme_queue *nvme_fake_start(void)
{
	struct nvme_queue *queue = &nvme_fake.queue;

	memset(&nvme_fake, 0, sizeof(nvme_fake));
	nvme_fake.disk = (struct nvme_namespace){ .name = "fake", .id = 1, .sector_shift = 9 };
	nvme_fake.nvme.common.blocks[0] = &nvme_fake.disk.block;
	queue->device = &nvme_fake.nvme.common;
	queue->page_bytes = PAGE_BYTES;
	queue->command_bytes_max = 64 * KIB;
	queue->lists.memory = nvme_fake.lists;
	queue->lists.address.value = (uint64_t)nvme_fake.lists;
	queue->ring = (struct nvme_ring){
		.submissions = nvme_fake.submissions,
		.completions = nvme_fake.completions,
		.tail_doorbell = &nvme_fake.doorbells[0],
		.head_doorbell = &nvme_fake.doorbells[1],
		.id = 1,
		.entries = ENTRIES,
	};
	nvme_ring_reset(&queue->ring);
	nvme_queue_init(queue, "fake", NS_PER_S);
	disk_queue_start(&queue->disk);
	return queue;
}

static void nvme_fake_complete(unsigned entry, unsigned id, unsigned queue_id, unsigned head, unsigned status)
{
	nvme_fake.completions[entry] = (struct nvme_completion){
		.submission_head = (uint16_t)head,
		.submission_id = (uint16_t)queue_id,
		.id = (uint16_t)id,
		.status = (uint16_t)(status << 1 | NVME_STATUS_PHASE),
	};
	nvme_queue_process(&nvme_fake.queue.disk);
}

static void nvme_fake_end(struct image_test_run *test, unsigned requests)
{
	struct list done;

	list_init(&done);
	disk_queue_fail(&nvme_fake.queue.disk, &done);
	disk_requests_finish(&done);
	for (unsigned i = 0; i < requests; i++)
		expect_equal(nvme_fake.requests[i].done, 1);
}

IMAGE_TEST(nvme_completes_what_the_controller_says)
{
	struct nvme_queue *queue = nvme_fake_start();

	for (unsigned i = 0; i < REQUESTS; i++)
		fake_submit(&queue->disk, &any_disk, &nvme_fake.requests[i], i * PAGE_BYTES);
	expect_equal(nvme_fake.doorbells[0], ENTRIES - 1); /* one entry stays free; the rest waits */
	nvme_fake_complete(0, nvme_fake.submissions[0].id, 1, 1, 0);
	expect_equal(nvme_fake.requests[0].done, 1);
	expect_equal(nvme_fake.requests[0].request.status, STATUS_OK);
	expect_equal(nvme_fake.doorbells[0], 0);
	expect_equal(nvme_fake.doorbells[1], 1);
	expect_equal(nvme_fake.submissions[ENTRIES - 1].dwords[0], (ENTRIES - 1) * PAGE_BYTES / SECTOR); /* in order */
	nvme_fake_complete(1, nvme_fake.submissions[3].id, 1, 4, NVME_CODE_RANGE | NVME_STATUS_FINAL >> 1);
	expect_equal(nvme_fake.requests[3].request.status, STATUS_RANGE);
	expect(!nvme_fake.nvme.common.reset_reason);
	nvme_fake_end(test, REQUESTS);
	expect_equal(nvme_fake.requests[1].request.status, STATUS_GONE);
}

IMAGE_TEST(nvme_stops_a_controller_that_lies)
{
	static const struct {
		unsigned id, queue_id, head;
	} lies[] = { { ENTRIES, 1, 1 }, { UINT16_MAX, 1, 1 }, { 0, 1, 1 }, { ENTRIES - 2, 2, 1 }, { ENTRIES - 2, 1, ENTRIES } };

	for (unsigned i = 0; i < ARRAY_LENGTH(lies); i++) {
		struct nvme_queue *queue = nvme_fake_start();

		fake_submit(&queue->disk, &any_disk, &nvme_fake.requests[0], 0);
		expect_equal(nvme_fake.submissions[0].id, 0);
		if (lies[i].id == 0) /* the same one twice */
			nvme_fake_complete(0, 0, 1, 1, 0);
		nvme_fake_complete(lies[i].id == 0, lies[i].id, lies[i].queue_id, lies[i].head, 0);
		expect(nvme_fake.nvme.common.reset_reason != NULL);
		expect_equal(queue->disk.state, DISK_QUEUE_STOPPED);
		expect_equal(nvme_fake.requests[0].done, lies[i].id == 0);
		nvme_fake_end(test, 1);
	}
}

IMAGE_TEST(nvme_cuts_requests_as_prp_entries_demand)
{
	struct nvme_queue *queue = nvme_fake_start();
	struct fake_request *request = &nvme_fake.requests[0];

	*request = (struct fake_request){
		.request = { BLOCK_WRITE, MIB, request->segments, 4, 0, fake_done, { 0 }, { 0 } },
		/*
		 * Within a page, on to its end and the next ones; then a gap that needs a new
		 * command; then more than one takes.
		 */
		.segments = { { { 0x10200 }, 0x400 },
			      { { 0x10600 }, 0x2a00 },
			      { { 0x20400 }, 0x200 },
			      { { 0x40000 }, 0x12000 } },
	};
	disk_queue_submit(&queue->disk, &any_disk, &request->request, 0);
	expect_equal(nvme_fake.doorbells[0], 4);
	expect_equal(nvme_fake.submissions[0].opcode, NVME_IO_WRITE);
	expect_equal(nvme_fake.submissions[0].prp[0], 0x10200);
	expect_equal(nvme_fake.submissions[0].prp[1], (uint64_t)nvme_fake.lists[0]);
	expect_equal(nvme_fake.lists[0][0], 0x11000);
	expect_equal(nvme_fake.lists[0][1], 0x12000);
	expect_equal(nvme_fake.submissions[0].dwords[0], MIB / SECTOR);
	expect_equal(nvme_fake.submissions[0].dwords[2], 0x2e00 / SECTOR - 1);
	expect_equal(nvme_fake.submissions[1].prp[0], 0x20400);
	expect_equal(nvme_fake.submissions[1].prp[1], 0);
	expect_equal(nvme_fake.submissions[1].dwords[0], (MIB + 0x2e00) / SECTOR);
	expect_equal(nvme_fake.submissions[2].prp[0], 0x40000);
	expect_equal(nvme_fake.submissions[2].dwords[2], 64 * KIB / SECTOR - 1);
	expect_equal(nvme_fake.lists[2][14], 0x4f000);
	expect_equal(nvme_fake.submissions[3].prp[0], 0x50000);
	expect_equal(nvme_fake.submissions[3].prp[1], 0x51000);
	for (unsigned i = 0; i < 4; i++) {
		expect_equal(request->done, 0);
		nvme_fake_complete(i, i, 1, 4, 0);
	}
	expect_equal(request->done, 1);
	expect_equal(request->request.status, STATUS_OK);
	nvme_fake_end(test, 1);
}

IMAGE_TEST(disk_gives_up_a_request_after_too_many_resets)
{
	struct nvme_queue *queue = nvme_fake_start();
	struct list done;

	list_init(&done);
	for (unsigned i = 0; i < REQUESTS; i++)
		fake_submit(&queue->disk, &any_disk, &nvme_fake.requests[i], i * PAGE_BYTES);
	for (unsigned reset = 0; reset <= DISK_RETRIES; reset++) {
		expect_equal(nvme_fake.requests[0].done, 0);
		disk_queue_stop(&queue->disk);
		disk_queue_recall(&queue->disk, &done);
		nvme_ring_reset(&queue->ring);
		disk_queue_start(&queue->disk);
		disk_requests_finish(&done);
		expect_equal(nvme_fake.submissions[0].dwords[0],
			     reset < DISK_RETRIES ? 0 : (ENTRIES - 1) * PAGE_BYTES / SECTOR);
	}
	expect_equal(nvme_fake.requests[0].done, 1);
	expect_equal(nvme_fake.requests[0].request.status, STATUS_TIMEOUT);
	expect_equal(nvme_fake.requests[ENTRIES - 2].done, 1);
	expect_equal(nvme_fake.requests[ENTRIES - 1].done, 0);
	nvme_fake_end(test, REQUESTS);
}

/* virtio --------------------------------------------------------------------------------------- */

static struct {
	struct virtio_blk disk;
	struct virtio_blk_queue queue;
	uint8_t ring[PAGE_BYTES] __attribute__((aligned(16)));
	struct virtqueue_descriptor tables[ENTRIES][VIRTIO_BLK_DESCRIPTORS];
	struct virtio_blk_header headers[ENTRIES];
	uint16_t notify;
	struct fake_request requests[REQUESTS];
} virtio_fake;

static struct virtio_blk_queue *virtio_fake_start(void)
{
	struct virtio_blk_queue *queue = &virtio_fake.queue;

	memset(&virtio_fake, 0, sizeof(virtio_fake));
	memcpy(virtio_fake.disk.common.name, "fake", 5);
	virtio_fake.notify = UINT16_MAX;
	queue->device = &virtio_fake.disk.common;
	queue->limits = (struct virtio_blk_limits){ .segment_bytes_max = MIB, .segments_max = 2, .indirect = true };
	queue->slots = ENTRIES;
	queue->tables.memory = virtio_fake.tables;
	queue->tables.address.value = (uint64_t)virtio_fake.tables;
	queue->headers.memory = virtio_fake.headers;
	queue->headers.address.value = (uint64_t)virtio_fake.headers;
	queue->ring = (struct virtqueue){ .entries = ENTRIES, .share = 1, .notify = &virtio_fake.notify };
	virtqueue_reset(&queue->ring, virtio_fake.ring);
	virtio_blk_queue_init(queue, "fake", NS_PER_S);
	disk_queue_start(&queue->disk);
	return queue;
}

/* Says that `id` is done, as the used index `index`. */
static void virtio_fake_complete(uint16_t index, uint32_t id)
{
	volatile uint16_t *used = virtio_fake.queue.ring.used;

	((volatile struct virtqueue_used *)&used[2])[(uint16_t)(index - 1) % ENTRIES].id = id;
	used[1] = index;
	virtio_blk_queue_process(&virtio_fake.queue.disk);
}

static void virtio_fake_end(struct image_test_run *test, unsigned requests)
{
	struct list done;

	list_init(&done);
	disk_queue_fail(&virtio_fake.queue.disk, &done);
	disk_requests_finish(&done);
	for (unsigned i = 0; i < requests; i++)
		expect_equal(virtio_fake.requests[i].done, 1);
}

IMAGE_TEST(virtio_completes_what_the_device_says)
{
	struct virtio_blk_queue *queue = virtio_fake_start();

	for (unsigned i = 0; i < REQUESTS; i++)
		fake_submit(&queue->disk, &any_disk, &virtio_fake.requests[i], i * PAGE_BYTES);
	expect_equal(virtio_fake.notify, 0);
	expect_equal(queue->ring.available[1], ENTRIES);
	virtio_fake.headers[2].status = 0;
	virtio_fake_complete(1, 2);
	expect_equal(virtio_fake.requests[2].request.status, STATUS_OK);
	expect_equal(virtio_fake.headers[2].sector, ENTRIES * PAGE_BYTES / SECTOR); /* the next one, in order */
	virtio_fake_complete(2, 3);                                                 /* without writing a status */
	expect_equal(virtio_fake.requests[3].done, 1);
	expect_equal(virtio_fake.requests[3].request.status, STATUS_IO_ERROR);
	expect(!virtio_fake.disk.common.reset_reason);
	virtio_fake_end(test, REQUESTS);
}

IMAGE_TEST(virtio_joins_segments_and_cuts_requests)
{
	struct virtio_blk_queue *queue = virtio_fake_start();
	struct fake_request *request = &virtio_fake.requests[0];

	*request = (struct fake_request){
		.request = { BLOCK_WRITE, MIB, request->segments, 4, 0, fake_done, { 0 }, { 0 } },
		.segments = { { { 0x10000 }, 0x1000 },
			      { { 0x11000 }, 0x1000 },
			      { { 0x20000 }, 0x200 },
			      { { 0x30000 }, 0x400 } },
	};
	disk_queue_submit(&queue->disk, &any_disk, &request->request, 0);
	expect_equal(queue->ring.available[1], 2);
	expect_equal(queue->ring.descriptors[0].bytes, 4 * sizeof(struct virtqueue_descriptor));
	expect_equal(virtio_fake.tables[0][1].address, 0x10000);
	expect_equal(virtio_fake.tables[0][1].bytes, 0x2000);
	expect_equal(virtio_fake.tables[0][1].flags, VIRTQUEUE_DESCRIPTOR_NEXT);
	expect_equal(virtio_fake.tables[0][2].bytes, 0x200);
	expect_equal(virtio_fake.tables[0][3].flags, VIRTQUEUE_DESCRIPTOR_WRITE);
	expect_equal(virtio_fake.headers[1].sector, (MIB + 0x2200) / SECTOR);
	expect_equal(virtio_fake.tables[1][1].bytes, 0x400);
	virtio_fake_end(test, 1);
}

IMAGE_TEST(virtio_stops_a_device_that_lies)
{
	static const struct {
		uint16_t index;
		uint32_t id;
	} lies[] = { { 1, 1 }, { 1, ENTRIES }, { 1, UINT32_MAX }, { ENTRIES + 1, 0 }, { UINT16_MAX, 0 } };

	for (unsigned i = 0; i < ARRAY_LENGTH(lies); i++) {
		struct virtio_blk_queue *queue = virtio_fake_start();

		fake_submit(&queue->disk, &any_disk, &virtio_fake.requests[0], 0);
		virtio_fake_complete(lies[i].index, lies[i].id);
		expect(virtio_fake.disk.common.reset_reason != NULL);
		expect_equal(queue->disk.state, DISK_QUEUE_STOPPED);
		expect_equal(virtio_fake.requests[0].done, 0);
		virtio_fake_end(test, 1);
	}
}
