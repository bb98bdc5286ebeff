// SPDX-License-Identifier: BSD-2-Clause
/* Memory of a driver on the host: its heap, and what it shares with its device. For fake_bus.c. */
#pragma once

#include "runtime/base/heap.h"

struct fake_bus;

/* Nothing is allocated from now on. Returns the driver's heap. */
struct heap fake_memory_begin(struct fake_bus *bus);

/* The driver has left nothing; with `of_test`, nor has the test. */
void fake_memory_check(bool of_test);

/* Whether this allocation is the one that fails (fake_bus.fail_at). */
bool fake_memory_fails(void);
