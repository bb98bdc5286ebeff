// SPDX-License-Identifier: BSD-2-Clause
/* What the workloads measure with. */
#pragma once

#include <stdint.h>

/* A monotonic clock. */
uint64_t now_ns(void);

/*
 * Time that the calling thread has had on a CPU: for work that never waits, since others' turns are
 * not counted.
 */
uint64_t cpu_ns(void);

/* Memory of this process that lies in RAM. */
uint64_t resident_bytes(void);

/* Prints one figure of this workload; several of the same key are measurements of the same. */
void figure_print(const char *key, double value);

/* Ends the program with a message. */
_Noreturn void fail(const char *what);
