// SPDX-License-Identifier: BSD-2-Clause
/*
 * Completion: one side waits until the other one has finished something. completion_signal may be
 * called in any context; it is the signaller's last access to the completion, so the waiter may
 * then free it.
 */
#pragma once

#include "atomic.h"
#include "platform.h"

struct completion {
	_Atomic uint32_t done;
};

static inline void completion_init(struct completion *completion)
{
	atomic_init(&completion->done, 0);
}

static inline bool completion_is_done(const struct completion *completion)
{
	return atomic_load_explicit(&completion->done, memory_order_acquire) != 0;
}

static inline void completion_signal(struct completion *completion)
{
	atomic_store_explicit(&completion->done, 1, memory_order_release);
	platform_wake(&completion->done);
}

/*
 * STATUS_OK once signalled, STATUS_TIMEOUT when `deadline_ns` (platform_now_ns) passed before. Only
 * where platform_may_sleep().
 */
static inline status_t completion_wait(struct completion *completion, uint64_t deadline_ns)
{
	while (!completion_is_done(completion)) {
		if (platform_wait(&completion->done, 0, deadline_ns) == STATUS_TIMEOUT && !completion_is_done(completion))
			return STATUS_TIMEOUT;
	}
	return STATUS_OK;
}
