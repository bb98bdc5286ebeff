// SPDX-License-Identifier: BSD-2-Clause
/*
 * Time of a test, which runs by the computer's clock or by the test's own, and waiting on a word,
 * which is a futex.
 */
#include "platform_host.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SLICE_NS NS_PER_MS

/*
 * The thread sanitizer holds signals back while a thread sleeps in a system call: none sleeps for
 * long there, so a wake-up that is missing only shows in other builds.
 */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SLEEP_MAX_NS (5 * NS_PER_MS)
#else
#define SLEEP_MAX_NS PLATFORM_FOREVER
#endif

static _Atomic int clock_mode = HOST_CLOCK_REAL;
static _Atomic uint64_t clock_manual_ns;
static bool (*clock_idle)(uint64_t deadline_ns);

static uint64_t real_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t platform_now_ns(void)
{
	const int mode = atomic_load(&clock_mode);

	if (mode == HOST_CLOCK_REAL)
		return real_now_ns();
	return mode == HOST_CLOCK_TICKING ? atomic_fetch_add(&clock_manual_ns, 1) : atomic_load(&clock_manual_ns);
}

void host_clock_set(enum host_clock mode)
{
	atomic_store(&clock_manual_ns, real_now_ns());
	atomic_store(&clock_mode, (int)mode);
}

void host_clock_idle(bool (*idle)(uint64_t deadline_ns))
{
	clock_idle = idle;
}

void host_clock_turn(uint64_t ns)
{
	atomic_fetch_add(&clock_manual_ns, ns);
}

static long futex(const _Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

/* True: it timed out. */
static bool sleep_on(const _Atomic uint32_t *word, uint32_t expected, uint64_t ns)
{
	const struct timespec timeout = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	return futex(word, FUTEX_WAIT, expected, ns == PLATFORM_FOREVER ? NULL : &timeout) != 0 && errno == ETIMEDOUT;
}

/* No other thread can end the wait. */
static status_t wait_alone(uint64_t deadline_ns)
{
	if (deadline_ns == PLATFORM_FOREVER)
		platform_panic("the only thread waits for ever");
	atomic_store(&clock_manual_ns, deadline_ns);
	return STATUS_TIMEOUT;
}

/*
 * A clock that tests turn cannot end a wait of the kernel's, so there the wait ends early every now
 * and then. One without a deadline ends when it is woken, and not before (but see SLEEP_MAX_NS): a
 * wake-up that is missing shows.
 */
status_t platform_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	const int mode = atomic_load(&clock_mode);
	const uint64_t now = platform_now_ns();

	if (!platform_may_sleep())
		platform_panic("platform_wait where nothing may sleep");
	if (atomic_load(word) != expected)
		return STATUS_OK;
	if (now >= deadline_ns)
		return STATUS_TIMEOUT;
	if (mode == HOST_CLOCK_ALONE)
		return clock_idle && clock_idle(deadline_ns) ? STATUS_OK : wait_alone(deadline_ns);
	if (deadline_ns == PLATFORM_FOREVER) {
		(void)sleep_on(word, expected, SLEEP_MAX_NS);
		return STATUS_OK;
	}
	if (sleep_on(word, expected,
		     MIN(deadline_ns - now, mode == HOST_CLOCK_REAL ? MIN(SLEEP_MAX_NS, NS_PER_S) : WAIT_SLICE_NS)) &&
	    mode == HOST_CLOCK_SKIPPING) {
		uint64_t before = now;

		atomic_compare_exchange_strong(&clock_manual_ns, &before, deadline_ns);
	}
	return atomic_load(word) == expected && platform_now_ns() >= deadline_ns ? STATUS_TIMEOUT : STATUS_OK;
}

void platform_wake(const _Atomic uint32_t *word)
{
	(void)futex(word, FUTEX_WAKE, INT_MAX, NULL);
}
