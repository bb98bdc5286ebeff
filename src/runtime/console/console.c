// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text goes to the serial port through a ring, and into a grid of cells, under one lock. That lock
 * gives up on a holder that is stuck, since torn text in a panic is better than none. Pixels are
 * drawn from the cells, row by row, outside of the lock, and at most some ten times a second: so a
 * flood of lines costs no drawing.
 */
#include "console.h"

#include <stdatomic.h>

#include "runtime/base/assert.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/log_ring.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"

#include "console_devices.h"
#include "framebuffer.h"
#include "serial.h"
#include "terminal.h"

/*
 * The console works before the clock does, so it counts cycles; the CPUs at hand make 2^30 to 2^33
 * a second.
 */
#define REFRESH_CYCLES (1ull << 28) /* between two drawings by writers */
#define STUCK_CYCLES   (1ull << 32) /* no holder needs the lock for as long */

#define LOG_BYTES 640

static struct {
	_Atomic bool locked;
	_Atomic bool panic;
	_Atomic bool drawing;
	_Atomic bool refreshed_by_task;
	_Atomic enum log_level log_level;
	_Atomic unsigned interruptions;
	_Atomic bool serial_has_colours;

	/* Under the lock. */
	struct serial serial;
	bool line_is_open; /* the last character was no newline */
	struct log_ring history;
	char history_text[CONSOLE_HISTORY_BYTES];
	struct terminal terminal;

	/* Owned by the CPU that set `drawing`. */
	struct framebuffer framebuffer;
	uint64_t drawn_changes;
	uint64_t drawn_at_cycles;
} console = { .log_level = LOG_INFO };

/*
 * A lock of its own, unlike struct spinlock: it gives up on a holder that is stuck (perhaps the
 * very code that this CPU's fault or NMI has interrupted), and soon in a panic. Text that is torn
 * apart is better than none.
 */
static uint64_t lock(void)
{
	const uint64_t state = platform_interrupts_save();
	const uint64_t start = __builtin_ia32_rdtsc();

	while (atomic_exchange_explicit(&console.locked, true, memory_order_acquire)) {
		if (__builtin_ia32_rdtsc() - start > (atomic_load(&console.panic) ? STUCK_CYCLES >> 8 : STUCK_CYCLES))
			break;
		platform_cpu_relax();
	}
	return state;
}

static void unlock(uint64_t state)
{
	atomic_store_explicit(&console.locked, false, memory_order_release);
	platform_interrupts_restore(state);
}

/*
 * Whether the caller waits for the serial port. In a panic, and before the console's task runs, all
 * do: nothing else would bring the text out.
 */
static bool may_wait(void)
{
	return !atomic_load_explicit(&console.refreshed_by_task, memory_order_relaxed) || atomic_load(&console.panic) ||
	       platform_may_sleep();
}

/*
 * Text that cannot wait goes to the serial port as a whole or not at all: half a line would run
 * into the next one.
 */
static void write_locked(const char *text, size_t bytes, enum terminal_colour colour, bool waits)
{
	if (bytes == 0)
		return;
	console.line_is_open = text[bytes - 1] != '\n';
	terminal_write(&console.terminal, text, bytes, colour);
	if (!console.serial.uart.present)
		return;
	if (!waits && serial_room(&console.serial) < 2 * bytes + SERIAL_COLOUR_BYTES) {
		console.serial.lost += bytes;
		return;
	}
	if (!atomic_load_explicit(&console.serial_has_colours, memory_order_relaxed))
		colour = TERMINAL_NORMAL;
	serial_write(&console.serial, text, bytes, colour);
}

/*
 * Locks with room for so many characters, for which the caller waits first: a FIFO's load at a
 * time, so that interrupts (where the caller has them on) and other writers get in.
 */
static uint64_t lock_with_room(size_t characters)
{
	uint64_t start = __builtin_ia32_rdtsc();

	for (;;) {
		const uint64_t state = lock();

		if (serial_room(&console.serial) >= characters)
			return state;
		if (serial_pump(&console.serial))
			start = __builtin_ia32_rdtsc();
		else
			serial_give_up(&console.serial, start);
		unlock(state);
		platform_cpu_relax();
	}
}

static void serial_drain(void)
{
	unlock(lock_with_room(SERIAL_BYTES));
}

/* For text of so many bytes; a newline becomes two characters. */
static uint64_t lock_for(size_t bytes, bool waits)
{
	return waits ? lock_with_room(MIN(2 * bytes, SERIAL_BYTES)) : lock();
}

/* One row at a time, so that writers never wait for pixels. */
static void draw_row(unsigned row)
{
	struct terminal_cell cells[TERMINAL_COLUMNS_MAX];
	const uint64_t state = lock();
	const struct terminal *terminal = &console.terminal;
	const int cursor = terminal->row == row ? (int)terminal->column : -1;

	memcpy(cells, terminal_row(terminal, row), terminal->columns * sizeof(cells[0]));
	unlock(state);
	framebuffer_draw_row(&console.framebuffer, row, cells, cursor);
}

static void draw(void)
{
	if (atomic_exchange_explicit(&console.drawing, true, memory_order_acquire) && !atomic_load(&console.panic))
		return;
	const uint64_t changes = __atomic_load_n(&console.terminal.changes, __ATOMIC_RELAXED);
	if (changes != console.drawn_changes) {
		for (unsigned row = 0; row < console.framebuffer.rows; row++)
			draw_row(row);
		console.drawn_changes = changes;
		console.drawn_at_cycles = __builtin_ia32_rdtsc();
	}
	atomic_store_explicit(&console.drawing, false, memory_order_release);
}

static void draw_if_due(void)
{
	if (atomic_load_explicit(&console.refreshed_by_task, memory_order_relaxed) && !atomic_load(&console.panic))
		return;
	if (__builtin_ia32_rdtsc() - __atomic_load_n(&console.drawn_at_cycles, __ATOMIC_RELAXED) > REFRESH_CYCLES)
		draw();
}

void console_init(const struct boot_info *boot)
{
	const struct boot_framebuffer *screen = &boot->framebuffer;

	log_ring_init(&console.history, console.history_text, CONSOLE_HISTORY_BYTES);
	if (!uart_init(&console.serial.uart, &uart_com1))
		(void)uart_init(&console.serial.uart, &uart_com2);
	/* Mapped at its physical address by the firmware now, and by our own page tables later. */
	framebuffer_init(&console.framebuffer, screen, (void *)screen->base.value);
	terminal_init(&console.terminal, console.framebuffer.columns, console.framebuffer.rows);
}

bool console_use_serial(const struct uart_place *place)
{
	char text[256];
	struct uart uart;
	uint64_t position = 0;
	size_t bytes;

	serial_drain();
	const struct uart_place again = uart_place_again(&console.serial.uart, place);
	if (!uart_init(&uart, &again))
		return false;
	const uint64_t state = lock();
	console.serial.uart = uart;
	console.serial.stalled = false;
	while ((bytes = log_ring_read(&console.history, &position, text, sizeof(text))) > 0)
		serial_write(&console.serial, text, bytes, TERMINAL_NORMAL);
	unlock(state);
	return true;
}

static void finish(bool waits)
{
	if (!waits)
		return;
	serial_drain();
	draw_if_due();
}

/* Text takes its time: what holds a lock, preemption or interrupts in a task does not print. */
static void check_context(bool waits)
{
	(void)waits;
	debug_assert(waits || platform_in_handler());
}

static void write_all(const char *text, size_t bytes, bool recorded)
{
	const bool waits = may_wait();

	check_context(waits);
	const uint64_t state = lock_for(bytes, waits);
	write_locked(text, bytes, TERMINAL_NORMAL, waits);
	if (recorded)
		log_ring_write(&console.history, text, bytes);
	unlock(state);
	finish(waits);
}

void console_write(const char *text, size_t bytes)
{
	write_all(text, bytes, true);
}

void console_replay(const char *text, size_t bytes)
{
	write_all(text, bytes, false);
}

size_t console_history_read(uint64_t *position, char *text, size_t bytes)
{
	const uint64_t state = lock();
	const size_t count = log_ring_read(&console.history, position, text, bytes);

	unlock(state);
	return count;
}

uint64_t console_history_end(void)
{
	const uint64_t state = lock();
	const uint64_t end = console.history.end;

	unlock(state);
	return end;
}

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static const enum terminal_colour level_colours[] = {
	[LOG_ERROR] = TERMINAL_RED,
	[LOG_WARN] = TERMINAL_YELLOW,
	[LOG_INFO] = TERMINAL_NORMAL,
	[LOG_DEBUG] = TERMINAL_DIM,
};

void console_log(enum log_level level, const char *line)
{
	char text[LOG_BYTES];
	const uint64_t now_us = platform_now_ns() / NS_PER_US;
	const bool waits = may_wait();

	check_context(waits);
	if (level > atomic_load_explicit(&console.log_level, memory_order_relaxed))
		return;
	const size_t length = format_text(text, sizeof(text) - 1, "[%5lu.%06lu] %-5s %s", now_us / 1000000, now_us % 1000000,
					  level_names[level], line);
	const size_t bytes = MIN(length, sizeof(text) - 2);
	text[bytes] = '\n';

	const uint64_t state = lock_for(bytes + 2 + SERIAL_COLOUR_BYTES / 2, waits);
	if (console.line_is_open) {
		write_locked("\n", 1, TERMINAL_NORMAL, waits);
		log_ring_write(&console.history, "\n", 1);
		atomic_fetch_add(&console.interruptions, 1);
	}
	write_locked(text, bytes + 1, level_colours[level], waits);
	log_ring_write(&console.history, text, bytes + 1);
	unlock(state);
	finish(waits);
}

void console_set_log_level(enum log_level level)
{
	atomic_store(&console.log_level, level);
}

void console_set_serial_colours(bool on)
{
	atomic_store(&console.serial_has_colours, on);
}

status_t console_parse_log_level(const char *text, enum log_level *level)
{
	for (unsigned i = 0; i < ARRAY_LENGTH(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return STATUS_OK;
		}
	}
	return STATUS_INVALID;
}

unsigned console_interruptions(void)
{
	return atomic_load(&console.interruptions);
}

void console_flush(void)
{
	serial_drain();
	draw();
}

void console_panic(void)
{
	atomic_store(&console.panic, true);
}

bool console_poll_serial(char *character)
{
	const uint64_t state = lock();
	const int received = uart_read(&console.serial.uart);

	unlock(state);
	*character = (char)received;
	return received >= 0;
}

unsigned console_screen_lines(void)
{
	return console.framebuffer.rows;
}

bool console_listen_serial(int *line)
{
	const uint64_t state = lock();
	const struct uart *uart = &console.serial.uart;

	uart_enable_receive_interrupt(uart);
	*line = uart->place.line;
	unlock(state);
	return uart->present;
}

/* Characters that were lost, since their writers could not wait. */
static void lost_report(void)
{
	const uint64_t state = lock();
	const uint64_t lost = console.serial.lost;

	console.serial.lost = 0;
	unlock(state);
	if (lost > 0)
		log_warn("console: the serial port lost %llu characters that interrupt handlers wrote too fast",
			 (unsigned long long)lost);
}

void console_refresh_from_task(void)
{
	atomic_store(&console.refreshed_by_task, true);
	serial_drain();
	lost_report();
	draw();
}

void console_set_log_level_from(const char *command_line)
{
	enum log_level level;
	char text[16];

	if (!options_get(command_line, "loglevel", text, sizeof(text)))
		return;
	if (console_parse_log_level(text, &level) == STATUS_OK)
		console_set_log_level(level);
	else
		log_warn("loglevel=%s: it is one of error, warn, info and debug", text);
}
