// SPDX-License-Identifier: BSD-2-Clause
/*
 * When a disk's command is late: disks that answer in order and out of order, slowly, not at all,
 * or never one of their commands, on several queues, beside a model that remembers every answer.
 */
#include <stdlib.h>

#include "block/disk_queue.h"
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define QUEUES      3
#define SLOTS       5
#define REQUESTS    (2 * QUEUES * SLOTS)
#define TIMEOUT_NS  NS_PER_S
#define ANSWERS_MAX 200000

/* A command that the disk has. */
struct command {
	struct disk_queue *queue;
	unsigned slot;
	uint64_t issued_ns;
	size_t answers_before; /* what the disk had answered by then */
	bool lost;
};

struct disk {
	struct block_device device;
	struct disk_activity activity;
	struct disk_queue queues[QUEUES];
	struct command commands[QUEUES * SLOTS]; /* in the order of issue */
	unsigned command_count;
	uint64_t answers[ANSWERS_MAX]; /* when */
	size_t answer_count;
	struct block_request requests[REQUESTS];
	bool busy[REQUESTS];
};

static struct disk disk;
static struct random seed;

static void request_done(struct block_request *request)
{
	disk.busy[request - disk.requests] = false;
}

static void fill(struct disk_queue *queue, unsigned slot, struct block_request *request)
{
	(void)request;
	disk.commands[disk.command_count++] = (struct command){
		.queue = queue,
		.slot = slot,
		.issued_ns = platform_now_ns(),
		.answers_before = disk.answer_count,
	};
}

static void ring(struct disk_queue *queue)
{
	(void)queue;
}

static void disk_init(void)
{
	disk = (struct disk){ .device = { .name = "fake", .size_bytes = GIB, .sector_bytes = 512, .write_cache = true } };
	for (unsigned i = 0; i < QUEUES; i++) {
		const struct disk_queue_config config = {
			.name = "fake",
			.timeout_ns = TIMEOUT_NS,
			.activity = &disk.activity,
			.slot_count = SLOTS,
			.fill = fill,
			.ring = ring,
		};

		disk_queue_init(&disk.queues[i], &config);
		disk_queue_start(&disk.queues[i]);
	}
}

/* One request that nothing else uses, to the queue. */
static void submit(unsigned queue)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		if (disk.busy[i])
			continue;
		disk.busy[i] = true;
		disk.requests[i] = (struct block_request){ .operation = BLOCK_FLUSH, .done = request_done };
		disk_queue_submit(&disk.queues[queue], &disk.device, &disk.requests[i], 0);
		return;
	}
}

static void answer(unsigned index)
{
	const struct command command = disk.commands[index];
	struct list done;

	list_init(&done);
	for (unsigned i = index; i + 1 < disk.command_count; i++)
		disk.commands[i] = disk.commands[i + 1];
	disk.command_count--;
	if (!command.queue->slots[command.slot].aborted) {
		ck_assert_uint_lt(disk.answer_count, ANSWERS_MAX);
		disk.answers[disk.answer_count++] = platform_now_ns();
	}
	spinlock_lock(&command.queue->lock);
	disk_queue_complete_locked(command.queue, command.slot, STATUS_OK, &done);
	disk_queue_pump_locked(command.queue);
	spinlock_unlock(&command.queue->lock);
	disk_requests_finish(&done);
}

/* From the definition, by all that the disk has answered. */
static bool is_late(const struct command *command)
{
	const uint64_t now = platform_now_ns();
	bool silent = true;

	if (now - command->issued_ns <= TIMEOUT_NS)
		return false;
	for (size_t i = disk.answer_count; i-- > 0 && disk.answers[i] + TIMEOUT_NS >= now;)
		silent = false;
	return silent || disk.answer_count - command->answers_before >= (size_t)QUEUES * SLOTS;
}

/* Returns how many are late. */
static unsigned check_late(void)
{
	unsigned late = 0;

	for (unsigned i = 0; i < QUEUES; i++) {
		struct disk_queue *queue = &disk.queues[i];
		unsigned first = SLOTS;

		for (unsigned j = 0; j < disk.command_count; j++)
			if (disk.commands[j].queue == queue && is_late(&disk.commands[j])) {
				first = MIN(first, disk.commands[j].slot);
				late++;
			}
		spinlock_lock(&queue->lock);
		ck_assert_uint_eq(disk_queue_late_locked(queue, platform_now_ns()), first);
		spinlock_unlock(&queue->lock);
	}
	return late;
}

START_TEST(a_late_command_is_what_the_rule_says)
{
	unsigned late = 0;

	host_clock_set(HOST_CLOCK_MANUAL);
	random_seed(&seed, 5);
	for (unsigned round = 0; round < 300; round++) {
		const uint64_t pace_ns = TIMEOUT_NS / (1 + random_below(&seed, 40));
		const uint64_t answers_in = 1 + random_below(&seed, 20);

		disk_init();
		for (unsigned step = 0; step < 400; step++) {
			host_clock_turn(random_below(&seed, pace_ns));
			if (random_below(&seed, 2) == 0)
				submit((unsigned)random_below(&seed, QUEUES));
			if (disk.command_count > 0 && random_below(&seed, 20) < answers_in) {
				const unsigned index = (unsigned)random_below(&seed, disk.command_count);

				disk.commands[index].lost |= random_below(&seed, 30) == 0;
				if (!disk.commands[index].lost)
					answer(index);
			}
			late += check_late();
		}
	}
	ck_assert_uint_gt(late, 1000);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * Its queues are always full, it serves them in order, and takes nearly the whole time for each
 * command.
 */
START_TEST(a_slow_disk_that_answers_is_never_late)
{
	host_clock_set(HOST_CLOCK_MANUAL);
	disk_init();
	for (unsigned step = 0; step < 1000; step++) {
		for (unsigned i = 0; i < REQUESTS; i++)
			submit(i % QUEUES);
		host_clock_turn(TIMEOUT_NS - 1);
		ck_assert_uint_eq(check_late(), 0);
		answer(0);
	}
	host_clock_turn(TIMEOUT_NS + 1);
	ck_assert_uint_eq(check_late(), disk.command_count); /* and then it is silent */
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * One command is lost while all else is answered at once: it is found as soon as it has had its
 * time.
 */
START_TEST(a_lost_command_of_a_busy_disk_is_found)
{
	host_clock_set(HOST_CLOCK_MANUAL);
	disk_init();
	submit(0);
	for (unsigned step = 0; step < QUEUES * SLOTS; step++) {
		host_clock_turn(TIMEOUT_NS / (QUEUES * SLOTS));
		ck_assert_uint_eq(check_late(), 0);
		submit(1);
		answer(1);
	}
	host_clock_turn(TIMEOUT_NS / (QUEUES * SLOTS));
	ck_assert_uint_eq(check_late(), 1);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * What a disk gives up because it was asked to is no answer: the other silent commands stay late.
 */
START_TEST(giving_up_is_no_answer)
{
	host_clock_set(HOST_CLOCK_MANUAL);
	disk_init();
	for (unsigned i = 0; i < SLOTS; i++)
		submit(0);
	host_clock_turn(TIMEOUT_NS + 1);
	for (unsigned left = SLOTS; left > 0; left--) {
		ck_assert_uint_eq(check_late(), left);
		disk.queues[0].slots[disk.commands[0].slot].aborted = true;
		answer(0);
	}
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * Of several late commands each is chosen once, then each again when its time is over a second
 * time, and none in between.
 */
START_TEST(a_late_command_is_chosen_and_chosen_again)
{
	unsigned slot;
	bool again;

	host_clock_set(HOST_CLOCK_MANUAL);
	disk_init();
	for (unsigned i = 0; i < SLOTS; i++)
		submit(0);
	ck_assert(!disk_queue_choose_late(&disk.queues[0], &slot, &again));
	host_clock_turn(TIMEOUT_NS + 1);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < SLOTS; i++) {
			ck_assert(disk_queue_choose_late(&disk.queues[0], &slot, &again));
			ck_assert_uint_eq(slot, i);
			ck_assert_uint_eq(again, round);
		}
		ck_assert(!disk_queue_choose_late(&disk.queues[0], &slot, &again));
		host_clock_turn(TIMEOUT_NS / 2);
	}
	disk_queue_stop(&disk.queues[0]);
	ck_assert(!disk_queue_choose_late(&disk.queues[0], &slot, &again));
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * A disk after a panic: a command carries so much, takes some polls, and fails at some point, or
 * never answers.
 */
static struct {
	uint32_t bytes_max;
	unsigned polls_left;
	unsigned commands;
	unsigned commands_until_failure;
	bool silent;
	uint64_t next_byte; /* of the disk: where the next command has to go on */
} dead;

static void dead_fill(struct disk_queue *queue, unsigned slot, struct block_request *request)
{
	(void)queue;
	ck_assert_uint_eq(slot, 0);
	ck_assert_uint_eq(disk_progress(request)->target, 3);
	dead.polls_left = 5;
	dead.commands++;
	if (request->operation == BLOCK_FLUSH)
		return;
	ck_assert_uint_eq(request->offset_bytes + disk_progress(request)->issued_bytes, dead.next_byte);
	for (uint32_t left = dead.bytes_max; left > 0 && disk_peek(request).bytes > 0;) {
		const uint32_t bytes = (uint32_t)MIN(disk_peek(request).bytes, left);

		disk_advance(request, bytes);
		dead.next_byte += bytes;
		left -= bytes;
	}
}

static status_t dead_poll(struct disk_queue *queue)
{
	(void)queue;
	host_clock_turn(NS_PER_MS);
	if (dead.silent || dead.polls_left-- > 0)
		return STATUS_BUSY;
	return dead.commands == dead.commands_until_failure ? STATUS_IO_ERROR : STATUS_OK;
}

static status_t dead_transfer(enum block_operation operation, uint64_t offset_bytes, uint64_t bytes)
{
	struct block_device device = {
		.size_bytes = MIB,
		.sector_bytes = 512,
		.segment_alignment = 512,
		.segments_max = 4,
		.transfer_bytes_max = MIB,
		.write_cache = true,
	};
	struct disk_queue queue = { .config = { .fill = dead_fill, .ring = ring } };
	const struct phys_range segments[] = { { { 4096 }, bytes / 2 }, { { 65536 }, bytes / 2 } };
	struct block_request request = {
		.operation = operation,
		.offset_bytes = offset_bytes,
		.segments = operation == BLOCK_FLUSH ? NULL : segments,
		.segment_count = operation == BLOCK_FLUSH ? 0 : 2,
	};

	dead.next_byte = offset_bytes;
	dead.commands = 0;
	return disk_queue_panic_transfer(&queue, &device, &request, 3, dead_poll);
}

START_TEST(after_a_panic_a_request_is_polled_to_its_end)
{
	host_clock_set(HOST_CLOCK_MANUAL);
	dead.bytes_max = 1536;
	ck_assert_int_eq(dead_transfer(BLOCK_WRITE, 8192, 4096), STATUS_OK);
	ck_assert_uint_eq(dead.next_byte, 8192 + 4096);
	ck_assert_uint_eq(dead.commands, 3);
	ck_assert_int_eq(dead_transfer(BLOCK_FLUSH, 0, 0), STATUS_OK);
	ck_assert_uint_eq(dead.commands, 1);
	/* Nothing is given to the disk that does not lie on it. */
	ck_assert_int_eq(dead_transfer(BLOCK_WRITE, MIB - 2048, 4096), STATUS_RANGE);
	ck_assert_uint_eq(dead.commands, 0);
	for (unsigned fails = 1; fails <= 3; fails++) {
		dead.commands_until_failure = fails;
		ck_assert_int_eq(dead_transfer(BLOCK_WRITE, 8192, 4096), STATUS_IO_ERROR);
		ck_assert_uint_eq(dead.commands, fails);
	}
	dead.silent = true;
	ck_assert_int_eq(dead_transfer(BLOCK_WRITE, 8192, 4096), STATUS_TIMEOUT);
	ck_assert_uint_eq(dead.commands, 1);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

HOST_TEST_MAIN("disk_queue", after_a_panic_a_request_is_polled_to_its_end, a_late_command_is_what_the_rule_says,
	       a_slow_disk_that_answers_is_never_late, a_lost_command_of_a_busy_disk_is_found, giving_up_is_no_answer,
	       a_late_command_is_chosen_and_chosen_again)
