// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each allocation of a driver's start fails once: the driver says so, leaves nothing behind, and
 * starts at the next try.
 */
#include "disk_place.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define ALL        UINT32_MAX
#define PATIENCE   (2 * NS_PER_S) /* for what ended tasks leave to others to free */
#define FAULTS_MAX 2000

/* Allocations of one task: `burst` of them, from number `first` on, fail. */
struct faults {
	struct fault_injector injector;
	const void *task;
	uint32_t first, burst;
	uint32_t count, failed;
};

static bool must_fail(struct fault_injector *self, const char *where, uint64_t bytes)
{
	struct faults *faults = container_of(self, struct faults, injector);

	(void)where, (void)bytes;
	if (platform_in_handler() || platform_task() != faults->task)
		return false;
	const uint32_t number = faults->count++;
	if (number < faults->first || number - faults->first >= faults->burst)
		return false;
	faults->failed++;
	return true;
}

static struct faults faults;

static void faults_begin(struct memory *memory, uint32_t first, uint32_t burst)
{
	faults = (struct faults){
		.injector = { .must_fail = must_fail },
		.task = platform_task(),
		.first = first,
		.burst = burst,
	};
	memory_set_fault_injector(memory, &faults.injector);
}

/* What the driver holds, and what works for it. */
static void expect_used(struct image_test_run *test, struct pci_function *function, uint64_t used)
{
	struct memory *memory = test->environment->memory;
	const uint64_t deadline_ns = platform_now_ns() + PATIENCE;

	while (general_heap_used_bytes(&memory->general) != used && platform_now_ns() < deadline_ns)
		task_sleep(NS_PER_MS);
	expect_equal(general_heap_used_bytes(&memory->general), used);
	expect_equal(dma_device_leaks(memory_dma(memory), &function->device), 0);
	expect_equal(function->driver, NULL);
}

/* To take a driver away takes no memory. */
static void remove_without_memory(struct image_test_run *test, struct pci_function *function)
{
	struct memory *memory = test->environment->memory;

	faults_begin(memory, 0, ALL);
	expect_equal(driver_remove(function), STATUS_OK);
	memory_set_fault_injector(memory, NULL);
}

/* The function is bound, and is so afterwards. */
static void fail_each(struct image_test_run *test, struct pci_function *function)
{
	struct memory *memory = test->environment->memory;
	uint32_t first = 0, refused = 0, failed;
	uint64_t used;
	status_t status;

	remove_without_memory(test, function);
	used = general_heap_used_bytes(&memory->general);
	do {
		faults_begin(memory, first++, 1);
		status = driver_probe(function);
		memory_set_fault_injector(memory, NULL);
		failed = faults.failed;
		if (status != STATUS_OK) {
			refused++;
			expect_equal(status, STATUS_NO_MEMORY);
			expect_equal(failed, 1);
			expect_used(test, function, used);
			expect_equal(driver_probe(function), STATUS_OK);
		}
		if (failed > 0) {
			remove_without_memory(test, function);
			expect_used(test, function, used);
		}
	} while (failed > 0 && first < FAULTS_MAX);
	print("# %s: %u allocations failed, %u of them kept it from starting\n", function->device.name, first - 1, refused);
	expect(refused > 0);
	expect_equal(failed, 0);
	expect(function->driver != NULL);
}

/* The disk is there, and not attached; it is so afterwards. */
static void fail_each_of_attach(struct image_test_run *test, struct disk_place *place)
{
	struct memory *memory = test->environment->memory;
	struct block_device *disk = block_device_find(test->environment->block_devices, place->name);
	uint32_t first = 0;
	status_t status;

	require(disk);
	do {
		const uint64_t used = general_heap_used_bytes(&memory->general);

		faults_begin(memory, first++, 1);
		memset(place->volume, 0, sizeof(*place->volume));
		status = volume_attach(place->volume, test->environment->pagecache, disk, place->name, 0, disk->size_bytes,
				       &place->config);
		memory_set_fault_injector(memory, NULL);
		expect(status == STATUS_OK || (status == STATUS_NO_MEMORY && faults.failed == 1));
		if (status == STATUS_OK)
			expect_equal(volume_detach(place->volume, false), STATUS_OK);
		expect_equal(general_heap_used_bytes(&memory->general), used);
	} while (faults.failed > 0 && first < FAULTS_MAX);
	expect_equal(status, STATUS_OK);
}

IMAGE_TEST(edu_survives_each_allocation_that_fails)
{
	struct pci_function *function = driver_function("edu", NULL);

	if (!function)
		skip("there is no edu device");
	fail_each(test, function);
}

IMAGE_TEST(disk_survives_each_allocation_that_fails)
{
	struct block_device *disks[DISK_PLACES];
	const unsigned count = disk_places_list(test, disks);
	struct disk_place place;

	if (count == 0)
		skip("there is no disk with the test pattern");
	for (unsigned i = 0; i < count; i++) {
		require(disk_place_release(test, disks[i], &place));
		fail_each(test, place.function);
		fail_each_of_attach(test, &place);
		expect_equal(driver_remove(place.function), STATUS_OK);
		disk_place_restore(test, &place);
	}
}
