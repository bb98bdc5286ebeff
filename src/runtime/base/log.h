// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log: one line a call, with level and time; and print, which writes to the console as is. Any
 * context.
 */
#pragma once

#include "platform.h"

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
void print(const char *format, ...) PRINTF_LIKE(1, 2);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
