// SPDX-License-Identifier: BSD-2-Clause
/*
 * The life of a disk's device, apart from its registers. A reset is a fixed order of steps, so that
 * each driver only says how its device halts and comes back: queues stop before the device is
 * touched, and requests wait again only when it does no DMA any more.
 */
#include "disk_device.h"

#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/kernel/task.h"

#define WATCH_PERIOD_SHARE    8
#define WATCH_PERIOD_MAX_NS   NS_PER_S
#define RESETS_AT_ONCE        (2 * (DISK_RETRIES + 1))
#define RESET_PAUSE_NS        NS_PER_S
#define RESET_PAUSE_SHIFT_MAX 6u /* about a minute */

status_t disk_device_init(struct disk_device *device, const struct disk_operations *operations,
			  const struct driver_environment *environment, struct pci_function *function, const char *prefix,
			  uint32_t *indices)
{
	if (*indices == UINT32_MAX)
		return STATUS_UNSUPPORTED;
	device->operations = operations;
	device->function = function;
	device->environment = environment;
	device->timeout_ns = environment->io_timeout_ns ? environment->io_timeout_ns : DISK_TIMEOUT_NS;
	device->indices = indices;
	device->index = (unsigned)__builtin_ctz(~*indices);
	*indices |= 1u << device->index;
	format_text(device->name, sizeof(device->name), "%s%u", prefix, device->index);
	return STATUS_OK;
}

void disk_device_fini(struct disk_device *device)
{
	*device->indices &= ~(1u << device->index);
}

/* Vectors -------------------------------------------------------------------------------------- */

static void vector_handle(void *context)
{
	struct disk_vector *vector = context;

	if (vector->device->operations->quiet(vector->device, vector->index))
		deferred_queue(&vector->deferred);
}

static void vector_run(struct deferred *deferred)
{
	struct disk_vector *vector = container_of(deferred, struct disk_vector, deferred);

	vector->device->operations->serve(vector->device, vector->index);
}

void disk_vector_serve(struct disk_device *device, unsigned vector)
{
	struct disk_queue *queue;

	for (unsigned i = vector; (queue = disk_device_queue(device, i)); i += device->vector_count)
		device->operations->process(queue);
}

status_t disk_vectors_open(struct disk_device *device)
{
	status_t status = STATUS_OK;

	device->vector_count = pci_interrupts_open(device->function, device->queue_count);
	if (device->vector_count == 0) {
		log_error("%s: no interrupt", device->name);
		return STATUS_UNSUPPORTED;
	}
	for (unsigned i = 0; status == STATUS_OK && i < device->vector_count; i++) {
		struct disk_vector *vector = &device->vectors[i];

		vector->device = device;
		vector->index = i;
		deferred_init(&vector->deferred, vector_run);
		format_text(vector->name, sizeof(vector->name), "%s queue %u", device->name, i);
		status = pci_interrupt_attach(device->function, i, &vector->interrupt, vector->name,
					      (int)(i % platform_cpu_count()), vector_handle, vector);
	}
	if (status != STATUS_OK)
		log_error("%s: interrupts cannot be attached: %s", device->name, status_text(status));
	return status;
}

void disk_vectors_close(struct disk_device *device)
{
	pci_interrupts_close(device->function);
	for (unsigned i = 0; i < device->vector_count; i++) {
		if (device->vectors[i].device)
			deferred_flush(&device->vectors[i].deferred);
	}
}

/* Requests ------------------------------------------------------------------------------------- */

void disk_device_submit(struct disk_device *device, const struct block_device *block, struct block_request *request,
			uint8_t target)
{
	disk_queue_submit(device->queues[platform_cpu() % device->queue_count], block, request, target);
}

status_t disk_device_panic_transfer(struct disk_device *device, const struct block_device *block, struct block_request *request,
				    uint8_t target)
{
	if (!device->taken_over) {
		const status_t status = device->gone ? STATUS_GONE : device->operations->take_over(device);

		if (status != STATUS_OK)
			return status;
		device->taken_over = true;
	}
	return disk_queue_panic_transfer(device->queues[0], block, request, target, device->operations->poll);
}

void disk_device_publish(struct disk_device *device)
{
	for (unsigned i = 0; i < device->block_count; i++)
		block_device_register(device->environment->block_devices, device->blocks[i]);
}

void disk_device_withdraw(struct disk_device *device)
{
	for (unsigned i = 0; i < device->block_count; i++)
		block_device_unregister(device->environment->block_devices, device->blocks[i]);
}

void disk_device_start(struct disk_device *device)
{
	struct disk_queue *queue;

	for (unsigned i = 0; (queue = disk_device_queue(device, i)); i++)
		disk_queue_start(queue);
	atomic_store(&device->stopped, false);
	for (unsigned i = 0; i < device->vector_count; i++)
		device->operations->serve(device, i);
}

static void queues_stop(struct disk_device *device)
{
	struct disk_queue *queue;

	atomic_store(&device->stopped, true);
	for (unsigned i = 0; (queue = disk_device_queue(device, i)); i++)
		disk_queue_stop(queue);
}

void disk_device_stop(struct disk_device *device)
{
	if (device->watch_task) {
		disk_watch_end(&device->watch);
		task_join(device->watch_task);
		device->watch_task = NULL;
	}
	queues_stop(device);
}

void disk_device_fail(struct disk_device *device)
{
	struct disk_queue *queue;
	struct list done;

	list_init(&done);
	for (unsigned i = 0; (queue = disk_device_queue(device, i)); i++)
		disk_queue_fail(queue, &done);
	disk_requests_finish(&done);
}

/* Watch ---------------------------------------------------------------------------------------- */

void disk_device_request_reset(struct disk_device *device, const char *reason)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&device->reset_reason, &none, reason))
		disk_watch_alarm(&device->watch);
}

static void queue_look(struct disk_device *device, struct disk_queue *queue)
{
	if (!disk_queue_is_late(queue))
		return;
	device->operations->process(queue); /* its interrupt may have been lost */
	if (disk_queue_is_late(queue))
		device->operations->late(device, queue);
}

static void give_up(struct disk_device *device)
{
	pci_stop_dma(device->function);
	device->gone = true;
	for (unsigned i = 0; i < device->block_count; i++)
		atomic_store(&device->blocks[i]->gone, true);
	log_error("%s: the device is given up", device->name);
	disk_device_fail(device);
}

/* The device has forgotten everything, and does no DMA. */
static void queues_recall(struct disk_device *device, struct list *done)
{
	struct disk_queue *queue;

	for (unsigned i = 0; (queue = disk_device_queue(device, i)); i++)
		disk_queue_recall(queue, done);
}

/*
 * Some resets may follow each other at once though none brought a command to its end: more than a
 * request is tried. Then time passes before the next one, and twice as much after each: a device
 * that is never well would keep its CPU from all other work, and fill the log.
 */
static void reset_pause(struct disk_device *device)
{
	const uint64_t completed = disk_activity_completed(&device->activity);
	unsigned paused;

	device->resets_in_vain = completed == device->reset_completed ? device->resets_in_vain + 1 : 0;
	device->reset_completed = completed;
	if (device->resets_in_vain < RESETS_AT_ONCE)
		return;
	paused = device->resets_in_vain - RESETS_AT_ONCE;
	device->reset_due_ns = platform_now_ns() + (RESET_PAUSE_NS << MIN(paused, RESET_PAUSE_SHIFT_MAX));
}

static void reset(struct disk_device *device)
{
	struct list done;
	status_t status;

	list_init(&done);
	device->resets++;
	log_warn("%s: reset %u: %s", device->name, device->resets, atomic_load(&device->reset_reason));
	queues_stop(device);
	for (unsigned i = 0; i < device->block_count; i++)
		atomic_fetch_add(&device->blocks[i]->cache_losses, 1);
	status = device->operations->halt(device);
	if (status == STATUS_OK) {
		queues_recall(device, &done);
		atomic_store(&device->reset_reason, NULL);
		status = device->operations->restart(device);
	}
	disk_requests_finish(&done);
	if (status != STATUS_OK) {
		give_up(device);
		return;
	}
	reset_pause(device);
	disk_device_start(device);
	log_info("%s: goes on after the reset", device->name);
}

static void look(struct disk_watch *watch)
{
	struct disk_device *device = container_of(watch, struct disk_device, watch);
	struct disk_queue *queue;

	if (device->gone)
		return;
	device->operations->look(device);
	for (unsigned i = 0; (queue = disk_device_queue(device, i)) && !atomic_load(&device->reset_reason); i++)
		queue_look(device, queue);
	if (atomic_load(&device->reset_reason) && platform_now_ns() >= device->reset_due_ns)
		reset(device);
}

static void watch_run(void *device)
{
	disk_watch_run(&((struct disk_device *)device)->watch);
}

status_t disk_device_watch(struct disk_device *device)
{
	const struct task_options options = { .name = device->name, .priority = TASK_HIGH, .cpu = -1 };

	disk_watch_init(&device->watch, MIN(device->timeout_ns / WATCH_PERIOD_SHARE, WATCH_PERIOD_MAX_NS), look);
	return task_spawn(&options, watch_run, device, &device->watch_task);
}
