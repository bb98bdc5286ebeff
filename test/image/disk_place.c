// SPDX-License-Identifier: BSD-2-Clause
#include "disk_place.h"

#include "app/testbed/pattern.h"
#include "disk_test.h"
#include "runtime/base/string.h"

struct pci_function *disk_function(const struct block_device *device)
{
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		if (&function->device == device->device)
			return function;
	}
	return NULL;
}

bool disk_place_release(struct image_test_run *test, struct block_device *disk, struct disk_place *place)
{
	*place = (struct disk_place){
		.disk = disk,
		.function = disk_function(disk),
		.volume = volume_find(test->environment->pagecache, disk->name),
	};
	memcpy(place->name, disk->name, strlen(disk->name) + 1);
	if (place->function && place->volume) {
		place->config = volume_configuration(place->volume);
		if (volume_detach(place->volume, false) == STATUS_OK)
			return true;
	}
	image_test_fail(test, __FILE__, __LINE__, "the volume can be detached");
	return false;
}

void disk_place_restore(struct image_test_run *test, struct disk_place *place)
{
	struct disk_test_request *request = disk_test_alloc(test, 64 * PAGE_BYTES);
	struct block_device *disk;

	require(request);
	require(driver_probe(place->function) == STATUS_OK);
	disk = block_device_find(test->environment->block_devices, place->name);
	require(disk);
	memset(place->volume, 0, sizeof(*place->volume));
	expect_equal(volume_attach(place->volume, test->environment->pagecache, disk, disk->name, 0, disk->size_bytes,
				   &place->config),
		     STATUS_OK);
	expect_equal(disk_test_run(disk, request, BLOCK_READ, 0), STATUS_OK);
	expect_equal(disk_test_bad_pages(request, pattern_seed(request->buffer->memory)), 0);
	disk_test_free(test, request);
}

unsigned disk_places_list(struct image_test_run *test, struct block_device *disks[DISK_PLACES])
{
	struct block_device *device = NULL;
	unsigned count = 0;
	uint64_t seed;

	while (count < DISK_PLACES && (device = disk_test_next(test, device, &seed)))
		disks[count++] = device;
	return count;
}
