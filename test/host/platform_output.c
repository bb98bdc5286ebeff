// SPDX-License-Identifier: BSD-2-Clause
/*
 * Log, output and panic of a test: printed, captured, or carried out of a child that is expected to
 * panic.
 */
#include "platform_host.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/format.h"

#define PANIC_EXIT 99

static enum log_level log_level = LOG_WARN;
static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static char *output;
static size_t output_size, output_length;
static int panic_pipe = -1;

void host_log_level(enum log_level level)
{
	log_level = level;
}

void host_output_capture(char *buffer, size_t size)
{
	pthread_mutex_lock(&output_lock);
	output = buffer;
	output_size = size;
	output_length = 0;
	if (buffer)
		buffer[0] = '\0';
	pthread_mutex_unlock(&output_lock);
}

static void output_write(FILE *file, const char *text, const char *end)
{
	pthread_mutex_lock(&output_lock);
	if (output) {
		const int length = snprintf(output + output_length, output_size - output_length, "%s%s", text, end);

		output_length = MIN(output_length + (size_t)length, output_size - 1);
	} else {
		fprintf(file, "%s%s", text, end);
	}
	pthread_mutex_unlock(&output_lock);
}

/* As in the image, where text takes its time. */
static void check_output(void)
{
#ifdef WEIR_DEBUG
	if (!platform_may_sleep() && !platform_in_handler())
		platform_panic("text is printed with a lock, preemption or interrupts held");
#endif
}

void platform_log(enum log_level level, const char *line)
{
	check_output();
	if (level <= log_level)
		output_write(stderr, line, "\n");
}

void platform_print(const char *text)
{
	check_output();
	output_write(stdout, text, "");
}

PRINTF_LIKE(1, 2) void platform_panic(const char *format, ...)
{
	char message[512];
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	format_text_list(message, sizeof(message), format, arguments);
	__builtin_ms_va_end(arguments);
	if (panic_pipe >= 0) {
		if (write(panic_pipe, message, strlen(message)) < 0)
			host_fail("write");
		_exit(PANIC_EXIT);
	}
	fprintf(stderr, "panic: %s\n", message);
	abort();
}

bool host_panics(void (*run)(void *context), void *context, char *message, size_t size)
{
	int ends[2], result;
	size_t length = 0;
	ssize_t got;

	fflush(NULL);
	if (pipe(ends) != 0)
		host_fail("pipe");
	const pid_t child = fork();
	if (child < 0)
		host_fail("fork");
	if (child == 0) {
		close(ends[0]);
		panic_pipe = ends[1];
		run(context);
		_exit(0);
	}
	close(ends[1]);
	while (length + 1 < size && (got = read(ends[0], message + length, size - 1 - length)) > 0)
		length += (size_t)got;
	if (size > 0)
		message[length] = '\0';
	close(ends[0]);
	if (waitpid(child, &result, 0) != child)
		host_fail("waitpid");
	return WIFEXITED(result) && WEXITSTATUS(result) == PANIC_EXIT;
}
