// SPDX-License-Identifier: BSD-2-Clause
/*
 * Out-of-memory reports: what a request that failed, or waits for long, was missing, what each
 * cleaner answered, what is retained, and which owners are in the way in the best window. At most
 * one report a second; a request that fails while another report waits to be printed is left out.
 *
 * Printing takes a third of a second on a serial port. No request waits for that: a task prints the
 * report, which shows memory as it is a moment later. A request prints its own report only while
 * there is no such task, and where it may sleep.
 */
#pragma once

#include "reclaim.h"

struct reclaim_job;

/* Reports a request. STATUS_OK: it goes on waiting. Any context, without a turn. */
void oom_report(const struct reclaim_job *job, status_t status);

/*
 * Prints the reports that requests have noted, until its worker is stopped (worker.h); a task of
 * low priority. Where platform_may_sleep().
 */
void oom_report_run(struct reclaim *reclaim);
