// SPDX-License-Identifier: BSD-2-Clause
/* Sets the machine up, has everything looked at, and prints what has been recorded. */
#include "holds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/platform_host.h"
#include "runtime/base/holds.h"

#define HOLE_START (3 * GIB)
#define HOLE_END   (4 * GIB)

static uint64_t instructions(void)
{
	uint64_t count;

	__asm__ volatile("movq %%r15, %0" : "=r"(count));
	return count;
}

static void instructions_add(uint64_t count)
{
	__asm__ volatile("addq %0, %%r15" : : "r"(count) : "cc");
}

/* The linker has others call these in their place. */
void *__real_memcpy(void *target, const void *source, size_t bytes);
void *__real_memmove(void *target, const void *source, size_t bytes);
void *__real_memset(void *target, int value, size_t bytes);
int __real_memcmp(const void *a, const void *b, size_t bytes);
void *__wrap_memcpy(void *target, const void *source, size_t bytes);
void *__wrap_memmove(void *target, const void *source, size_t bytes);
void *__wrap_memset(void *target, int value, size_t bytes);
int __wrap_memcmp(const void *a, const void *b, size_t bytes);

void *__wrap_memcpy(void *target, const void *source, size_t bytes)
{
	instructions_add(bytes / 8);
	return __real_memcpy(target, source, bytes);
}

void *__wrap_memmove(void *target, const void *source, size_t bytes)
{
	instructions_add(bytes / 8);
	return __real_memmove(target, source, bytes);
}

void *__wrap_memset(void *target, int value, size_t bytes)
{
	instructions_add(bytes / 8);
	return __real_memset(target, value, bytes);
}

int __wrap_memcmp(const void *a, const void *b, size_t bytes)
{
	instructions_add(bytes / 8);
	return __real_memcmp(a, b, bytes);
}

void must(bool condition, const char *what)
{
	if (condition)
		return;
	host_output_capture(NULL, 0);
	fprintf(stderr, "holds: %s\n", what);
	exit(EXIT_FAILURE);
}

void cpu_be(unsigned cpu)
{
	platform_self.number = cpu + 1;
	platform_self.slot = cpu + 1;
}

static void command_run(struct bench_machine *machine, const char *line)
{
	char words[80];

	snprintf(words, sizeof(words), "%s", line);
	host_output_capture(machine->text, TEXT_BYTES);
	(void)command_execute(&machine->commands, words);
}

void commands_run(struct bench_machine *machine)
{
	list_for_each (link, &machine->commands.commands)
		command_run(machine, container_of(link, struct command, link)->name);
	command_run(machine, "trace 100000");
	command_run(machine, "drain 1G");
}

/* All of it reads as zero, and takes no memory until it is written to. */
static void memory_make_sparse(struct phys_range range)
{
	must(mmap(platform_virt(range.start), range.bytes, PROT_READ | PROT_WRITE,
		  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED,
	     "mmap");
}

static void memory_set_up(struct bench_machine *machine)
{
	const struct memory_config config = {
		.watermarks.min_bytes = 64 * MIB,
		.watermarks.low_bytes = 256 * MIB,
		.watermarks.high_bytes = 272 * MIB,
		.watermarks.atomic_percent = 50,
		.general_retain_bytes = 2 * MIB,
		.guard = { .one_in = 16384, .interval_ns = 10 * NS_PER_MS, .bytes = 2 * MIB },
		.dma_retain_bytes = 2 * MIB,
		.guarantee = { .bytes = MEMORY_GB / 8 * GIB, .piece_bytes = 4 * MIB },
		.trace_events = 1024,
	};
	struct host_arena *arena = host_arena_create(BLOCK_BYTES, MEMORY_GB * GIB + HOLE_END - HOLE_START);
	const struct phys_range all = host_arena_range(arena);
	const struct phys_range ranges[] = {
		{ all.start, HOLE_START - all.start.value },
		{ { HOLE_END }, all.start.value + all.bytes - HOLE_END },
	};
	const uint64_t bytes = memory_metadata_bytes(ranges, ARRAY_LENGTH(ranges));
	void *metadata = aligned_alloc(64, (bytes + 63) / 64 * 64);

	memory_make_sparse(all);
	must(metadata && memory_init(&machine->memory, &config, ranges, ARRAY_LENGTH(ranges), metadata) == STATUS_OK,
	     "no memory");
	command_table_init(&machine->commands);
	memory_commands_register(&machine->memory, &machine->commands);
	owner_init(&machine->fixed, "fixed", false);
	owner_init(&machine->movable, "movable", true);
}

static void print_holds(void)
{
	static struct hold_report reports[HOLD_SITES_MAX];
	uint64_t lost;
	const unsigned count = holds_get(reports, &lost);

	must(lost == 0, "more places than the table has room for");
	host_output_capture(NULL, 0);
	for (unsigned i = 0; i < count; i++)
		printf("hold %lx %lu %lu %s\n", (unsigned long)reports[i].site - 1, (unsigned long)reports[i].longest,
		       (unsigned long)reports[i].count, reports[i].name);
}

/* Does not return to the C library, whose r15 it was. */
int main(void)
{
	static struct bench_machine machine;

	holds_set_clock(instructions);
	host_cpus_set(CPUS);
	host_clock_set(HOST_CLOCK_ALONE);
	host_output_capture(machine.text, TEXT_BYTES);
	must(platform_cpu() == 0, "another thread is the first CPU");
	memory_set_up(&machine);
	blocks_look_at(&machine);
	heaps_look_at(&machine);
	cache_look_at(&machine);
	print_holds();
	exit(EXIT_SUCCESS);
}
