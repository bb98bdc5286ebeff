/*
 * Reports of requests that failed, or wait for long: what was missing, what each cleaner answered, what retain kept, and who
 * is in the way in the best window. At most one a second; one that comes while another one is waiting to be printed is left
 * out.
 *
 * Printing takes its time, on a serial port a third of a second. No request waits for that: a task of its own prints the
 * report, which shows memory as it is a moment later. Requests print themselves only while there is no such task, and where
 * they may sleep.
 */
#pragma once

#include "memory.h"

struct reclaim;

/* STATUS_OK: the request goes on waiting. Any context, without a turn. */
void failure_report(const struct reclaim *reclaim, status_t status);

/*
 * Prints what others leave to it, until its worker is stopped (worker.h); a task of low priority. Where
 * platform_may_sleep().
 */
void failure_report_run(struct memory *memory);
