/*
 * The main job: memory full of cached disk pages, readers and a writer at work, and again and again 1 GB of DMA memory as
 * 256 x 4 MB, which a real device fills past the cache and which is verified and given back.
 *
 * Options: loops=20, capture_bytes=1G, contiguous=1 (each 4 MB in one piece, not in two), hot_reads=100000 (to measure the hit
 * ratio), data=NAME and digitizer=NAME (see disks.h).
 */
#include "buffers.h"
#include "clear.h"
#include "disks.h"
#include "fill.h"
#include "heap/memory.h"
#include "ledger.h"
#include "load.h"
#include "pagecache/volume.h"
#include "pattern.h"
#include "report.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"

#define LOOPS_DEFAULT 20
#define LOOPS_MAX     1000
#define DIRTY_PERCENT 5
#define HOT_READS     100000          /* for each measurement of the hit ratio */
#define TAKE_WAIT_NS  (30 * NS_PER_S) /* for each buffer; far beyond what any may need */
#define PATIENCE_NS   (60 * NS_PER_S)

struct capture {
	const struct app_environment *environment;
	struct disks disks;
	struct loads loads;
	struct buffers buffers;
	struct fill_goal goal;
	uint64_t loops;
	uint64_t bytes; /* of one capture */
	uint64_t hot_reads;

	uint64_t failures; /* of anything that was promised */
	uint64_t bad_pages;
	uint64_t gained_bytes, evicted_bytes;
	int64_t lost_bytes;
	uint64_t alloc_us[LOOPS_MAX];
	uint64_t zero_us;
	uint64_t hot_before, hot_after; /* hits */
	uint64_t cached_bytes;          /* when full */
};

/* A quarter of a machine that is too small for as much as was asked for. */
static uint64_t choose_bytes(const struct capture *capture, uint64_t wanted)
{
	const uint64_t ram_bytes = capture->environment->ram_bytes;
	const uint64_t largest = MIN(capture->disks.digitizer->size_bytes, ram_bytes / 16 * 9);
	uint64_t bytes = MAX(wanted / BUFFERS_PIECE_BYTES, 1) * BUFFERS_PIECE_BYTES;
	char text[FORMAT_BYTES_SIZE], ram[FORMAT_BYTES_SIZE];

	if (bytes <= largest)
		return bytes;
	bytes = MIN(ram_bytes / 4, capture->disks.digitizer->size_bytes);
	bytes = MAX(bytes / BUFFERS_PIECE_BYTES, 1) * BUFFERS_PIECE_BYTES;
	print("With %s of RAM and this digitizer, a capture takes %s.\n", format_bytes(ram, ram_bytes),
	      format_bytes(text, bytes));
	return bytes;
}

static status_t prepare(struct capture *capture, const struct scenario *scenario)
{
	const struct app_environment *environment = scenario->environment;
	status_t status = disks_find(scenario, &capture->disks);

	if (status != STATUS_OK)
		return status;
	capture->environment = environment;
	capture->loops = options_get_number(scenario->options, "loops", LOOPS_DEFAULT);
	capture->loops = MIN(MAX(capture->loops, 1), LOOPS_MAX);
	capture->hot_reads = options_get_number(scenario->options, "hot_reads", HOT_READS);
	capture->bytes = choose_bytes(capture, options_get_number(scenario->options, "capture_bytes", GIB));
	status = loads_init(&capture->loads, environment, capture->disks.data, false);
	if (status != STATUS_OK)
		return status;
	status = buffers_init(&capture->buffers, environment->memory, capture->disks.digitizer, capture->bytes);
	if (status != STATUS_OK)
		loads_fini(&capture->loads);
	capture->buffers.contiguous = options_get_number(scenario->options, "contiguous", 0) != 0;
	return status;
}

static void fail(struct capture *capture, const char *what, status_t status)
{
	capture->failures++;
	print("FAILED: %s: %s\n", what, status_text(status));
}

/* The cache is full, and the loads have made it theirs: hits are measured in the state in which the captures find it. */
static void reach_steady_state(struct capture *capture)
{
	const uint64_t ram_bytes = capture->environment->ram_bytes;
	struct pagecache_statistics before, now;
	uint64_t start_ns = platform_now_ns();
	status_t status;

	capture->cached_bytes = fill_cache(&capture->loads);
	capture->goal = (struct fill_goal){
		.cached_bytes = fill_goal_bytes(capture->cached_bytes, capture->bytes),
		.dirty_bytes = MIN(ram_bytes * DIRTY_PERCENT / 100, capture->loads.dirty_goal_pages * PAGE_BYTES),
		.patience_ns = PATIENCE_NS,
	};
	pagecache_statistics(capture->environment->pagecache, &before);
	status = loads_start(&capture->loads);
	if (status == STATUS_OK)
		status = fill_wait(&capture->loads, &capture->goal);
	if (status != STATUS_OK)
		fail(capture, "starting the loads", status);
	do {
		task_sleep(10 * NS_PER_MS);
		pagecache_statistics(capture->environment->pagecache, &now);
	} while ((now.inserted_pages - before.inserted_pages) * PAGE_BYTES < capture->bytes &&
		 platform_now_ns() - start_ns < PATIENCE_NS);
}

/* The hot reader's hits while nobody else reads. */
static uint64_t measure_hot_hits(struct capture *capture)
{
	loads_stop(&capture->loads);
	return loads_measure_hits(&capture->loads, capture->hot_reads);
}

static void print_loop(const struct capture *capture, uint64_t loop, const struct balance *balance, uint64_t dma_ns)
{
	const uint64_t gained = capture->buffers.taken * BUFFERS_PIECE_BYTES;
	const uint64_t lost = balance->lost_bytes > 0 ? (uint64_t)balance->lost_bytes : 0;
	char got[FORMAT_BYTES_SIZE], rate[FORMAT_BYTES_SIZE], lost_text[FORMAT_BYTES_SIZE], evicted[FORMAT_BYTES_SIZE];

	print("loop %2llu/%llu: %s in %llu us; cache lost %s (evicted %s); DMA %s/s; from: ", (unsigned long long)loop + 1,
	      (unsigned long long)capture->loops, format_bytes(got, gained), (unsigned long long)capture->alloc_us[loop],
	      format_bytes(lost_text, lost), format_bytes(evicted, balance->evicted_bytes),
	      format_bytes(rate, rate_bytes(gained, dma_ns)));
	balance_print_givers(balance);
}

/* Takes the memory and keeps the books of it. Whoever has data coming in runs before those who read files. */
static void take(struct capture *capture, uint64_t loop, struct balance *balance)
{
	const uint64_t start_ns = platform_now_ns();
	struct ledger ledger;
	status_t status;

	ledger_open(&ledger, capture->environment);
	task_set_priority(TASK_HIGH);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_take(&capture->buffers, TAKE_WAIT_NS);
	capture->alloc_us[loop] = (platform_now_ns() - before_ns) / NS_PER_US;
	task_set_priority(TASK_NORMAL);
	ledger_close(&ledger, balance);
	if (status != STATUS_OK)
		fail(capture, "taking DMA memory", status);
	capture->gained_bytes += capture->buffers.taken * BUFFERS_PIECE_BYTES;
	capture->lost_bytes += balance->lost_bytes;
	capture->evicted_bytes += balance->evicted_bytes;
	log_debug("books kept in %llu us", (unsigned long long)((platform_now_ns() - start_ns) / NS_PER_US));
}

static void measure_zeroing(struct capture *capture)
{
	const char *method;

	capture->zero_us = clear_measure_ns(&capture->buffers, GIB, &method) / NS_PER_US;
	print("Zeroing 1 GB takes %llu us here, with %s.\n", (unsigned long long)capture->zero_us, method);
}

static void run_loop(struct capture *capture, uint64_t loop)
{
	struct balance balance;
	status_t status;

	take(capture, loop, &balance);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_read(&capture->buffers);
	const uint64_t dma_ns = platform_now_ns() - before_ns;
	if (status != STATUS_OK)
		fail(capture, "reading by DMA", status);
	else
		capture->bad_pages += buffers_verify(&capture->buffers, PATTERN_SEED_DIGITIZER);
	print_loop(capture, loop, &balance, dma_ns);
	if (capture->zero_us == 0 && capture->buffers.taken > 0)
		measure_zeroing(capture);
	buffers_free(&capture->buffers);
	status = fill_wait(&capture->loads, &capture->goal);
	if (status != STATUS_OK)
		fail(capture, "filling the cache again", status);
}

static void compare_written(struct capture *capture)
{
	status_t status = volume_flush(capture->disks.data);

	if (status != STATUS_OK)
		fail(capture, "flushing", status);
	status = loads_compare(&capture->loads);
	if (status != STATUS_OK)
		fail(capture, "reading back what was written", status);
	print("%llu pages were written; all of the region was read back and compared.\n",
	      (unsigned long long)capture->loads.written_pages);
}

static void print_result(struct capture *capture)
{
	const int64_t lost = MAX(capture->lost_bytes, 0);
	char before[FORMAT_SHARE_BYTES], after[FORMAT_SHARE_BYTES], cached[FORMAT_SHARE_BYTES];

	sort_numbers(capture->alloc_us, capture->loops);
	print("result: capture loops=%llu failures=%llu gained_bytes=%llu lost_bytes=%llu evicted_bytes=%llu alloc_us_p50=%llu "
	      "alloc_us_max=%llu zero_us=%llu hot_hit_before=%s hot_hit_after=%s cached_share=%s bad_pages=%llu "
	      "capture_bytes=%llu\n",
	      (unsigned long long)capture->loops, (unsigned long long)capture->failures,
	      (unsigned long long)capture->gained_bytes, (unsigned long long)lost, (unsigned long long)capture->evicted_bytes,
	      (unsigned long long)capture->alloc_us[capture->loops / 2],
	      (unsigned long long)capture->alloc_us[capture->loops - 1], (unsigned long long)capture->zero_us,
	      format_share(before, capture->hot_before, capture->hot_reads),
	      format_share(after, capture->hot_after, capture->hot_reads),
	      format_share(cached, capture->cached_bytes, capture->environment->ram_bytes),
	      (unsigned long long)capture->bad_pages, (unsigned long long)capture->bytes);
}

SCENARIO(capture, "take 1 GB for DMA out of a full cache, again and again: loops=20 capture_bytes=1G contiguous=0")
{
	static struct capture capture;
	status_t status;

	capture = (struct capture){ 0 };
	status = prepare(&capture, scenario);
	if (status != STATUS_OK)
		return status;
	reach_steady_state(&capture);
	capture.hot_before = measure_hot_hits(&capture);
	status = loads_start(&capture.loads);
	if (status == STATUS_OK)
		status = fill_wait(&capture.loads, &capture.goal);
	if (status != STATUS_OK)
		fail(&capture, "starting the loads again", status);
	for (uint64_t loop = 0; loop < capture.loops; loop++)
		run_loop(&capture, loop);
	capture.hot_after = measure_hot_hits(&capture);
	compare_written(&capture);
	capture.failures += capture.loads.errors;
	capture.bad_pages += capture.loads.bad_pages;
	print_result(&capture);
	buffers_fini(&capture.buffers);
	loads_fini(&capture.loads);
	return capture.failures == 0 && capture.bad_pages == 0 ? STATUS_OK : STATUS_CORRUPT;
}
