// SPDX-License-Identifier: BSD-2-Clause
/*
 * Out-of-memory reports. A request that fails leaves a note, at most one a second, and goes on; the
 * report task, or the request itself where there is no task, takes the note and prints it, with the
 * memory as it is by then.
 */
#include "oom_report.h"

#include "heap/block/owner_snapshot.h"
#include "reclaim_internal.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define PAUSE_NS NS_PER_S

/*
 * Prints what is in the way between these addresses: the owners of blocks, then what cleaners
 * cannot give.
 */
static void print_between(struct reclaim *reclaim, struct phys_addr lowest, struct phys_addr highest)
{
	struct owner_snapshot owners[OWNER_SNAPSHOT_MAX];
	const unsigned count = owner_snapshot_within(reclaim->blocks, lowest, highest, owners);
	struct cleaner *cleaner = NULL;

	for (unsigned i = 0; i < count; i++)
		log_warn("memory:     %-24s holds %llu blocks there%s", owners[i].name, (unsigned long long)owners[i].blocks,
			 owners[i].movable ? ", movable" : "");
	if (reclaim->explainer)
		reclaim->explainer->explain(reclaim->explainer, lowest, highest);
	while ((cleaner = cleaner_next(&reclaim->cleaners, cleaner)))
		if (cleaner->explain)
			cleaner->explain(cleaner, lowest, highest);
}

static void report_cleaner(struct cleaner *cleaner)
{
	char asked[FORMAT_BYTES_SIZE], given[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE];

	log_warn("memory:   cleaner %-16s was last asked for %s, gave %s, holds %s back", cleaner->name,
		 format_bytes(asked, cleaner->last_asked_bytes), format_bytes(given, cleaner->last_given_bytes),
		 format_bytes(held, cleaner->held_back ? cleaner->held_back(cleaner) : 0));
}

void reclaim_report(struct reclaim *reclaim)
{
	struct owner_snapshot owners[OWNER_SNAPSHOT_MAX];
	const unsigned count = owner_snapshot_get(reclaim->blocks, owners);
	char total[FORMAT_BYTES_SIZE], part[FORMAT_BYTES_SIZE];
	struct cleaner *cleaner = NULL;

	log_warn("memory: %s of %s free", format_bytes(part, block_heap_free_bytes(reclaim->blocks)),
		 format_bytes(total, (reclaim->blocks->total_blocks << BLOCK_SHIFT)));
	for (unsigned i = 0; i < count; i++)
		log_warn("memory:   %-24s holds %s%s", owners[i].name, format_bytes(part, owners[i].blocks << BLOCK_SHIFT),
			 owners[i].movable ? ", movable" : "");
	while ((cleaner = cleaner_next(&reclaim->cleaners, cleaner)))
		report_cleaner(cleaner);
}

static void print_best_window(struct reclaim *reclaim, const struct failure_note *failure)
{
	struct nearest_window best;
	char bytes[FORMAT_BYTES_SIZE];

	if (!owner_snapshot_nearest_window(reclaim->blocks, failure->blocks, &failure->constraints, &best)) {
		log_warn("memory:   there are no %llu adjacent blocks at these addresses", (unsigned long long)failure->blocks);
		return;
	}
	const struct phys_addr last = { best.start.value + (failure->blocks << BLOCK_SHIFT) - 1 };
	log_warn("memory:   the best window, %s from 0x%llx on, has %llu blocks that cannot be moved",
		 format_bytes(bytes, failure->blocks << BLOCK_SHIFT), (unsigned long long)best.start.value,
		 (unsigned long long)best.fixed_blocks);
	print_between(reclaim, best.start, last);
}

static void print_failure(struct reclaim *reclaim, const struct failure_note *failure)
{
	const struct block_constraints *constraints = &failure->constraints;
	char bytes[FORMAT_BYTES_SIZE];

	log_warn("memory: %s %s %u of %u runs of %s (addresses 0x%llx to 0x%llx): %s", failure->owner,
		 failure->status == STATUS_OK ? "waits for" : "did not get", failure->missing, failure->count,
		 format_bytes(bytes, failure->blocks << BLOCK_SHIFT), (unsigned long long)constraints->lowest.value,
		 (unsigned long long)(constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value),
		 failure->status == STATUS_OK ? "not to be had yet" : status_text(failure->status));
	reclaim_report(reclaim);
	print_best_window(reclaim, failure);
}

/* False: no report is due, or another one comes first. */
static bool note(const struct reclaim_job *job, status_t status)
{
	const struct memory_request *request = job->request;
	struct memory_failure *failure = &job->reclaim->failure;
	const uint64_t now = platform_now_ns();
	const uint64_t interrupts = spinlock_lock_interrupts(&failure->lock);
	const bool is_noted = !failure->note.is_due && (failure->reported_ns == 0 || now >= failure->reported_ns + PAUSE_NS);

	if (is_noted) {
		failure->reported_ns = now;
		failure->note = (struct failure_note){
			.is_due = true,
			.missing = job->count - job->got,
			.count = job->count,
			.blocks = request->blocks,
			.constraints = request->constraints,
			.status = status,
		};
		format_text(failure->note.owner, sizeof(failure->note.owner), "%s", request->owner->name);
	}
	spinlock_unlock_interrupts(&failure->lock, interrupts);
	return is_noted;
}

static void print_what_is_noted(struct reclaim *reclaim)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&reclaim->failure.lock);
	const struct failure_note failure = reclaim->failure.note;

	reclaim->failure.note.is_due = false;
	spinlock_unlock_interrupts(&reclaim->failure.lock, interrupts);
	if (failure.is_due)
		print_failure(reclaim, &failure);
}

void oom_report(const struct reclaim_job *job, status_t status)
{
	struct reclaim *reclaim = job->reclaim;
	const bool is_noted = note(job, status);

	if (!atomic_load(&reclaim->failure.has_task) && platform_may_sleep())
		print_what_is_noted(reclaim);
	else if (is_noted)
		worker_kick(&reclaim->failure.worker);
}

void oom_report_run(struct reclaim *reclaim)
{
	struct worker *worker = &reclaim->failure.worker;
	uint32_t kicks;

	atomic_store(&reclaim->failure.has_task, true);
	while (worker_begins(worker, &kicks)) {
		print_what_is_noted(reclaim);
		worker_wait(worker, kicks, PLATFORM_FOREVER);
	}
	atomic_store(&reclaim->failure.has_task, false);
	print_what_is_noted(reclaim);
}
