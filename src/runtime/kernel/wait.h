// SPDX-License-Identifier: BSD-2-Clause
/* Wait and wake by address: platform_wait and platform_wake, see platform.h for the contract. */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/status.h"
#include "runtime/base/types.h"

/* Once, before tasks run. */
void wait_init(void);

status_t wait_on(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);
void wait_wake(const _Atomic uint32_t *word);
