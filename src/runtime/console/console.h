// SPDX-License-Identifier: BSD-2-Clause
/*
 * The console: text to the serial port and to the screen, keys from the serial port and the
 * keyboard. Either may be missing.
 *
 * 1. Output works in every context from console_init on, interrupt handlers and panics included, on
 *    all CPUs at once. A call's text is not torn apart by another CPU's. A task waits for the
 *    serial port with its interrupts on. An interrupt handler leaves its text to the next writer or
 *    to the console's task; what the buffer has no room for is lost on the serial port, and
 *    counted. A task that holds a lock, preemption or interrupts does not print: debug builds check
 *    that.
 * 2. The screen shows text a little later: a writer draws at most some ten times a second, and once
 *    console_start ran, the console's task draws. So a flood of lines costs no drawing.
 * 3. The lock is innermost: nothing is taken under it, and it needs no per-CPU data.
 *
 * Needs platform_now_ns() to return something (0) before the clock runs, and the framebuffer mapped
 * at its physical address.
 */
#pragma once

#include "runtime/base/platform.h"

struct boot_info;
struct uart_place;

/*
 * Finds the serial port, COM1 or else COM2, and clears the screen. First of all, with interrupts
 * off.
 */
void console_init(const struct boot_info *boot);

/*
 * From now on the serial port is the one at `place`, which gets all that was written so far. False:
 * there is no UART; nothing changes. At start-up, before console_start.
 */
bool console_use_serial(const struct uart_place *place);

/*
 * Starts keyboard, input interrupts and the console's task. Once, in a task. Without it there is no
 * input.
 */
status_t console_start(void) MUST_CHECK;

/* Writes as is. */
void console_write(const char *text, size_t bytes);

/* The same for text of the history: it does not go there again. */
void console_replay(const char *text, size_t bytes);

/*
 * The history: the latest CONSOLE_HISTORY_BYTES of all that was written, by position as in
 * runtime/base/log_ring.h. Any context, panics included.
 */
#define CONSOLE_HISTORY_BYTES (64 * KIB)
size_t console_history_read(uint64_t *position, char *text, size_t bytes);
uint64_t console_history_end(void);

/* Writes "[    1.234567] info  line" and a newline, if `level` is at most the log level. */
void console_log(enum log_level level, const char *line);

/* From now on lines up to and including `level` are shown; LOG_INFO at first. */
void console_set_log_level(enum log_level level);

/*
 * From now on warnings and errors have colours on the serial port, too, as on the screen: for a
 * terminal that knows ANSI.
 */
void console_set_serial_colours(bool on);

/* "error", "warn", "info" or "debug". STATUS_INVALID: another text. */
status_t console_parse_log_level(const char *text, enum log_level *level) MUST_CHECK;

/* The option loglevel= of the command line, if it is there. */
void console_set_log_level_from(const char *command_line);

/*
 * Waits for the next character. Keys without a character come as a terminal sends them: escape
 * sequences as of a VT220. Only where platform_may_sleep(). One reader at a time.
 */
char console_read_character(void);

/*
 * Ctrl-C: read like any character, and what was typed before it is dropped. For work that runs
 * while nothing reads: whether one came that the reader has not cleared. Any context.
 */
#define CONSOLE_BREAK '\x03'
bool console_break_requested(void);
void console_break_clear(void);

/*
 * Lines of the screen, if the latest key came from the keyboard, and 0 if it came over the serial
 * port.
 */
unsigned console_keyboard_lines(void);

/*
 * How often a log line has cut an unfinished line; a line editor that sees it change shows its line
 * again.
 */
unsigned console_interruptions(void);

/* Brings everything written so far to the screen. Any context. */
void console_flush(void);

/* The machine has failed: from now on no CPU waits long for the lock. */
void console_panic(void);
