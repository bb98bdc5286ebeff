// SPDX-License-Identifier: BSD-2-Clause
/*
 * A closure: a function and what it works on, embedded in the object that owns both. Code that has
 * a pointer to a closure runs it with closure_run; the function finds its object with container_of.
 * The owner keeps the closure alive as long as it may be run.
 */
#pragma once

#include "types.h"

struct closure {
	void (*run)(struct closure *self);
};

static inline void closure_run(struct closure *closure)
{
	closure->run(closure);
}
