// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor's commands of the page cache: cache, volumes, volume clear, flush. They walk volumes
 * as all others do, so that no lock is held while a line is printed.
 */
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"
#include "volume.h"

static void print_statistics(const char *name, const struct pagecache_statistics *statistics)
{
	const uint64_t lookups = MAX(statistics->hits + statistics->misses, 1u);
	char cached[FORMAT_BYTES_SIZE], dirty[FORMAT_BYTES_SIZE], read[FORMAT_BYTES_SIZE], written[FORMAT_BYTES_SIZE];

	print("%-16s %8s cached  %8s dirty  %8s read  %8s written\n", name,
	      format_bytes(cached, statistics->cached_pages * PAGE_BYTES),
	      format_bytes(dirty, statistics->dirty_pages * PAGE_BYTES), format_bytes(read, statistics->read_bytes),
	      format_bytes(written, statistics->written_bytes));
	print("%-16s pages: hits %llu (%llu%%), misses %llu, inserted %llu, evicted %llu, moved %llu, "
	      "mapped in place %llu\n",
	      "", (unsigned long long)statistics->hits, (unsigned long long)(statistics->hits * 100 / lookups),
	      (unsigned long long)statistics->misses, (unsigned long long)statistics->inserted_pages,
	      (unsigned long long)statistics->evicted_pages, (unsigned long long)statistics->moved_pages,
	      (unsigned long long)statistics->mapped_in_place);
	print("%-16s blocks %llu, flushes %llu, throttled writes %llu, read errors %llu, write errors %llu, failed pages "
	      "%llu\n",
	      "", (unsigned long long)statistics->blocks, (unsigned long long)statistics->flushes,
	      (unsigned long long)statistics->throttled, (unsigned long long)statistics->read_errors,
	      (unsigned long long)statistics->write_errors, (unsigned long long)statistics->failed_pages);
}

static status_t cache_run(struct command *self, int argc, char **argv)
{
	struct pagecache_statistics statistics;
	struct volume *volume = NULL;

	(void)argc, (void)argv;
	while ((volume = volume_next(self->context, volume)) != NULL) {
		volume_statistics(volume, &statistics);
		print_statistics(volume->name, &statistics);
	}
	pagecache_statistics(self->context, &statistics);
	print_statistics("all", &statistics);
	return STATUS_OK;
}

/*
 * The volume that the command is given, if any: it is not detached until volume_put.
 * STATUS_NOT_FOUND: there is none of that name, which is printed.
 */
static status_t volume_named(struct command *self, int argc, char **argv, struct volume **volume)
{
	*volume = NULL;
	if (argc != 2)
		return argc < 2 ? STATUS_OK : STATUS_INVALID;
	while ((*volume = volume_next(self->context, *volume)) != NULL)
		if (strcmp((*volume)->name, argv[1]) == 0)
			return STATUS_OK;
	print("there is no volume %s; `volumes` lists them\n", argv[1]);
	return STATUS_NOT_FOUND;
}

static void print_volume(const struct volume *volume)
{
	const struct volume_config config = volume_configuration(volume);
	char start[FORMAT_BYTES_SIZE], bytes[FORMAT_BYTES_SIZE], keep[FORMAT_BYTES_SIZE], retain[FORMAT_BYTES_SIZE];

	print("%-16s %-12s %9s  %10s  %10u  %9s %8s%s\n", volume->name, volume->device->name,
	      format_bytes(start, volume->start_bytes), format_bytes(bytes, volume->bytes), config.preference,
	      format_bytes(keep, config.keep_bytes), format_bytes(retain, config.retain_bytes),
	      config.read_only ? "  read-only" : "");
}

/* Prints the ranges of a volume that the disk has lost. */
static void print_lost(struct volume *volume)
{
	struct ranges lost;

	spinlock_lock(&volume->writeback.lock);
	lost = volume->writeback.written.lost;
	spinlock_unlock(&volume->writeback.lock);
	print(lost.count > 0 ? "lost, until it is written again or `volume clear %s`:\n" : "nothing of %s is lost\n",
	      volume->name);
	for (uint32_t i = 0; i < lost.count; i++)
		print("  bytes %llu to %llu\n", (unsigned long long)lost.list[i].start,
		      (unsigned long long)lost.list[i].end - 1);
}

static status_t volumes_run(struct command *self, int argc, char **argv)
{
	struct volume *one, *volume = NULL;
	const status_t status = volume_named(self, argc, argv, &one);

	if (status != STATUS_OK)
		return status;
	print("volume           device           start        size  preference  cache_min   retain\n");
	while ((volume = volume_next(self->context, volume)) != NULL)
		if (!one || volume == one)
			print_volume(volume);
	if (one) {
		print_lost(one);
		volume_put(one);
	}
	return STATUS_OK;
}

static status_t clear_run(struct command *self, int argc, char **argv)
{
	struct volume *volume;
	const status_t status = volume_named(self, argc, argv, &volume);

	if (!volume)
		return status == STATUS_OK ? STATUS_INVALID : status;
	volume_error_clear(volume);
	print("what %s has lost is not reported any more\n", volume->name);
	volume_put(volume);
	return STATUS_OK;
}

static status_t flush_run(struct command *self, int argc, char **argv)
{
	struct volume *volume;
	status_t status = volume_named(self, argc, argv, &volume);

	if (status != STATUS_OK)
		return status;
	status = volume ? volume_flush(volume) : pagecache_flush(self->context);
	if (volume)
		volume_put(volume);
	print(status == STATUS_OK ? "flushed\n" : "flush failed: %s; what could not be written stays in memory\n",
	      status_text(status));
	return STATUS_OK;
}

const char *volume_name_argument(struct pagecache *pagecache, unsigned index)
{
	static char name[VOLUME_NAME_BYTES];
	struct volume *volume = NULL;

	while ((volume = volume_next(pagecache, volume)) != NULL) {
		if (index-- > 0)
			continue;
		memcpy(name, volume->name, sizeof(name));
		volume_put(volume);
		return name;
	}
	return NULL;
}

static const char *volume_argument(struct command *self, int position, unsigned index)
{
	return position == 1 ? volume_name_argument(self->context, index) : NULL;
}

void pagecache_commands_register(struct pagecache *pagecache, struct command_table *table)
{
	const struct command commands[] = {
		{ .name = "cache", .arguments = "", .help = "what the page cache holds and did", .run = cache_run },
		{ .name = "volumes",
		  .arguments = "[VOLUME]",
		  .help = "volumes, which of them give first, and what they keep; what one has lost",
		  .run = volumes_run,
		  .argument = volume_argument },
		{ .name = "volume clear",
		  .arguments = "VOLUME",
		  .help = "accept what the volume has lost: flushes do not fail for it any more",
		  .run = clear_run,
		  .argument = volume_argument },
		{ .name = "flush",
		  .arguments = "[VOLUME]",
		  .help = "make all writes durable",
		  .run = flush_run,
		  .argument = volume_argument },
	};

	commands_register(table, pagecache->commands, commands, ARRAY_LENGTH(commands), pagecache);
}
