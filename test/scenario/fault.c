// SPDX-License-Identifier: BSD-2-Clause
/*
 * A fault on purpose, to see what a panic prints and how it ends the machine. fault=null reads page
 * 0; write writes to the program's own code; execute jumps into data; stack runs over the guard
 * page; divide divides by 0; assert fails an assertion; overrun writes behind the end of an object
 * of the heap, freed reads one that was freed: both need one that is guarded; vector copies with
 * vector registers in a task that may not use them, handler does so in a timer callback that
 * interrupts a task that may; typed panics once a key waits at the serial port of a machine with
 * one CPU.
 */
#include "fault.h"

#include <stdatomic.h>

#include "heap/memory.h"
#include "runtime/base/assert.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"
#include "runtime/kernel/timer.h"
#include "app/scenario.h"

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
	for (uint64_t tries = 0; tries < 100ull * MAX(memory->general.guard.one_in, 1u); tries++) {
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

static _Atomic bool copied;

static void sample_copy(void)
{
	static struct fault_sample from, to;

	fault_sample_copy(&to, &from);
	atomic_store(&copied, true);
}

static void copy_in_task(void *context)
{
	(void)context;
	sample_copy();
}

static void fault_vector(void)
{
	const struct task_options options = { .name = "general", .priority = TASK_NORMAL, .cpu = -1 };
	struct task *task;

	if (task_spawn(&options, copy_in_task, NULL, &task) == STATUS_OK)
		task_join(task);
}

static void copy_in_callback(struct timer *timer)
{
	(void)timer;
	sample_copy();
}

/* Waits without sleeping: the callback interrupts this task, which may use vector registers. */
static void fault_handler(void)
{
	static struct timer timer;

	timer_init(&timer, copy_in_callback);
	timer_start(&timer, platform_now_ns() + NS_PER_MS);
	while (!atomic_load(&copied))
		platform_cpu_relax();
}

#define SERIAL_STATUS_PORT 0x3fdu
#define SERIAL_RECEIVED    1u

static bool key_is_waiting(void)
{
	unsigned char status = 0;

	__asm__ volatile("inb %w1, %0" : "=a"(status) : "Nd"(SERIAL_STATUS_PORT));
	return status & SERIAL_RECEIVED;
}

/* With interrupts off on the only CPU, nothing takes what is typed. */
static void fault_typed(void)
{
	(void)platform_interrupts_save();
	while (!key_is_waiting())
		platform_cpu_relax();
	platform_panic("a key was typed");
}

SCENARIO(fault, "fail on purpose: fault=null, write, execute, stack, divide, assert, overrun, freed, vector, handler or typed")
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
	else if (strcmp(kind, "vector") == 0)
		fault_vector();
	else if (strcmp(kind, "handler") == 0)
		fault_handler();
	else if (strcmp(kind, "typed") == 0)
		fault_typed();
	else
		return STATUS_INVALID;
	print("The fault was not noticed.\n");
	return STATUS_CORRUPT;
}
