// SPDX-License-Identifier: BSD-2-Clause
/*
 * The vector registers (x87, SSE, AVX) of a CPU. They are forbidden (CR0.TS: using them raises #NM)
 * except while a task runs that may use them, and no interrupt handler on top of it. Only such
 * tasks have a saved state: a switch saves it when such a task leaves the CPU, and loads it when
 * one comes, so a switch between two others costs nothing. Intel SDM volume 1, chapter 13.
 */
#pragma once

#include "runtime/base/types.h"

#define FPU_ALIGNMENT 64

/* Turns on what the CPU has, and forbids it. On each CPU; the first CPU's choice holds for all. */
void fpu_init_cpu(void);

/* Bytes of a task's saved state, which is aligned to FPU_ALIGNMENT. */
size_t fpu_state_bytes(void);

/* Writes the state that a fresh task starts with. */
void fpu_state_init(void *state);

/* Save the registers and forbid them; allow them and load them. Preemption is off. */
void fpu_save(void *state);
void fpu_load(const void *state);

/*
 * Forbid the registers, and allow them again, where they are: for an interrupt handler that runs on
 * top of a task's state.
 */
void fpu_forbid(void);
void fpu_allow(void);
