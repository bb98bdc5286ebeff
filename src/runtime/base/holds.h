// SPDX-License-Identifier: BSD-2-Clause
/*
 * Holds: the longest time for which each spinlock, preemption off and interrupts off was held, by
 * the place in the code that took it. A hold keeps other CPUs or more urgent tasks waiting, so each
 * has to be short however large the machine is.
 *
 * 1. Only builds with WEIR_HOLDS record (the image with DEBUG=1, and `make bench-holds`); in others
 *    all of this is empty.
 * 2. Preemption off lasts from the outermost platform_preempt_disable of a CPU to the end of it,
 *    whichever task runs then; interrupts off likewise. An interrupt handler is a hold of
 *    interrupts that begins at its entry.
 * 3. A place is the address behind the call, so a function that is inlined into two others is two
 *    places.
 *
 * Recording takes no lock, allocates nothing, and works in any context. Two CPUs that end holds of
 * the same place at the same time may lose the shorter one.
 */
#pragma once

#include "types.h"

/* One that is under way. */
struct hold {
#ifdef WEIR_HOLDS
	uint64_t since;
	const void *site; /* NULL: none is */
#else
	uint8_t none[0]; /* so that it has no size in C++ either */
#endif
};

#ifdef WEIR_HOLDS

/* Of a spinlock; `hold` lies in the lock, and belongs to its holder. */
void hold_begin(struct hold *hold);
void hold_end(struct hold *hold, const char *name);

/* Of the calling CPU. Preemption: only while its count is 1, else nothing happens. */
void hold_preemption_begin(void);
void hold_preemption_end(void);
/* Interrupts are off. Within a hold none begins. */
void hold_interrupts_begin(const void *site);
void hold_interrupts_end(void);

#else

static inline void hold_begin(struct hold *hold)
{
	(void)hold;
}

static inline void hold_end(struct hold *hold, const char *name)
{
	(void)hold, (void)name;
}

static inline void hold_preemption_begin(void)
{
}

static inline void hold_preemption_end(void)
{
}

static inline void hold_interrupts_begin(const void *site)
{
	(void)site;
}

static inline void hold_interrupts_end(void)
{
}

#endif

struct hold_report {
	const void *site;
	const char *name; /* of the lock that was held the longest; "preemption"; "interrupts" */
	uint64_t longest; /* in units of the clock */
	uint64_t count;
};

#define HOLD_SITES_MAX 1024

/* What holds are measured by; platform_now_ns if no other one is set. Before the first hold. */
void holds_set_clock(uint64_t (*clock)(void));

/*
 * Fills in the places known so far, the longest hold first, and returns how many; `*lost`: holds
 * that found the table full.
 */
unsigned holds_get(struct hold_report reports[HOLD_SITES_MAX], uint64_t *lost);

/* Forgets how long they were. */
void holds_reset(void);
