// SPDX-License-Identifier: BSD-2-Clause
/*
 * The one seam between the portable rooms (base, heap, block, page cache) and what runs underneath:
 * the kernel, or a host process in tests. Bound at link time; kernel/platform_kernel.c and
 * test/host/platform_host.c implement it.
 *
 * Contexts. Code runs in a task or in an interrupt handler. A task that raised its CPU's preemption
 * count stays on that CPU and is not preempted. platform_may_sleep() is true in a task with a
 * preemption count of 0 and interrupts on: only there may anything wait, take a mutex, or start
 * reclaim.
 */
#pragma once

#include <stdarg.h>

#include "atomic.h"
#include "status.h"
#include "types.h"

/*
 * What is done all the time is inline, in platform_cpu.h:
 *
 *	unsigned platform_cpu(void)		the running CPU; only stable while preemption or interrupts are off
 *	unsigned platform_cpu_slot(void)	its id + 1 in a task, and 0 in an interrupt handler. A table indexed by it keeps
 *						handlers out of what tasks of this CPU are in the middle of. As stable.
 *	void platform_preempt_disable(void)	raises the calling CPU's preemption count
 *	void platform_preempt_enable(void)	lowers it; may switch to another task when it reaches 0
 *	uint32_t platform_preempt_count(void)	in a handler: that of the task that it interrupted
 */
#include "platform_cpu.h"

/*
 * CPUs. Ids run from 0 to count - 1; count does not change after start-up and is at most
 * PLATFORM_CPUS_MAX.
 */
#define PLATFORM_CPUS_MAX 256
unsigned platform_cpu_count(void);
static inline void platform_cpu_relax(void)
{
	__builtin_ia32_pause();
}

bool platform_may_sleep(void);
bool platform_in_handler(void); /* no lock may be taken that tasks take, too */

/* Holds interrupts on this CPU and returns the state before; nests. */
uint64_t platform_interrupts_save(void);
void platform_interrupts_restore(uint64_t state);

/*
 * Runs `run(context)` once on every CPU, the calling one included, and returns when all have
 * finished. On the other CPUs it runs in interrupt context. May sleep; must be called where
 * platform_may_sleep().
 */
void platform_run_on_all_cpus(void (*run)(void *context), void *context);

/*
 * Wait and wake, by address. platform_wait sleeps as long as `*word` is `expected`, until a wake on
 * the same address or until `deadline_ns` on platform_now_ns()'s clock (PLATFORM_FOREVER: none); it
 * may also return early, so callers look again. Returns STATUS_OK, or STATUS_TIMEOUT once the
 * deadline has passed. The test of the word and falling asleep are one step with respect to
 * platform_wake. platform_wake wakes all that wait on `word`; change the word first. It may be
 * called in any context, and the word's memory need not live on when it is called.
 */
#define PLATFORM_FOREVER UINT64_MAX
status_t platform_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);
void platform_wake(const _Atomic uint32_t *word);

/* Lets other tasks of the same priority run. Only where platform_may_sleep(). */
void platform_yield(void);

/* An opaque value that names the running task, never NULL in a task; for owners of mutexes. */
const void *platform_task(void);

/*
 * Priorities: a task of a higher one runs first. platform_priority is the running task's own one.
 *
 * platform_lend_priority is for a lock whose holder must not be kept from the CPU by tasks that are
 * less urgent than the waiting ones: `task` runs at `priority` at least, until another priority is
 * lent, or 0. One lock at a time lends to a task, which does not end meanwhile. Task context;
 * preemption may be off.
 */
unsigned platform_priority(void);
void platform_lend_priority(const void *task, unsigned priority);

/*
 * The mark of a task that cleans memory, which must not ask for more meanwhile.
 * platform_set_cleaning sets or clears it for the running task and returns what it was; tasks only.
 * platform_is_cleaning is false in an interrupt handler, whatever the mark of the task that it
 * interrupted.
 */
bool platform_set_cleaning(bool cleaning);
bool platform_is_cleaning(void);

/* Monotonic time since start-up. On the host, a test may turn this clock. */
uint64_t platform_now_ns(void);

/*
 * Translation within the direct map, where all RAM that the block heap trades is mapped for good,
 * that of one block heap at one distance from its physical addresses; blocks are aligned there,
 * too.
 */
struct phys_addr platform_phys(const void *memory);
void *platform_virt(struct phys_addr address);

/*
 * Maps the pieces one behind the other into one fresh range of virtual addresses, readable,
 * writable, never executable. Pieces are whole pages. platform_unmap takes what platform_map
 * returned and its total bytes; afterwards no CPU can reach the memory through it any more. Both
 * only where platform_may_sleep(). STATUS_NO_MEMORY: no page tables or no addresses left; *mapped
 * is unchanged.
 */
status_t platform_map(const struct phys_range *pieces, uint32_t count, void **mapped) MUST_CHECK;
void platform_unmap(void *mapped, uint64_t bytes);

/*
 * Guarded memory, for finding bugs: whole blocks of the direct map whose pages can be hidden, so
 * that it faults to touch them, and ends in a panic that says what `explain` says. Pages are
 * visible at first. Hiding works for the calling CPU at once; others may reach the page until they
 * forget its translation. `explain` runs in the context of the fault; it takes no locks.
 */
struct platform_guarded {
	void *start;
	uint64_t bytes;
	void (*explain)(const struct platform_guarded *self, const void *address, char *text, size_t size);
};

/*
 * At start-up, on one CPU. The range lives until platform_unguard, which shows all its pages for
 * good. STATUS_NO_MEMORY: no page tables; STATUS_BUSY: as many ranges are guarded as the platform
 * can.
 */
status_t platform_guard(const struct platform_guarded *range) MUST_CHECK;
void platform_unguard(const struct platform_guarded *range);

/* Whole pages of a guarded range. Any context. */
void platform_hide(void *start, uint64_t bytes);
void platform_show(void *start, uint64_t bytes);

/*
 * The place in the code, as "function+0x1c" where names are known, else as a number, in `text`,
 * which is returned.
 */
const char *platform_code_name(char *text, size_t size, const void *code);

/* Random enough to spread and shuffle; not for secrets. */
uint64_t platform_random(void);

/* Text for the log (one line, no newline) and for the console (as is); any context. */
enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};
void platform_log(enum log_level level, const char *line);
void platform_print(const char *text);

/* Prints the message and the state of the machine, and stops for good. For our own bugs only. */
_Noreturn void platform_panic(const char *format, ...) PRINTF_LIKE(1, 2);
