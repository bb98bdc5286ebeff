// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each CPU's timer looks at its own preemption count, and at the timer ticks of the next CPU. If a
 * neighbour stops ticking, an NMI lets it record a backtrace, because its interrupts are off.
 * Looks are counted, not time: a CPU that an emulator does not run takes no looks, and raises no
 * alarm.
 */
#include "watchdog.h"

#include "backtrace.h"
#include "clock.h"
#include "cpu.h"
#include "machine_check.h"
#include "panic.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/interrupt_frame.h"
#include "symbols.h"
#include "task.h"
#include "timer.h"

#define LOOKS_PER_LIMIT 4 /* looks that are due within the limit; the limit is over when all have found the same */

struct watch {
	struct timer timer;
	_Atomic uint32_t ticks; /* of this CPU's own timer: interrupts are on */

	uint32_t epoch;       /* [c] cpu->preempt_epoch at the last tick */
	uint32_t epoch_looks; /* [c] ticks in a row that found preemption off and the same epoch */

	uint32_t seen_ticks; /* the watching neighbour's: ticks at its last look */

	_Atomic bool probed;  /* an NMI of the watching neighbour is on its way */
	uint32_t probe_ticks; /* [c] ticks at the last NMI */
	uint32_t probes;      /* [c] NMIs in a row that found the same ticks */
	_Atomic bool caught;  /* the trace below is filled and waits to be printed */
	const char *task;
	size_t trace_count;
	uint64_t trace[BACKTRACE_FRAMES_MAX + 1];
};

static struct watch watches[PLATFORM_CPUS_MAX];
static uint64_t limit_ns;
static _Atomic unsigned reports;

void watchdog_init(uint64_t limit)
{
	limit_ns = limit;
}

unsigned watchdog_reports(void)
{
	return atomic_load(&reports);
}

/* On the CPU itself, in a timer interrupt. */
static void check_preemption(struct watch *watch, struct cpu *cpu)
{
	if (cpu->preempt_count == 0 || cpu->preempt_epoch != watch->epoch) {
		watch->epoch = cpu->preempt_epoch;
		watch->epoch_looks = 0;
		return;
	}
	if (++watch->epoch_looks != LOOKS_PER_LIMIT)
		return;
	atomic_fetch_add(&reports, 1);
	log_error("watchdog: CPU %u, task %s: preemption is off for more than %llu ms", cpu->id, task_name(task_current()),
		  (unsigned long long)(limit_ns / NS_PER_MS));
	backtrace_print(cpu->frame->rip, cpu->frame->rbp);
}

static void print_caught(const struct watch *watch, unsigned cpu)
{
	atomic_fetch_add(&reports, 1);
	log_error("watchdog: CPU %u, task %s: interrupts are off, or one handler runs, for more than %llu ms", cpu, watch->task,
		  (unsigned long long)(limit_ns / NS_PER_MS));
	for (size_t i = 0; i < watch->trace_count; i++) {
		uint64_t offset = 0;
		const char *name = symbols_find(watch->trace[i] - (i > 0), &offset);

		print("    0x%llx %s+0x%llx\n", (unsigned long long)watch->trace[i], name ? name : "?",
		      (unsigned long long)(offset + (i > 0)));
	}
}

/* Each CPU watches the next one. */
static void check_neighbour(unsigned self)
{
	unsigned other = (self + 1) % cpu_count();
	struct watch *watch = &watches[other];
	uint32_t ticks = atomic_load(&watch->ticks);

	if (other == self)
		return;
	/* A healthy CPU may have no tick between two looks; an NMI then does no harm. */
	if (ticks == watch->seen_ticks && ticks > 0) {
		atomic_store(&watch->probed, true);
		apic_send_nmi(cpu_get(other)->apic_id);
	}
	watch->seen_ticks = ticks;
	if (atomic_exchange(&watch->caught, false))
		print_caught(watch, other);
}

static void tick(struct timer *timer)
{
	struct watch *watch = container_of(timer, struct watch, timer);
	struct cpu *cpu = cpu_current();

	atomic_fetch_add(&watch->ticks, 1);
	if (panic_is_active())
		return;
	check_preemption(watch, cpu);
	check_neighbour(cpu->id);
	machine_check_poll();
	timer_start(timer, clock_now_ns() + limit_ns / LOOKS_PER_LIMIT);
}

void watchdog_start_cpu(void)
{
	struct watch *watch = &watches[cpu_current_id()];

	if (limit_ns == 0)
		return;
	timer_init(&watch->timer, tick);
	timer_start(&watch->timer, clock_now_ns() + limit_ns / LOOKS_PER_LIMIT);
}

bool watchdog_handle_nmi(const struct interrupt_frame *frame)
{
	struct watch *watch = &watches[cpu_current_id()];
	uint32_t ticks = atomic_load(&watch->ticks);

	if (!atomic_exchange(&watch->probed, false))
		return false;
	if (ticks != watch->probe_ticks) {
		watch->probe_ticks = ticks;
		watch->probes = 0;
	}
	/* No printing here: the interrupted code may hold the console's lock. */
	if (++watch->probes != LOOKS_PER_LIMIT || atomic_load(&watch->caught))
		return true;
	watch->task = task_name(task_current());
	watch->trace[0] = frame->rip;
	watch->trace_count = 1 + backtrace_collect(frame->rbp, watch->trace + 1, BACKTRACE_FRAMES_MAX);
	atomic_store(&watch->caught, true);
	return true;
}
