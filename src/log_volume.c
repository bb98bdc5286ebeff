// SPDX-License-Identifier: BSD-2-Clause
/*
 * From the option log=VOLUME to the kernel's log on a disk. The log goes past the page cache, so
 * the page cache gives the volume up: what it caches of it would be stale, and what a program wrote
 * there would meet the log's blocks.
 */
#include "log_volume.h"

#include "heap/memory.h"
#include "pagecache/volume.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/log_disk.h"

static struct pagecache *flushed; /* for the flush of a device, which covers its volumes, too */

static status_t flush_device(struct block_device *device)
{
	return pagecache_flush_device(flushed, device);
}

void log_on_volume_start(struct memory *memory, struct pagecache *pagecache, const char *command_line)
{
	static char name[VOLUME_NAME_BYTES];
	struct volume *volume;
	status_t status = STATUS_READ_ONLY;

	flushed = pagecache;
	if (!options_get(command_line, "log", name, sizeof(name)))
		return;
	volume = volume_find(pagecache, name);
	if (!volume) {
		log_error("log=%s: there is no volume of that name", name);
		return;
	}
	if (volume_configuration(volume).read_only)
		log_error("log: %s cannot be used: %s", name, status_text(status));
	else
		status = log_disk_start(&(struct log_disk_config){
			.name = name,
			.device = volume_device(volume),
			.start_bytes = volume_start_bytes(volume),
			.bytes = volume_bytes(volume),
			.flush = flush_device,
			.heap = memory_general_heap(memory),
		});
	/* No program runs yet: nothing of it is dirty or mapped. */
	if (status == STATUS_OK)
		(void)!volume_detach(volume, true);
}
