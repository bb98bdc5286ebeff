// SPDX-License-Identifier: BSD-2-Clause
/*
 * Replays a trace of page references through the page cache, with as much memory as the machine
 * has: `make run SCENARIO=replay TRACE=file MEM=512M`. Each reference reads or writes one whole
 * page of the data disk.
 *
 * The data disk is blank or carries the test pattern (the first one of that kind), or is named by
 * data=NAME. It is written to where the trace says so, and does not get its content back. A page
 * beyond its end is folded back by division.
 *
 *	miss             references in 100 whose page was not cached nor being read ahead
 *	copies_per_100   pages that the cache moved from block to block, for 100 misses; pages that are read ahead make the
 *	                 cache move others, too, but are no misses, so only without readahead it says what replacement costs
 *	ahead, ahead_used   pages that were read ahead, and of those the used ones
 *	seconds          until the last reference, without the flush after it
 *
 * Options: references=N (only the first ones), trace=NAME (see trace.h), data=NAME.
 */
#include "app/testbed/disks.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "app/testbed/pattern.h"
#include "app/testbed/report.h"
#include "runtime/base/block_device.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "app/testbed/trace.h"

struct replay {
	struct page_trace trace;
	struct volume *volume;
	uint64_t pages;      /* of the volume */
	uint64_t references; /* to replay */
	uint64_t writes, folded, bad_pages;
	uint64_t page[PATTERN_PAGE_WORDS];
};

/* Blank, or ours to write to. */
static bool may_be_written(struct memory *memory, struct block_device *device)
{
	struct dma_buffer *buffer = device->read_only ? NULL : disks_first_page(memory, device);
	uint64_t any = 0;
	bool may;

	if (!buffer)
		return false;
	for (unsigned i = 0; i < PATTERN_PAGE_WORDS; i++)
		any |= ((const uint64_t *)buffer->memory)[i];
	may = any == 0 || pattern_verify(buffer->memory, PATTERN_SEED_DATA, 0);
	dma_free(memory_dma(memory), buffer);
	return may;
}

static struct volume *find_volume(const struct replay *replay, const struct scenario *scenario)
{
	const struct app_environment *environment = scenario->environment;
	struct block_device *device = NULL;
	char name[VOLUME_NAME_BYTES];

	if (options_get(scenario->options, "data", name, sizeof(name)))
		return disks_find_volume(scenario, "data");
	while ((device = block_device_next(environment->block_devices, device)))
		if (device != replay->trace.device && may_be_written(environment->memory, device))
			return volume_find(environment->pagecache, device->name);
	print("No disk is blank or carries the test pattern; data=NAME takes one whose content may be lost.\n");
	disks_print(environment);
	return NULL;
}

/*
 * Pages that were written here or carry the pattern have to be the right ones; others may hold
 * anything.
 */
static status_t refer(struct replay *replay, uint64_t word)
{
	const uint64_t number = trace_page(word) % replay->pages;
	struct node *node = volume_whole_node(replay->volume);
	status_t status;

	replay->folded += number != trace_page(word);
	if (trace_is_write(word)) {
		replay->writes++;
		pattern_stamp(replay->page, PATTERN_SEED_DATA, number, replay->writes);
		return node_write(node, number * PAGE_BYTES, replay->page, PAGE_BYTES);
	}
	status = node_read(node, number * PAGE_BYTES, replay->page, PAGE_BYTES);
	if (status == STATUS_OK && pattern_seed(replay->page) == PATTERN_SEED_DATA &&
	    replay->page[PATTERN_WORD_NUMBER] != number)
		replay->bad_pages++;
	return status;
}

static status_t run(struct replay *replay, const struct app_environment *environment)
{
	struct progress progress;
	status_t status = STATUS_OK;
	uint64_t done = 0, word;

	progress_start(&progress, "replaying", replay->references * PAGE_BYTES, app_is_interactive(environment));
	for (; done < replay->references && status == STATUS_OK && !scenario_is_cancelled(); done++) {
		status = trace_next(&replay->trace, &word);
		if (status == STATUS_OK)
			status = refer(replay, word);
		progress_update(&progress, done * PAGE_BYTES);
	}
	progress_end(&progress, done * PAGE_BYTES);
	if (status == STATUS_OK && done < replay->references)
		return STATUS_CANCELLED;
	if (status != STATUS_OK)
		print("Reference %llu failed: %s\n", (unsigned long long)done, status_text(status));
	return status;
}

/*
 * Whole pages that are written are no misses for the cache, for it need not read them; here they
 * are.
 */
static void print_result(const struct replay *replay, const struct pagecache_statistics *before,
			 const struct pagecache_statistics *after, uint64_t ns)
{
	const uint64_t ahead = after->ahead_pages - before->ahead_pages;
	const uint64_t inserted = after->inserted_pages - before->inserted_pages;
	const uint64_t misses = inserted - MIN(inserted, ahead);
	char miss[FORMAT_SHARE_BYTES], copies[FORMAT_SHARE_BYTES], seconds[FORMAT_SHARE_BYTES];

	if (replay->folded > 0)
		print("%llu references were beyond the end of %s, and folded back.\n", (unsigned long long)replay->folded,
		      volume_name(replay->volume));
	print("result: replay trace=%s references=%llu miss=%s copies_per_100=%s seconds=%s writes=%llu ahead=%llu "
	      "ahead_used=%llu cached_bytes=%llu bad_pages=%llu\n",
	      replay->trace.header.name, (unsigned long long)replay->references,
	      format_hundredths(miss, misses * 100, replay->references),
	      format_hundredths(copies, (after->moved_pages - before->moved_pages) * 100, misses),
	      format_hundredths(seconds, ns / NS_PER_US, NS_PER_S / NS_PER_US), (unsigned long long)replay->writes,
	      (unsigned long long)ahead, (unsigned long long)(after->ahead_used - before->ahead_used),
	      (unsigned long long)(after->cached_pages * PAGE_BYTES), (unsigned long long)replay->bad_pages);
}

static status_t replay_all(struct replay *replay, const struct app_environment *environment)
{
	const uint64_t start_ns = platform_now_ns();
	struct pagecache_statistics before, after;
	status_t status;

	volume_statistics(replay->volume, &before);
	status = run(replay, environment);
	const uint64_t ns = platform_now_ns() - start_ns;
	volume_statistics(replay->volume, &after);
	if (status == STATUS_OK)
		status = volume_flush(replay->volume);
	if (status == STATUS_OK)
		print_result(replay, &before, &after, ns);
	return status == STATUS_OK && replay->bad_pages > 0 ? STATUS_CORRUPT : status;
}

SCENARIO(replay, "replay a trace of page references from a disk: references=N trace=NAME data=NAME")
{
	static struct replay replay;
	status_t status;

	replay = (struct replay){ 0 };
	status = trace_open(&replay.trace, scenario);
	if (status != STATUS_OK)
		return status;
	replay.references = options_get_number(scenario->options, "references", UINT64_MAX);
	replay.references = MIN(replay.references, replay.trace.header.references);
	replay.volume = find_volume(&replay, scenario);
	replay.pages = replay.volume ? volume_bytes(replay.volume) / PAGE_BYTES : 0;
	status = replay.pages > 0 ? replay_all(&replay, scenario->environment) : STATUS_NOT_FOUND;
	trace_close(&replay.trace);
	return status;
}
