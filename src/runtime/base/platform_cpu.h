// SPDX-License-Identifier: BSD-2-Clause
/*
 * The few operations of platform.h that heaps and locks do all the time, as single instructions on
 * words of the running CPU: behind the GS base in the image (struct cpu of the kernel begins with
 * them), and the thread's own on the host, where a thread is a CPU. Included by platform.h only,
 * where their contracts are.
 */
#pragma once

#include "holds.h"
#include "types.h"

/* What an operation under the preemption count may touch must stay between its two ends. */
static inline void platform_compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

#if __STDC_HOSTED__

struct platform_cpu {
	uint32_t slot;          /* CPU id + 1; 0 in a handler, and before the thread has an id */
	uint32_t preempt_count; /* of the running task */
	uint32_t number;        /* CPU id + 1; 0: none yet */
};

extern _Thread_local struct platform_cpu platform_self __attribute__((tls_model("local-exec")));

/* Gives the thread an id. */
unsigned platform_cpu_enter(void);

static inline unsigned platform_cpu(void)
{
	return platform_self.number != 0 ? platform_self.number - 1 : platform_cpu_enter();
}

static inline unsigned platform_cpu_slot(void)
{
	return platform_self.slot;
}

static inline void platform_preempt_disable(void)
{
	platform_self.preempt_count++;
	platform_compiler_barrier();
	hold_preemption_begin();
}

#ifdef WEIR_DEBUG
void platform_preempt_enable(void);
#else
static inline void platform_preempt_enable(void)
{
	platform_compiler_barrier();
	hold_preemption_end();
	platform_self.preempt_count--;
}
#endif

static inline uint32_t platform_preempt_count(void)
{
	return platform_self.preempt_count;
}

#else

/* Offsets from the GS base. */
#define PLATFORM_CPU_ID         8
#define PLATFORM_CPU_SLOT       12
#define PLATFORM_PREEMPT_COUNT  16
#define PLATFORM_PREEMPT_EPOCH  20 /* how often the count left 0 */
#define PLATFORM_RESCHEDULE_DUE 24 /* a byte: a better task waits */

#define PLATFORM_CPU_READ(offset)                                                                                              \
	({                                                                                                                     \
		uint32_t value_;                                                                                               \
		__asm__ volatile("movl %%gs:%c1, %0" : "=r"(value_) : "i"(offset) : "memory");                                 \
		value_;                                                                                                        \
	})

/* The count has become 0 and a switch is due, or it has fallen below 0. */
void platform_preempt_enable_slow(void);

static inline unsigned platform_cpu(void)
{
	return PLATFORM_CPU_READ(PLATFORM_CPU_ID);
}

static inline unsigned platform_cpu_slot(void)
{
	return PLATFORM_CPU_READ(PLATFORM_CPU_SLOT);
}

static inline uint32_t platform_preempt_count(void)
{
	return PLATFORM_CPU_READ(PLATFORM_PREEMPT_COUNT);
}

static inline void platform_preempt_disable(void)
{
	__asm__ volatile("incl %%gs:%c0" : : "i"(PLATFORM_PREEMPT_COUNT) : "memory");
	if (platform_preempt_count() == 1)
		__asm__ volatile("incl %%gs:%c0" : : "i"(PLATFORM_PREEMPT_EPOCH) : "memory");
	hold_preemption_begin();
}

static inline void platform_preempt_enable(void)
{
	bool zero_or_less, due;

	hold_preemption_end();
	__asm__ volatile("decl %%gs:%c1" : "=@ccle"(zero_or_less) : "i"(PLATFORM_PREEMPT_COUNT) : "memory");
	if (!zero_or_less)
		return;
	/*
	 * After the count, so that what an interrupt just asked for is seen; if another CPU goes on
	 * here, its flag is meant.
	 */
	__asm__ volatile("cmpb $0, %%gs:%c1" : "=@ccne"(due) : "i"(PLATFORM_RESCHEDULE_DUE) : "memory");
	if (due || (int32_t)platform_preempt_count() < 0)
		platform_preempt_enable_slow();
}

#endif
