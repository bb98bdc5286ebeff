// SPDX-License-Identifier: BSD-2-Clause
/*
 * Attaching volumes, walking over them, changing their values, detaching them. A walk counts
 * itself as a user of the volume it is at and holds no lock in between; a detach first makes the
 * volume impossible to find, and then drops what it holds.
 */
#include "volume.h"

#include "pagecache/eviction/evict.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"
#include "volume_report.h"

#define PIN_NAP_NS (10 * NS_PER_MS) /* between looks at pinned pages: no event tells of an unpin */

/* Whether the device reaches every frame that a page may get. */
static bool reaches_memory(const struct device *device, const struct block_heap *heap)
{
	return !device ||
	       block_heap_is_within(heap, (struct phys_addr){ device->dma_lowest }, (struct phys_addr){ device->dma_mask });
}

static status_t check_arguments(const struct block_device *device, const char *name, uint64_t start_bytes, uint64_t bytes)
{
	const uint64_t end = start_bytes + bytes;

	if (end < start_bytes || end > device->size_bytes)
		return STATUS_RANGE;
	if (bytes == 0 || !is_aligned(start_bytes | bytes, device->sector_bytes) || strlen(name) >= VOLUME_NAME_BYTES)
		return STATUS_INVALID;
	if (device->sector_bytes > PAGE_BYTES || device->segment_alignment > device->sector_bytes ||
	    device->segments_max == 0 || device->transfer_bytes_max < PAGE_BYTES) {
		log_error("volume %s: the device takes no segments of one page", name);
		return STATUS_INVALID;
	}
	return STATUS_OK;
}

static void lists_init(struct volume *volume)
{
	mutex_init(&volume->writeback.flush, "volume flush");
	spinlock_init(&volume->writeback.lock, "volume");
	list_init(&volume->link);
	list_init(&volume->writeback.in_flight);
	list_init(&volume->mappings);
	list_init(&volume->writeback.dirty_nodes);
	written_init(volume);
	page_heap_init(&volume->eviction.heap, volume->name);
}

/*
 * Whether two volumes must not be attached together: they share sectors, and a write through one
 * would make the other's pages stale.
 */
static bool excludes(const struct volume *a, const struct volume *b)
{
	return a->device == b->device && a->start_bytes < b->start_bytes + b->bytes &&
	       b->start_bytes < a->start_bytes + a->bytes && !(a->config.read_only && b->config.read_only);
}

/* Inserts the volume, sorted by name. */
static status_t volumes_insert(struct pagecache *pagecache, struct volume *volume)
{
	struct list *position = &pagecache->volumes;
	char in_the_way[VOLUME_NAME_BYTES] = "";
	status_t status = STATUS_OK;

	mutex_lock(&pagecache->volumes_lock);
	list_for_each (link, &pagecache->volumes) {
		const struct volume *other = container_of(link, struct volume, link);
		const int order = strcmp(other->name, volume->name);

		if (order < 0)
			position = link;
		if (order == 0)
			status = STATUS_INVALID;
		else if (excludes(other, volume))
			memcpy(in_the_way, other->name, sizeof(in_the_way));
	}
	if (status == STATUS_OK && in_the_way[0] != '\0')
		status = STATUS_BUSY;
	if (status == STATUS_OK) {
		list_insert_after(position, &volume->link);
		atomic_fetch_add(&pagecache->volume_count, 1);
	}
	mutex_unlock(&pagecache->volumes_lock);
	if (status == STATUS_BUSY)
		log_error(
			"volume %s: it shares sectors with %s, and each would cache them for itself: only one can be attached, "
			"or both read-only",
			volume->name, in_the_way);
	return status;
}

/* Drops a reference under volumes_lock, so that this is the last access to a detached volume. */
static void put_locked(struct volume *volume)
{
	if (atomic_fetch_sub(&volume->users, 1) == 1 && volume->leaving)
		platform_wake(&volume->users);
}

void volume_put(struct volume *volume)
{
	struct mutex *lock = &volume->pagecache->volumes_lock;

	mutex_lock(lock);
	put_locked(volume);
	mutex_unlock(lock);
}

struct volume *volume_next(struct pagecache *pagecache, struct volume *previous)
{
	struct list *link;
	struct volume *next = NULL;

	mutex_lock(&pagecache->volumes_lock);
	link = previous ? previous->link.next : pagecache->volumes.next;
	while (link != &pagecache->volumes && container_of(link, struct volume, link)->leaving)
		link = link->next;
	if (link != &pagecache->volumes) {
		next = container_of(link, struct volume, link);
		atomic_fetch_add(&next->users, 1);
	}
	if (previous)
		put_locked(previous);
	mutex_unlock(&pagecache->volumes_lock);
	return next;
}

struct volume *volume_find(struct pagecache *pagecache, const char *name)
{
	struct volume *volume = NULL;

	while ((volume = volume_next(pagecache, volume)) != NULL && strcmp(volume->name, name) != 0)
		continue;
	if (volume)
		volume_put(volume);
	return volume;
}

static void configure(struct volume *volume, const struct volume_config *config)
{
	volume->config.preference = config->preference;
	volume->config.keep_bytes = config->keep_bytes;
	volume->config.retain_bytes = config->retain_bytes;
}

struct volume_config volume_configuration(const struct volume *volume)
{
	return (struct volume_config){ volume->config.preference, volume->config.keep_bytes, volume->config.retain_bytes,
				       volume->config.read_only };
}

/* Changes the configuration in turn with requests: each asks the cleaners in one order. */
void volume_configure(struct volume *volume, const struct volume_config *config)
{
	struct reclaim *reclaim = memory_reclaim(volume->pagecache->memory);
	const status_t status = fair_mutex_lock(reclaim_turn(reclaim), URGENCY_NORMAL, PLATFORM_FOREVER);

	assert(status == STATUS_OK);
	configure(volume, config);
	for (unsigned i = 0; i < VOLUME_CLEANERS; i++)
		cleaner_set_preference(reclaim_cleaners(reclaim), &volume->eviction.cleaners[i], config->preference);
	fair_mutex_unlock(reclaim_turn(reclaim));
}

status_t volume_attach(struct volume *volume, struct pagecache *pagecache, struct block_device *device, const char *name,
		       uint64_t start_bytes, uint64_t bytes, const struct volume_config *config)
{
	status_t status = check_arguments(device, name, start_bytes, bytes);

	if (status != STATUS_OK)
		return status;
	if (!reaches_memory(device->device, memory_block_heap(pagecache->memory))) {
		log_error("volume %s: the device does not reach all memory, and cannot be cached", name);
		return STATUS_UNSUPPORTED;
	}
	if (divide_round_up(bytes, PAGE_BYTES) > PAGE_NUMBER_MAX)
		return STATUS_UNSUPPORTED;
	memset(volume, 0, sizeof(*volume));
	volume->pagecache = pagecache;
	volume->device = device;
	volume->start_bytes = start_bytes;
	volume->bytes = bytes;
	configure(volume, config);
	volume->config.read_only = config->read_only || device->read_only;
	(void)format_text(volume->name, sizeof(volume->name), "%s", name);
	lists_init(volume);
	volume->node.whole = (struct extent){ .pages = divide_round_up(bytes, PAGE_BYTES) };
	status = block_device_get(device);
	if (status != STATUS_OK)
		return status;
	status = node_open(&volume->node, volume, &volume->node.whole, 1, bytes);
	if (status != STATUS_OK)
		goto no_node;
	status = objcache_reserve(&pagecache->pages.requests, 2 * IO_OWN);
	if (status != STATUS_OK)
		goto no_requests;
	status = volumes_insert(pagecache, volume);
	if (status != STATUS_OK)
		goto no_place;
	evict_cleaners_register(volume);
	return STATUS_OK;

no_place:
	objcache_unreserve(&pagecache->pages.requests, 2 * IO_OWN);
no_requests:
	node_forget(&volume->node); /* no page was read yet */
no_node:
	block_device_put(device);
	return status;
}

status_t volume_flush(struct volume *volume)
{
	return flush_wait(volume, NULL, PLATFORM_FOREVER);
}

uint64_t volume_drop(struct volume *volume)
{
	const uint64_t before = atomic_load(&volume->counts.evicted_pages);

	(void)evict_everything(volume);
	return atomic_load(&volume->counts.evicted_pages) - before;
}

/* Waits until a count is zero. */
static void settle(_Atomic uint32_t *count)
{
	uint32_t now;

	while ((now = atomic_load(count)) != 0)
		(void)platform_wait(count, now, PLATFORM_FOREVER);
}

/*
 * Withdraws the volume: no walk over all volumes, no request for memory and no background writer
 * finds it from now on.
 */
static void withdraw(struct volume *volume)
{
	struct mutex *lock = &volume->pagecache->volumes_lock;

	mutex_lock(lock);
	volume->leaving = true;
	mutex_unlock(lock);
	settle(&volume->users);
	evict_cleaners_unregister(volume);
	/* After a flush that failed, the background writer may have tried once more. */
	writeback_settle(volume);
	mutex_lock(lock); /* the last user has released it; another volume may have its sectors */
	list_remove(&volume->link);
	atomic_fetch_sub(&volume->pagecache->volume_count, 1);
	mutex_unlock(lock);
}

status_t volume_detach(struct volume *volume, bool discard)
{
	status_t status;

	if (volume_report_mapped(volume))
		return STATUS_BUSY;
	status = flush_wait(volume, NULL, platform_now_ns() + volume->pagecache->config.flush_wait_ns);
	if (status != STATUS_OK)
		volume_report_unflushed(volume, status);
	if (status != STATUS_OK && !discard)
		return status;
	withdraw(volume);
	settle(&volume->pages.reads); /* a reader may be gone while its read still has to drop a pin */
	writeback_discard(volume);
	guarantee_recall(memory_guarantee(volume->pagecache->memory), &volume->eviction.heap.owner);
	/*
	 * A lookup for another volume may hold a pin in passing here, and its task may be
	 * preempted.
	 */
	while (!evict_everything(volume))
		(void)platform_wait(&volume->users, 0, platform_now_ns() + PIN_NAP_NS);
	node_forget(&volume->node);
	objcache_unreserve(&volume->pagecache->pages.requests, 2 * IO_OWN);
	block_device_put(volume->device);
	return status;
}

void volume_statistics_add(const struct volume *volume, struct pagecache_statistics *sum)
{
	const _Atomic uint64_t *from = (const _Atomic uint64_t *)&volume->counts;
	_Atomic uint64_t *to = (_Atomic uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
	sum->blocks += atomic_load(&volume->eviction.heap.blocks);
	for (unsigned i = 0; i < LOOKUPS_MAX; i++) {
		sum->hits += volume->pages.lookups[i].hits;
		sum->ahead_used += volume->pages.lookups[i].ahead_used;
		sum->misses += volume->pages.lookups[i].misses;
	}
}

void volume_statistics(const struct volume *volume, struct pagecache_statistics *statistics)
{
	memset(statistics, 0, sizeof(*statistics));
	volume_statistics_add(volume, statistics);
}

bool volume_has_block(const struct volume *volume, struct phys_addr address)
{
	const struct pageblock *pageblock = pageblock_table_block(&volume->pagecache->pages.table, address);

	return pageblock && atomic_load(&pageblock->volume) == volume;
}

bool volume_page_at(const struct volume *volume, struct phys_addr address, uint64_t *number)
{
	const struct page *page;

	if (!volume_has_block(volume, address))
		return false;
	page = pageblock_table_page(&volume->pagecache->pages.table, (uint32_t)(address.value / PAGE_BYTES));
	*number = page_key_number(page_key(page));
	return page_is_readable(page_state(page));
}
