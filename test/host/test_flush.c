/*
 * Flushes over a disk with a volatile cache, which it loses when a flush fails and when it is reset: what a flush that returned
 * STATUS_OK said is on the medium, however pages were evicted, written again, and lost meanwhile; and what a flush says stops
 * being said when it has been repaired.
 */
#include <pthread.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "pagecache/writeback.h"
#include "runtime/base/bits.h"

#define SMALL_DISK (16 * BLOCK_BYTES)

static struct cache_machine machine;
static char ignored[2]; /* what is logged */

static void forgetful_machine(bool threaded)
{
	cache_machine_init(&machine, SMALL_DISK, threaded);
	fake_block_forgetful(&machine.disk);
	host_output_capture(ignored, sizeof(ignored));
}

/* Losses ------------------------------------------------------------------------------------------------------------------- */

START_TEST(a_flush_after_one_that_failed_writes_again_what_the_disk_forgot)
{
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 0, PAGE_BYTES);
	cache_machine_write(&machine, &random, 40960, PAGE_BYTES);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_uint_eq(cache_machine_statistics(&machine).dirty_pages, 2);
	machine.disk.fail_flushes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_reset_is_made_good_by_the_next_flush)
{
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	for (unsigned i = 0; i < 100; i++) {
		cache_machine_write(&machine, &random, random_below(&random, SMALL_DISK - 20000), 20000);
		if (random_below(&random, 2))
			ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
		if (random_below(&random, 2))
			fake_block_reset(&machine.disk);
		if (random_below(&random, 2))
			continue;
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(what_was_evicted_and_lost_is_told_until_it_is_written_again_or_cleared)
{
	struct node elsewhere;
	const struct extent extent = { 0, 4 * MIB, 1 };
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	ck_assert_int_eq(node_open(&elsewhere, &machine.volume, &extent, 1, PAGE_BYTES), STATUS_OK);
	for (unsigned way = 0; way < 3; way++) {
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
		ck_assert(node_evict_page(&machine.volume.node, 3));
		fake_block_reset(&machine.disk);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		ck_assert_int_eq(node_flush(&elsewhere), STATUS_OK);
		ck_assert_uint_eq(machine.volume.written.lost.count, 1);
		ck_assert_uint_eq(machine.volume.written.lost.list[0].start, 3 * PAGE_BYTES);
		ck_assert_uint_eq(machine.volume.written.lost.list[0].end, 4 * PAGE_BYTES);
		/* A part of it does not repair the rest. */
		ck_assert_int_eq(node_write(&machine.volume.node, 3 * PAGE_BYTES + 9, "part", 4), STATUS_OK);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		if (way == 0)
			volume_error_clear(&machine.volume);
		else
			cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	}
	ck_assert_int_eq(node_close(&elsewhere, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* It was written, and dirty again, or yet, when it is discarded. What was never written is the caller's to forget. */
START_TEST(a_discard_of_what_the_disk_has_lost_is_told)
{
	struct node *node = &machine.volume.node;
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	for (unsigned way = 0; way < 3; way++) {
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(cache_write_back(node), STATUS_OK);
		if (way == 1)
			cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		machine.disk.fail_flushes = way < 2;
		machine.disk.fail_writes = way == 1;
		machine.disk.fail_end = UINT64_MAX;
		ck_assert_int_eq(volume_flush(&machine.volume), way < 2 ? STATUS_IO_ERROR : STATUS_OK);
		machine.disk.fail_flushes = machine.disk.fail_writes = false;
		ck_assert_int_eq(node_write(node, 5 * PAGE_BYTES, "new", 3), STATUS_OK);
		ck_assert_int_eq(node_discard(node, 3 * PAGE_BYTES, 3 * PAGE_BYTES), STATUS_OK);
		ck_assert_int_eq(volume_flush(&machine.volume), way < 2 ? STATUS_IO_ERROR : STATUS_OK);
		ck_assert_uint_eq(machine.volume.written.lost.count, way < 2);
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

/* What is written between the loss and the flush that sees it is not lost. */
START_TEST(what_was_written_again_before_the_loss_is_seen_is_repaired)
{
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	ck_assert(node_evict_page(&machine.volume.node, 3));
	fake_block_reset(&machine.disk);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	ck_assert(node_evict_page(&machine.volume.node, 3));
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* What happens to the next request of a kind: right before the disk executes it, or right after, before its end is seen. */
static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static enum block_operation hooked;
static void (*before_it)(void);
static void (*after_it)(void);

static void hold_back(struct block_request *request)
{
	(void)request;
}

static void submit_hooked(struct block_device *device, struct block_request *request)
{
	void (*const before)(void) = request->operation == hooked ? before_it : NULL;
	void (*const after)(void) = request->operation == hooked ? after_it : NULL;
	void (*const done)(struct block_request *) = request->done;

	if (request->operation == hooked)
		before_it = after_it = NULL;
	if (before)
		before();
	if (after)
		request->done = hold_back;
	submit_to_disk(device, request);
	if (after) {
		request->done = done;
		after();
		done(request);
	}
}

static void hook(enum block_operation operation, void (*before)(void), void (*after)(void))
{
	if (machine.disk.device.submit != submit_hooked)
		submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = submit_hooked;
	hooked = operation;
	before_it = before;
	after_it = after;
}

/* The disk is reset when it has a write: before that ends, or after it, and then another flush sees to the loss at once. */
static void (*write_done)(struct block_request *request);
static bool ends_first;

static void reset_and_end(struct block_request *request)
{
	if (!ends_first)
		fake_block_reset(&machine.disk);
	write_done(request);
	if (ends_first) {
		fake_block_reset(&machine.disk);
		written_settle(&machine.volume);
	}
}

static void submit_one(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_WRITE && write_done == NULL) {
		write_done = request->done;
		request->done = reset_and_end;
	}
	submit_to_disk(device, request);
}

START_TEST(a_flush_sees_a_reset_while_it_writes)
{
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = submit_one;
	for (unsigned way = 0; way < 2; way++) {
		write_done = NULL;
		ends_first = way;
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

/* What write_done does, and between its look at the losses and its last page another one is counted. */
START_TEST(a_loss_that_is_counted_while_a_write_ends_is_seen)
{
	struct volume *volume = &machine.volume;
	struct random random;
	struct page *page;
	uint32_t state;

	forgetful_machine(false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&volume->node), STATUS_OK);
	page = index_find(&machine.pagecache.index, page_key_make(volume->node.id, 3), &state);
	spinlock_lock(&volume->lock);
	ck_assert(!written_is_lost_locked(volume, written_losses(volume)));
	fake_block_reset(&machine.disk);
	(void)written_ended_locked(volume, page);
	spinlock_unlock(&volume->lock);
	ck_assert_int_eq(volume_flush(volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* Page 3, while the disk's flush is under way. */
static void write_again(void)
{
	struct random random;

	random_seed(&random, 3);
	machine.disk.fail_writes = false;
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
}

static void retry(void)
{
	machine.disk.fail_writes = false;
	host_clock_turn(60 * NS_PER_S);
	pagecache_writeback_step(&machine.pagecache);
	ck_assert_uint_eq(cache_machine_statistics(&machine).failed_pages, 0);
}

/* A page that could not be written, or was lost, before the disk's flush, and is written during that. */
START_TEST(what_is_repaired_while_the_disk_flushes_waits_for_the_next_flush)
{
	struct random random;

	host_clock_set(HOST_CLOCK_MANUAL);
	forgetful_machine(false);
	random_seed(&random, 2);
	for (unsigned way = 0; way < 3; way++) {
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		if (way == 2) {
			ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
			ck_assert(node_evict_page(&machine.volume.node, 3));
			fake_block_reset(&machine.disk);
		} else {
			machine.disk.fail_writes = true;
			machine.disk.fail_end = UINT64_MAX;
		}
		hook(BLOCK_FLUSH, NULL, way == 0 ? retry : write_again);
		ck_assert_int_eq(way == 1 ? node_flush(&machine.volume.node) : volume_flush(&machine.volume), STATUS_IO_ERROR);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

static void lose(void)
{
	fake_block_reset(&machine.disk);
}

/* A flush that failed long ago is not told again: with a reset while the next one writes, that begins once more. */
START_TEST(a_flush_tells_of_itself_only)
{
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 0, PAGE_BYTES);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_flushes = false;
	cache_machine_write(&machine, &random, MIB, PAGE_BYTES);
	hook(BLOCK_WRITE, lose, NULL);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* It cannot read its second page. The first one has been written, and is not durable. */
START_TEST(a_mapping_that_fails_forgets_nothing)
{
	struct mapping *mapping;
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	machine.disk.fail_reads = true;
	machine.disk.fail_start = 4 * PAGE_BYTES;
	machine.disk.fail_end = 5 * PAGE_BYTES;
	ck_assert_int_eq(node_map(&machine.volume.node, 3 * PAGE_BYTES, PAGE_BYTES + 512, MAP_WRITE, &mapping),
			 STATUS_IO_ERROR);
	machine.disk.fail_reads = false;
	fake_block_reset(&machine.disk);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* A direct write that fails repairs nothing. */
START_TEST(a_direct_write_repairs_what_it_has_written)
{
	struct owner owner;
	const struct memory_request request = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct phys_range segment = { .bytes = PAGE_BYTES };
	struct random random;

	forgetful_machine(false);
	random_seed(&random, 2);
	owner_init(&owner, "test", false);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &segment.start), STATUS_OK);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	fake_block_reset(&machine.disk);
	ck_assert_int_eq(node_direct(&machine.volume.node, BLOCK_READ, 3 * PAGE_BYTES, &segment, 1), STATUS_OK);
	ck_assert_int_eq(memcmp(platform_virt(segment.start), machine.model + 3 * PAGE_BYTES, PAGE_BYTES), 0);
	ck_assert(node_evict_page(&machine.volume.node, 3));
	fake_block_reset(&machine.disk);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_writes = true;
	machine.disk.fail_end = UINT64_MAX;
	ck_assert_int_eq(node_direct(&machine.volume.node, BLOCK_WRITE, 3 * PAGE_BYTES, &segment, 1), STATUS_IO_ERROR);
	machine.disk.fail_writes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_int_eq(node_direct(&machine.volume.node, BLOCK_WRITE, 3 * PAGE_BYTES, &segment, 1), STATUS_OK);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	memory_blocks_free(&machine.memory, segment.start);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * The disk loses what two volumes have written, in a flush of one. The other one's flush comes when the disk has failed, before
 * that is seen.
 */
static struct volume other;
static struct flush other_flush;

static void flush_other(void)
{
	flush_begin(&other_flush, &other, NULL);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!flush_step(&other_flush));
}

START_TEST(a_flush_of_another_volume_of_the_disk_that_fails_is_seen)
{
	const struct volume_config config = { .preference = 50 };
	static char page[PAGE_BYTES] = "other";

	forgetful_machine(false);
	cache_machine_shrink(&machine, 8 * MIB);
	ck_assert_int_eq(volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", 8 * MIB, MIB, &config),
			 STATUS_OK);
	for (unsigned way = 0; way < 2; way++) {
		page[9] = (char)way;
		ck_assert_int_eq(node_write(&other.node, 0, page, PAGE_BYTES), STATUS_OK);
		ck_assert_int_eq(cache_write_back(&other.node), STATUS_OK);
		machine.disk.fail_flushes = true;
		if (way == 1)
			hook(BLOCK_FLUSH, NULL, flush_other);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		machine.disk.fail_flushes = false;
		if (way == 0) {
			ck_assert_int_eq(volume_flush(&other), STATUS_OK);
		} else {
			ck_assert(flush_step(&other_flush));
			ck_assert_int_eq(other_flush.status, STATUS_OK);
		}
		ck_assert_int_eq(memcmp(machine.disk.durable + 8 * MIB, page, PAGE_BYTES), 0);
	}
	memcpy(machine.model + 8 * MIB, page, PAGE_BYTES);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* Nothing of its own ends meanwhile that would wake it. */
static void wait_for_other(void)
{
	while (atomic_load(&other.counts.flushes) == 0)
		platform_yield();
	for (unsigned i = 0; i < 1000; i++)
		platform_yield();
}

static void flush_one(void *context, unsigned index)
{
	(void)context;
	while (index == 1 && !atomic_load(&machine.disk.device.flushing))
		platform_yield();
	ck_assert_int_eq(volume_flush(index == 1 ? &other : &machine.volume), STATUS_OK);
}

START_TEST(threads_flush_two_volumes_of_a_disk_one_after_the_other)
{
	const struct volume_config config = { .preference = 50 };

	forgetful_machine(false);
	cache_machine_shrink(&machine, 8 * MIB);
	ck_assert_int_eq(volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", 8 * MIB, MIB, &config),
			 STATUS_OK);
	hook(BLOCK_FLUSH, NULL, wait_for_other);
	host_threads_run(2, flush_one, NULL);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* Against a model -------------------------------------------------------------------------------------------------------- */

#define MODEL_PAGES 600u
#define MODEL_BYTES (MODEL_PAGES * PAGE_BYTES)
#define STEPS       2000 /* with each seed */
#define SEEDS       6

/*
 * machine.model is what was written, and what a reader of it all would see. The node is the second half of the pages that are
 * used, in another order; the volume's own node, the first half.
 */
static struct node nodes[2];
static const struct extent extents[2][2] = {
	{ { 0, 0, MODEL_PAGES / 2 }, { 0 } },
	{ { 0, MODEL_BYTES / 4 * 3, MODEL_PAGES / 4 }, { MODEL_PAGES / 4, MODEL_BYTES / 2, MODEL_PAGES / 4 } },
};
static struct phys_addr buffer;
static unsigned char acknowledged[SMALL_DISK]; /* what the disk has said that it has written, lost or not */
static bool resets_at_end;                     /* the disk is reset when it has the next write, before the cache sees that */
static bool joined;                            /* ranges were, since the last clearing: more may be told than is lost */

static uint64_t position_of(unsigned node, uint64_t offset)
{
	return node_position(&nodes[node], offset / PAGE_BYTES) + offset % PAGE_BYTES;
}

/* What a reader of the page would see. */
static void look(unsigned node, uint64_t number, unsigned char *page)
{
	const uint64_t key = page_key_make(nodes[node].id, number);

	uint32_t state;
	struct page *cached = index_find(&machine.pagecache.index, key, &state);

	if (cached)
		memcpy(page, page_memory(cached), PAGE_BYTES);
	else
		memcpy(page, machine.disk.data + position_of(node, number * PAGE_BYTES), PAGE_BYTES);
}

/* The end of a write, before the cache sees it. */
static void acknowledge(struct block_request *request)
{
	uint64_t position = request->offset_bytes;

	for (uint32_t i = 0; request->status == STATUS_OK && i < request->segment_count; i++) {
		memcpy(acknowledged + position, platform_virt(request->segments[i].start), request->segments[i].bytes);
		position += request->segments[i].bytes;
	}
	if (resets_at_end)
		fake_block_reset(&machine.disk);
	resets_at_end = false;
	write_done(request);
}

static void submit_and_note(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_WRITE) {
		write_done = request->done;
		request->done = acknowledge;
	}
	submit_to_disk(device, request);
}

/* Whether something of the node is not what was written last; `accept`: then that is what is expected from now on. */
static bool is_damaged(unsigned node, bool accept)
{
	unsigned char page[PAGE_BYTES];
	bool damaged = false;

	for (uint64_t number = 0; number < node_pages(&nodes[node]); number++) {
		unsigned char *model = machine.model + position_of(node, number * PAGE_BYTES);

		look(node, number, page);
		damaged = damaged || memcmp(page, model, PAGE_BYTES) != 0;
		if (accept)
			memcpy(model, page, PAGE_BYTES);
	}
	return damaged;
}

static bool is_durable(unsigned node)
{
	for (unsigned i = 0; i < nodes[node].extent_count; i++)
		if (memcmp(machine.disk.durable + extents[node][i].position, machine.model + extents[node][i].position,
			   extents[node][i].pages * PAGE_BYTES) != 0)
			return false;
	return true;
}

/* They come together when there was a loss, and some go in the middle of others. */
static void look_at_ranges(void)
{
	const struct written *written = &machine.volume.written;

	joined = joined || written->noted.count + written->noted_before.count + written->lost.count > RANGES_MAX - 8;
}

static void write_some(struct random *random, unsigned node)
{
	const uint64_t offset = random_below(random, nodes[node].bytes);
	const bool whole = random_below(random, 2);
	const uint64_t start = whole ? align_down(offset, PAGE_BYTES) : offset;
	const uint64_t most = whole ? PAGE_BYTES : 1 + random_below(random, 3 * PAGE_BYTES);
	const uint64_t bytes = MIN(most, nodes[node].bytes - start);
	unsigned char data[3 * PAGE_BYTES];

	for (uint64_t i = 0; i < bytes; i++) {
		data[i] = (unsigned char)random_next(random);
		machine.model[position_of(node, start + i)] = data[i];
	}
	ck_assert_int_eq(node_write(&nodes[node], start, data, bytes), STATUS_OK);
}

static void write_directly(struct random *random, unsigned node)
{
	const uint64_t number = random_below(random, node_pages(&nodes[node]) - 3), pages = 1 + random_below(random, 3);
	const struct phys_range segment = { buffer, pages * PAGE_BYTES };
	unsigned char *data = platform_virt(buffer);

	for (uint64_t i = 0; i < pages * PAGE_BYTES; i++)
		data[i] = (unsigned char)random_next(random);
	if (node_direct(&nodes[node], BLOCK_WRITE, number * PAGE_BYTES, &segment, 1) != STATUS_OK)
		return; /* of what is dirty in the node, something cannot be written: nothing was transferred */
	for (uint64_t i = 0; i < pages * PAGE_BYTES; i++)
		machine.model[position_of(node, number * PAGE_BYTES + i)] = data[i];
}

/* Past the cache is what is in it. */
static void read_directly(struct random *random, unsigned node)
{
	const uint64_t number = random_below(random, node_pages(&nodes[node]));
	const struct phys_range segment = { buffer, PAGE_BYTES };
	unsigned char page[PAGE_BYTES];

	if (node_direct(&nodes[node], BLOCK_READ, number * PAGE_BYTES, &segment, 1) != STATUS_OK)
		return;
	look(node, number, page);
	ck_assert_int_eq(memcmp(platform_virt(buffer), page, PAGE_BYTES), 0);
}

static void map_some(struct random *random, unsigned node)
{
	const uint64_t offset = random_below(random, nodes[node].bytes - 3 * PAGE_BYTES) & ~511ull;
	const uint64_t bytes = 512 + (random_below(random, 3 * PAGE_BYTES - 512) & ~511ull);
	struct mapping *mapping;
	uint64_t done = 0;

	ck_assert_int_eq(node_map(&nodes[node], offset, bytes, MAP_WRITE, &mapping), STATUS_OK);
	if (random_below(random, 4) == 0)
		fake_block_reset(&machine.disk);
	for (uint32_t i = 0; i < mapping->segment_count; i++) {
		unsigned char *memory = platform_virt(mapping->segments[i].start);

		for (uint64_t j = 0; j < mapping->segments[i].bytes; j++, done++)
			machine.model[position_of(node, offset + done)] = memory[j] = (unsigned char)random_next(random);
	}
	node_unmap(mapping);
}

/* Without faults a flush fails only for what is really lost. */
static void flush_and_check(struct random *random)
{
	const unsigned which = (unsigned)random_below(random, 3);
	status_t status;

	machine.disk.fail_flushes = random_below(random, 3) == 0;
	machine.disk.fail_writes = random_below(random, 6) == 0;
	machine.disk.fail_start = random_below(random, MODEL_BYTES);
	machine.disk.fail_end = machine.disk.fail_start + 512;
	status = which < 2 ? node_flush(&nodes[which]) : volume_flush(&machine.volume);
	for (unsigned node = 0; node < 2; node++) {
		if (which == 1 - node)
			continue;
		if (status == STATUS_OK)
			ck_assert(is_durable(node));
	}
	if (status != STATUS_OK && !machine.disk.fail_flushes && !machine.disk.fail_writes && !joined)
		ck_assert((which != 1 && is_damaged(0, false)) || (which != 0 && is_damaged(1, false)));
	if (machine.disk.fail_flushes)
		ck_assert_int_ne(status, STATUS_OK);
	machine.disk.fail_flushes = machine.disk.fail_writes = false;
}

/* What has not been written is given up; what has been is the disk's to keep, and a flush tells when it did not. */
static void discard_some(struct random *random, unsigned node)
{
	const uint64_t any = random_below(random, node_pages(&nodes[node]));
	const struct page *dirty = dirty_first(&nodes[node].dirty, DIRTY_WAITING, any);
	const uint64_t number = dirty ? page_key_number(page_key(dirty)) : any;
	const uint64_t pages = random_below(random, 20) == 0 ? node_pages(&nodes[node]) - number : 1;

	ck_assert_int_eq(node_discard(&nodes[node], number * PAGE_BYTES, pages * PAGE_BYTES), STATUS_OK);
	for (uint64_t i = 0; i < pages; i++) {
		const uint64_t position = position_of(node, (number + i) * PAGE_BYTES);

		memcpy(machine.model + position, acknowledged + position, PAGE_BYTES);
	}
}

static void lose_some(struct random *random, unsigned node)
{
	switch (random_below(random, 4)) {
	case 0:
		(void)node_evict_page(&nodes[node], random_below(random, node_pages(&nodes[node])));
		break;
	case 1:
		(void)volume_drop(&machine.volume);
		break;
	case 2:
		discard_some(random, node);
		break;
	default:
		(void)memory_drain(&machine.memory, BLOCK_BYTES, false);
	}
}

/* After a flush, so that all that is lost has been told. */
static void clear(void)
{
	if (volume_flush(&machine.volume) == STATUS_OK)
		return;
	volume_error_clear(&machine.volume);
	(void)is_damaged(0, true);
	(void)is_damaged(1, true);
	memcpy(acknowledged, machine.disk.data, SMALL_DISK);
	joined = false;
}

static void model_step(struct random *random)
{
	const unsigned node = (unsigned)random_below(random, 2);
	unsigned char page[PAGE_BYTES];

	resets_at_end = random_below(random, 8) == 0;
	switch (random_below(random, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		write_some(random, node);
		break;
	case 4:
		(random_below(random, 2) ? write_directly : read_directly)(random, node);
		break;
	case 5:
		map_some(random, node);
		break;
	case 6:
	case 7:
		lose_some(random, node);
		break;
	case 8:
		ck_assert_int_eq(
			node_read(&nodes[node], random_below(random, node_pages(&nodes[node])) * PAGE_BYTES, page, PAGE_BYTES),
			STATUS_OK);
		break;
	case 9:
		if (cache_write_back(&nodes[node]) != STATUS_OK)
			ck_assert_uint_gt(atomic_load(&nodes[node].failed_pages), 0);
		break;
	case 10:
		pagecache_writeback_step(&machine.pagecache);
		break;
	case 11:
		fake_block_reset(&machine.disk);
		break;
	case 12:
		if (random_below(random, 4) == 0)
			clear();
		break;
	default:
		flush_and_check(random);
	}
	look_at_ranges();
}

static void write_all(struct random *random)
{
	for (unsigned node = 0; node < 2; node++) {
		for (uint64_t number = 0; number < node_pages(&nodes[node]); number++) {
			unsigned char *model = machine.model + position_of(node, number * PAGE_BYTES);

			for (unsigned i = 0; i < PAGE_BYTES; i++)
				model[i] = (unsigned char)random_next(random);
			ck_assert_int_eq(node_write(&nodes[node], number * PAGE_BYTES, model, PAGE_BYTES), STATUS_OK);
			look_at_ranges();
		}
	}
}

/* When all has been written anew, nothing is left to be told. Ranges that were joined while some went may need it twice. */
static void repair(struct random *random)
{
	write_all(random);
	if (volume_flush(&machine.volume) != STATUS_OK) {
		ck_assert(joined);
		write_all(random);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	}
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	joined = false;
}

START_TEST(what_a_flush_says_is_true)
{
	struct owner owner;
	const struct memory_request request = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct random random;

	forgetful_machine(false);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = submit_and_note;
	memcpy(acknowledged, machine.disk.data, SMALL_DISK);
	owner_init(&owner, "test", false);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &buffer), STATUS_OK);
	ck_assert_int_eq(node_open(&nodes[0], &machine.volume, extents[0], 1, MODEL_BYTES / 2), STATUS_OK);
	ck_assert_int_eq(node_open(&nodes[1], &machine.volume, extents[1], 2, MODEL_BYTES / 2), STATUS_OK);
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		random_seed(&random, 100 + seed);
		for (unsigned i = 0; i < STEPS; i++)
			model_step(&random);
		repair(&random);
		ck_assert(pagecache_is_valid(&machine.pagecache));
	}
	for (unsigned node = 0; node < 2; node++)
		ck_assert_int_eq(node_close(&nodes[node], false), STATUS_OK);
	memory_blocks_free(&machine.memory, buffer);
	cache_machine_fini(&machine);
}
END_TEST

/* Threads ------------------------------------------------------------------------------------------------------------------ */

#define WRITERS       3u
#define WRITER_PAGES  40u
#define WRITER_ROUNDS 60u

#define OTHER_START (4 * MIB)

/* The last one writes to another volume of the disk. */
static uint64_t page_of(unsigned writer, unsigned page)
{
	return writer == WRITERS - 1 ? page : (uint64_t)page * (WRITERS - 1) + writer;
}

static struct volume *volume_of(unsigned writer)
{
	return writer == WRITERS - 1 ? &other : &machine.volume;
}

static uint32_t durable_version(unsigned writer, unsigned page)
{
	uint32_t version;

	pthread_mutex_lock(&machine.disk.mutex);
	memcpy(&version, machine.disk.durable + volume_of(writer)->start_bytes + page_of(writer, page) * PAGE_BYTES,
	       sizeof(version));
	pthread_mutex_unlock(&machine.disk.mutex);
	return version;
}

static void write_version(unsigned writer, unsigned page, uint32_t version)
{
	uint32_t words[PAGE_BYTES / 4];

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		words[i] = version;
	ck_assert_int_eq(node_write(&volume_of(writer)->node, page_of(writer, page) * PAGE_BYTES, words, PAGE_BYTES),
			 STATUS_OK);
}

static _Atomic unsigned writers_left;

static void writer_or_fault(void *context, unsigned index)
{
	uint32_t versions[WRITER_PAGES] = { 0 };
	struct random random;

	(void)context;
	random_seed(&random, index + 1);
	if (index == WRITERS) {
		pagecache_writeback_run(&machine.pagecache);
		return;
	}
	for (unsigned round = 0; round < WRITER_ROUNDS; round++) {
		for (unsigned i = 0; i < 20; i++) {
			const unsigned page = (unsigned)random_below(&random, WRITER_PAGES);

			write_version(index, page, ++versions[page]);
		}
		if (random_below(&random, 3) == 0)
			(void)volume_drop(volume_of(index));
		if (random_below(&random, 4) == 0)
			machine.disk.fail_flushes = !machine.disk.fail_flushes;
		if (random_below(&random, 4) == 0)
			fake_block_reset(&machine.disk);
		if (volume_flush(volume_of(index)) != STATUS_OK)
			continue;
		for (unsigned page = 0; page < WRITER_PAGES; page++)
			ck_assert_uint_ge(durable_version(index, page), versions[page]);
	}
	if (atomic_fetch_sub(&writers_left, 1) == 1)
		pagecache_stop(&machine.pagecache);
}

START_TEST(threads_that_flush_at_once_are_told_the_truth)
{
	const struct volume_config other_config = { .preference = 50 };
	struct pagecache_config config = cache_machine_config;

	config.dirty_age_ns = 40 * NS_PER_MS;
	cache_machine_init_config(&machine, 8 * MIB, true, &config);
	cache_machine_shrink(&machine, OTHER_START);
	ck_assert_int_eq(
		volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", OTHER_START, MIB, &other_config),
		STATUS_OK);
	memset(machine.disk.data, 0, 8 * MIB);
	fake_block_forgetful(&machine.disk);
	machine.disk.shuffled = true;
	host_output_capture(ignored, sizeof(ignored));
	writers_left = WRITERS;
	host_threads_run(WRITERS + 1, writer_or_fault, NULL);
	machine.disk.fail_flushes = false;
	for (unsigned writer = 0; writer < WRITERS; writer++)
		for (unsigned page = 0; page < WRITER_PAGES; page++)
			write_version(writer, page, 1000);
	while (pagecache_flush(&machine.pagecache) != STATUS_OK)
		; /* the last reset may come yet */
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	memcpy(machine.model, machine.disk.durable, 8 * MIB);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("flush", a_flush_after_one_that_failed_writes_again_what_the_disk_forgot, a_reset_is_made_good_by_the_next_flush,
	       what_was_evicted_and_lost_is_told_until_it_is_written_again_or_cleared,
	       what_was_written_again_before_the_loss_is_seen_is_repaired, a_flush_sees_a_reset_while_it_writes,
	       a_discard_of_what_the_disk_has_lost_is_told, a_loss_that_is_counted_while_a_write_ends_is_seen,
	       a_flush_tells_of_itself_only, a_mapping_that_fails_forgets_nothing,
	       what_is_repaired_while_the_disk_flushes_waits_for_the_next_flush, a_direct_write_repairs_what_it_has_written,
	       a_flush_of_another_volume_of_the_disk_that_fails_is_seen,
	       threads_flush_two_volumes_of_a_disk_one_after_the_other, what_a_flush_says_is_true,
	       threads_that_flush_at_once_are_told_the_truth)
