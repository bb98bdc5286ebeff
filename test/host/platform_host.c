// SPDX-License-Identifier: BSD-2-Clause
/*
 * A thread is a CPU and a task in one: it is never preempted by another "task" of its CPU, so the
 * preemption count only decides what may sleep. Interrupts are signals: a thread that holds them
 * runs what came meanwhile when it restores them.
 */
#define _GNU_SOURCE
#include "platform_host.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/random.h"

#define CALL_SIGNAL SIGUSR1

void host_fail(const char *what)
{
	perror(what);
	abort();
}

struct cpu {
	bool taken;
	pthread_t thread;
	_Atomic uint64_t asked, answered; /* numbers of calls */
};

static pthread_mutex_t cpus_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cpu cpus[PLATFORM_CPUS_MAX];
static unsigned cpu_count = 16;
static pthread_key_t cpu_key;
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;

_Thread_local struct platform_cpu platform_self;

static _Thread_local struct host_task {
	bool interrupts_off;
	bool in_handler;
	bool cleaning;
	_Atomic unsigned own_priority, lent_priority;
	volatile sig_atomic_t call_pending;
	struct random random;
} self;

/* The one call that platform_run_on_all_cpus has under way. */
static struct {
	pthread_mutex_t lock;
	void (*run)(void *context);
	void *context;
	_Atomic uint64_t number; /* of the call; signals may come late, or twice */
	_Atomic unsigned pending;
} call = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void run_without_interrupts(void (*run)(void *context), void *context, bool handler)
{
	const bool before = self.interrupts_off;

	self.interrupts_off = true;
	self.in_handler = handler;
	platform_self.slot = handler ? 0 : platform_self.number;
	run(context);
	platform_self.slot = platform_self.number;
	self.in_handler = false;
	self.interrupts_off = before;
}

void host_handler_run(void (*run)(void *context), void *context)
{
	run_without_interrupts(run, context, true);
}

/*
 * On the calling thread itself it is no handler. What the call consists of was set before
 * `pending`.
 */
static void call_run(bool handler)
{
	(void)atomic_load(&call.pending);
	run_without_interrupts(call.run, call.context, handler);
}

/* Once for each call: a signal that comes again, or from an earlier one, finds nothing to do. */
static void call_answer(struct cpu *cpu)
{
	const uint64_t number = atomic_load(&call.number);

	if (atomic_load(&cpu->asked) != number || atomic_exchange(&cpu->answered, number) == number)
		return;
	call_run(true);
	atomic_fetch_sub(&call.pending, 1);
}

static void call_signal(int number)
{
	const int saved = errno;

	(void)number;
	if (self.interrupts_off)
		self.call_pending = 1;
	else
		call_answer(&cpus[platform_self.number - 1]);
	errno = saved;
}

static void cpu_release(void *value)
{
	pthread_mutex_lock(&cpus_lock);
	((struct cpu *)value)->taken = false;
	call_answer(value); /* the thread sanitizer forgets signals that were on their way with the thread */
	pthread_mutex_unlock(&cpus_lock);
}

static void cpu_setup(void)
{
	struct sigaction action = { .sa_handler = call_signal, .sa_flags = SA_RESTART };

	if (pthread_key_create(&cpu_key, cpu_release) != 0 || sigaction(CALL_SIGNAL, &action, NULL) != 0)
		host_fail("host platform");
}

static void cpu_take_locked(unsigned cpu)
{
	cpus[cpu] = (struct cpu){ .taken = true, .thread = pthread_self() };
	platform_self.number = cpu + 1;
	platform_self.slot = cpu + 1;
	pthread_setspecific(cpu_key, &cpus[cpu]);
}

unsigned platform_cpu_enter(void)
{
	unsigned cpu = 0;

	pthread_once(&cpu_once, cpu_setup);
	pthread_mutex_lock(&cpus_lock);
	while (cpu < cpu_count && cpus[cpu].taken)
		cpu++;
	if (cpu == cpu_count) {
		fprintf(stderr, "host platform: more than %u threads at once; see host_cpus_set\n", cpu_count);
		abort();
	}
	cpu_take_locked(cpu);
	pthread_mutex_unlock(&cpus_lock);
	return cpu;
}

void host_cpu_change(unsigned cpu)
{
	const unsigned before = platform_cpu();

	pthread_mutex_lock(&cpus_lock);
	cpus[before].taken = false;
	if (cpus[cpu].taken)
		host_fail("host platform: the CPU has a thread");
	cpu_take_locked(cpu);
	pthread_mutex_unlock(&cpus_lock);
}

void host_cpus_set(unsigned count)
{
	cpu_count = count;
}

unsigned platform_cpu_count(void)
{
	return cpu_count;
}

#ifdef WEIR_DEBUG
void platform_preempt_enable(void)
{
	platform_compiler_barrier();
	if (platform_self.preempt_count == 0)
		platform_panic("the preemption count falls below 0");
	hold_preemption_end();
	platform_self.preempt_count--;
}
#endif

bool platform_may_sleep(void)
{
	return platform_self.preempt_count == 0 && !self.interrupts_off;
}

bool platform_in_handler(void)
{
	return self.in_handler;
}

uint64_t platform_interrupts_save(void)
{
	const bool before = self.interrupts_off;

	self.interrupts_off = true;
	if (!before)
		hold_interrupts_begin(__builtin_return_address(0));
	return before;
}

static void (*_Atomic step_hook)(void);

void host_step_hook(void (*hook)(void))
{
	atomic_store(&step_hook, hook);
}

/* The end of a step, for tests that choose who goes on. */
static void step_end(void)
{
	void (*const hook)(void) = atomic_load_explicit(&step_hook, memory_order_relaxed);

	if (hook && platform_self.preempt_count == 0 && !self.in_handler)
		hook();
}

void platform_interrupts_restore(uint64_t state)
{
	if (!state)
		hold_interrupts_end();
	if (!state && self.call_pending) {
		self.call_pending = 0;
		call_answer(&cpus[platform_self.number - 1]);
	}
	self.interrupts_off = state;
	if (!state && self.call_pending) /* came between the look and the store */
		platform_interrupts_restore(platform_interrupts_save());
	if (!state)
		step_end();
}

#define RESEND_TURNS 10000 /* under the thread sanitizer, a signal is lost now and then */

/* To all that have been asked and have not answered. */
static void call_signal_all(uint64_t number)
{
	pthread_mutex_lock(&cpus_lock);
	for (unsigned i = 0; i < cpu_count; i++)
		if (cpus[i].taken && atomic_load(&cpus[i].asked) == number && atomic_load(&cpus[i].answered) != number &&
		    pthread_kill(cpus[i].thread, CALL_SIGNAL) != 0)
			host_fail("pthread_kill");
	pthread_mutex_unlock(&cpus_lock);
}

void platform_run_on_all_cpus(void (*run)(void *context), void *context)
{
	const unsigned own = platform_cpu();

	if (!platform_may_sleep())
		platform_panic("platform_run_on_all_cpus where nothing may sleep");
	/*
	 * Not asleep, since the holder may wait for this thread: the thread sanitizer takes no
	 * signal in there.
	 */
	while (pthread_mutex_trylock(&call.lock) != 0)
		sched_yield();
	pthread_mutex_lock(&cpus_lock);
	call.run = run;
	call.context = context;
	const uint64_t number = atomic_fetch_add(&call.number, 1) + 1;
	for (unsigned i = 0; i < cpu_count; i++) {
		if (i == own || !cpus[i].taken)
			continue;
		atomic_fetch_add(&call.pending, 1);
		atomic_store(&cpus[i].asked, number);
	}
	pthread_mutex_unlock(&cpus_lock);
	call_signal_all(number);
	call_run(false);
	for (unsigned turns = 1; atomic_load(&call.pending) != 0; turns++) {
		sched_yield();
		if (turns % RESEND_TURNS == 0)
			call_signal_all(number);
	}
	pthread_mutex_unlock(&call.lock);
}

bool platform_set_cleaning(bool cleaning)
{
	const bool before = self.cleaning;

	self.cleaning = cleaning;
	return before;
}

bool platform_is_cleaning(void)
{
	return self.cleaning && !self.in_handler;
}

const void *platform_task(void)
{
	return &self;
}

void host_priority_set(unsigned priority)
{
	atomic_store(&self.own_priority, priority);
}

unsigned platform_priority(void)
{
	return atomic_load(&self.own_priority);
}

unsigned host_priority(void)
{
	return MAX(atomic_load(&self.own_priority), atomic_load(&self.lent_priority));
}

void platform_lend_priority(const void *task, unsigned priority)
{
	struct host_task *lent_to = (struct host_task *)task;

	atomic_store(&lent_to->lent_priority, priority);
}

void platform_yield(void)
{
	sched_yield();
}

struct thread {
	pthread_t id;
	void (*run)(void *context, unsigned index);
	void *context;
	unsigned index;
};

static void *thread_main(void *argument)
{
	struct thread *thread = argument;

	thread->run(thread->context, thread->index);
	return NULL;
}

void host_threads_run(unsigned count, void (*run)(void *context, unsigned index), void *context)
{
	struct thread threads[PLATFORM_CPUS_MAX];

	for (unsigned i = 0; i < count; i++) {
		threads[i] = (struct thread){ .run = run, .context = context, .index = i };
		if (pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) != 0)
			host_fail("pthread_create");
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i].id, NULL);
}

void host_wait_for(const _Atomic int *stage, int wanted)
{
	while (atomic_load(stage) != wanted)
		platform_yield();
}

void host_random_seed(uint64_t seed)
{
	random_seed(&self.random, seed);
}

uint64_t platform_random(void)
{
	if (self.random.state == 0)
		random_seed(&self.random, 1 + platform_cpu());
	return random_next(&self.random);
}
