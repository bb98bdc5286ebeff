// SPDX-License-Identifier: BSD-2-Clause
/*
 * Characters come by interrupt, and the console's task looks for more at each of its rounds. So a
 * lost interrupt, or a device without one, does not make the console deaf. At each time it takes a
 * bounded number: a broken device says for ever that there are more.
 */
#include "runtime/console/console.h"

#include <stdatomic.h>

#include "runtime/base/log.h"
#include "runtime/base/spinlock.h"

#include "interrupt.h"
#include "runtime/console/console_devices.h"
#include "runtime/console/keyboard.h"
#include "task.h"

#define INPUT_BYTES    1024
#define DRAW_PERIOD_NS (50 * NS_PER_MS)
#define POLL_PERIOD_NS (10 * NS_PER_MS)

static struct {
	struct spinlock lock;
	struct keyboard keyboard; /* [lock] */
	char ring[INPUT_BYTES];   /* [lock]; when it is full, what comes is dropped */
	_Atomic uint32_t head;    /* [lock] to change */
	uint32_t tail;            /* [lock] */
	_Atomic bool break_requested;
	_Atomic bool from_keyboard; /* the latest key */
	struct interrupt serial_interrupt;
	struct interrupt keyboard_interrupt;
	uint64_t period_ns;
} input = { .lock = { .name = "console input" } };

static void put_locked(char character)
{
	const uint32_t head = atomic_load_explicit(&input.head, memory_order_relaxed);

	if (character == CONSOLE_BREAK) {
		input.tail = head;
		atomic_store(&input.break_requested, true);
	}
	if (head - input.tail == INPUT_BYTES)
		return;
	input.ring[head % INPUT_BYTES] = character;
	atomic_store_explicit(&input.head, head + 1, memory_order_release);
}

static void serial_interrupt(void *context)
{
	(void)context;
	const uint64_t state = spinlock_lock_interrupts(&input.lock);
	char character;
	bool some = false;

	for (unsigned i = 0; i < INPUT_BYTES && console_poll_serial(&character); i++) {
		put_locked(character);
		some = true;
	}
	if (some)
		atomic_store(&input.from_keyboard, false);
	spinlock_unlock_interrupts(&input.lock, state);
	if (some)
		platform_wake(&input.head);
}

static void keyboard_interrupt(void *context)
{
	(void)context;
	const uint64_t state = spinlock_lock_interrupts(&input.lock);
	char text[KEYBOARD_TEXT_BYTES];
	bool some = false;

	for (unsigned i = 0; i < INPUT_BYTES && keyboard_poll(&input.keyboard, text); i++) {
		for (const char *character = text; *character; character++)
			put_locked(*character);
		some |= text[0] != '\0';
	}
	if (some)
		atomic_store(&input.from_keyboard, true);
	spinlock_unlock_interrupts(&input.lock, state);
	if (some)
		platform_wake(&input.head);
}

static void console_task(void *context)
{
	(void)context;
	for (;;) {
		serial_interrupt(NULL);
		keyboard_interrupt(NULL);
		console_refresh_from_task();
		task_sleep(input.period_ns);
	}
}

static bool attach(struct interrupt *interrupt, const char *name, int line, void (*handler)(void *context))
{
	if (line < 0)
		return false;
	if (interrupt_attach_line(interrupt, name, (unsigned)line, INTERRUPT_EDGE, handler, NULL) == STATUS_OK)
		return true;
	log_warn("console: no interrupt line %d for the %s; it is polled", line, name);
	return false;
}

status_t console_start(void)
{
	static const struct task_options options = { .name = "console", .priority = TASK_HIGH, .cpu = -1 };
	int line;

	input.period_ns = DRAW_PERIOD_NS;
	if (console_listen_serial(&line) && !attach(&input.serial_interrupt, "serial port", line, serial_interrupt))
		input.period_ns = POLL_PERIOD_NS;
	keyboard_init(&input.keyboard);
	if (input.keyboard.present && !attach(&input.keyboard_interrupt, "keyboard", KEYBOARD_LINE, keyboard_interrupt))
		input.period_ns = POLL_PERIOD_NS;
	return task_spawn(&options, console_task, NULL, NULL);
}

unsigned console_keyboard_lines(void)
{
	return atomic_load(&input.from_keyboard) ? console_screen_lines() : 0;
}

bool console_break_requested(void)
{
	return atomic_load(&input.break_requested);
}

void console_break_clear(void)
{
	atomic_store(&input.break_requested, false);
}

char console_read_character(void)
{
	for (;;) {
		const uint64_t state = spinlock_lock_interrupts(&input.lock);
		const uint32_t head = atomic_load_explicit(&input.head, memory_order_relaxed);
		const bool some = head != input.tail;
		const char character = input.ring[input.tail % INPUT_BYTES];

		if (some)
			input.tail++;
		spinlock_unlock_interrupts(&input.lock, state);
		if (some)
			return character;
		(void)platform_wait(&input.head, head, PLATFORM_FOREVER);
	}
}
