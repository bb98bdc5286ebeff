// SPDX-License-Identifier: BSD-2-Clause
/*
 * The way into reclaim: requests, drains, and sources of blocks for heaps and caches. A request
 * first takes what is free; only one that does not fit enters reclaim (reclaim.c). A change of
 * `frees`, on which all waiting tasks sleep, tells them of each free.
 */
#include "oom_report.h"
#include "reclaim_internal.h"
#include "runtime/base/bits.h"

#define DRAIN_PATIENCE_NS (5 * NS_PER_S) /* a drain ends when it has gained nothing for so long */

/* Requests ------------------------------------------------------------------------------------- */

bool reclaim_could_give(const struct reclaim *reclaim, const struct memory_request *request, uint32_t count)
{
	const uint64_t last_blocks = request->last_blocks, equal = last_blocks == 0 ? count : count - 1;
	const uint64_t all = reclaim->blocks->total_blocks;
	const uint64_t reserves =
		(request->below_min ? 0 : reclaim->watermarks.min_bytes >> BLOCK_SHIFT) + reclaim->guaranteed_blocks;
	const uint64_t most = all - MIN(reserves, all);

	return request->blocks <= most && request->blocks * equal + last_blocks <= most &&
	       block_heap_could_hold(reclaim->blocks, &request->constraints, request->blocks, equal, last_blocks);
}

static status_t reclaim_what_is_missing(struct reclaim_job *job)
{
	struct reclaim *reclaim = job->reclaim;
	const struct memory_request *request = job->request;
	status_t status = STATUS_NO_MEMORY;

	if (!reclaim_could_give(reclaim, request, job->count))
		return STATUS_RANGE;
	atomic_fetch_add_explicit(&reclaim->statistics.reclaims, 1, memory_order_relaxed);
	trace_event(&reclaim->trace, TRACE_REQUEST, request->owner->name, job->count, request->blocks);
	if (platform_may_sleep())
		status = reclaim_run(job);
	if (status == STATUS_OK)
		trace_event(&reclaim->trace, TRACE_GIVEN, request->owner->name, job->count, request->blocks);
	else
		trace_event(&reclaim->trace, TRACE_FAILED, request->owner->name, job->count - job->got,
			    status == STATUS_TIMEOUT);
	return status;
}

status_t reclaim_blocks_alloc(struct reclaim *reclaim, const struct memory_request *request, uint32_t count,
			      struct phys_addr *runs)
{
	struct reclaim_job job = { .reclaim = reclaim, .request = request, .runs = runs, .count = count };
	status_t status;

	if (count == 0 || !request->owner || request->last_blocks > request->blocks ||
	    !block_constraints_allow(&request->constraints, request->blocks))
		return STATUS_INVALID;
	if (platform_is_cleaning())
		platform_panic("memory: %s asks for %llu blocks while it cleans memory", request->owner->name,
			       (unsigned long long)(count * request->blocks));
	atomic_fetch_add_explicit(&reclaim->statistics.requests, 1, memory_order_relaxed);
	job.placed = !request->owner->movable && request->blocks <= PLACED_BLOCKS_MAX && platform_may_sleep();
	if (reclaim_take_free(&job))
		return STATUS_OK;
	status = reclaim_what_is_missing(&job);
	if (status != STATUS_OK) {
		atomic_fetch_add_explicit(&reclaim->statistics.failures, 1, memory_order_relaxed);
		worker_kick(&reclaim->background);
		oom_report(&job, status);
		reclaim_give_back(&job);
		reclaim_notice(reclaim);
	}
	return status;
}

void reclaim_notice(struct reclaim *reclaim)
{
	atomic_fetch_add_explicit(&reclaim->frees, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&reclaim->waiters, memory_order_seq_cst) != 0)
		platform_wake(&reclaim->frees);
}

void reclaim_wait_for_frees(struct reclaim *reclaim, uint32_t seen, uint64_t deadline_ns)
{
	atomic_fetch_add_explicit(&reclaim->waiters, 1, memory_order_seq_cst);
	(void)platform_wait(&reclaim->frees, seen, deadline_ns);
	atomic_fetch_sub_explicit(&reclaim->waiters, 1, memory_order_relaxed);
}

void reclaim_blocks_free(struct reclaim *reclaim, struct phys_addr run)
{
	(void)block_heap_free(reclaim->blocks, run);
	reclaim_notice(reclaim);
}

/* Draining ------------------------------------------------------------------------------------- */

uint64_t reclaim_drain(struct reclaim *reclaim, uint64_t bytes, bool may_wait, uint64_t deadline_ns)
{
	uint64_t patience_ns = platform_now_ns() + DRAIN_PATIENCE_NS;
	struct reclaim_job drain = {
		.reclaim = reclaim,
		.bytes = align_up(MIN(bytes, (reclaim->blocks->total_blocks << BLOCK_SHIFT)), BLOCK_BYTES),
		.urgency = URGENCY_NORMAL,
		.deadline_ns = deadline_ns,
		.may_write = may_wait,
	};
	uint64_t now;

	do {
		const uint32_t frees = atomic_load_explicit(&reclaim->frees, memory_order_acquire);
		const uint64_t before = drain.gained;

		drain.under_way = false;
		reclaim_drain_turn(&drain);
		now = platform_now_ns();
		if (drain.gained > before)
			patience_ns = now + DRAIN_PATIENCE_NS;
		if (drain.gained < drain.bytes && drain.under_way)
			reclaim_wait_for_frees(reclaim, frees, MIN(patience_ns, deadline_ns));
	} while (drain.gained < drain.bytes && drain.under_way && now < MIN(patience_ns, deadline_ns));
	return drain.gained;
}

bool reclaim_may_grow(struct reclaim *reclaim)
{
	const uint64_t claimed = atomic_load_explicit(&reclaim->pending_blocks, memory_order_relaxed) << BLOCK_SHIFT;

	return block_heap_free_bytes(reclaim->blocks) > reclaim->watermarks.low_bytes + claimed;
}

status_t reclaim_cache_take(struct reclaim *reclaim, struct owner *owner, struct phys_addr *block)
{
	const struct run_request request = {
		.blocks = 1,
		.owner = owner,
		.leave_free = (reclaim->watermarks.low_bytes >> BLOCK_SHIFT) +
			      atomic_load_explicit(&reclaim->pending_blocks, memory_order_relaxed),
	};

	return block_heap_alloc(reclaim->blocks, &request, block);
}

/* Sources -------------------------------------------------------------------------------------- */

static status_t source_take(struct block_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment_bytes,
			    struct phys_addr *run)
{
	const struct memory_source *self = container_of(source, struct memory_source, blocks);
	struct memory_request request = self->request;

	request.blocks = blocks;
	request.owner = owner;
	request.constraints.alignment_bytes = alignment_bytes;
	return reclaim_blocks_alloc(self->reclaim, &request, 1, run);
}

static void source_give(struct block_source *source, struct phys_addr run)
{
	reclaim_blocks_free(container_of(source, struct memory_source, blocks)->reclaim, run);
}

void memory_source_init(struct memory_source *source, struct reclaim *reclaim, const struct block_constraints *constraints)
{
	*source = (struct memory_source){
		.blocks = { .heap = reclaim->blocks, .take = source_take, .give = source_give },
		.reclaim = reclaim,
		.request = { .constraints = *constraints, .wait = MEMORY_WAIT_NEVER },
	};
}

/* Life ----------------------------------------------------------------------------------------- */

status_t reclaim_init(struct reclaim *reclaim, struct block_heap *blocks, struct metadata_heap *metadata,
		      const struct watermarks *watermarks, uint64_t trace_events)
{
	const struct block_constraints anywhere = { 0 };

	reclaim->blocks = blocks;
	reclaim->metadata = metadata;
	reclaim->watermarks = *watermarks;
	cleaner_registry_init(&reclaim->cleaners);
	fair_mutex_init(&reclaim->lock, "reclaim");
	spinlock_init(&reclaim->failure.lock, "oom report");
	memory_source_init(&reclaim->kernel_source, reclaim, &anywhere);
	reclaim->kernel_source.request.below_min = true;
	memory_source_init(&reclaim->large_source, reclaim, &anywhere);
	return trace_init(&reclaim->trace, metadata, trace_events);
}
