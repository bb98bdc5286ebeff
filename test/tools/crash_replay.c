// SPDX-License-Identifier: BSD-2-Clause
/*
 * crash_replay LOG IMAGE CUTS SEED [lying|tearing]: whether the scenario `crash` would have lost
 * something in a crash. LOG is what blklogwrites has recorded, IMAGE is the disk as it was at the
 * end.
 *
 * Each of CUTS crashes happens behind a random operation of the log. What a flush had made durable
 * by then is on the disk; of the writes since, each is there, or is not. Then every page must be
 * whole, and no older than any promise on the disk says (test/scenario/crash_format.h). Prints the
 * first violations and a summary; ends with 0: none, 1: some, 2: the log is not fit to tell.
 *
 * To show that violations would be seen: `lying` replays as if the disk had forgotten what it was
 * told to flush; `tearing` keeps only a half of each write that was not flushed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario/crash_format.h"
#include "runtime/base/crc32.h"
#include "runtime/base/random.h"
#include "write_log.h"

#define DISK_BYTES       ((size_t)CRASH_DISK_PAGES * PATTERN_PAGE_BYTES)
#define VIOLATIONS_SHOWN 10
#define FLUSHES_MIN      50
#define TEAR_BYTES       512 /* what a disk writes at once in any case */
#define PERCENT_MIN      20  /* of the cuts: with something lost, and with a promise that is just kept */

enum page_kind {
	PAGE_UNKNOWN, /* not looked at since it has changed */
	PAGE_EMPTY,   /* zero */
	PAGE_WHOLE,
	PAGE_BROKEN,
};

struct page_state {
	enum page_kind kind;
	uint64_t version; /* of a data page */
};

/* What a write has overwritten. */
struct undo {
	uint64_t offset_bytes, bytes;
	uint8_t *data;
};

static uint8_t disk[DISK_BYTES] __attribute__((aligned(64)));
static struct page_state pages[CRASH_DISK_PAGES];
static struct write_log writes;
static struct undo *undos;
static size_t undo_count;
static bool lying, tearing;
static struct {
	unsigned long long flushes, lost, cuts_with_loss, cuts_just_kept, promises, violations;
} counts;

/* The disk ------------------------------------------------------------------------------------- */

static void disk_write(uint64_t offset_bytes, const uint8_t *data, uint64_t bytes)
{
	memcpy(disk + offset_bytes, data, bytes);
	for (uint64_t number = offset_bytes / PATTERN_PAGE_BYTES; number * PATTERN_PAGE_BYTES < offset_bytes + bytes; number++)
		pages[number].kind = PAGE_UNKNOWN;
}

/* A write that the crash may have kept; disk_undo takes it back. */
static void disk_try(const struct write_log_entry *entry)
{
	struct undo *undo = &undos[undo_count++];
	uint64_t bytes = entry->bytes;

	if (tearing && bytes > TEAR_BYTES)
		bytes = (bytes / 2 + TEAR_BYTES) / (2 * TEAR_BYTES) * (2 * TEAR_BYTES) - TEAR_BYTES;
	*undo = (struct undo){ entry->offset_bytes, bytes, malloc(bytes) };
	if (!undo->data)
		abort();
	memcpy(undo->data, disk + undo->offset_bytes, bytes);
	disk_write(entry->offset_bytes, entry->data, bytes);
}

static void disk_undo(void)
{
	while (undo_count > 0) {
		const struct undo *undo = &undos[--undo_count];

		disk_write(undo->offset_bytes, undo->data, undo->bytes);
		free(undo->data);
	}
}

/* Pages ---------------------------------------------------------------------------------------- */

static const struct crash_promise *promise_at(uint64_t number)
{
	return (const struct crash_promise *)(disk + number * PATTERN_PAGE_BYTES);
}

static enum page_kind promise_look(uint64_t number)
{
	static const struct crash_promise empty;
	struct crash_promise promise = *promise_at(number);
	const uint32_t crc = promise.crc;

	if (memcmp(&promise, &empty, sizeof(promise)) == 0)
		return PAGE_EMPTY;
	promise.crc = 0;
	if (promise.magic != CRASH_MAGIC || promise.flusher >= CRASH_FLUSHERS ||
	    crash_promise_page(promise.flusher, promise.number) != number || crc32c_update(0, &promise, sizeof(promise)) != crc)
		return PAGE_BROKEN;
	return PAGE_WHOLE;
}

static const struct page_state *page_look(uint64_t number)
{
	struct page_state *page = &pages[number];

	if (page->kind != PAGE_UNKNOWN)
		return page;
	if (number >= CRASH_DATA_PAGES)
		page->kind = promise_look(number);
	else
		page->kind = crash_page_verify((const uint64_t *)(disk + number * PATTERN_PAGE_BYTES), number, &page->version)
				     ? PAGE_WHOLE
				     : PAGE_BROKEN;
	return page;
}

/* Cuts ----------------------------------------------------------------------------------------- */

static bool violation(void)
{
	return ++counts.violations <= VIOLATIONS_SHOWN;
}

/* The newest version that any promise on the disk says of each page, and where it says so. */
static void promises_collect(uint16_t *versions, uint64_t *places, size_t cut)
{
	for (uint64_t number = CRASH_DATA_PAGES; number < CRASH_DISK_PAGES; number++) {
		const enum page_kind kind = page_look(number)->kind;

		if (kind == PAGE_BROKEN && violation())
			printf("cut %zu: the promise on page %llu is not whole\n", cut, (unsigned long long)number);
		if (kind != PAGE_WHOLE)
			continue;
		counts.promises++;
		for (unsigned i = 0; i < CRASH_DATA_PAGES; i++) {
			const uint16_t version = promise_at(number)->versions[i];

			places[i] = version > versions[i] ? number : places[i];
			versions[i] = version > versions[i] ? version : versions[i];
		}
	}
}

static void disk_check(size_t cut)
{
	uint16_t versions[CRASH_DATA_PAGES] = { 0 };
	uint64_t places[CRASH_DATA_PAGES] = { 0 };
	bool just_kept = false;

	promises_collect(versions, places, cut);
	for (unsigned number = 0; number < CRASH_DATA_PAGES; number++) {
		const struct page_state *page = page_look(number);

		just_kept |= versions[number] > 0 && page->version == versions[number];
		if (page->kind == PAGE_BROKEN) {
			if (violation())
				printf("cut %zu: page %u is torn or mixed, at version %llu\n", cut, number,
				       (unsigned long long)page->version);
		} else if (page->version < versions[number] && violation()) {
			printf("cut %zu: page %u has version %llu, and page %llu promises %u\n", cut, number,
			       (unsigned long long)page->version, (unsigned long long)places[number], versions[number]);
		}
	}
	counts.cuts_just_kept += just_kept;
}

/*
 * Operations [0, *durable) are on the disk; puts there what the last flush before `cut` has made
 * durable.
 */
static void durable_advance(size_t *durable, size_t cut)
{
	size_t flush = cut;

	while (flush > *durable && !(writes.entries[flush - 1].flags & WRITE_LOG_FLUSH))
		flush--;
	for (; *durable < flush; ++*durable)
		disk_write(writes.entries[*durable].offset_bytes, writes.entries[*durable].data,
			   writes.entries[*durable].bytes);
}

/* Which of `count` writes survive: none, all, one, all but one, or each with some probability. */
static bool survives(struct random *random, unsigned way, size_t i, size_t one, uint64_t percent)
{
	switch (way) {
	case 0:
		return false;
	case 1:
		return true;
	case 2:
		return i == one;
	case 3:
		return i != one;
	default:
		return random_below(random, 100) < percent;
	}
}

/*
 * What the disk looks like when the machine dies after the first `cut` operations, of which
 * `durable` were flushed.
 */
static void crash_at(struct random *random, size_t durable, size_t cut)
{
	const unsigned way = (unsigned)random_below(random, 8);
	const size_t one = durable + random_below(random, cut - durable + 1);
	const uint64_t percent = 5 + random_below(random, 91);
	bool loss = false;

	for (size_t i = durable; i < cut; i++) {
		const struct write_log_entry *entry = &writes.entries[i];

		if (entry->bytes == 0)
			continue;
		if ((entry->flags & WRITE_LOG_FUA) || survives(random, way, i, one, percent)) {
			disk_try(entry);
		} else {
			counts.lost++;
			loss = true;
		}
	}
	counts.cuts_with_loss += loss;
	disk_check(cut);
	disk_undo();
}

static int compare_cuts(const void *a, const void *b)
{
	const size_t *first = a, *second = b;

	return (*first > *second) - (*first < *second);
}

static void crashes(size_t cut_count, uint64_t seed)
{
	size_t *cuts = calloc(cut_count, sizeof(*cuts));
	struct random random;
	size_t durable = 0;

	if (!cuts)
		abort();
	random_seed(&random, seed);
	for (size_t i = 0; i < cut_count; i++)
		cuts[i] = random_below(&random, writes.count + 1);
	qsort(cuts, cut_count, sizeof(*cuts), compare_cuts);
	for (size_t i = 0; i < cut_count; i++) {
		durable_advance(&durable, cuts[i]);
		crash_at(&random, durable, cuts[i]);
	}
	free(cuts);
}

/*
 * Forgets the flushes, if the disk lies. False: the log has something that the scenario does not
 * do.
 */
static bool log_prepare(void)
{
	for (size_t i = 0; i < writes.count; i++) {
		struct write_log_entry *entry = &writes.entries[i];

		counts.flushes += entry->flags & WRITE_LOG_FLUSH;
		if (lying)
			entry->flags = 0;
		if (entry->bytes > DISK_BYTES || entry->offset_bytes > DISK_BYTES - entry->bytes) {
			fprintf(stderr, "operation %zu lies outside of the scenario's pages\n", i);
			return false;
		}
	}
	undos = calloc(writes.count + 1, sizeof(*undos));
	return undos != NULL;
}

/*
 * All operations together make the disk that there is, so the log is read as it is meant, and
 * nothing is missing in it.
 */
static bool log_is_whole(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *image = malloc(DISK_BYTES);
	const bool read = file && image && fread(image, 1, DISK_BYTES, file) == DISK_BYTES;
	bool same;

	for (size_t i = 0; i < writes.count; i++)
		disk_write(writes.entries[i].offset_bytes, writes.entries[i].data, writes.entries[i].bytes);
	same = read && memcmp(image, disk, DISK_BYTES) == 0;
	if (!same)
		fprintf(stderr, "%s is not what the log says\n", path);
	free(image);
	if (file)
		fclose(file);
	return same;
}

int main(int argc, char **argv)
{
	unsigned long long cut_count;

	if (argc < 5 || argc > 6) {
		fprintf(stderr, "usage: crash_replay LOG IMAGE CUTS SEED [lying|tearing]\n");
		return 2;
	}
	cut_count = strtoull(argv[3], NULL, 0);
	lying = argc == 6 && strcmp(argv[5], "lying") == 0;
	tearing = argc == 6 && strcmp(argv[5], "tearing") == 0;
	if (!write_log_read(&writes, argv[1]) || !log_prepare())
		return 2;
	crashes(cut_count, strtoull(argv[4], NULL, 0));
	if (!log_is_whole(argv[2]))
		return 2;
	printf("cuts=%llu operations=%zu flushes=%llu lost_writes=%llu cuts_with_loss=%llu cuts_just_kept=%llu promises=%llu "
	       "violations=%llu\n",
	       cut_count, writes.count, counts.flushes, counts.lost, counts.cuts_with_loss, counts.cuts_just_kept,
	       counts.promises, counts.violations);
	if (counts.violations > 0)
		return 1;
	if (counts.flushes < FLUSHES_MIN || counts.cuts_with_loss < cut_count * PERCENT_MIN / 100 ||
	    counts.cuts_just_kept < cut_count * PERCENT_MIN / 100) {
		fprintf(stderr, "too little has happened to tell anything\n");
		return 2;
	}
	return 0;
}
