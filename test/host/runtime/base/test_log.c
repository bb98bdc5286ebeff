// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ring of text beside all that was ever written; and the log on a disk, beside a list of what
 * each run wrote: with writes that are torn, areas that belong to others, and blocks that an enemy
 * wrote.
 */
#include <ctype.h>

#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/crc32.h"
#include "runtime/base/log_area.h"
#include "runtime/base/random.h"

#define TEXT_MAX   200000
#define RING_BYTES 256
#define AREA_MAX   24
#define LAST_BYTES 65536

static char text_character(struct random *random)
{
	return random_below(random, 40) == 0 ? '\n' : (char)('a' + random_below(random, 26));
}

START_TEST(a_reader_gets_all_that_is_left_in_order)
{
	static char all[TEXT_MAX], memory[RING_BYTES], piece[3 * RING_BYTES], got[3 * RING_BYTES];
	struct log_ring ring;
	struct random random;
	uint64_t position = 0;

	random_seed(&random, 1);
	log_ring_init(&ring, memory, sizeof(memory));
	for (size_t end = 0; end + sizeof(piece) < TEXT_MAX;) {
		const size_t bytes = random_below(&random, random_below(&random, 10) ? 40 : sizeof(piece));
		const uint64_t asked = random_below(&random, 20) ? position : random_below(&random, end + 10);
		size_t count;

		for (size_t i = 0; i < bytes; i++)
			piece[i] = all[end + i] = text_character(&random);
		log_ring_write(&ring, piece, bytes);
		end += bytes;
		ck_assert_uint_eq(ring.end, end);
		ck_assert_uint_eq(log_ring_start(&ring), end > RING_BYTES ? end - RING_BYTES : 0);
		position = asked;
		count = log_ring_read(&ring, &position, got, random_below(&random, sizeof(got)));
		ck_assert_uint_le(position, end);
		ck_assert_uint_le(count, position);
		if (count > 0)
			ck_assert_uint_eq(position - count, MAX(asked, log_ring_start(&ring)));
		ck_assert(memcmp(got, all + position - count, count) == 0);
	}
}
END_TEST

/* A disk, and what each run wrote on it: all its text, and how much of it is durable. */
static struct {
	char blocks[AREA_MAX][LOG_BLOCK_BYTES];
	uint32_t ring_blocks, panic_blocks;
	char text[TEXT_MAX];
	size_t written; /* of the run: positions below are on the disk, or were overwritten by later ones */
	size_t torn;    /* what was to follow */
	bool panicked;
} disk;

static status_t disk_read(void *context, uint32_t index, const void **block)
{
	(void)context;
	ck_assert_uint_lt(index, 1 + disk.ring_blocks + disk.panic_blocks);
	*block = disk.blocks[index];
	return STATUS_OK;
}

static status_t load(struct log_area *area, char *memory)
{
	*area = (struct log_area){ .ring_blocks = disk.ring_blocks, .panic_blocks = disk.panic_blocks };
	log_ring_init(&area->last, memory, LAST_BYTES);
	return log_area_load(area, disk_read, NULL);
}

/* What was collected, as one text. */
static size_t last_text(const struct log_area *area, char *text)
{
	uint64_t position = 0;

	return log_ring_read(&area->last, &position, text, LAST_BYTES);
}

/* A power cut in the middle: sectors of 512 bytes, some old and some new. */
static void block_tear(char *to, const char *from, struct random *random)
{
	for (size_t at = 0; at < LOG_BLOCK_BYTES; at += 512)
		if (random_below(random, 2))
			memcpy(to + at, from + at, 512);
}

static void run_write(struct log_area *area, struct random *random)
{
	static char block[LOG_BLOCK_BYTES];
	const unsigned blocks = (unsigned)random_below(random, 2 * disk.ring_blocks + 2);

	if (area->is_new)
		log_marker_write(disk.blocks[0]);
	for (size_t i = 0; i < TEXT_MAX; i++)
		disk.text[i] = text_character(random);
	disk.written = 0;
	for (unsigned i = 0; i < blocks; i++) {
		const size_t bytes = 1 + random_below(random, LOG_TEXT_BYTES);

		log_block_write(block, area->run, disk.written, disk.text + disk.written, bytes);
		if (i + 1 == blocks && random_below(random, 3) == 0) {
			block_tear(disk.blocks[log_area_next(area)], block, random);
			disk.torn = bytes;
			return;
		}
		memcpy(disk.blocks[log_area_next(area)], block, LOG_BLOCK_BYTES);
		disk.written += bytes;
	}
	disk.torn = 0;
}

/* A panic: the end of all text, which may be on the disk in part. */
static void panic_write(const struct log_area *area, struct random *random)
{
	const size_t end = disk.written + random_below(random, 5000) + 1;
	const size_t bytes_wanted = 1 + random_below(random, disk.panic_blocks * LOG_TEXT_BYTES);
	size_t position = end - MIN(end, bytes_wanted);

	for (uint32_t i = 0; i < disk.panic_blocks && position < end; i++) {
		const size_t bytes = MIN(end - position, (size_t)LOG_TEXT_BYTES);

		log_block_write(disk.blocks[1 + disk.ring_blocks + i], area->run, position, disk.text + position, bytes);
		position += bytes;
	}
	disk.panicked = position > disk.written;
	disk.written = MAX(disk.written, position);
}

/* The end of the run's text, of which only what the ring holds may be missing at the start. */
static void check_last(const struct log_area *area)
{
	static char got[LAST_BYTES + 1];
	const size_t bytes = last_text(area, got);
	const char *gap = "\n[... text is missing here ...]\n";
	char *tail = got;

	got[bytes] = '\0';
	for (char *at = got; (at = strstr(at, gap)); at += strlen(gap))
		tail = at + strlen(gap);
	/* A block that was torn may be whole by luck. */
	for (size_t end = disk.written; end <= disk.written + disk.torn; end += disk.torn) {
		const size_t length = strlen(tail);

		if (length <= end && memcmp(disk.text + end - length, tail, length) == 0 && (length > 0 || end == 0))
			return;
		if (disk.torn == 0)
			break;
	}
	ck_assert_msg(disk.written == 0 && bytes == 0, "the log of the run before is not its end");
}

START_TEST(the_run_before_is_found_whatever_was_torn)
{
	static char memory[LAST_BYTES];
	struct random random;

	random_seed(&random, 2);
	for (unsigned disks = 0; disks < 30; disks++) {
		uint64_t run = 0;

		memset(&disk, 0, sizeof(disk));
		disk.ring_blocks = 2 + (uint32_t)random_below(&random, 12);
		disk.panic_blocks = (uint32_t)random_below(&random, 5);
		for (unsigned runs = 0; runs < 12; runs++) {
			struct log_area area;

			ck_assert_int_eq(load(&area, memory), STATUS_OK);
			ck_assert_uint_lt(area.next, disk.ring_blocks);
			/* A run of which nothing is left did not count. */
			ck_assert(area.run > run || (disk.written == 0 && area.run >= run));
			if (runs > 0 && disk.written > 0) {
				check_last(&area);
				ck_assert_int_eq(area.has_panic, disk.panicked);
			}
			run = area.run;
			run_write(&area, &random);
			disk.panicked = false;
			if (disk.panic_blocks > 0 && disk.torn == 0 && random_below(&random, 3) == 0)
				panic_write(&area, &random);
		}
	}
}
END_TEST

START_TEST(an_area_of_others_is_refused)
{
	static char memory[LAST_BYTES];
	struct random random;
	struct log_area area;

	random_seed(&random, 3);
	disk.ring_blocks = 9;
	disk.panic_blocks = 3;
	for (unsigned i = 0; i < 500; i++) {
		memset(disk.blocks, 0, sizeof(disk.blocks));
		/*
		 * All zero: it may become a log. With the marker, and nothing else of sense: it is
		 * one.
		 */
		ck_assert_int_eq(load(&area, memory), STATUS_OK);
		ck_assert(area.is_new);
		log_marker_write(disk.blocks[0]);
		disk.blocks[1 + random_below(&random, 12)][random_below(&random, LOG_BLOCK_BYTES)] = 1;
		ck_assert_int_eq(load(&area, memory), STATUS_OK);
		ck_assert(!area.is_new);
		/*
		 * One wrong byte anywhere in the marker's block, or without a marker one anywhere
		 * at all.
		 */
		if (i % 2)
			memset(disk.blocks, 0, sizeof(disk.blocks));
		disk.blocks[i % 2 ? random_below(&random, 13) : 0][random_below(&random, LOG_BLOCK_BYTES)] ^= 0x80;
		ck_assert_int_eq(load(&area, memory), STATUS_BUSY);
	}
}
END_TEST

/* Fields of any value with a CRC that is right, and text of any bytes. */
static void enemy_write(char *block, struct random *random)
{
	static const char magic[8] = { 'W', 'e', 'i', 'r', 'l', 'o', 'g', '1' };
	static const uint64_t numbers[] = { 0, 1, 2, 3, LOG_TEXT_BYTES, LOG_NUMBER_MAX - 1, LOG_NUMBER_MAX, UINT64_MAX };
	uint64_t *words = (uint64_t *)(void *)block;
	uint32_t *halves = (uint32_t *)(void *)block;

	for (size_t i = 0; i < LOG_BLOCK_BYTES / 8; i++)
		words[i] = random_next(random);
	memcpy(block, magic, sizeof(magic));
	halves[3] = (uint32_t)(random_below(random, 4) ? random_below(random, LOG_TEXT_BYTES + 2) : random_next(random));
	words[2] = random_below(random, 4) ? numbers[random_below(random, ARRAY_LENGTH(numbers))] : random_next(random) >> 1;
	words[3] = random_below(random, 4) ? numbers[random_below(random, ARRAY_LENGTH(numbers))] : random_next(random) >> 1;
	words[4] = random_below(random, 8) == 0;
	halves[2] = 0;
	halves[2] = crc32c_update(0, block, LOG_BLOCK_BYTES);
}

START_TEST(what_an_enemy_wrote_is_text_that_can_be_printed)
{
	static char memory[LAST_BYTES], got[LAST_BYTES];
	struct random random;
	uint64_t collected = 0;

	random_seed(&random, 4);
	for (unsigned i = 0; i < 400; i++) {
		struct log_area area;
		size_t bytes;

		disk.ring_blocks = 2 + (uint32_t)random_below(&random, 18);
		disk.panic_blocks = (uint32_t)random_below(&random, 4);
		log_marker_write(disk.blocks[0]);
		for (unsigned j = 1; j < AREA_MAX; j++)
			enemy_write(disk.blocks[j], &random);
		ck_assert_int_eq(load(&area, memory), STATUS_OK);
		ck_assert_uint_lt(area.next, disk.ring_blocks);
		ck_assert(area.run > 0 && area.run <= LOG_NUMBER_MAX);
		bytes = last_text(&area, got);
		collected += bytes;
		for (size_t j = 0; j < bytes; j++)
			ck_assert(isprint((unsigned char)got[j]) || got[j] == '\n' || got[j] == '\t');
	}
	ck_assert_uint_gt(collected, 0);
}
END_TEST

HOST_TEST_MAIN("log", a_reader_gets_all_that_is_left_in_order, the_run_before_is_found_whatever_was_torn,
	       an_area_of_others_is_refused, what_an_enemy_wrote_is_text_that_can_be_printed)
