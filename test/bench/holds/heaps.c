// SPDX-License-Identifier: BSD-2-Clause
/*
 * Heaps with millions of objects, whose magazines and depots are full on all CPUs; a driver with
 * much; many DMA buffers.
 */
#include "holds.h"

#include <stdlib.h>

#include "heap/reclaim/background_cleaner.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "heap/dma/dma_quarantine.h"

#define OBJECTS         (4ull << 20) /* of each size */
#define OBJECTS_AT_ONCE 1000         /* before another CPU goes on */
#define LARGE_RUNS      256
#define TRACKED_OBJECTS 1000
#define BUFFERS         10000
#define COHERENT        20000

static const struct device device = { .name = "device", .dma_mask = UINT64_MAX };
static const struct device narrow_device = { .name = "narrow device", .dma_mask = UINT32_MAX, .dma_segments_max = 1 };

static void objects_fill(struct bench_machine *machine, size_t bytes)
{
	struct heap *heap = memory_general_heap(&machine->memory);
	void **objects = malloc(OBJECTS * sizeof(*objects));

	for (uint64_t i = 0; i < OBJECTS; i++) {
		cpu_be((unsigned)(i / OBJECTS_AT_ONCE % CPUS));
		objects[i] = heap_alloc(heap, bytes, 0);
		must(objects[i] != NULL, "no objects");
	}
	/* Each CPU frees what others have allocated, so what it frees goes to the depot. */
	for (uint64_t i = 0; i < OBJECTS; i++) {
		cpu_be((unsigned)((i / OBJECTS_AT_ONCE + 1) % CPUS));
		heap_free(heap, objects[i]);
	}
	cpu_be(0);
	free(objects);
}

static void large_runs(struct bench_machine *machine)
{
	struct heap *heap = memory_general_heap(&machine->memory);
	static void *runs[LARGE_RUNS];

	for (unsigned i = 0; i < LARGE_RUNS; i++)
		runs[i] = heap_alloc(heap, (i + 1) * BLOCK_BYTES, 0);
	for (unsigned i = 0; i < LARGE_RUNS; i++)
		heap_free(heap, runs[i]);
}

static void ignore(const char *text)
{
	(void)text;
}

/* A driver with far too many objects, which it frees from the oldest one on. */
static void tracked_objects(struct bench_machine *machine)
{
	static void *objects[TRACKED_OBJECTS];
	static struct tracked_heap tracked;

	memory_tracked_heap_init(&machine->memory, &tracked, "driver");
	for (unsigned i = 0; i < TRACKED_OBJECTS; i++)
		objects[i] = heap_alloc(&tracked.heap, 100 + i % 1000, 0);
	memory_leaks_write(&machine->memory, ignore);
	(void)tracked_heap_report_left(&tracked);
	commands_run(machine);
	for (unsigned i = 0; i < TRACKED_OBJECTS; i++)
		heap_free(&tracked.heap, objects[i]);
	must(tracked_heap_fini(&tracked, &machine->memory.tracked) == STATUS_OK, "the driver has something left");
}

static struct dma_buffer *buffer_take(struct bench_machine *machine, const struct device *for_device, uint64_t bytes,
				      uint32_t segments_max)
{
	const struct dma_request request = { .bytes = bytes, .segments_max = segments_max };
	struct dma_buffer *buffer;

	must(dma_alloc(memory_dma(&machine->memory), for_device, &request, &buffer) == STATUS_OK, "no DMA memory");
	return buffer;
}

static void buffers(struct bench_machine *machine)
{
	static struct dma_buffer *small[BUFFERS];
	static struct dma_coherent coherent[COHERENT];
	struct dma_buffer *large = buffer_take(machine, &device, 8 * GIB, 0);
	struct dma_buffer *whole = buffer_take(machine, &device, 64 * GIB, 1);

	for (unsigned i = 0; i < BUFFERS; i++)
		small[i] = buffer_take(machine, i % 2 ? &device : &narrow_device, (i % 16 + 1) * 4 * KIB, 1);
	for (unsigned i = 0; i < COHERENT; i++)
		must(dma_coherent_alloc(memory_dma(&machine->memory), &device, 64 + i % 4096, 0, &coherent[i]) == STATUS_OK,
		     "no mailbox");
	commands_run(machine);
	(void)dma_device_leaks(memory_dma(&machine->memory), &device);
	for (unsigned i = 0; i < BUFFERS; i++)
		dma_free(memory_dma(&machine->memory), small[i]);
	for (unsigned i = 0; i < COHERENT; i++)
		dma_coherent_free(memory_dma(&machine->memory), &coherent[i]);
	dma_free(memory_dma(&machine->memory), large);
	dma_free(memory_dma(&machine->memory), whole);
}

/* A device that is gone while it had much: its memory is set apart until it has been reset. */
static void quarantine(struct bench_machine *machine)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		(void)buffer_take(machine, &narrow_device, (i % 16 + 1) * 4 * KIB, 1);
	for (unsigned i = 0; i < 16; i++)
		(void)buffer_take(machine, &device, GIB, 0);
	(void)dma_quarantine(memory_dma(&machine->memory), &narrow_device);
	(void)dma_quarantine(memory_dma(&machine->memory), &device);
	commands_run(machine);
	(void)dma_quarantine_end(memory_dma(&machine->memory), &narrow_device);
	(void)dma_quarantine_end(memory_dma(&machine->memory), &device);
}

static void drains(struct bench_machine *machine)
{
	struct caching_heap *caching = &machine->memory.general.caching;

	(void)memory_drain(&machine->memory, BLOCK_BYTES, false);
	(void)memory_drain(&machine->memory, GIB, true);
	(void)caching_heap_drain(caching, GIB, GIB);
	(void)background_cleaner_step(memory_reclaim(&machine->memory));
	(void)memory_drain(&machine->memory, memory_total_bytes(&machine->memory), true);
}

void heaps_look_at(struct bench_machine *machine)
{
	static const size_t sizes[] = { 64, 1000, 4 * KIB };

	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++)
		objects_fill(machine, sizes[i]);
	large_runs(machine);
	tracked_objects(machine);
	buffers(machine);
	quarantine(machine);
	drains(machine);
}
