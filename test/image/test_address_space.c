// SPDX-License-Identifier: BSD-2-Clause
/* Fresh ranges of virtual addresses. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/base/bits.h"
#include "runtime/base/heap.h"
#include "runtime/base/inject.h"
#include "runtime/base/string.h"
#include "runtime/kernel/mmio.h"
#include "runtime/kernel/stack.h"
#include "runtime/kernel/boot_heap.h"
#include "runtime/kernel/task.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/paging.h"

#define PIECES 5

/* Pages that are certainly not adjacent in the mapping's order. */
static bool pieces_alloc(struct phys_range *pieces, void **memory)
{
	bool all = true;

	for (unsigned i = 0; i < PIECES; i++) {
		memory[i] = heap_alloc(boot_heap(), PAGE_BYTES * (i + 1), PAGE_BYTES);
		all = all && memory[i];
		pieces[PIECES - 1 - i] = (struct phys_range){ platform_phys(memory[i]), PAGE_BYTES * (i + 1) };
	}
	return all;
}

static void pieces_free(void **memory)
{
	for (unsigned i = 0; i < PIECES; i++)
		heap_free(boot_heap(), memory[i]);
}

IMAGE_TEST(map_joins_pieces)
{
	struct phys_range pieces[PIECES];
	void *memory[PIECES], *mapped = NULL;
	uint64_t bytes = 0, position = 0;

	if (pieces_alloc(pieces, memory)) {
		expect_equal(platform_map(pieces, PIECES, &mapped), STATUS_OK);
		for (unsigned i = 0; i < PIECES; i++) {
			uint8_t *direct = platform_virt(pieces[i].start);

			memset((char *)mapped + position, (int)i + 1, pieces[i].bytes);
			expect(direct[0] == i + 1 && direct[pieces[i].bytes - 1] == i + 1);
			position += pieces[i].bytes;
			bytes += pieces[i].bytes;
		}
		platform_unmap(mapped, bytes);
		expect(!paging_translate((uint64_t)mapped, NULL, NULL));
	}
	pieces_free(memory);
}

struct reader {
	uint64_t *_Atomic address;
	_Atomic uint64_t wrong;
	_Atomic uint64_t generation;
	_Atomic bool stop;
};

static void read_often(void *context)
{
	struct reader *reader = context;

	while (!atomic_load(&reader->stop)) {
		/*
		 * The address stays mapped while interrupts are off: before unmapping, every CPU is
		 * called.
		 */
		uint64_t state = platform_interrupts_save(), *address = atomic_load(&reader->address);

		if (address) {
			uint64_t generation = atomic_load(&reader->generation), value = *(volatile uint64_t *)address;

			if (value < generation)
				atomic_fetch_add(&reader->wrong, 1);
		}
		platform_interrupts_restore(state);
	}
}

static void nothing(void *context)
{
	(void)context;
}

/*
 * The same virtual address shows page after page; a CPU with a stale translation would see an old
 * number.
 */
IMAGE_TEST(unmap_reaches_all_cpus)
{
	struct task_options options = { .name = "reader", .priority = TASK_NORMAL, .cpu = -1 };
	uint64_t *pages[2] = { heap_alloc(boot_heap(), PAGE_BYTES, 0), heap_alloc(boot_heap(), PAGE_BYTES, 0) };
	struct reader reader = { .stop = false };
	struct task *tasks[2];
	void *first = NULL;

	require(pages[0] && pages[1]);
	for (unsigned i = 0; i < 2; i++)
		expect_equal(task_spawn(&options, read_often, &reader, &tasks[i]), STATUS_OK);
	for (uint64_t generation = 1; generation <= 300; generation++) {
		uint64_t *page = pages[generation % 2];
		struct phys_range piece = { platform_phys(page), PAGE_BYTES };
		void *mapped = NULL;

		*page = generation;
		expect_equal(platform_map(&piece, 1, &mapped), STATUS_OK);
		first = first ? first : mapped;
		expect(mapped == first);
		atomic_store(&reader.address, (uint64_t *)mapped);
		atomic_store(&reader.generation, generation);
		atomic_store(&reader.address, NULL);
		platform_run_on_all_cpus(nothing, NULL); /* no CPU has the address in hand any more... */
		platform_unmap(mapped, PAGE_BYTES);
	}
	atomic_store(&reader.stop, true);
	for (unsigned i = 0; i < 2; i++)
		task_join(tasks[i]);
	expect_equal(reader.wrong, 0);
	heap_free(boot_heap(), pages[0]);
	heap_free(boot_heap(), pages[1]);
}

IMAGE_TEST(ranges_large_start_at_large_pages)
{
	void *memory = heap_alloc(boot_heap(), BLOCK_BYTES, BLOCK_BYTES), *mapped = NULL;
	struct phys_range piece = { platform_phys(memory), BLOCK_BYTES };

	if (!memory)
		skip("no whole block is free");
	expect_equal(platform_map(&piece, 1, &mapped), STATUS_OK);
	expect(is_aligned((uint64_t)mapped, BLOCK_BYTES));
	memset(mapped, 0x5a, BLOCK_BYTES);
	expect(((uint8_t *)memory)[BLOCK_BYTES - 1] == 0x5a);
	platform_unmap(mapped, BLOCK_BYTES);
	heap_free(boot_heap(), memory);
}

static void note_stack(void *context)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	uint64_t guard = align_down(here, PAGE_BYTES);

	while (paging_translate(guard, NULL, NULL))
		guard -= PAGE_BYTES;
	*(const char **)context = stack_guard_owner(guard + PAGE_BYTES - 8);
}

IMAGE_TEST(guard_pages_know_their_owner)
{
	struct task_options options = { .name = "guarded", .priority = TASK_NORMAL, .cpu = -1 };
	const char *owner = NULL;
	struct task *task;

	require(task_spawn(&options, note_stack, &owner, &task) == STATUS_OK);
	/* The name lives as long as the task. */
	while (!*(const char *volatile *)&owner)
		task_sleep(NS_PER_MS);
	expect(strcmp(owner, "guarded") == 0);
	task_join(task);
	expect(!stack_guard_owner(0));
	expect(!stack_guard_owner(UINT64_MAX));
}

/*
 * At 65 TB, and where no virtual address equals the physical one. Nothing is there to be touched.
 */
IMAGE_TEST(mmio_map_reaches_all_of_the_cpus_addresses)
{
	const unsigned bits = inject_is_asked("wide-addresses") ? 52 : cpuid_if_present(0x80000008, 0).eax & 0xff;
	const struct phys_addr windows[] = { { 65ull << 40 }, { (200ull << 40) + 16 } };

	for (unsigned i = 0; i < ARRAY_LENGTH(windows); i++) {
		struct phys_addr physical = { 0 };
		unsigned flags = 0;
		void *mapped = NULL;

		if (windows[i].value >> bits != 0) {
			expect_equal(mmio_map_as(windows[i], BLOCK_BYTES, MMIO_REGISTERS, &mapped), STATUS_RANGE);
			continue;
		}
		require(mmio_map_as(windows[i], BLOCK_BYTES, MMIO_REGISTERS, &mapped) == STATUS_OK);
		for (uint64_t offset = 0; offset < BLOCK_BYTES; offset += PAGE_BYTES) {
			expect(paging_translate((uint64_t)mapped + offset, &physical, &flags));
			expect_equal(physical.value, windows[i].value + offset);
			expect_equal(flags, PAGING_WRITE | PAGING_UNCACHED);
		}
	}
}

IMAGE_TEST(mmio_map_refuses_ram)
{
	char *memory = heap_alloc(boot_heap(), PAGE_BYTES, 0);
	void *mapped;

	require(memory);
	expect_equal(mmio_map_as((struct phys_addr){ (uint64_t)memory }, 1, MMIO_REGISTERS, &mapped), STATUS_CORRUPT);
	expect_equal(mmio_map_as((struct phys_addr){ (uint64_t)note_stack }, 1, MMIO_WRITE_COMBINING, &mapped), STATUS_CORRUPT);
	heap_free(boot_heap(), memory);
}

IMAGE_TEST(mmio_map_refuses_what_cannot_be)
{
	void *mapped;

	expect_equal(mmio_map_as((struct phys_addr){ 0 }, 16, MMIO_REGISTERS, &mapped), STATUS_RANGE);
	expect_equal(mmio_map_as((struct phys_addr){ PAGE_BYTES - 1 }, 2, MMIO_REGISTERS, &mapped), STATUS_RANGE);
	expect(!mmio_map((struct phys_addr){ 1ull << 60 }, PAGE_BYTES));
	expect(!mmio_map((struct phys_addr){ UINT64_MAX - 10 }, PAGE_BYTES));
	expect(!mmio_map((struct phys_addr){ GIB }, 0));
	expect(!firmware_map((struct phys_addr){ 0 }, 16));
}
