// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver needs of the kernel, for one driver on one thread: handlers of its interrupts,
 * deferred work, and its watch task. For fake_bus.c.
 */
#pragma once

#include "runtime/base/types.h"

void fake_kernel_begin(void);

void fake_handler_set(unsigned vector, void (*handler)(void *context), void *context);
void fake_handler_run(unsigned vector); /* as an interrupt does; nothing without a handler */
void fake_handlers_forget(void);

void fake_work_run(void); /* what is deferred; nothing while it runs, or where nothing may sleep */

bool fake_task_is_there(void);
void fake_task_look(void); /* the watch task looks once; nothing while it does */
