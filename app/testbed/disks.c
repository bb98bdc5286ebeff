// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the disks of a scenario by what stands in their first page, since names depend on the
 * machine. The page is read past the cache, so looking changes nothing there.
 */
#include "disks.h"

#include "direct.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "pattern.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

struct dma_buffer *disks_first_page(struct memory *memory, struct block_device *device)
{
	const struct dma_request request = { .bytes = PAGE_BYTES, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	struct dma_buffer *buffer;

	if (device->size_bytes < PAGE_BYTES ||
	    dma_alloc(memory_dma(memory), direct_device(device), &request, &buffer) != STATUS_OK)
		return NULL;
	if (direct_read(memory, device, 0, &buffer, 1) == STATUS_OK)
		return buffer;
	dma_free(memory_dma(memory), buffer);
	return NULL;
}

/* Whether the device's first page is of the pattern with this seed. */
static bool carries(struct memory *memory, struct block_device *device, uint64_t seed)
{
	struct dma_buffer *buffer = disks_first_page(memory, device);
	const bool found = buffer && pattern_verify(buffer->memory, seed, 0);

	dma_free(memory_dma(memory), buffer);
	return found;
}

/* The first device that carries the seed, or the one that the option names if it does. */
static struct block_device *find(const struct scenario *scenario, const char *key, uint64_t seed)
{
	const struct app_environment *environment = scenario->environment;
	struct block_device *device = NULL;
	char name[32];

	if (options_read(scenario->options, key, name, sizeof(name))) {
		device = block_device_find(environment->block_devices, name);
		return device && carries(environment->memory, device, seed) ? device : NULL;
	}
	while ((device = block_device_next(environment->block_devices, device)))
		if (carries(environment->memory, device, seed))
			return device;
	return NULL;
}

void disks_print(const struct app_environment *environment)
{
	struct block_device *device = NULL;

	if (!block_device_next(environment->block_devices, NULL)) {
		print("There is no disk that Weir drives.\n");
		return;
	}
	print("The disks are:");
	while ((device = block_device_next(environment->block_devices, device))) {
		char bytes[FORMAT_BYTES_SIZE];

		print(" %s (%s)", device->name, format_bytes(bytes, device->size_bytes));
	}
	print(".\n");
}

status_t disks_find(const struct scenario *scenario, struct disks *disks)
{
	const struct app_environment *environment = scenario->environment;
	OPTION_NAME("data", false);
	OPTION_NAME("digitizer", false);
	struct block_device *data = find(scenario, "data", PATTERN_SEED_DATA);
	struct block_device *digitizer = find(scenario, "digitizer", PATTERN_SEED_DIGITIZER);

	if (!data || !digitizer) {
		print("This needs a data disk and a digitizer whose 4 KB pages are numbered, as `make run` makes them\n"
		      "(make_pattern FILE BYTES %d, and %d for the digitizer); there is no such %s.\n"
		      "`run checksum volume=NAME` reads a disk with content of its own, and `run` lists what else this machine "
		      "can do.\n",
		      PATTERN_SEED_DATA, PATTERN_SEED_DIGITIZER, data ? "digitizer" : "data disk");
		disks_print(environment);
		return STATUS_NOT_FOUND;
	}
	disks->data = volume_find(environment->pagecache, data->name);
	disks->digitizer = digitizer;
	if (!disks->data) {
		print("The disk %s is not attached to the page cache.\n", data->name);
		return STATUS_NOT_FOUND;
	}
	return STATUS_OK;
}

struct volume *disks_find_slow(const struct scenario *scenario)
{
	OPTION_NAME("slow", false);
	struct block_device *slow = find(scenario, "slow", PATTERN_SEED_SLOW);
	struct volume *volume = slow ? volume_find(scenario->environment->pagecache, slow->name) : NULL;

	if (volume)
		return volume;
	print("This needs a slow disk, too, whose pages are numbered (make_pattern FILE BYTES %d), as `make run SLOW_IOPS=5`\n"
	      "attaches it.\n",
	      PATTERN_SEED_SLOW);
	disks_print(scenario->environment);
	return NULL;
}

struct volume *disks_find_volume(const struct scenario *scenario, const char *key)
{
	const struct app_environment *environment = scenario->environment;
	struct block_device *device = block_device_next(environment->block_devices, NULL);
	struct volume *volume = NULL;
	char name[VOLUME_NAME_BYTES];

	OPTION_NAME("volume", false);
	if (options_read(scenario->options, key, name, sizeof(name))) {
		volume = volume_find(environment->pagecache, name);
	} else if (device) {
		while ((volume = volume_next(environment->pagecache, volume)) != NULL && volume_device(volume) != device)
			continue;
		if (volume)
			volume_put(volume);
	}
	if (!volume) {
		print("There is no such volume; %s=NAME names one, and `volumes` in the monitor lists them.\n", key);
		disks_print(environment);
	}
	return volume;
}
