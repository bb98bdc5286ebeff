// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that controller and driver share: rings and PRP lists. All of it is allocated when a
 * queue is made, at the controller's page size, so I/O needs none.
 */
#include "nvme.h"

static volatile void *doorbell(const struct nvme *nvme, unsigned index)
{
	return (volatile char *)nvme->registers + NVME_DOORBELLS + (size_t)index * NVME_CAP_STRIDE_BYTES(nvme->cap);
}

status_t nvme_ring_alloc(struct nvme *nvme, unsigned id, unsigned entries, struct nvme_ring *ring,
			 struct nvme_ring_memory *memory)
{
	const size_t alignment = (size_t)1 << nvme->page_shift;
	struct dma *dma = nvme->common.environment->dma;
	const struct device *device = &nvme->common.function->device;
	status_t status;

	status = dma_coherent_alloc(dma, device, entries * sizeof(*ring->submissions), alignment, &memory->submissions);
	if (status != STATUS_OK)
		return status;
	status = dma_coherent_alloc(dma, device, entries * sizeof(*ring->completions), alignment, &memory->completions);
	if (status != STATUS_OK) {
		nvme_ring_free(nvme, memory);
		return status;
	}
	*ring = (struct nvme_ring){
		.submissions = memory->submissions.memory,
		.completions = memory->completions.memory,
		.tail_doorbell = doorbell(nvme, 2 * id),
		.head_doorbell = doorbell(nvme, 2 * id + 1),
		.id = (uint16_t)id,
		.entries = (uint16_t)entries,
	};
	nvme_ring_reset(ring);
	return STATUS_OK;
}

void nvme_ring_free(struct nvme *nvme, struct nvme_ring_memory *memory)
{
	dma_coherent_free(nvme->common.environment->dma, &memory->submissions);
	dma_coherent_free(nvme->common.environment->dma, &memory->completions);
	*memory = (struct nvme_ring_memory){ 0 };
}

status_t nvme_queue_alloc(struct nvme *nvme, unsigned index)
{
	struct heap *heap = driver_heap(nvme->common.function);
	const unsigned entries = MIN(NVME_CAP_ENTRIES_MAX(nvme->cap), NVME_QUEUE_ENTRIES);
	struct nvme_queue *queue = heap_alloc(heap, sizeof(*queue), 0);
	status_t status;

	if (!queue)
		return STATUS_NO_MEMORY;
	*queue = (struct nvme_queue){
		.device = &nvme->common,
		.page_bytes = 1ull << nvme->page_shift,
		.command_bytes_max = nvme->transfer_bytes_max,
	};
	status = nvme_ring_alloc(nvme, index + 1, entries, &queue->ring, &queue->memory);
	if (status == STATUS_OK)
		status = dma_coherent_alloc(nvme->common.environment->dma, &nvme->common.function->device,
					    (entries - 1) * NVME_LIST_BYTES, PAGE_BYTES, &queue->lists);
	if (status != STATUS_OK) {
		nvme_queue_free(nvme, queue);
		return status;
	}
	nvme_queue_init(queue, nvme->common.name, nvme->common.timeout_ns);
	nvme->common.queues[index] = &queue->disk;
	return STATUS_OK;
}

void nvme_queue_free(struct nvme *nvme, struct nvme_queue *queue)
{
	dma_coherent_free(nvme->common.environment->dma, &queue->lists);
	nvme_ring_free(nvme, &queue->memory);
	heap_free(driver_heap(nvme->common.function), queue);
}
