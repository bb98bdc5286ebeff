// SPDX-License-Identifier: BSD-2-Clause
/*
 * What was flushed is on the disk after a power cut at any point, whatever the disk made of the
 * writes that were under way.
 */
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/writeback/writeback.h"

#define CRASH_WRITERS 3
#define CRASH_PAGES   96 /* of each writer */
#define CRASH_FLUSHES 12 /* of each writer */
#define CRASH_CUTS    1000
#define CRASH_DISK    (8 * MIB)

/* After this many events of the disk, these versions of the writer's pages have been promised. */
struct promise {
	size_t events;
	uint32_t versions[CRASH_PAGES];
};

struct crash {
	struct cache_machine machine;
	struct promise promises[CRASH_WRITERS][CRASH_FLUSHES];
	uint32_t versions[CRASH_WRITERS][CRASH_PAGES];
};

/* Writers' pages alternate, so that writes are merged across them. */
static uint64_t crash_page(unsigned writer, unsigned page)
{
	return (uint64_t)page * CRASH_WRITERS + writer;
}

static void crash_write(struct crash *crash, unsigned writer, unsigned page)
{
	uint32_t words[PAGE_BYTES / 4];
	const uint32_t version = ++crash->versions[writer][page];

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		words[i] = version;
	ck_assert_int_eq(node_write(&crash->machine.volume.node, crash_page(writer, page) * PAGE_BYTES, words, PAGE_BYTES),
			 STATUS_OK);
}

static void crash_writer(void *context, unsigned writer)
{
	struct crash *crash = context;
	struct random random;

	if (writer == CRASH_WRITERS) {
		pagecache_writeback_run(&crash->machine.pagecache);
		return;
	}
	random_seed(&random, writer + 1);
	for (unsigned flush = 0; flush < CRASH_FLUSHES; flush++) {
		struct promise *promise = &crash->promises[writer][flush];

		for (unsigned i = 0; i < 60; i++)
			crash_write(crash, writer, (unsigned)random_below(&random, CRASH_PAGES));
		if (flush % 3 == 2)
			memory_drain(&crash->machine.memory, BLOCK_BYTES, true);
		ck_assert_int_eq(volume_flush(&crash->machine.volume), STATUS_OK);
		promise->events = fake_block_log_count(&crash->machine.disk);
		memcpy(promise->versions, crash->versions[writer], sizeof(promise->versions));
	}
	if (writer == 0)
		pagecache_stop(&crash->machine.pagecache);
}

/* libcheck's own checks are too slow for so many. */
static bool keeps_promise(const struct promise *promise, unsigned writer, const unsigned char *image)
{
	for (unsigned page = 0; page < CRASH_PAGES; page++) {
		const uint32_t *words = (const void *)(image + crash_page(writer, page) * PAGE_BYTES);

		if (words[0] < promise->versions[page])
			return false;
		for (size_t i = 1; i < PAGE_BYTES / 4; i += 100)
			if (words[i] != words[0])
				return false;
	}
	return true;
}

static void check_crash(const struct crash *crash, const unsigned char *image, size_t cut)
{
	for (unsigned writer = 0; writer < CRASH_WRITERS; writer++) {
		for (unsigned flush = 0; flush < CRASH_FLUSHES; flush++) {
			const struct promise *promise = &crash->promises[writer][flush];

			ck_assert(promise->events > cut || keeps_promise(promise, writer, image));
		}
	}
}

START_TEST(threads_keep_what_was_flushed_through_power_cuts)
{
	struct pagecache_config config = cache_machine_config;
	static struct crash crash;
	unsigned char *image = malloc(CRASH_DISK);
	struct random random;
	size_t events;

	config.dirty_age_ns = 40 * NS_PER_MS;
	cache_machine_init_config(&crash.machine, CRASH_DISK, true, &config);
	memset(crash.machine.disk.data, 0, CRASH_DISK);
	crash.machine.disk.shuffled = true;
	fake_block_log(&crash.machine.disk);
	host_threads_run(CRASH_WRITERS + 1, crash_writer, &crash);
	ck_assert_int_eq(volume_flush(&crash.machine.volume), STATUS_OK);
	events = fake_block_log_count(&crash.machine.disk);
	random_seed(&random, 11);
	for (unsigned i = 0; i < CRASH_CUTS; i++) {
		const size_t cut = random_below(&random, events + 1);

		fake_block_crash(&crash.machine.disk, cut, &random, image);
		check_crash(&crash, image, cut);
	}
	memcpy(crash.machine.model, crash.machine.disk.data, CRASH_DISK);
	free(image);
	cache_machine_fini(&crash.machine);
}
END_TEST

HOST_TEST_MAIN("power_cuts", threads_keep_what_was_flushed_through_power_cuts)
