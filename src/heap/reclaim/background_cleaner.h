// SPDX-License-Identifier: BSD-2-Clause
/*
 * The background cleaner: a task that reclaims ahead of requests. When free memory has fallen below
 * the low watermark, or a request has failed, it asks the cleaners until the high watermark is
 * reached. Then it naps for 100 ms and looks once more before it sleeps. It starts writes but never
 * waits for them: a dirty block that it had written is given in a later pass. It gives up its turn
 * after each block, so that requests do not wait for it.
 *
 * Once a second it also trims the heaps: depots, empty blocks and magazines that no CPU has used
 * since the last trim go back, beyond what each heap retains and one block. So memory that heaps
 * have freed becomes cache again after two trims, without a request for it.
 */
#pragma once

#include "reclaim.h"

/*
 * Runs the background cleaner until reclaim->background is stopped (worker.h), in a task of its
 * own. Where platform_may_sleep().
 */
void background_cleaner_run(struct reclaim *reclaim);

/*
 * One turn of the background cleaner, for machines without such a task. Returns the bytes that were
 * gained; 0: nothing has to be done, or nothing can be.
 */
uint64_t background_cleaner_step(struct reclaim *reclaim);

/*
 * One trim of all heaps, for machines without such a task; returns the bytes that were given. The
 * caller is not a task that cleans.
 */
uint64_t background_cleaner_trim(struct reclaim *reclaim);
