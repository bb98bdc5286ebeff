// SPDX-License-Identifier: BSD-2-Clause
/* Timers, deferred work, and interrupts by message. */
#include "image_test.h"

#include <stdatomic.h>

#include "runtime/base/completion.h"
#include "runtime/kernel/cpu.h"
#include "runtime/kernel/deferred.h"
#include "runtime/kernel/interrupt.h"
#include "runtime/kernel/task.h"
#include "runtime/kernel/timer.h"
#include "runtime/x86_64/apic.h"

#define TIMERS 64

static struct {
	struct timer timers[TIMERS];
	uint64_t deadlines[TIMERS];
	uint64_t ran_ns[TIMERS];
	_Atomic unsigned count;
} many;

static void many_run(struct timer *timer)
{
	many.ran_ns[timer - many.timers] = platform_now_ns();
	atomic_fetch_add(&many.count, 1);
}

IMAGE_TEST(timers_never_come_early)
{
	uint64_t now = platform_now_ns(), last = now + 100 * NS_PER_MS;

	atomic_store(&many.count, 0);
	for (unsigned i = 0; i < TIMERS; i++) {
		many.ran_ns[i] = 0;
		many.deadlines[i] = now + platform_random() % (100 * NS_PER_MS);
		timer_init(&many.timers[i], many_run);
		timer_start(&many.timers[i], last + NS_PER_S);
	}
	/* Started again: moved. */
	for (unsigned i = 0; i < TIMERS; i++)
		timer_start(&many.timers[i], many.deadlines[i]);
	task_sleep_until(last + 50 * NS_PER_MS);
	for (unsigned i = 0; i < TIMERS; i++) {
		expect(many.ran_ns[i] >= many.deadlines[i]);
		expect(!timer_cancel(&many.timers[i]));
	}
	expect_equal(many.count, TIMERS);
}

IMAGE_TEST(timers_cancelled_do_not_run)
{
	uint64_t soon = platform_now_ns() + 30 * NS_PER_MS;
	unsigned left = 0;

	atomic_store(&many.count, 0);
	for (unsigned i = 0; i < TIMERS; i++) {
		timer_init(&many.timers[i], many_run);
		timer_start(&many.timers[i], soon + i * NS_PER_MS);
	}
	for (unsigned i = 0; i < TIMERS; i += 2)
		left += !timer_cancel(&many.timers[i]);
	task_sleep_until(soon + (TIMERS + 20) * NS_PER_MS);
	expect_equal(many.count, TIMERS / 2 + left);
	for (unsigned i = 0; i < TIMERS; i++)
		(void)timer_cancel(&many.timers[i]);
}

struct chain {
	struct timer timer;
	struct deferred deferred;
	_Atomic unsigned timer_runs;
	_Atomic unsigned deferred_runs;
	unsigned timer_cpu;
	bool wrong_cpu;
	bool wrong_context;
	struct completion done;
};

static void chain_deferred(struct deferred *deferred)
{
	struct chain *chain = container_of(deferred, struct chain, deferred);

	chain->wrong_cpu |= platform_cpu() != chain->timer_cpu;
	chain->wrong_context |= !platform_may_sleep();
	if (atomic_fetch_add(&chain->deferred_runs, 1) + 1 == 20)
		completion_signal(&chain->done);
	else
		timer_start(&chain->timer, platform_now_ns() + NS_PER_MS);
}

static void chain_timer(struct timer *timer)
{
	struct chain *chain = container_of(timer, struct chain, timer);

	atomic_fetch_add(&chain->timer_runs, 1);
	chain->timer_cpu = platform_cpu();
	chain->wrong_context |= platform_may_sleep();
	(void)deferred_queue(&chain->deferred);
	chain->wrong_context |= deferred_queue(&chain->deferred); /* a second time it is queued already */
}

IMAGE_TEST(deferred_work_from_a_timer)
{
	struct chain chain = { 0 };

	completion_init(&chain.done);
	timer_init(&chain.timer, chain_timer);
	deferred_init(&chain.deferred, chain_deferred);
	timer_start(&chain.timer, platform_now_ns() + NS_PER_MS);
	expect_equal(completion_wait(&chain.done, platform_now_ns() + 10 * NS_PER_S), STATUS_OK);
	(void)timer_cancel(&chain.timer);
	deferred_flush(&chain.deferred);
	expect_equal(chain.timer_runs, 20);
	expect_equal(chain.deferred_runs, 20);
	expect(!chain.wrong_cpu);
	expect(!chain.wrong_context);
}

static void count_interrupt(void *context)
{
	atomic_fetch_add((_Atomic unsigned *)context, 1);
}

/* Raises a message's interrupt as a device would: its vector at its CPU. */
static void raise(const struct interrupt_message *message)
{
	uint64_t state = platform_interrupts_save();

	apic_send((uint32_t)(message->address >> 12) & 0xff, (uint8_t)message->data);
	platform_interrupts_restore(state);
}

static void wait_for(_Atomic unsigned *count, unsigned wanted)
{
	uint64_t deadline_ns = platform_now_ns() + 5 * NS_PER_S;

	while (atomic_load(count) < wanted && platform_now_ns() < deadline_ns)
		task_sleep(NS_PER_MS / 4);
}

IMAGE_TEST(interrupt_by_message_on_each_cpu)
{
	for (unsigned cpu = 0; cpu < platform_cpu_count(); cpu++) {
		struct interrupt interrupt = { 0 };
		struct interrupt_message message;
		_Atomic unsigned count = 0;

		require(interrupt_attach_message(&interrupt, "test", (int)cpu, count_interrupt, (void *)&count, &message) ==
			STATUS_OK);
		expect_equal(interrupt_attach_message(&interrupt, "test", (int)cpu, count_interrupt, NULL, &message),
			     STATUS_INVALID);
		for (unsigned i = 1; i <= 10; i++) {
			raise(&message);
			wait_for(&count, i);
			expect_equal(count, i);
		}
		expect_equal(interrupt.count, 10);
		interrupt_detach(&interrupt);
		interrupt_detach(&interrupt);
	}
}

IMAGE_TEST(interrupt_without_a_handler_is_counted)
{
	struct interrupt interrupt = { 0 };
	struct interrupt_message message;
	uint64_t before, deadline_ns = platform_now_ns() + 5 * NS_PER_S;

	require(interrupt_attach_message(&interrupt, "test", 0, count_interrupt, NULL, &message) == STATUS_OK);
	interrupt_detach(&interrupt);
	before = atomic_load(&cpu_get(0)->spurious);
	raise(&message);
	while (atomic_load(&cpu_get(0)->spurious) == before && platform_now_ns() < deadline_ns)
		task_sleep(NS_PER_MS);
	expect_equal(atomic_load(&cpu_get(0)->spurious), before + 1);
}

IMAGE_TEST(interrupt_vectors_run_out_in_order)
{
	static struct interrupt interrupts[CPU_MESSAGE_VECTORS + 1];
	struct interrupt_message message;
	unsigned attached = 0;
	status_t status = STATUS_OK;

	while (attached < ARRAY_LENGTH(interrupts) && status == STATUS_OK) {
		status = interrupt_attach_message(&interrupts[attached], "test", 0, count_interrupt, NULL, &message);
		attached += status == STATUS_OK;
	}
	expect_equal(status, STATUS_BUSY);
	expect(attached > 0 && attached <= CPU_MESSAGE_VECTORS);
	while (attached > 0)
		interrupt_detach(&interrupts[--attached]);
}

IMAGE_TEST(interrupt_line_is_checked)
{
	struct interrupt interrupt = { 0 }, other = { 0 };

	expect_equal(interrupt_attach_line(&interrupt, "test", 255, INTERRUPT_LEVEL, count_interrupt, NULL), STATUS_INVALID);
	expect_equal(interrupt_attach_line(&interrupt, "test", 2, INTERRUPT_EDGE, count_interrupt, NULL), STATUS_INVALID);
	require(interrupt_attach_line(&interrupt, "test", 7, INTERRUPT_EDGE, count_interrupt, NULL) == STATUS_OK);
	expect_equal(interrupt_attach_line(&other, "test", 7, INTERRUPT_LEVEL, count_interrupt, NULL), STATUS_BUSY);
	expect_equal(interrupt_attach_line(&other, "test", 7, INTERRUPT_EDGE, count_interrupt, NULL), STATUS_OK);
	interrupt_detach(&other);
	interrupt_detach(&interrupt);
}
