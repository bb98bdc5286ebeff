// SPDX-License-Identifier: BSD-2-Clause
/*
 * The three loads. The writer keeps the version of each page of its region, so that the disk can
 * be compared at the end; the readers verify each page by itself, since a page of the pattern says
 * what it must hold.
 */
#include "load.h"

#include <stdatomic.h>

#include "direct.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "pattern.h"
#include "runtime/base/log.h"
#include "runtime/kernel/task.h"

#define HOT_PERCENT      30
#define WRITE_PERCENT    15
#define DIRTY_GOAL_PARTS 65 /* of 1000 of what can be dirty */

#define BUFFER_BYTES   (1 * MIB)
#define SCAN_PAGES_MIN (256 * KIB / PAGE_BYTES)
#define SCAN_PAGES_MAX (1 * MIB / PAGE_BYTES)
#define RUN_PAGES_MIN  16
#define RUN_PAGES_MAX  128
#define WRITER_NAP_NS  (2 * NS_PER_MS) /* between two writes when enough is dirty */
#define COMPARE_BYTES  (4 * MIB)
#define BAD_LOGGED     8

#define WRITES_SHIFT 22 /* of one page by one writer, at most */

static _Atomic uint32_t writers; /* that there were */

enum load_kind {
	LOAD_HOT,
	LOAD_SCAN,
	LOAD_WRITE,
	LOAD_MEASURE, /* not a task */
};

static bool stopping(const struct loads *loads)
{
	return atomic_load_explicit(&loads->stop, memory_order_relaxed);
}

static void report_bad(struct loads *loads, const uint64_t *page, uint64_t number, const char *where)
{
	if (atomic_fetch_add(&loads->bad_pages, 1) < BAD_LOGGED)
		log_error("%s: page %llu of %s is wrong: it says number %llu, version %llu, seed %llu", where,
			  (unsigned long long)number, volume_name(loads->volume), (unsigned long long)page[PATTERN_WORD_NUMBER],
			  (unsigned long long)page[PATTERN_WORD_VERSION], (unsigned long long)pattern_seed(page));
}

static void report_error(struct loads *loads, const char *what, uint64_t number, status_t status)
{
	if (atomic_fetch_add(&loads->errors, 1) < BAD_LOGGED)
		log_error("%s of page %llu of %s: %s", what, (unsigned long long)number, volume_name(loads->volume),
			  status_text(status));
}

static void stamp(struct loads *loads, uint64_t first, uint64_t count)
{
	if (!loads->stamps)
		return;
	for (uint64_t number = first; number < first + count; number++)
		loads->stamps[number] = atomic_fetch_add_explicit(&loads->clock, 1, memory_order_relaxed) + 1;
}

void loads_read(struct loads *loads, uint64_t first, uint64_t count, void *buffer)
{
	const status_t status = node_read(volume_whole_node(loads->volume), first * PAGE_BYTES, buffer, count * PAGE_BYTES);
	const uint64_t *page = buffer;

	if (status != STATUS_OK) {
		report_error(loads, "read", first, status);
		return;
	}
	stamp(loads, first, count);
	for (uint64_t number = first; number < first + count; number++, page += PATTERN_PAGE_WORDS)
		if (!pattern_verify(page, loads->seed, number))
			report_bad(loads, page, number, "read");
}

static void read_hot_page(struct loads *loads, enum load_kind kind)
{
	const uint64_t rank = zipf_next(&loads->zipf, &loads->random[kind]);
	void *buffer = loads->buffers[LOAD_HOT];

	loads_read(loads, loads->hot_first + zipf_scatter(rank, loads->hot_pages), 1, buffer);
}

static void run_hot_reader(void *context)
{
	struct loads *loads = context;

	while (!stopping(loads)) {
		read_hot_page(loads, LOAD_HOT);
		atomic_fetch_add_explicit(&loads->hot_reads, 1, memory_order_relaxed);
	}
}

static void run_scanner(void *context)
{
	struct loads *loads = context;

	while (!stopping(loads)) {
		uint64_t count = SCAN_PAGES_MIN + random_below(&loads->random[LOAD_SCAN], SCAN_PAGES_MAX - SCAN_PAGES_MIN + 1);

		count = MIN(count, loads->pages - loads->scan_page);
		loads_read(loads, loads->scan_page, count, loads->buffers[LOAD_SCAN]);
		loads->scan_page = (loads->scan_page + count) % loads->pages;
		atomic_fetch_add_explicit(&loads->scanned_pages, count, memory_order_relaxed);
	}
}

static uint32_t next_version(const struct loads *loads, uint64_t i)
{
	return MAX(loads->versions[i], loads->version) + 1;
}

/* Writes `count` pages of the region, from `first` of it on, anew. */
static void write_pages(struct loads *loads, uint64_t first, uint64_t count)
{
	uint64_t *page = loads->buffers[LOAD_WRITE];
	const uint64_t start = loads->write_first + first;

	for (uint64_t i = 0; i < count; i++, page += PATTERN_PAGE_WORDS)
		pattern_fill(page, loads->seed, start + i, next_version(loads, first + i));
	const status_t status = node_write(volume_whole_node(loads->volume), start * PAGE_BYTES, loads->buffers[LOAD_WRITE],
					   count * PAGE_BYTES);
	if (status != STATUS_OK) {
		report_error(loads, "write", start, status);
		return;
	}
	stamp(loads, start, count);
	for (uint64_t i = 0; i < count; i++)
		loads->versions[first + i] = next_version(loads, first + i);
	atomic_fetch_add_explicit(&loads->written_pages, count, memory_order_relaxed);
}

/* A run or a single page, anywhere in the region. */
static void write_somewhere(struct loads *loads)
{
	struct random *random = &loads->random[LOAD_WRITE];
	uint64_t count = 1;

	if (random_below(random, 2) == 0)
		count = RUN_PAGES_MIN + random_below(random, RUN_PAGES_MAX - RUN_PAGES_MIN + 1);
	count = MIN(count, loads->write_pages);
	write_pages(loads, random_below(random, loads->write_pages - count + 1), count);
}

/* The next run, round and round. */
static void write_on(struct loads *loads)
{
	const uint64_t count = MIN(RUN_PAGES_MAX, loads->write_pages - loads->write_page);

	write_pages(loads, loads->write_page, count);
	loads->write_page = (loads->write_page + count) % loads->write_pages;
}

static void run_writer(void *context)
{
	struct loads *loads = context;

	while (!stopping(loads)) {
		struct pagecache_statistics statistics;

		if (loads->only_writer)
			write_on(loads);
		else
			write_somewhere(loads);
		volume_statistics(loads->volume, &statistics);
		if (statistics.dirty_pages >= loads->dirty_goal_pages)
			task_sleep(WRITER_NAP_NS);
	}
}

/* What is cached, or free: as in the limits of dirty memory, but for the reserves. */
static uint64_t can_be_dirty(const struct loads *loads)
{
	struct pagecache_statistics statistics;

	pagecache_statistics(loads->environment->pagecache, &statistics);
	return statistics.cached_pages + memory_free_bytes(loads->environment->memory) / PAGE_BYTES;
}

/* The hot set at the start of the disk, the writer's region at its end. */
static void place(struct loads *loads, uint64_t ram_pages)
{
	loads->pages = volume_bytes(loads->volume) / PAGE_BYTES;
	loads->hot_first = 0;
	loads->hot_pages = MAX(MIN(ram_pages * HOT_PERCENT / 100, loads->pages / 2), 1);
	loads->write_pages = MAX(MIN(ram_pages * WRITE_PERCENT / 100, loads->pages / 4), 1);
	loads->write_first = loads->pages - loads->write_pages;
	loads->dirty_goal_pages = MIN(can_be_dirty(loads) * DIRTY_GOAL_PARTS / 1000, loads->write_pages * 3 / 4);
	loads->scan_page = loads->pages / 2;
}

static uint32_t *table_alloc(struct heap *heap, uint64_t pages)
{
	return heap_alloc_zeroed(heap, pages * sizeof(uint32_t), 0);
}

static void begin(struct loads *loads, const struct app_environment *environment, struct volume *volume, uint64_t seed)
{
	*loads = (struct loads){ .environment = environment, .volume = volume, .seed = seed };
	loads->version = atomic_fetch_add(&writers, 1) << WRITES_SHIFT;
	for (unsigned i = 0; i < LOADS + 1; i++)
		random_seed(&loads->random[i], 1000 + i);
}

/* Gets the memory for the regions. */
static status_t complete(struct loads *loads, bool stamped)
{
	struct heap *heap = memory_general_heap(loads->environment->memory);
	bool done;

	loads->versions = table_alloc(heap, loads->write_pages);
	done = loads->versions != NULL && zipf_init(&loads->zipf, heap, loads->hot_pages) == STATUS_OK;
	for (unsigned i = 0; i < LOADS; i++) {
		loads->buffers[i] = heap_alloc(heap, BUFFER_BYTES, PAGE_BYTES);
		done = done && loads->buffers[i];
	}
	if (stamped) {
		loads->stamps = table_alloc(heap, loads->pages);
		done = done && loads->stamps;
	}
	if (done)
		return STATUS_OK;
	loads_fini(loads);
	return STATUS_NO_MEMORY;
}

status_t loads_init(struct loads *loads, const struct app_environment *environment, struct volume *volume, bool stamped)
{
	begin(loads, environment, volume, PATTERN_SEED_DATA);
	place(loads, environment->ram_bytes / PAGE_BYTES);
	return complete(loads, stamped);
}

status_t loads_init_writer(struct loads *loads, const struct app_environment *environment, struct volume *volume, uint64_t seed,
			   uint64_t dirty_bytes)
{
	begin(loads, environment, volume, seed);
	loads->only_writer = true;
	loads->pages = volume_bytes(volume) / PAGE_BYTES;
	loads->hot_pages = 1;
	loads->write_pages = loads->pages;
	loads->dirty_goal_pages = dirty_bytes / PAGE_BYTES;
	return complete(loads, false);
}

void loads_fini(struct loads *loads)
{
	struct heap *heap = memory_general_heap(loads->environment->memory);

	loads_stop(loads);
	for (unsigned i = 0; i < LOADS; i++)
		heap_free(heap, loads->buffers[i]);
	heap_free(heap, loads->versions);
	heap_free(heap, loads->stamps);
	zipf_fini(&loads->zipf);
}

status_t loads_start(struct loads *loads)
{
	static void (*const run[LOADS])(void *) = { run_hot_reader, run_scanner, run_writer };
	static const char *const names[LOADS] = { "hot reader", "scanner", "writer" };

	atomic_store(&loads->stop, false);
	for (unsigned i = 0; i < LOADS; i++) {
		const struct task_options options = { .name = names[i], .priority = TASK_NORMAL, .cpu = -1 };

		if (loads->only_writer && i != LOAD_WRITE)
			continue;
		const status_t status = task_spawn(&options, run[i], loads, &loads->tasks[i]);

		if (status != STATUS_OK) {
			loads_stop(loads);
			return status;
		}
	}
	return STATUS_OK;
}

void loads_stop(struct loads *loads)
{
	atomic_store(&loads->stop, true);
	for (unsigned i = 0; i < LOADS; i++) {
		if (loads->tasks[i])
			task_join(loads->tasks[i]);
		loads->tasks[i] = NULL;
	}
}

uint64_t loads_measure_hits(struct loads *loads, uint64_t reads)
{
	struct pagecache_statistics before, after;

	volume_statistics(loads->volume, &before);
	for (uint64_t i = 0; i < reads; i++)
		read_hot_page(loads, LOAD_MEASURE);
	volume_statistics(loads->volume, &after);
	return reads - MIN(reads, after.misses - before.misses);
}

/* Pages [first, first + count) of the region are in `buffer`. */
static void compare(struct loads *loads, uint64_t first, uint64_t count, const uint64_t *page)
{
	for (uint64_t i = first; i < first + count; i++, page += PATTERN_PAGE_WORDS) {
		const uint64_t number = loads->write_first + i;

		const uint64_t version = loads->versions[i] != 0 ? loads->versions[i] : page[PATTERN_WORD_VERSION];

		if (!pattern_verify_version(page, loads->seed, number, version)) {
			report_bad(loads, page, number, "compare");
			if (atomic_load(&loads->bad_pages) <= BAD_LOGGED)
				log_error("version %u was written last", (unsigned)loads->versions[i]);
		}
	}
}

status_t loads_compare(struct loads *loads)
{
	struct memory *memory = loads->environment->memory;
	struct block_device *device = volume_device(loads->volume);
	status_t status = STATUS_OK;

	for (uint64_t first = 0; first < loads->write_pages && status == STATUS_OK;) {
		const uint64_t count = MIN(COMPARE_BYTES / PAGE_BYTES, loads->write_pages - first);
		const struct dma_request request = { .bytes = count * PAGE_BYTES,
						     .alignment_bytes = PAGE_BYTES,
						     .wait = MEMORY_WAIT_FOREVER };
		const uint64_t offset = volume_start_bytes(loads->volume) + (loads->write_first + first) * PAGE_BYTES;
		struct dma_buffer *buffer;

		status = dma_alloc(memory_dma(memory), direct_device(device), &request, &buffer);
		if (status != STATUS_OK)
			break;
		status = direct_read(memory, device, offset, &buffer, 1);
		if (status == STATUS_OK)
			compare(loads, first, count, buffer->memory);
		dma_free(memory_dma(memory), buffer);
		first += count;
	}
	return status;
}
