// SPDX-License-Identifier: BSD-2-Clause
/*
 * Simulated physical memory: an arena is a file in memory, so that its pages can be mapped a second
 * time, in any order.
 */
#define _GNU_SOURCE
#include "platform_host.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/bits.h"

#define ARENAS_MAX 8

static void fail(const char *what)
{
	perror(what);
	abort();
}

struct host_arena {
	uint64_t start; /* physical */
	uint64_t bytes;
	char *memory;
	int file;
};

static struct host_arena arenas[ARENAS_MAX];

/*
 * Addresses for so many bytes, which are aligned to blocks where those of the memory are, as in the
 * kernel's direct map.
 */
static char *aligned_hole(uint64_t start, uint64_t bytes)
{
	const uint64_t room = bytes + 2 * BLOCK_BYTES;
	char *all = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *hole;

	if (all == MAP_FAILED)
		fail("mmap");
	hole = (char *)align_up((uintptr_t)all, BLOCK_BYTES) + start % BLOCK_BYTES;
	if (hole > all)
		munmap(all, (size_t)(hole - all));
	munmap(hole + bytes, (size_t)(all + room - (hole + bytes)));
	return hole;
}

struct host_arena *host_arena_create(uint64_t start, uint64_t bytes)
{
	struct host_arena *arena = arenas;

	while (arena->bytes != 0)
		if (++arena == arenas + ARENAS_MAX)
			fail("host platform: too many arenas");
	arena->file = memfd_create("arena", MFD_CLOEXEC);
	if (arena->file < 0 || ftruncate(arena->file, (off_t)bytes) != 0)
		fail("memfd_create");
	arena->memory = mmap(aligned_hole(start, bytes), bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
			     arena->file, 0);
	if (arena->memory == MAP_FAILED)
		fail("mmap");
	arena->start = start;
	arena->bytes = bytes;
	return arena;
}

struct phys_range host_arena_range(const struct host_arena *arena)
{
	return (struct phys_range){ { arena->start }, arena->bytes };
}

void host_arena_destroy(struct host_arena *arena)
{
	munmap(arena->memory, arena->bytes);
	close(arena->file);
	*arena = (struct host_arena){ 0 };
}

static struct host_arena *arena_of(uint64_t address)
{
	for (struct host_arena *arena = arenas; arena < arenas + ARENAS_MAX; arena++)
		if (address - arena->start < arena->bytes)
			return arena;
	platform_panic("no arena has physical address 0x%lx", (unsigned long)address);
}

struct phys_addr platform_phys(const void *memory)
{
	for (struct host_arena *arena = arenas; arena < arenas + ARENAS_MAX; arena++)
		if ((uint64_t)((const char *)memory - arena->memory) < arena->bytes)
			return (struct phys_addr){ arena->start + (uint64_t)((const char *)memory - arena->memory) };
	platform_panic("%p is no memory of the direct map", memory);
}

void *platform_virt(struct phys_addr address)
{
	struct host_arena *arena = arena_of(address.value);

	return arena->memory + (address.value - arena->start);
}

static _Atomic bool map_refuse;

void host_map_refuse(bool refuse)
{
	atomic_store(&map_refuse, refuse);
}

status_t platform_map(const struct phys_range *pieces, uint32_t count, void **mapped)
{
	uint64_t bytes = 0;
	char *base;

	if (!platform_may_sleep())
		platform_panic("platform_map where nothing may sleep");
	if (atomic_load(&map_refuse))
		return STATUS_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++)
		bytes += pieces[i].bytes;
	base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return STATUS_NO_MEMORY;
	bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct host_arena *arena = arena_of(pieces[i].start.value);
		const off_t offset = (off_t)(pieces[i].start.value - arena->start);

		if (mmap(base + bytes, pieces[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, arena->file, offset) ==
		    MAP_FAILED)
			fail("mmap");
		bytes += pieces[i].bytes;
	}
	*mapped = base;
	return STATUS_OK;
}

void platform_unmap(void *mapped, uint64_t bytes)
{
	if (!platform_may_sleep())
		platform_panic("platform_unmap where nothing may sleep");
	if (munmap(mapped, bytes) != 0)
		fail("munmap");
}

/* Guarded memory ------------------------------------------------------------------------------- */

#define GUARDED_MAX       4
#define EXPLANATION_BYTES 400

static const struct platform_guarded *_Atomic guarded[GUARDED_MAX];
static struct sigaction others_action;

/* Faults elsewhere are left to the handler that was there before: the instruction faults again. */
static void fault_signal(int number, siginfo_t *info, void *context)
{
	char text[EXPLANATION_BYTES];

	(void)number, (void)context;
	for (unsigned i = 0; i < GUARDED_MAX; i++) {
		const struct platform_guarded *range = atomic_load(&guarded[i]);

		if (!range || (uintptr_t)info->si_addr - (uintptr_t)range->start >= range->bytes)
			continue;
		range->explain(range, info->si_addr, text, sizeof(text));
		platform_panic("page fault at %p: %s", info->si_addr, text);
	}
	sigaction(SIGSEGV, &others_action, NULL);
}

status_t platform_guard(const struct platform_guarded *range)
{
	const struct sigaction action = { .sa_sigaction = fault_signal, .sa_flags = SA_SIGINFO };
	struct sigaction before;

	if (sigaction(SIGSEGV, &action, &before) != 0)
		fail("sigaction");
	if (!(before.sa_flags & SA_SIGINFO) || before.sa_sigaction != fault_signal)
		others_action = before;
	for (unsigned i = 0; i < GUARDED_MAX; i++) {
		const struct platform_guarded *none = NULL;

		if (atomic_compare_exchange_strong(&guarded[i], &none, range))
			return STATUS_OK;
	}
	return STATUS_BUSY;
}

void platform_unguard(const struct platform_guarded *range)
{
	platform_show(range->start, range->bytes);
	for (unsigned i = 0; i < GUARDED_MAX; i++) {
		const struct platform_guarded *self = range;

		if (atomic_compare_exchange_strong(&guarded[i], &self, NULL))
			return;
	}
}

static void protect(void *start, uint64_t bytes, int rights)
{
	if (mprotect(start, bytes, rights) != 0)
		fail("mprotect");
}

void platform_hide(void *start, uint64_t bytes)
{
	protect(start, bytes, PROT_NONE);
}

void platform_show(void *start, uint64_t bytes)
{
	protect(start, bytes, PROT_READ | PROT_WRITE);
}

const char *platform_code_name(char *text, size_t size, const void *code)
{
	snprintf(text, size, "%p", code);
	return text;
}
