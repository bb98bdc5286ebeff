/* The reference models of the trace replay, on sequences that can be followed by hand, and traces that are wrong. */
#include "bench/replay/model.h"
#include "host/host_test.h"

#include <stdio.h>
#include <unistd.h>

static struct reference references[64];

static struct trace trace_of(const char *pages)
{
	struct trace trace = { .references = references };

	for (; *pages; pages++) {
		const uint32_t page = (uint32_t)(*pages - 'a');

		references[trace.count++] = (struct reference){ .page = page, .dense = page };
		trace.unique = page >= trace.unique ? page + 1 : trace.unique;
	}
	return trace;
}

static uint64_t misses(struct model *(*model)(const struct trace *, uint64_t), const char *pages, uint64_t capacity)
{
	const struct trace trace = trace_of(pages);

	return model_misses(model(&trace, capacity), &trace);
}

START_TEST(lru_and_the_optimum_are_by_the_book)
{
	/* A loop that is larger than the cache: LRU never hits, the optimum keeps all but one place. */
	ck_assert_uint_eq(misses(model_lru, "abcabcabc", 2), 9);
	ck_assert_uint_eq(misses(model_belady, "abcabcabc", 2), 6);
	ck_assert_uint_eq(misses(model_lru, "abacab", 2), 4);
	ck_assert_uint_eq(misses(model_belady, "abacab", 2), 4);
	ck_assert_uint_eq(misses(model_lru, "aabbccaa", 3), 3);
	ck_assert_uint_eq(misses(model_arc, "aabbccaa", 3), 3);
}
END_TEST

START_TEST(arc_keeps_what_was_used_twice_beside_a_scan)
{
	ck_assert_uint_eq(misses(model_arc, "ababcdefghab", 4), 8);
	ck_assert_uint_eq(misses(model_lru, "ababcdefghab", 4), 10);
}
END_TEST

START_TEST(s3fifo_keeps_what_was_hit_twice_and_gives_pages_back)
{
	struct trace trace = trace_of("aaabbbcdefghijklmnopqrstab");
	struct model *model = model_s3fifo(&trace, 10);
	unsigned missed = 0;

	for (size_t i = 0; i < trace.count; i++)
		missed += !model->access(model, trace.references[i].dense);
	ck_assert_uint_eq(missed, 20);
	model->take(model, 8);
	model->give(model, 8);
	missed = 0;
	for (uint32_t page = 0; page < trace.unique; page++)
		missed += !model->access(model, page);
	ck_assert_uint_ge(missed, trace.unique - 2);
	model->destroy(model);
}
END_TEST

static bool read_text(const char *text, struct trace *trace, char *error)
{
	char file[] = "/tmp/trace-XXXXXX";
	const int fd = mkstemp(file);
	bool fine;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	fine = trace_read(trace, file, error, 256);
	unlink(file);
	return fine;
}

START_TEST(traces_are_read_and_wrong_ones_refused)
{
	static const char *const wrong[] = { "", "X 1\n", "R\n", "R -1\n", "R 1 2\n", "R 1\nW x\n", "R 1099511627776\n" };
	struct trace trace;
	char error[256];

	ck_assert(read_text("R 7\nW 900\nR 7\n", &trace, error));
	ck_assert_uint_eq(trace.count, 3);
	ck_assert_uint_eq(trace.unique, 2);
	ck_assert_uint_eq(trace.page_max, 900);
	ck_assert_uint_eq(trace.references[2].dense, 0);
	ck_assert(trace.references[1].write);
	ck_assert_str_eq(trace.name, "trace");
	trace_free(&trace);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!read_text(wrong[i], &trace, error), "case %u", i);
	ck_assert(!read_text("R 1\nW x\n", &trace, error));
	ck_assert_ptr_nonnull(strstr(error, "line 2"));
	ck_assert(!trace_read(&trace, "/nonexistent/trace.gz", error, sizeof(error)));
}
END_TEST

HOST_TEST_MAIN("replay", lru_and_the_optimum_are_by_the_book, arc_keeps_what_was_used_twice_beside_a_scan,
	       s3fifo_keeps_what_was_hit_twice_and_gives_pages_back, traces_are_read_and_wrong_ones_refused)
