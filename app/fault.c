/*
 * A fault on purpose, to see what a panic prints and how it ends the machine. fault=null reads page 0; write writes to the
 * program's own code; execute jumps into data; stack runs over the guard page; divide divides by 0; assert fails an assertion;
 * overrun writes behind the end of an object of the heap, freed reads one that was freed: both need one that is guarded.
 */
#include "heap/memory.h"
#include "runtime/base/assert.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "scenario.h"

/* What the compiler cannot see through: it would turn these into undefined behaviour of its own. */
static void *opaque(void *pointer)
{
	__asm__ volatile("" : "+r"(pointer));
	return pointer;
}

static void fault_null(void)
{
	(void)*(volatile char *)opaque(NULL);
}

static void fault_write(void)
{
	*(volatile char *)opaque((void *)fault_null) = 0;
}

static void fault_execute(void)
{
	static unsigned char code[] = { 0xc3 }; /* ret */

	((void (*)(void))opaque(code))();
}

static unsigned fault_stack(unsigned depth)
{
	volatile char frame[1024];

	if (depth == UINT32_MAX)
		return 0;
	frame[depth % sizeof(frame)] = (char)depth;
	return fault_stack(depth + 1) + (unsigned char)frame[depth % sizeof(frame)];
}

static void fault_divide(void)
{
	unsigned dividend = 1, zero = 0;

	__asm__ volatile("divl %1" : "+a"(dividend) : "r"(zero), "d"(0));
}

static void fault_assert(void)
{
	assert(opaque(NULL) != NULL);
}

#define OBJECT_BYTES 96

/* Their names have to be in the report. */
static __attribute__((noinline)) char *object_make(struct memory *memory)
{
	char *object = heap_alloc(memory_general_heap(memory), OBJECT_BYTES, 0);

	return opaque(object);
}

static __attribute__((noinline)) void object_destroy(struct memory *memory, char *object)
{
	heap_free(memory_general_heap(memory), object);
	(void)opaque(object);
}

/* An ordinary object would not be noticed at once; one in so many is. */
static char *object_guarded(struct memory *memory)
{
	for (uint64_t tries = 0; tries < 100ull * MAX(memory->config.guard.one_in, 1u); tries++) {
		char *object = object_make(memory);

		if (guard_pool_owns(&memory->general.guard, object))
			return object;
		object_destroy(memory, object);
	}
	return NULL;
}

static void fault_overrun(struct memory *memory)
{
	volatile char *object = object_guarded(memory);

	if (object)
		object[OBJECT_BYTES] = 0;
}

static void fault_freed(struct memory *memory)
{
	char *object = object_guarded(memory);

	if (!object)
		return;
	object_destroy(memory, object);
	(void)*(volatile char *)opaque(object);
}

SCENARIO(fault, "fail on purpose: fault=null, write, execute, stack, divide, assert, overrun or freed")
{
	char kind[16] = "null";

	options_get(scenario->options, "fault", kind, sizeof(kind));
	print("Fault on purpose: %s.\n", kind);
	if (strcmp(kind, "null") == 0)
		fault_null();
	else if (strcmp(kind, "write") == 0)
		fault_write();
	else if (strcmp(kind, "execute") == 0)
		fault_execute();
	else if (strcmp(kind, "stack") == 0)
		print("%u\n", fault_stack(0));
	else if (strcmp(kind, "divide") == 0)
		fault_divide();
	else if (strcmp(kind, "assert") == 0)
		fault_assert();
	else if (strcmp(kind, "overrun") == 0)
		fault_overrun(scenario->environment->memory);
	else if (strcmp(kind, "freed") == 0)
		fault_freed(scenario->environment->memory);
	else
		return STATUS_INVALID;
	print("The fault was not noticed.\n");
	return STATUS_CORRUPT;
}
