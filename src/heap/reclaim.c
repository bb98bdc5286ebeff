/*
 * Single blocks are asked for wherever the constraints allow; a run of blocks needs a window, which is fenced so that what the
 * cleaners free in it is taken by nobody else. The first round does not wait; later ones may, if the request allows.
 */
#include "reclaim_internal.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"

#define NAP_NS       (10 * NS_PER_MS) /* between rounds that gained nothing: pages get written and unpinned meanwhile */
#define COMPLAINT_NS (10 * NS_PER_S)  /* a request that waits this long is reported, once */

static bool needs_window(const struct memory_request *request)
{
	return request->blocks > 1 || request->constraints.alignment_bytes > BLOCK_BYTES;
}

static uint64_t deadline_of(const struct memory_request *request)
{
	return request->wait == MEMORY_WAIT_DEADLINE ? request->deadline_ns : PLATFORM_FOREVER;
}

uint64_t reclaim_keep_blocks(const struct reclaim *reclaim)
{
	struct memory *memory = reclaim->memory;
	uint64_t keep = 0;

	if (!reclaim->request->below_min)
		keep = divide_round_up(memory->config.min_bytes, BLOCK_BYTES);
	/* What somebody else is having cleaned is not ours; kernel objects take it all the same. */
	if (!reclaim->holds_mutex && !reclaim->request->below_min)
		keep += atomic_load_explicit(&memory->claimed_blocks, memory_order_relaxed);
	return keep;
}

/* Without waiting for I/O, one still waits for a round that does not wait for it either. */
static status_t reclaim_lock(struct reclaim *reclaim)
{
	struct memory *memory = reclaim->memory;
	status_t status = STATUS_OK;

	if (!mutex_try_lock(&memory->reclaim)) {
		if (reclaim->request->wait == MEMORY_WAIT_NEVER &&
		    atomic_load_explicit(&memory->reclaim_waits, memory_order_relaxed))
			return STATUS_NO_MEMORY;
		status = mutex_lock_until(&memory->reclaim, deadline_of(reclaim->request));
	}
	reclaim->holds_mutex = status == STATUS_OK;
	if (reclaim->holds_mutex)
		atomic_store_explicit(&memory->reclaim_waits, reclaim->may_wait, memory_order_relaxed);
	return status;
}

static void reclaim_unlock(struct reclaim *reclaim)
{
	atomic_store_explicit(&reclaim->memory->reclaim_waits, false, memory_order_relaxed);
	reclaim->holds_mutex = false;
	mutex_unlock(&reclaim->memory->reclaim);
}

bool reclaim_take_one(struct reclaim *reclaim, const struct block_constraints *constraints, bool inside_fence)
{
	const struct run_request request = {
		.blocks = reclaim->request->blocks,
		.constraints = *constraints,
		.owner = reclaim->request->owner,
		.keep_blocks = reclaim_keep_blocks(reclaim),
		.inside_fence = inside_fence,
	};

	if (block_heap_alloc(&reclaim->memory->blocks, &request, &reclaim->runs[reclaim->got]) != STATUS_OK)
		return false;
	reclaim->got++;
	if (reclaim->claims)
		atomic_fetch_sub_explicit(&reclaim->memory->claimed_blocks, request.blocks, memory_order_relaxed);
	return true;
}

bool reclaim_take_free(struct reclaim *reclaim)
{
	while (reclaim->got < reclaim->count)
		if (!reclaim_take_one(reclaim, &reclaim->request->constraints, false))
			return false;
	return true;
}

uint64_t reclaim_ask(struct memory *memory, struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t claimed, given;

	block_heap_watch(&memory->blocks, target->lowest, target->highest);
	trace_event(&memory->trace, TRACE_ASKED, cleaner->name, target->bytes >> BLOCK_SHIFT, target->may_wait);
	claimed = cleaner->clean(cleaner, target);
	given = block_heap_watched_blocks(&memory->blocks) << BLOCK_SHIFT;
	trace_event(&memory->trace, TRACE_ANSWERED, cleaner->name, given >> BLOCK_SHIFT, claimed >> BLOCK_SHIFT);
	atomic_fetch_add_explicit(&memory->cleaned_bytes, given, memory_order_relaxed);

	spinlock_lock(&memory->cleaners.lock);
	cleaner->calls++;
	cleaner->asked_bytes += target->bytes;
	cleaner->claimed_bytes += claimed;
	cleaner->given_bytes += given;
	cleaner->last_asked_bytes = target->bytes;
	cleaner->last_given_bytes = given;
	spinlock_unlock(&memory->cleaners.lock);
	return given;
}

bool reclaim_is_late(const struct reclaim *reclaim)
{
	const struct memory_request *request = reclaim->request;

	return request->wait == MEMORY_WAIT_DEADLINE && platform_now_ns() >= request->deadline_ns;
}

uint64_t reclaim_ask_cleaners(struct reclaim *reclaim, const struct reclaim_question *question)
{
	struct cleaner_registry *registry = &reclaim->memory->cleaners;
	struct cleaner *cleaner = NULL;
	uint64_t gained = 0;

	while ((cleaner = cleaner_next(registry, cleaner))) {
		const uint64_t blocks = question->missing(reclaim, question->context);

		if (blocks == 0 || cleaner->cost > question->highest_cost || reclaim_is_late(reclaim)) {
			cleaner_put(registry, cleaner);
			break;
		}
		gained += reclaim_ask(reclaim->memory, cleaner,
				      &(struct reclaim_target){
					      .bytes = blocks << BLOCK_SHIFT,
					      .lowest = question->lowest,
					      .highest = question->highest,
					      .obstacles = question->obstacles,
					      .may_wait = reclaim->may_wait,
					      .deadline_ns = deadline_of(reclaim->request),
				      });
	}
	return gained;
}

/* Single blocks: takes what is free, and says how many blocks are still missing. */
static uint64_t missing_blocks(struct reclaim *reclaim, const void *context)
{
	const struct block_constraints *constraints = &reclaim->request->constraints;
	struct block_heap *heap = &reclaim->memory->blocks;
	uint64_t want, within, all;

	(void)context;
	if (reclaim_take_free(reclaim))
		return 0;
	want = reclaim->count - reclaim->got;
	within = block_heap_free_within(heap, constraints->lowest, constraints->highest);
	all = atomic_load_explicit(&heap->free_blocks, memory_order_relaxed);
	return MAX(MAX(reclaim_lacking(want, within), reclaim_lacking(want + reclaim_keep_blocks(reclaim), all)), 1);
}

static uint64_t round_of_blocks(struct reclaim *reclaim)
{
	const struct block_constraints *constraints = &reclaim->request->constraints;
	const struct phys_addr highest = { constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value };
	const uint64_t gained = reclaim_ask_cleaners(reclaim, &(struct reclaim_question){
								      .lowest = constraints->lowest,
								      .highest = highest,
								      .highest_cost = CLEANER_HELD,
								      .missing = missing_blocks,
							      });

	(void)reclaim_take_free(reclaim);
	return gained;
}

static void complain(const struct reclaim *reclaim)
{
	log_warn("memory: %s has been waiting for %llu MB for %llu s", reclaim->request->owner->name,
		 (unsigned long long)((reclaim->count - reclaim->got) * reclaim->request->blocks << BLOCK_SHIFT) >> 20,
		 (unsigned long long)(COMPLAINT_NS / NS_PER_S));
	memory_report(reclaim->memory);
}

/* Until somebody frees, or for a nap. Others may reclaim meanwhile. */
static status_t wait_for_frees(struct reclaim *reclaim, uint32_t frees)
{
	struct memory *memory = reclaim->memory;
	const uint64_t nap_ns = platform_now_ns() + NAP_NS;

	trace_event(&memory->trace, TRACE_WAIT, reclaim->request->owner->name, reclaim->count - reclaim->got,
		    reclaim->request->blocks);
	reclaim_unlock(reclaim);
	atomic_fetch_add_explicit(&memory->waiters, 1, memory_order_seq_cst);
	(void)platform_wait(&memory->frees, frees, MIN(nap_ns, deadline_of(reclaim->request)));
	atomic_fetch_sub_explicit(&memory->waiters, 1, memory_order_relaxed);
	return reclaim_lock(reclaim);
}

/* One round; says whether it may gain more by another one at once. */
static bool round_gains(struct reclaim *reclaim)
{
	const bool waited = reclaim->may_wait;
	const uint64_t gained = needs_window(reclaim->request) ? reclaim_round_of_runs(reclaim) : round_of_blocks(reclaim);

	reclaim->may_wait = reclaim->request->wait != MEMORY_WAIT_NEVER;
	atomic_store_explicit(&reclaim->memory->reclaim_waits, reclaim->may_wait, memory_order_relaxed);
	return gained != 0 || !waited;
}

static status_t rounds(struct reclaim *reclaim)
{
	const uint64_t complaint_ns = platform_now_ns() + COMPLAINT_NS;
	bool complained = false;
	status_t status;

	while (!reclaim_take_free(reclaim)) {
		const uint32_t frees = atomic_load_explicit(&reclaim->memory->frees, memory_order_acquire);
		const bool gains = round_gains(reclaim);

		if (reclaim->got == reclaim->count)
			break;
		if (reclaim->request->wait == MEMORY_WAIT_NEVER)
			return STATUS_NO_MEMORY;
		if (reclaim_is_late(reclaim))
			return STATUS_TIMEOUT;
		status = gains ? STATUS_OK : wait_for_frees(reclaim, frees);
		if (status != STATUS_OK)
			return status;
		if (!complained && platform_now_ns() >= complaint_ns) {
			complained = true;
			complain(reclaim);
		}
	}
	return STATUS_OK;
}

status_t reclaim_run(struct reclaim *reclaim)
{
	struct memory *memory = reclaim->memory;
	const uint64_t blocks = reclaim->request->blocks;
	status_t status;

	status = reclaim_lock(reclaim);
	if (status != STATUS_OK)
		return status;
	atomic_fetch_add_explicit(&memory->claimed_blocks, (reclaim->count - reclaim->got) * blocks, memory_order_relaxed);
	reclaim->claims = true;
	status = rounds(reclaim);
	atomic_fetch_sub_explicit(&memory->claimed_blocks, (reclaim->count - reclaim->got) * blocks, memory_order_relaxed);
	if (reclaim->holds_mutex)
		reclaim_unlock(reclaim);
	return status;
}
