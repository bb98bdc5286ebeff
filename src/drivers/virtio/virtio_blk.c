// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio block devices: from a PCI function to a block device, and back. Queues are made once,
 * after the device said how many it has; a reset hands the same queues to it again. Stopping
 * undoes what was started, in reverse order.
 */
#include "virtio_blk.h"

#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* Virtio 1.1, section 5.2.3. */
#define FEATURE_SIZE_MAX (1ull << 1)
#define FEATURE_SEG_MAX  (1ull << 2)
#define FEATURE_RO       (1ull << 5)
#define FEATURE_BLK_SIZE (1ull << 6)
#define FEATURE_FLUSH    (1ull << 9)
#define FEATURE_MQ       (1ull << 12)
#define FEATURES_NEEDED  VIRTIO_FEATURE_VERSION_1
#define FEATURES_WANTED                                                                                                        \
	(FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH | FEATURE_MQ |                     \
	 VIRTIO_FEATURE_PLATFORM | VIRTIO_FEATURE_ORDER | VIRTIO_FEATURE_INDIRECT)

/* The configuration, section 5.2.4. */
enum config_field {
	CONFIG_CAPACITY = 0, /* in sectors of 512 bytes */
	CONFIG_SIZE_MAX = 8,
	CONFIG_SEG_MAX = 12,
	CONFIG_BLK_SIZE = 20,
	CONFIG_NUM_QUEUES = 34,
};

#define SECTOR_SHIFT     9
#define SECTOR_BYTES_MIN 512u
#define SECTOR_BYTES_MAX 4096u
#define SERIAL_BYTES     20u /* section 5.2.6.1 */

static uint32_t indices; /* in use; changed by probe and remove, of which one runs at a time */

static void disk_submit(struct block_device *device, struct block_request *request)
{
	struct virtio_blk *disk = container_of(device, struct virtio_blk, block);

	disk_device_submit(&disk->common, device, request, disk->identifying ? VIRTIO_BLK_IDENTIFY : VIRTIO_BLK_DATA);
}

static status_t disk_panic_transfer(struct block_device *device, struct block_request *request)
{
	return disk_device_panic_transfer(&container_of(device, struct virtio_blk, block)->common, device, request,
					  VIRTIO_BLK_DATA);
}

static bool disk_quiet(struct disk_device *device, unsigned vector)
{
	struct virtio_blk *disk = virtio_blk_of(device);

	if (device->function->interrupt_mode == PCI_INTERRUPTS_LINE && !virtio_isr_take(&disk->virtio))
		return false;
	for (unsigned i = vector; disk_device_queue(device, i); i += device->vector_count)
		virtqueue_interrupts_off(&virtio_blk_queue_at(device, i)->ring);
	return true;
}

/* A field of the configuration, or `fallback` without the feature that it comes with. */
static uint32_t config_field(struct virtio_blk *disk, uint64_t feature, unsigned offset, size_t bytes, uint32_t fallback)
{
	uint32_t value = 0;

	if (!(disk->virtio.features & feature) || virtio_config_read(&disk->virtio, offset, &value, bytes) != STATUS_OK)
		return fallback;
	return value;
}

static status_t geometry_read(struct virtio_blk *disk)
{
	const uint32_t sector_bytes = config_field(disk, FEATURE_BLK_SIZE, CONFIG_BLK_SIZE, 4, SECTOR_BYTES_MIN);
	const uint32_t size_max = config_field(disk, FEATURE_SIZE_MAX, CONFIG_SIZE_MAX, 4, DISK_TRANSFER_BYTES_MAX);
	const uint32_t seg_max = config_field(disk, FEATURE_SEG_MAX, CONFIG_SEG_MAX, 4, 1);
	uint64_t capacity;

	if (virtio_config_read(&disk->virtio, CONFIG_CAPACITY, &capacity, sizeof(capacity)) != STATUS_OK ||
	    capacity > UINT64_MAX >> SECTOR_SHIFT || !is_power_of_two(sector_bytes) || sector_bytes < SECTOR_BYTES_MIN ||
	    sector_bytes > SECTOR_BYTES_MAX || size_max < sector_bytes || seg_max == 0) {
		log_error("%s: impossible capacity, sector size (%u) or limits", disk->common.name, sector_bytes);
		return STATUS_UNSUPPORTED;
	}
	disk->limits.segment_bytes_max = (uint32_t)align_down(MIN(size_max, DISK_TRANSFER_BYTES_MAX), sector_bytes);
	disk->limits.segments_max = seg_max;
	disk->limits.indirect = (disk->virtio.features & VIRTIO_FEATURE_INDIRECT) != 0;
	disk->block = (struct block_device){
		.name = disk->common.name,
		.size_bytes = align_down(capacity << SECTOR_SHIFT, sector_bytes),
		.sector_bytes = sector_bytes,
		.segment_alignment = sector_bytes,
		.segments_max = DISK_SEGMENTS_MAX,
		.transfer_bytes_max = DISK_TRANSFER_BYTES_MAX,
		.read_only = (disk->virtio.features & FEATURE_RO) != 0,
		.write_cache = (disk->virtio.features & FEATURE_FLUSH) != 0,
		.device = &disk->virtio.function->device,
		.submit = disk_submit,
		.panic_transfer = disk_panic_transfer,
	};
	list_init(&disk->block.link);
	disk->common.blocks[disk->common.block_count++] = &disk->block;
	return STATUS_OK;
}

static status_t queues_alloc(struct virtio_blk *disk)
{
	unsigned wanted = config_field(disk, FEATURE_MQ, CONFIG_NUM_QUEUES, 2, 1);
	status_t status;

	wanted = MIN(MIN(MAX(wanted, 1u), platform_cpu_count()), DISK_QUEUES_MAX);
	for (; disk->common.queue_count < wanted; disk->common.queue_count++) {
		status = virtio_blk_queue_alloc(&disk->common, disk->common.queue_count,
						virtio_queue_size(&disk->virtio, disk->common.queue_count), &disk->limits);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

static status_t queues_enable(struct virtio_blk *disk)
{
	const bool messages = disk->virtio.function->interrupt_mode == PCI_INTERRUPTS_MSIX;
	status_t status = STATUS_OK;

	for (unsigned i = 0; status == STATUS_OK && i < disk->common.queue_count; i++) {
		struct virtio_blk_queue *queue = virtio_blk_queue_at(&disk->common, i);

		status = virtio_queue_enable(&disk->virtio, &queue->ring, queue->ring_memory.address,
					     messages ? i % disk->common.vector_count : VIRTIO_VECTOR_NONE);
	}
	return status;
}

static void disk_look(struct disk_device *device)
{
	if (virtio_is_broken(&virtio_blk_of(device)->virtio))
		disk_device_request_reset(device, "it asks for a reset, or is gone");
}

static void disk_late(struct disk_device *device, struct disk_queue *queue)
{
	(void)queue;
	disk_device_request_reset(device, "a command takes too long");
}

static status_t disk_halt(struct disk_device *device)
{
	return virtio_reset(&virtio_blk_of(device)->virtio);
}

static status_t disk_restart(struct disk_device *device)
{
	struct virtio_blk *disk = virtio_blk_of(device);
	status_t status;

	/* What the queues were made for. */
	status = virtio_negotiate(&disk->virtio, disk->virtio.features, disk->virtio.features);
	if (status == STATUS_OK)
		status = queues_enable(disk);
	if (status == STATUS_OK)
		virtio_ready(&disk->virtio);
	return status;
}

static status_t disk_take_over(struct disk_device *device)
{
	const status_t status = disk_halt(device);

	if (status != STATUS_OK)
		return status;
	for (unsigned i = 0; disk_device_queue(device, i); i++) {
		virtio_blk_queue_empty(device->queues[i]);
		virtqueue_interrupts_off(&virtio_blk_queue_at(device, i)->ring);
	}
	return disk_restart(device);
}

static const struct disk_operations operations = {
	.quiet = disk_quiet,
	.serve = disk_vector_serve,
	.process = virtio_blk_queue_process,
	.look = disk_look,
	.late = disk_late,
	.halt = disk_halt,
	.restart = disk_restart,
	.take_over = disk_take_over,
	.poll = virtio_blk_queue_poll,
};

static status_t disk_start(struct virtio_blk *disk, struct pci_function *function)
{
	status_t status;

	pci_enable(function, PCI_MEMORY);
	status = virtio_open(&disk->virtio, function);
	if (status == STATUS_OK)
		status = virtio_reset(&disk->virtio);
	if (status == STATUS_OK) {
		driver_device_was_reset(function);
		status = virtio_negotiate(&disk->virtio, FEATURES_WANTED, FEATURES_NEEDED);
	}
	if (status == STATUS_OK)
		status = geometry_read(disk);
	if (status == STATUS_OK)
		status = queues_alloc(disk);
	if (status == STATUS_OK)
		status = disk_vectors_open(&disk->common);
	if (status == STATUS_OK)
		status = queues_enable(disk);
	if (status != STATUS_OK)
		return status;
	pci_enable(function, PCI_BUS_MASTER);
	virtio_ready(&disk->virtio);
	return disk_device_watch(&disk->common);
}

/* Ends the disk's work. From here on no task may start it again. */
static void disk_end(struct virtio_blk *disk)
{
	disk_device_stop(&disk->common);
	if (disk->virtio.common && (disk->common.gone || virtio_reset(&disk->virtio) != STATUS_OK))
		driver_device_is_loose(disk->virtio.function);
	pci_stop_dma(disk->virtio.function);
}

/* Stops what disk_start has started, as far as it came, and frees everything. */
static void disk_stop(struct virtio_blk *disk)
{
	disk_end(disk);
	disk_vectors_close(&disk->common);
	disk_device_fail(&disk->common);
	for (unsigned i = 0; disk_device_queue(&disk->common, i); i++)
		virtio_blk_queue_free(virtio_blk_queue_at(&disk->common, i));
	disk_device_fini(&disk->common);
	heap_free(driver_heap(disk->virtio.function), disk);
}

/* A device may not know the command, or have no number: then it has none. */
static void serial_read(struct virtio_blk *disk)
{
	struct dma *dma = disk->common.environment->dma;
	const uint32_t bytes = disk->block.sector_bytes;
	struct dma_coherent answer;
	struct phys_range segment;

	if (disk->block.size_bytes == 0 ||
	    dma_coherent_alloc(dma, &disk->virtio.function->device, bytes, bytes, &answer) != STATUS_OK)
		return;
	memset(answer.memory, 0, bytes);
	segment = (struct phys_range){ platform_phys(answer.memory), bytes };
	disk->identifying = true;
	if (block_device_transfer(&disk->block, BLOCK_READ, 0, &segment, 1) == STATUS_OK)
		block_device_set_serial(&disk->block, answer.memory, SERIAL_BYTES);
	disk->identifying = false;
	dma_coherent_free(dma, &answer);
}

static void disk_announce(const struct virtio_blk *disk)
{
	char bytes[FORMAT_BYTES_SIZE];

	log_info("%s: %s, sectors of %u bytes%s%s, %u queues, %u interrupts", disk->common.name,
		 format_bytes(bytes, disk->block.size_bytes), disk->block.sector_bytes,
		 disk->block.write_cache ? ", write cache" : "", disk->block.read_only ? ", read-only" : "",
		 disk->common.queue_count, disk->common.vector_count);
}

static status_t virtio_blk_probe(const struct driver_environment *environment, struct pci_function *function)
{
	struct virtio_blk *disk = heap_alloc_zeroed(driver_heap(function), sizeof(*disk), 0);
	status_t status;

	if (!disk)
		return STATUS_NO_MEMORY;
	disk->virtio.function = function;
	status = disk_device_init(&disk->common, &operations, environment, function, "virtio", &indices);
	if (status != STATUS_OK) {
		heap_free(driver_heap(function), disk);
		return status;
	}
	status = disk_start(disk, function);
	if (status != STATUS_OK) {
		disk_stop(disk);
		return status;
	}
	function->driver_data = &disk->common;
	disk_device_start(&disk->common);
	serial_read(disk);
	disk_device_publish(&disk->common);
	disk_announce(disk);
	return STATUS_OK;
}

static void virtio_blk_remove(struct pci_function *function)
{
	disk_device_withdraw(function->driver_data);
	disk_stop(virtio_blk_of(function->driver_data));
}

static void virtio_blk_shutdown(struct pci_function *function)
{
	disk_end(virtio_blk_of(function->driver_data));
}

/* The id of modern devices, and of those that also have the interface from before 1.0. */
static const struct pci_id ids[] = { { VIRTIO_VENDOR, 0x1042, 0 }, { VIRTIO_VENDOR, 0x1001, 0 }, { 0 } };
static const struct driver virtio_blk_driver = {
	.name = "virtio",
	.ids = ids,
	.probe = virtio_blk_probe,
	.remove = virtio_blk_remove,
	.shutdown = virtio_blk_shutdown,
};
DRIVER(virtio_blk_driver);
