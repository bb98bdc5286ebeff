// SPDX-License-Identifier: BSD-2-Clause
/* The ring of events. */
#include "host/host_test.h"

#include <stdio.h>

#include "fake/heap_fixture.h"

#define EVENTS       64
#define WRITERS      3
#define TURNS        200000
#define READER_TURNS (5 * TURNS)

static struct machine machine;
static struct event_trace trace;

static void setup(uint64_t events)
{
	machine_init(&machine, MACHINE_START, 4, 0, 0);
	ck_assert_int_eq(trace_init(&trace, &machine.memory.metadata, events), STATUS_OK);
}

static void write_events(uint64_t count)
{
	char name[32];

	for (uint64_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "event %llu", (unsigned long long)i);
		trace_event(&trace, (enum trace_kind)(i % TRACE_KINDS), name, i, 3 * i);
	}
}

static void check_record(uint64_t number)
{
	struct trace_record record;
	char name[32];

	snprintf(name, sizeof(name), "event %llu", (unsigned long long)number);
	ck_assert(trace_read(&trace, number, &record));
	ck_assert_str_eq(record.who, name);
	ck_assert_int_eq(record.kind, number % TRACE_KINDS);
	ck_assert_uint_eq(record.first, number);
	ck_assert_uint_eq(record.second, 3 * number);
}

START_TEST(the_last_events_are_kept)
{
	struct trace_record record;

	setup(EVENTS);
	ck_assert(!trace_read(&trace, 0, &record));
	write_events(EVENTS);
	for (uint64_t number = 0; number < EVENTS; number++)
		check_record(number);
	ck_assert(!trace_read(&trace, EVENTS, &record));
	trace_event(&trace, TRACE_WAIT, "a name that is longer than there is room for", 1, 2);
	ck_assert(!trace_read(&trace, 0, &record));
	check_record(1);
	ck_assert(trace_read(&trace, EVENTS, &record));
	ck_assert_str_eq(record.who, "a name that is longer t");
	trace_event(&trace, TRACE_WAIT, NULL, 1, 2);
	ck_assert(trace_read(&trace, EVENTS + 1, &record));
	ck_assert_str_eq(record.who, "");
	machine_fini(&machine);
}
END_TEST

START_TEST(sizes_that_cannot_be_are_refused)
{
	struct trace_record record;

	machine_init(&machine, MACHINE_START, 4, 0, 0);
	ck_assert_int_eq(trace_init(&trace, &machine.memory.metadata, 48), STATUS_INVALID);
	ck_assert_int_eq(trace_init(&trace, &machine.memory.metadata, 2 * TRACE_EVENTS_MAX), STATUS_INVALID);
	ck_assert_int_eq(trace_init(&trace, &machine.memory.metadata, TRACE_EVENTS_MAX), STATUS_OK);
	write_events(TRACE_EVENTS_MAX);
	check_record(0);
	check_record(TRACE_EVENTS_MAX - 1);
	ck_assert_int_eq(trace_init(&trace, &machine.memory.metadata, 0), STATUS_OK);
	trace_event(&trace, TRACE_WAIT, "unseen", 1, 2);
	ck_assert(!trace_read(&trace, 0, &record));
	machine_fini(&machine);
}
END_TEST

START_TEST(print_shows_the_last_ones)
{
	static char text[64 * 1024];

	setup(EVENTS);
	write_events(EVENTS + 2);
	host_output_capture(text, sizeof(text));
	trace_print(&trace, 3);
	host_output_capture(NULL, 0);
	ck_assert_ptr_null(strstr(text, "event 62 "));
	for (unsigned i = 63; i < 66; i++) {
		char name[32];

		snprintf(name, sizeof(name), "event %u ", i);
		ck_assert_ptr_nonnull(strstr(text, name));
	}
	ck_assert_ptr_nonnull(strstr(text, "66 events, 3 of them shown, 0 lost\n"));
	machine_fini(&machine);
}
END_TEST

static struct memory *with_cache(struct test_cache *cache)
{
	struct memory *memory = &machine.memory;

	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 32, 0, 0);
	ck_assert_int_eq(trace_init(&memory->reclaim.trace, &memory->metadata, EVENTS), STATUS_OK);
	test_cache_init(cache, &machine, "cache", 0);
	(void)test_cache_fill(cache, FRAME_CLEAN);
	return memory;
}

/* The kinds of the events so far, as letters. */
static void story(struct event_trace *of, char *letters)
{
	static const char letter[TRACE_KINDS] = {
		[TRACE_REQUEST] = 'R',  [TRACE_GIVEN] = 'G',  [TRACE_FAILED] = 'F',  [TRACE_ASKED] = 'a',
		[TRACE_ANSWERED] = 'b', [TRACE_WINDOW] = 'w', [TRACE_TAKEN] = 'x',   [TRACE_WAIT] = 'z',
		[TRACE_BLOCK] = 'k',    [TRACE_STUCK] = 's',  [TRACE_RETURNED] = 'r'
	};
	struct trace_record record;

	for (uint64_t number = 0; trace_read(of, number, &record); number++)
		*letters++ = letter[record.kind];
	*letters = '\0';
}

START_TEST(a_request_tells_its_story)
{
	struct test_cache cache;
	struct owner driver;
	struct memory *memory = with_cache(&cache);
	const struct memory_request run = { .blocks = 4, .owner = &driver };
	const struct memory_request all = { .blocks = 32, .owner = &driver };
	struct phys_addr address, none;
	struct trace_record last;
	char letters[EVENTS + 1];

	owner_init(&driver, "driver", false);
	ck_assert_int_eq(memory_blocks_alloc(memory, &run, &address), STATUS_OK);
	story(&memory->reclaim.trace, letters);
	ck_assert_int_eq(letters[0], 'R');
	ck_assert_ptr_nonnull(strchr(letters, 'w'));
	ck_assert_ptr_nonnull(strstr(letters, "abx"));
	ck_assert_int_eq(letters[strlen(letters) - 1], 'G');
	ck_assert_int_eq(memory_blocks_alloc(memory, &all, &none), STATUS_NO_MEMORY);
	ck_assert(trace_read(&memory->reclaim.trace, atomic_load(&memory->reclaim.trace.next) - 1, &last));
	ck_assert_int_eq(last.kind, TRACE_FAILED);
	ck_assert_str_eq(last.who, "driver");
	memory_blocks_free(memory, address);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

static _Atomic uint64_t torn;

/* Every part of an event says the same, or it was torn. */
static void write_or_read(void *context, unsigned index)
{
	static const char *const names[] = { "pear, apple and quince", "sun, moon and stars" };
	struct trace_record record;

	(void)context;
	for (uint64_t i = 0; i < (index < WRITERS ? TURNS : READER_TURNS); i++) {
		const uint64_t value = i * WRITERS + index;

		if (index < WRITERS) {
			trace_event(&trace, (enum trace_kind)(value % TRACE_KINDS), names[value / 8 % 2], value, ~value);
			continue;
		}
		const uint64_t next = atomic_load_explicit(&trace.next, memory_order_relaxed);
		if (next < 2 || !trace_read(&trace, next - 2, &record))
			continue;
		if (record.second != ~record.first || record.kind != record.first % TRACE_KINDS ||
		    strcmp(record.who, names[record.first / 8 % 2]) != 0)
			atomic_fetch_add(&torn, 1);
	}
}

START_TEST(threads_see_whole_events)
{
	setup(2);
	host_threads_run(WRITERS + 2, write_or_read, NULL);
	ck_assert_uint_eq(atomic_load(&trace.next), WRITERS * TURNS);
	ck_assert_uint_eq(atomic_load(&torn), 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("trace", the_last_events_are_kept, sizes_that_cannot_be_are_refused, print_shows_the_last_ones,
	       a_request_tells_its_story, threads_see_whole_events)
