// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which owner has what of the heaps: owners and what they leave behind, and the monitor's commands.
 */
#include "host/host_test.h"

#include <inttypes.h>
#include <stdio.h>

#include "fake/heap_fixture.h"
#include "heap/object/call_sites.h"
#include "runtime/base/bits.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct command_table table;
static char text[32 * 1024];

static void setup(void)
{
	const struct memory_config config = { .watermarks.atomic_percent = 100,
					      .guard = { .one_in = 1000, .bytes = BLOCK_BYTES } };

	host_log_level(LOG_ERROR);
	machine_init_with(&machine, MACHINE_START, 64, &config);
	command_table_init(&table);
	memory_commands_register(memory, &table);
}

static const char *output_of(const char *command)
{
	char line[64];

	snprintf(line, sizeof(line), "%s", command);
	host_output_capture(text, sizeof(text));
	ck_assert_int_eq(command_execute(&table, line), STATUS_OK);
	host_output_capture(NULL, 0);
	return text;
}

/* The line that starts with `name`, cut off from the others; NULL: there is none. */
static char *line_of(const char *output, const char *name)
{
	static char line[256];

	for (const char *at = output; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		const size_t length = strlen(name);

		if (strncmp(at, name, length) != 0 || at[length] != ' ')
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		return line;
	}
	return NULL;
}

/* Owners --------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void *camera_probe(struct heap *heap, size_t bytes)
{
	void *object = heap_alloc(heap, bytes, 0);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static __attribute__((noinline)) void *camera_start(struct heap *heap, size_t bytes)
{
	void *object = heap_alloc(heap, bytes, 0);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static void free_alien(void *heap)
{
	heap_free(heap, general_heap_alloc(&memory->general, 64, 0));
}

static struct site_sum tracked_count(struct tracked_heap *tracked)
{
	struct call_sites sums = { 0 };

	tracked_heap_count_sites(tracked, TRACKED_ALL, &sums);
	return sums.all;
}

START_TEST(an_owner_has_what_it_did_not_free)
{
	struct tracked_heap tracked;
	void *objects[50];
	char message[256];

	setup();
	memory_tracked_heap_init(memory, &tracked, "camera 00:05.0");
	for (unsigned i = 0; i < 50; i++) {
		objects[i] = heap_alloc(&tracked.heap, 16 + 8 * i, 64);
		ck_assert(is_aligned((uintptr_t)objects[i], 64));
		memset(objects[i], 1, 16 + 8 * i);
	}
	ck_assert_uint_eq(tracked_count(&tracked).objects, 50);
	ck_assert_uint_eq(tracked_count(&tracked).bytes, 50 * 16 + 8 * (49 * 50 / 2));
	ck_assert_int_eq(tracked_heap_fini(&tracked, &memory->tracked), STATUS_BUSY);
	ck_assert_ptr_null(heap_alloc(&tracked.heap, 0, 0));
	ck_assert(host_panics(free_alien, &tracked.heap, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "heap of camera 00:05.0"));
	for (unsigned i = 0; i < 50; i++)
		heap_free(&tracked.heap, objects[i * 7 % 50]);
	heap_free(&tracked.heap, NULL);
	ck_assert_uint_eq(tracked_count(&tracked).bytes, 0);
	ck_assert_int_eq(tracked_heap_fini(&tracked, &memory->tracked), STATUS_OK);
	machine_fini(&machine);
}
END_TEST

/* As at the end of a run. */
static const char *left_output(void)
{
	host_output_capture(text, sizeof(text));
	tracked_heaps_write(&memory->tracked, TRACKED_LEFT, call_sites_print);
	host_output_capture(NULL, 0);
	return text;
}

/* "allocated by" a place within the function. */
static void expect_site(const char *output, const char *before, const void *function)
{
	const char *at = strstr(output, before);

	ck_assert_msg(at, "\"%s\" is missing in: %s", before, output);
	ck_assert_uint_lt(strtoull(at + strlen(before), NULL, 16) - (uintptr_t)function, 500);
}

START_TEST(what_is_left_behind_is_reported_once_with_its_callers)
{
	struct tracked_heap tracked;
	void *objects[4];

	setup();
	memory_tracked_heap_init(memory, &tracked, "camera 00:05.0");
	for (unsigned i = 0; i < 3; i++)
		objects[i] = camera_probe(&tracked.heap, 100);
	objects[3] = camera_start(&tracked.heap, 5000);
	ck_assert_str_eq(left_output(), ""); /* a driver at work */
	host_output_capture(text, sizeof(text));
	ck_assert_uint_eq(tracked_heap_report_left(&tracked), 4);
	host_output_capture(NULL, 0);
	expect_site(text, "camera 00:05.0 left behind: 3 objects, 300 bytes, allocated by ", camera_probe);
	expect_site(text, "camera 00:05.0 left behind: 1 objects, 5000 bytes, allocated by ", camera_start);
	ck_assert(strstr(text, "5000 bytes") < strstr(text, "300 bytes"));

	/* Only once; but the command shows it again. */
	host_output_capture(text, sizeof(text));
	ck_assert_uint_eq(tracked_heap_report_left(&tracked), 0);
	host_output_capture(NULL, 0);
	ck_assert_str_eq(text, "");
	expect_site(output_of("heaps leaks"), "camera 00:05.0       3 objects, 300 bytes, allocated by ", camera_probe);
	heap_free(&tracked.heap, objects[0]);
	objects[0] = camera_probe(&tracked.heap, 200); /* the driver has come back */
	expect_site(left_output(), "camera 00:05.0 left behind: 2 objects, 200 bytes, allocated by ", camera_probe);
	expect_site(text, "camera 00:05.0 left behind: 1 objects, 5000 bytes, allocated by ", camera_start);
	for (unsigned i = 0; i < 4; i++)
		heap_free(&tracked.heap, objects[i]);
	ck_assert_ptr_null(strstr(output_of("heaps leaks"), "camera"));
	ck_assert_str_eq(left_output(), "");
	ck_assert_int_eq(tracked_heap_fini(&tracked, &memory->tracked), STATUS_OK);
	machine_fini(&machine);
}
END_TEST

START_TEST(a_failed_allocation_leaves_nothing)
{
	struct tracked_heap tracked;
	void *all;

	setup();
	memory_tracked_heap_init(memory, &tracked, "camera");
	ck_assert_ptr_null(heap_alloc(&tracked.heap, memory_total_bytes(memory), 0));
	ck_assert_uint_eq(tracked_count(&tracked).objects, 0);
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	all = heap_alloc(&tracked.heap, 4 * MIB, 0);
	ck_assert_ptr_nonnull(all);
	heap_free(&tracked.heap, all);
	ck_assert_int_eq(tracked_heap_fini(&tracked, &memory->tracked), STATUS_OK);
	machine_fini(&machine);
}
END_TEST

/* Commands ------------------------------------------------------------------------------------- */

START_TEST(heaps_shows_each_cache)
{
	struct objcache cache;
	void *objects[100];
	unsigned long long used, cached, free, blocks;
	char *line;

	setup();
	ck_assert_int_eq(
		memory_objcache_init(memory, &cache, (struct objcache_config){ .name = "nodes", .object_bytes = 4096 }),
		STATUS_OK);
	for (unsigned i = 0; i < 100; i++)
		objects[i] = objcache_alloc(&cache);
	for (unsigned i = 0; i < 40; i++)
		objcache_free(&cache, objects[i]);
	line = line_of(output_of("heaps"), "nodes");
	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line, "nodes 4 KB %llu %llu %llu %llu 2 MB", &used, &cached, &free, &blocks), 4);
	ck_assert_uint_eq(used, 60);
	ck_assert_uint_ge(cached, 40);
	ck_assert_uint_eq(used + cached + free, 512);
	ck_assert_uint_eq(blocks, 1);
	ck_assert_ptr_nonnull(
		strstr(text, "guarded: one in 1000 objects, one in 0 ms on a CPU at most; 0 of 207 places in use"));
	ck_assert_ptr_nonnull(line_of(text, "general"));
	for (unsigned i = 40; i < 100; i++)
		objcache_free(&cache, objects[i]);
	ck_assert_int_eq(objcache_fini(&cache), STATUS_OK);
	machine_fini(&machine);
}
END_TEST

START_TEST(heaps_leaks_names_caches_and_guarded_objects)
{
	void *objects[3], *guarded;

	setup();
	for (unsigned i = 0; i < 3; i++)
		objects[i] = general_heap_alloc(&memory->general, 1024, 0);
	guarded = guard_pool_alloc(&memory->general.guard, 500, 1, (const void *)0xbee);
	(void)output_of("heaps leaks");
	ck_assert_str_eq(line_of(text, "general-1024"), "general-1024         3 objects, 3072 bytes");
	ck_assert_str_eq(line_of(text, "guarded"), "guarded              1 objects, 500 bytes, allocated by 0xbee");
	general_heap_free(&memory->general, guarded);
	for (unsigned i = 0; i < 3; i++)
		general_heap_free(&memory->general, objects[i]);
	ck_assert_str_eq(output_of("heaps leaks"), "");
	machine_fini(&machine);
}
END_TEST

START_TEST(heaps_refuse_what_they_do_not_know)
{
	static const char *const wrong[] = { "heaps all", "heaps leaks all", "heaps top", "mem owners all" };
	char line[64];

	setup();
	for (unsigned i = 0; i < ARRAY_LENGTH(wrong); i++) {
		host_output_capture(text, sizeof(text));
		snprintf(line, sizeof(line), "%s", wrong[i]);
		ck_assert_int_eq(command_execute(&table, line), STATUS_INVALID);
		host_output_capture(NULL, 0);
	}
	machine_fini(&machine);
}
END_TEST

START_TEST(sums_keep_the_largest_and_lose_nothing)
{
	struct call_sites sums = { 0 };
	uint64_t objects = 0, bytes = 0, line;
	const char *rest = text;

	setup();
	for (uintptr_t round = 0; round < 2; round++)
		for (uintptr_t site = 1; site <= CALL_SITES_MAX + 10; site++)
			call_sites_add(&sums, (const void *)site, 1, site);
	for (unsigned i = 0; i <= CALL_SITES_MAX; i++) {
		objects += sums.sums[i].objects;
		bytes += sums.sums[i].bytes;
	}
	ck_assert_uint_eq(objects, 2 * (CALL_SITES_MAX + 10));
	ck_assert_uint_eq(bytes, (CALL_SITES_MAX + 10) * (CALL_SITES_MAX + 11));
	host_output_capture(text, sizeof(text));
	call_sites_write(&sums, "x: ", call_sites_print);
	host_output_capture(NULL, 0);
	for (uintptr_t site = CALL_SITES_MAX; site > 0; site--, rest = strchr(rest, '\n') + 1) {
		ck_assert_int_eq(sscanf(rest, "x: 2 objects, %" SCNu64 " bytes", &line), 1);
		ck_assert_uint_eq(line, 2 * site);
	}
	ck_assert_str_eq(rest, "x: 20 objects, 590 bytes, allocated by others\n");
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("heap_reports", an_owner_has_what_it_did_not_free, what_is_left_behind_is_reported_once_with_its_callers,
	       a_failed_allocation_leaves_nothing, heaps_shows_each_cache, heaps_leaks_names_caches_and_guarded_objects,
	       heaps_refuse_what_they_do_not_know, sums_keep_the_largest_and_lose_nothing)
