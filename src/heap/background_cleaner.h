/*
 * The background cleaner: once free memory has fallen below the low watermark, or a request has failed, it asks the cleaners
 * until the high one is reached. Then it naps for 100 ms and looks again before it sleeps. It starts writes but never waits for
 * them: what is dirty it takes when it comes by the next time. It gives up its turn after each block, so that requests do not
 * wait for it.
 *
 * Once a second it also trims the heaps: depots, empty blocks and magazines that none has used since the last time go back,
 * beyond what each heap retains and a block. So memory that heaps have freed becomes cache again after two rounds, without a
 * request for it.
 */
#pragma once

#include "memory.h"

/* Runs until memory->background is stopped (worker.h), in a task of its own. Where platform_may_sleep(). */
void memory_clean_run(struct memory *memory);

/* One turn of it, for those who have no such task: the bytes that were gained; 0: nothing is to be done, or can be. */
uint64_t memory_clean_step(struct memory *memory);

/* One round of trims, likewise; returns the bytes that were given. A task that does not clean. */
uint64_t memory_clean_trim(struct memory *memory);
