// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "bench/replay/model.h"
#include "bench/replay/trace.h"

/* Models --------------------------------------------------------------------------------------- */

#define LETTERS     26
#define LENGTH_MAX  64
#define CAPACITY_10 10 /* S3-FIFO's small queue then has one page */

/* A trace whose pages are letters. */
struct letters {
	struct trace trace;
	struct reference references[LENGTH_MAX];
};

static void letters_init(struct letters *letters, const char *pages)
{
	letters->trace = (struct trace){ .references = letters->references, .count = strlen(pages), .unique = LETTERS };
	ck_assert_uint_le(letters->trace.count, LENGTH_MAX);
	for (size_t i = 0; i < letters->trace.count; i++)
		letters->references[i] = (struct reference){ .dense = (uint32_t)(pages[i] - 'a') };
}

/*
 * References the pages one after the other: each is to be a hit (h) or a miss (-), as `expected`
 * says.
 */
static void reference(struct model *model, const char *pages, const char *expected)
{
	char hits[LENGTH_MAX + 1] = "";

	for (size_t i = 0; pages[i]; i++)
		hits[i] = model->access(model, (uint32_t)(pages[i] - 'a')) ? 'h' : '-';
	ck_assert_str_eq(hits, expected);
}

static void check(struct model *(*create)(const struct trace *trace, uint64_t capacity), uint64_t capacity, const char *pages,
		  const char *expected)
{
	struct letters letters;
	struct model *model;

	letters_init(&letters, pages);
	model = create(&letters.trace, capacity);
	reference(model, pages, expected);
	model->destroy(model);
}

START_TEST(lru_evicts_what_was_used_longest_ago)
{
	check(model_lru, 2, "abacba", "--h---");
}
END_TEST

/* c takes the place of a, which is used later than b. */
START_TEST(belady_evicts_what_is_used_last)
{
	check(model_belady, 2, "abacba", "--h-h-");
	check(model_belady, 2, "ababab", "--hhhh");
}
END_TEST

/*
 * The 5th reference is known to B1 and makes T1's target 1; the 7th is known to B2 and makes it 0
 * again.
 */
START_TEST(arc_learns_from_its_ghosts)
{
	check(model_arc, 2, "abacbcacb", "--h--h-h-");
}
END_TEST

/* Steps of 1.5 and the like that were cut to whole pages would let the last reference hit. */
START_TEST(arc_has_a_target_between_whole_pages)
{
	check(model_arc, 5, "icbabgfcajkfdfdhegkad", "----h--hh----hh------");
}
END_TEST

/*
 * a was hit twice and goes to main when k comes; b leaves, is remembered, and comes back to main. A
 * scan passes both by.
 */
START_TEST(s3fifo_keeps_what_was_hit_twice_or_is_remembered)
{
	check(model_s3fifo, CAPACITY_10, "abcdefghijaakbab", "----------hh--hh");
	check(model_s3fifo, CAPACITY_10, "abcdefghijaakbablmnopqrstuvwab", "----------hh--hh------------hh");
}
END_TEST

/*
 * A page is remembered while fewer than nine leave after it, the one included that makes room for
 * its return.
 */
START_TEST(s3fifo_forgets)
{
	/* b to i have left, and a enters main, which a scan of ten passes by. */
	check(model_s3fifo, CAPACITY_10, "abcdefghijklmnopqrastuvwxyzbca", "-----------------------------h");
	/* b to j have left, and a enters the small queue, which a scan of ten goes through. */
	check(model_s3fifo, CAPACITY_10, "abcdefghijklmnopqrsatuvwxyzbcda", "-------------------------------");
}
END_TEST

/*
 * a to d are the next victims. Then e makes room for a, which is remembered; nothing has to for
 * what comes back.
 */
START_TEST(s3fifo_gives_its_next_victims)
{
	struct letters letters;
	struct model *model;

	letters_init(&letters, "");
	model = model_s3fifo(&letters.trace, CAPACITY_10);
	reference(model, "abcdefghij", "----------");
	model->take(model, 4);
	reference(model, "ja", "h-");
	model->give(model, 4);
	reference(model, "bcdfghijae", "---hhhhhh-");
	model->destroy(model);
}
END_TEST

/*
 * Main has a to r, the small queue t and u. t, then a to c are taken; v takes the place of d, as
 * the small queue has but u.
 */
START_TEST(s3fifo_keeps_the_size_of_its_small_queue)
{
	struct letters letters;
	struct model *model;

	letters_init(&letters, "");
	model = model_s3fifo(&letters.trace, 2 * CAPACITY_10);
	reference(model, "abcdefghijklmnopqrst", "--------------------");
	reference(model, "abcdefghijklmnopqrabcdefghijklmnopqru", "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-");
	model->take(model, 4);
	reference(model, "vud", "-h-");
	model->destroy(model);
}
END_TEST

/* Traces --------------------------------------------------------------------------------------- */

#define TEXT(text) text, sizeof(text) - 1

static char file[] = "/tmp/weir-trace-XXXXXX";

static void write_file(const void *bytes, size_t count)
{
	const int descriptor = mkstemp(file);

	ck_assert_int_ge(descriptor, 0);
	ck_assert_int_eq(write(descriptor, bytes, count), (ssize_t)count);
	close(descriptor);
}

static void remove_file(void)
{
	unlink(file);
	strcpy(file, "/tmp/weir-trace-XXXXXX");
}

static void accept(struct trace *trace, const char *text, size_t bytes)
{
	char error[256] = "";

	write_file(text, bytes);
	ck_assert_msg(trace_parse(trace, file, error, sizeof(error)), "%s", error);
	remove_file();
}

/* The message names the file and has `words` in it. */
static void refuse(const char *text, size_t bytes, const char *words)
{
	struct trace trace;
	char error[256] = "";

	write_file(text, bytes);
	ck_assert(!trace_parse(&trace, file, error, sizeof(error)));
	ck_assert_msg(strncmp(error, file, strlen(file)) == 0 && strstr(error, words), "%s", error);
	remove_file();
}

START_TEST(traces_are_read)
{
	static const uint32_t dense[] = { 1, 2, 0, 1 };
	struct trace trace;

	accept(&trace, TEXT("R 7\nW 1099511627774\r\nR 0\nW 7"));
	ck_assert_uint_eq(trace.count, 4);
	ck_assert_uint_eq(trace.unique, 3);
	ck_assert_uint_eq(trace.page_max, 1099511627774);
	ck_assert_uint_eq(trace.references[1].page, 1099511627774);
	ck_assert(trace.references[1].write && !trace.references[2].write);
	for (size_t i = 0; i < trace.count; i++)
		ck_assert_uint_eq(trace.references[i].dense, dense[i]);
	ck_assert_str_eq(trace.name, "weir");
	trace_free(&trace);
}
END_TEST

START_TEST(wrong_lines_are_named)
{
	refuse(TEXT("R 1\nX 2\n"), "line 2 is not");
	refuse(TEXT("R 1\n\nR 2\n"), "line 2 is not");
	refuse(TEXT("R 1\nR 2\nW\n"), "line 3 is not");
	refuse(TEXT("R -1\n"), "line 1 is not");
	refuse(TEXT("R 0x10\n"), "line 1 has more");
	refuse(TEXT("R 1 2\n"), "line 1 has more");
	refuse(TEXT("R 1\nR 2\0 3\nR 4\n"), "line 2 has more");
	refuse(TEXT("R 1\nR 0000000000000000000000000000000000000000000000000000000000000000000000001\n"), "line 2 has more");
	refuse(TEXT("R 1099511627775\n"), "line 1 has a page number that is too large");
	refuse(TEXT("R 99999999999999999999999999\n"), "line 1 has a page number that is too large");
}
END_TEST

START_TEST(files_without_a_trace_are_refused)
{
	struct trace trace;
	char error[256];

	refuse(TEXT(""), "has no references");
	ck_assert(!trace_parse(&trace, "/nonexistent/trace", error, sizeof(error)));
	ck_assert_str_eq(error, "/nonexistent/trace: cannot be opened");
	ck_assert(!trace_parse(&trace, "/", error, sizeof(error)));
	ck_assert_str_eq(error, "/: cannot be read, or is a damaged gzip file");
}
END_TEST

/* All lines are there; only the end of the stream, which is not, tells. */
START_TEST(cut_gzip_files_are_refused)
{
	static const char line[] = "R 123\n";
	unsigned char packed[256];
	z_stream stream = { .next_in = (unsigned char *)line, .avail_in = sizeof(line) - 1, .next_out = packed };
	struct trace trace;
	size_t bytes;

	stream.avail_out = sizeof(packed);
	ck_assert_int_eq(deflateInit2(&stream, 0, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	bytes = stream.total_out;
	deflateEnd(&stream);

	accept(&trace, (const char *)packed, bytes);
	ck_assert_uint_eq(trace.count, 1);
	ck_assert_uint_eq(trace.references[0].page, 123);
	trace_free(&trace);
	refuse((const char *)packed, bytes - 4, "damaged");
}
END_TEST

HOST_TEST_MAIN("replay_models", lru_evicts_what_was_used_longest_ago, belady_evicts_what_is_used_last,
	       arc_learns_from_its_ghosts, arc_has_a_target_between_whole_pages,
	       s3fifo_keeps_what_was_hit_twice_or_is_remembered, s3fifo_forgets, s3fifo_gives_its_next_victims,
	       s3fifo_keeps_the_size_of_its_small_queue, traces_are_read, wrong_lines_are_named,
	       files_without_a_trace_are_refused, cut_gzip_files_are_refused)
