// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each allocation of a workload over heap, DMA memory and page cache fails once: the first one,
 * then the second one, until none is left to fail; then all from one on, until that is noticed.
 * What failed says so, is as before, and succeeds when it is tried again. At the end nothing is
 * left behind, and the disk holds all that was written.
 */
#include "host_test.h"

#include <limits.h>

#include "fake/cache_fixture.h"
#include "fake/fake_block.h"
#include "fake/heap_fixture.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "pagecache/volume.h"
#include "runtime/base/random.h"

#define BLOCKS          40
#define TEST_DISK_BYTES (4 * MIB)
#define WHOLE           (2 * MIB) /* of the disk, for the volume's own node; the rest is a file's */
#define BYTES_MAX       (40 * PAGE_BYTES)

#define ALL UINT_MAX /* as a burst: until something has failed because of it */

/* Allocations number `first` to `first + burst - 1` fail. */
struct plan {
	struct fault_injector injector;
	unsigned first, burst;
	unsigned count, failed;
	unsigned blocks, metadata, dma, pages, others; /* kinds of what has failed in all runs */
};

static struct plan plan;
static struct machine machine;
static struct memory *memory;
static struct pagecache pagecache;
static struct volume volume;
static struct fake_block disk;
static struct node file;
static unsigned char model[TEST_DISK_BYTES];
static const struct device plain = { .name = "plain", .dma_mask = UINT64_MAX };

static void note_kind(const char *where)
{
	plan.blocks += strcmp(where, "block") == 0;
	plan.metadata += strcmp(where, "metadata") == 0;
	plan.dma += strcmp(where, "dma") == 0;
	plan.pages += strcmp(where, "page") == 0;
	plan.others += strcmp(where, "things") == 0;
}

static bool must_fail(struct fault_injector *self, const char *where, uint64_t bytes)
{
	const unsigned number = plan.count++;

	(void)self, (void)bytes;
	if (number < plan.first || number - plan.first >= plan.burst)
		return false;
	plan.failed++;
	note_kind(where);
	return true;
}

/* Again, as long as something was made to fail meanwhile. */
#define must(step)                                                                                                             \
	do {                                                                                                                   \
		for (;;) {                                                                                                     \
			const unsigned failed_before = plan.failed;                                                            \
			const status_t status_of_step = (step);                                                                \
                                                                                                                               \
			if (status_of_step == STATUS_OK)                                                                       \
				break;                                                                                         \
			ck_assert_int_eq(status_of_step, STATUS_NO_MEMORY);                                                    \
			ck_assert_uint_gt(plan.failed, failed_before);                                                         \
			if (plan.burst == ALL)                                                                                 \
				plan.burst = 0;                                                                                \
		}                                                                                                              \
	} while (0)

#define must_get(pointer, call) must(((pointer) = (call)) ? STATUS_OK : STATUS_NO_MEMORY)

/* Page cache ----------------------------------------------------------------------------------- */

static void pages_begin(void)
{
	struct pagecache_config config = cache_machine_config;
	static const struct volume_config volume_config = { .preference = 50 };
	static const struct extent extents[] = { { 0, WHOLE + MIB, 100 }, { 100, WHOLE, 100 } };

	config.readahead_bytes = 64 * KIB;
	config.migration_blocks = 1;
	config.frame_wait_ns = 30 * NS_PER_MS;
	must(pagecache_init(&pagecache, memory, &config));
	must(volume_attach(&volume, &pagecache, &disk.device, "disk", 0, TEST_DISK_BYTES, &volume_config));
	must(node_open(&file, &volume, extents, 2, 200 * PAGE_BYTES));
}

/* Where bytes of the file lie in the model; a range within one extent. */
static unsigned char *model_of(const struct node *node, uint64_t offset)
{
	if (node != &file)
		return model + offset;
	return model + (offset < 100 * PAGE_BYTES ? WHOLE + MIB + offset : WHOLE + offset - 100 * PAGE_BYTES);
}

static void write_some(struct node *node, struct random *random, uint64_t offset, uint64_t bytes)
{
	unsigned char *expected = model_of(node, offset);

	for (uint64_t i = 0; i < bytes; i++)
		expected[i] = (unsigned char)random_next(random);
	must(node_write(node, offset, expected, bytes));
}

static void read_some(struct node *node, uint64_t offset, uint64_t bytes)
{
	static unsigned char buffer[BYTES_MAX];

	ck_assert_uint_le(bytes, BYTES_MAX);
	must(node_read(node, offset, buffer, bytes));
	ck_assert_int_eq(memcmp(buffer, model_of(node, offset), bytes), 0);
}

static void map_some(struct node *node, uint64_t offset, uint64_t bytes, enum map_access access, unsigned char byte)
{
	unsigned char *expected = model_of(node, offset);
	struct mapping *mapping;

	must(node_map(node, offset, bytes, access, &mapping));
	if (access == MAP_WRITE)
		memset(expected, byte, bytes);
	for (uint32_t i = 0; i < mapping->segment_count; i++) {
		unsigned char *memory_of = platform_virt(mapping->segments[i].start);

		if (access == MAP_WRITE)
			memset(memory_of, byte, mapping->segments[i].bytes);
		ck_assert_int_eq(memcmp(memory_of, expected, mapping->segments[i].bytes), 0);
		expected += mapping->segments[i].bytes;
	}
	node_unmap(mapping);
}

static void direct_some(struct node *node, enum block_operation operation, uint64_t offset, unsigned char byte)
{
	const struct dma_request request = { .bytes = 8 * PAGE_BYTES, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	struct dma_buffer *buffer;

	must(dma_alloc(memory_dma(memory), &plain, &request, &buffer));
	if (operation == BLOCK_WRITE) {
		memset(buffer->memory, byte, request.bytes);
		memset(model_of(node, offset), byte, request.bytes);
	}
	must(node_direct(node, operation, offset, buffer->pieces, buffer->piece_count));
	ck_assert_int_eq(memcmp(buffer->memory, model_of(node, offset), request.bytes), 0);
	dma_free(memory_dma(memory), buffer);
}

static void pages_work(struct node *node, struct random *random)
{
	write_some(node, random, 100, 3 * PAGE_BYTES);
	write_some(node, random, 50 * PAGE_BYTES, 10 * PAGE_BYTES);
	read_some(node, 0, 30 * PAGE_BYTES);
	map_some(node, 2 * PAGE_BYTES + 5, 5 * PAGE_BYTES, MAP_READ, 0);
	map_some(node, 70 * PAGE_BYTES + 9, 3 * PAGE_BYTES, MAP_WRITE, 0x5c);
	direct_some(node, BLOCK_READ, 4 * PAGE_BYTES, 0);
	direct_some(node, BLOCK_WRITE, 52 * PAGE_BYTES + 512, 0x7d);
	must(node_flush(node));
	write_some(node, random, 55 * PAGE_BYTES, 700);
	(void)memory_drain(memory, 2 * BLOCK_BYTES, false);
	read_some(node, 48 * PAGE_BYTES, 20 * PAGE_BYTES);
	(void)memory_drain(memory, 2 * BLOCK_BYTES, true);
}

static void pages_end(void)
{
	must(volume_flush(&volume));
	ck_assert_int_eq(memcmp(disk.data, model, TEST_DISK_BYTES), 0);
	ck_assert(pagecache_is_valid(&pagecache));
	must(node_close(&file, false));
	must(volume_detach(&volume, false));
	ck_assert_int_eq(pagecache_fini(&pagecache), STATUS_OK);
}

/* Heap ----------------------------------------------------------------------------------------- */

static const size_t sizes[] = { 16, 5000, 300000, 3 * MIB };

static bool is_all(const unsigned char *bytes, size_t count, unsigned char byte)
{
	return bytes[0] == byte && memcmp(bytes, bytes + 1, count - 1) == 0;
}

static void general_work(void)
{
	struct general_heap *heap = &memory->general;
	unsigned char *objects[ARRAY_LENGTH(sizes)];

	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
		must_get(objects[i], heap_alloc_zeroed(&heap->caching.heap, sizes[i], 0));
		ck_assert(is_all(objects[i], sizes[i], 0));
		memset(objects[i], (int)i + 1, sizes[i]);
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
		unsigned char *larger;

		must_get(larger, general_heap_resize(heap, objects[i], sizes[i] * 2, 0));
		ck_assert(is_all(larger, sizes[i], (unsigned char)(i + 1)));
		objects[i] = larger;
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++)
		general_heap_free(heap, objects[i]);
}

static unsigned constructed;

static void construct(void *object, void *context)
{
	(void)context;
	*(void **)object = object;
	constructed++;
}

static void destroy(void *object, void *context)
{
	(void)context;
	ck_assert_ptr_eq(*(void **)object, object);
	constructed--;
}

static void cache_work(uint32_t reserve)
{
	const struct objcache_config config = {
		.name = "things",
		.object_bytes = 30000,
		.reserve_objects = reserve,
		.construct = construct,
		.destroy = destroy,
	};
	struct objcache cache;
	void **objects[80];

	must(memory_objcache_init(memory, &cache, config));
	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
		must_get(objects[i], objcache_alloc(&cache));
		ck_assert_ptr_eq(*objects[i], objects[i]);
	}
	if (reserve > 0) {
		must(objcache_reserve(&cache, 100));
		objcache_unreserve(&cache, 100);
	}
	ck_assert(objcache_is_valid(&cache));
	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
		objcache_free(&cache, objects[i]);
	ck_assert_int_eq(objcache_fini(&cache), STATUS_OK);
	ck_assert_uint_eq(constructed, 0);
}

static void dma_work(void)
{
	static const struct dma_request requests[] = { { .bytes = 9 * MIB },
						       { .bytes = 64 },
						       { .bytes = 6 * MIB, .segments_max = 2 },
						       { .bytes = 100000, .segments_max = 1 } };
	struct dma_buffer *buffers[ARRAY_LENGTH(requests)];
	struct dma_coherent coherent;

	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++) {
		must(dma_alloc(memory_dma(memory), &plain, &requests[i], &buffers[i]));
		memset(buffers[i]->memory, 0x11, MIN(requests[i].bytes, PAGE_BYTES));
	}
	must(dma_coherent_alloc(memory_dma(memory), &plain, 4096, 4096, &coherent));
	dma_coherent_free(memory_dma(memory), &coherent);
	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++)
		dma_free(memory_dma(memory), buffers[i]);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &plain), 0);
}

/* All ------------------------------------------------------------------------------------------ */

static void heap_work(void)
{
	general_work();
	cache_work(0);
	cache_work(75);
	dma_work();
}

static void all_pages_work(void)
{
	struct random random;

	random_seed(&random, 3);
	pages_begin();
	pages_work(&volume.node, &random);
	pages_work(&file, &random);
	pages_end();
}

/* True if something failed. */
static bool run(void (*work)(void), unsigned first, unsigned burst)
{
	machine_init(&machine, MACHINE_START, BLOCKS, 2, 4);
	memory = &machine.memory;
	fake_block_init(&disk, TEST_DISK_BYTES, false);
	memcpy(model, disk.data, TEST_DISK_BYTES);
	plan.first = first;
	plan.burst = burst;
	plan.count = plan.failed = 0;
	plan.injector.must_fail = must_fail;
	memory_set_fault_injector(memory, &plan.injector);
	work();
	memory_set_fault_injector(memory, NULL);
	ck_assert_int_eq(memcmp(disk.data, model, TEST_DISK_BYTES), 0);
	fake_block_fini(&disk);
	machine_fini(&machine);
	ck_assert_uint_eq(memory->metadata.used_bytes, 0);
	return plan.failed > 0;
}

/* Until none is left to fail. */
static void run_all(void (*work)(void), unsigned burst, unsigned stride)
{
	unsigned first = 0;

	host_clock_set(HOST_CLOCK_SKIPPING);
	host_log_level(LOG_ERROR);
	while (run(work, first, burst))
		first += stride;
	ck_assert_uint_ge(first, plan.count);
	ck_assert_uint_gt(plan.blocks, 10 / stride);
	ck_assert_uint_gt(plan.metadata, 10 / stride);
}

START_TEST(each_allocation_of_the_heap_fails_once)
{
	run_all(heap_work, 1, 1);
	ck_assert_uint_gt(plan.dma, 4);
	ck_assert_uint_gt(plan.others, 100);
}
END_TEST

START_TEST(each_allocation_of_the_page_cache_fails_once)
{
	run_all(all_pages_work, 1, 1);
	ck_assert_uint_gt(plan.pages, 50);
}
END_TEST

START_TEST(all_allocations_of_the_heap_fail_for_a_time)
{
	run_all(heap_work, ALL, 3);
}
END_TEST

START_TEST(all_allocations_of_the_page_cache_fail_for_a_time)
{
	run_all(all_pages_work, ALL, 1);
}
END_TEST

HOST_TEST_MAIN("allocation_faults", each_allocation_of_the_heap_fails_once, each_allocation_of_the_page_cache_fails_once,
	       all_allocations_of_the_heap_fail_for_a_time, all_allocations_of_the_page_cache_fail_for_a_time)
