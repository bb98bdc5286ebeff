// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests, rounds and waiting. A request for single blocks asks for them at all addresses that its
 * constraints allow, one at a time; for blocks that have to stay free it asks at any address. A run
 * of blocks needs a window, which is isolated so that no other request takes what the cleaners free
 * in it. The first round takes clean memory; later ones have dirty memory written, if the request
 * may wait. After each block a request passes its turn on to requests that are as urgent; between
 * rounds it waits without the turn.
 */
#include "reclaim_internal.h"

#include "heap/block/window.h"
#include "oom_report.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

/*
 * A request that gained nothing sleeps until memory is freed or a write ends, or for so long: no
 * event tells of an unpinned page.
 */
#define NAP_NS         (10 * NS_PER_MS)
#define PATIENT_NAP_NS (2 * NS_PER_MS) /* between two looks at a window that is not clear */
#define COMPLAINT_NS   (10 * NS_PER_S) /* a request that waits for so long is reported, once */
#define ROUNDS_IN_ROW  4               /* rounds that gained only memory of no use */

/*
 * The blocks that stay free below min, for kernel objects. A caller that may not sleep, and cannot
 * reclaim, gets only a share of these.
 */
uint64_t reclaim_leave_free(const struct reclaim_job *job)
{
	const uint64_t min = job->reclaim->watermarks.min_bytes,
		       share = min / 100 * (100 - job->reclaim->watermarks.atomic_percent);

	if (job->request->below_min)
		return platform_may_sleep() ? 0 : divide_round_up(share, BLOCK_BYTES);
	/* Memory that is being cleaned for another request is not for this one. */
	return (min >> BLOCK_SHIFT) +
	       (job->has_turn ? 0 : atomic_load_explicit(&job->reclaim->pending_blocks, memory_order_relaxed));
}

static uint64_t missing_in_all(const struct reclaim_job *job)
{
	const uint32_t runs = job->count - job->got;

	return runs == 0 ? 0 : (runs - 1) * job->request->blocks + memory_request_last_blocks(job->request);
}

static void claim(struct reclaim_job *job, uint64_t blocks)
{
	if (job->claims)
		atomic_fetch_add_explicit(&job->reclaim->pending_blocks, blocks, memory_order_relaxed);
}

static status_t enter(struct reclaim_job *job)
{
	const status_t status = fair_mutex_lock(&job->reclaim->lock, job->urgency, job->deadline_ns);

	job->has_turn = status == STATUS_OK;
	return status;
}

static void leave(struct reclaim_job *job)
{
	job->has_turn = false;
	fair_mutex_unlock(&job->reclaim->lock);
}

/*
 * A request whose deadline has passed has to tidy up before it ends; so it gets its turn back
 * before others.
 */
void reclaim_pass_turn_on(struct reclaim_job *job)
{
	struct fair_mutex *turn = &job->reclaim->lock;
	status_t status;

	if (!fair_mutex_is_wanted(turn, job->urgency))
		return;
	status = fair_mutex_pass_on(turn, job->urgency, job->deadline_ns);
	if (status != STATUS_OK)
		status = fair_mutex_lock(turn, URGENCY_HIGH, PLATFORM_FOREVER);
	assert(status == STATUS_OK);
}

bool reclaim_take_one(struct reclaim_job *job, const struct block_constraints *constraints, bool inside_isolated)
{
	const struct run_request request = {
		.blocks = reclaim_run_blocks(job),
		.constraints = *constraints,
		.owner = job->request->owner,
		.leave_free = reclaim_leave_free(job),
		.inside_isolated = inside_isolated,
		.placed = job->placed && !job->displaced && !inside_isolated,
	};

	if (block_heap_alloc(job->reclaim->blocks, &request, &job->runs[job->got]) != STATUS_OK)
		return request.placed && job->has_turn && !job->passes && reclaim_take_place(job, &request);
	job->got++;
	job->displaced = false;
	claim(job, -request.blocks);
	if (block_heap_free_bytes(job->reclaim->blocks) < job->reclaim->watermarks.low_bytes)
		worker_kick(&job->reclaim->background);
	return true;
}

/* The blocks are pending again first, so that they are there when the request looks again. */
void reclaim_give_back(struct reclaim_job *job)
{
	while (job->got > 0) {
		job->got--;
		claim(job, reclaim_run_blocks(job));
		(void)block_heap_free(job->reclaim->blocks, job->runs[job->got]);
	}
}

bool reclaim_take_free(struct reclaim_job *job)
{
	while (job->got < job->count)
		if (!reclaim_take_one(job, &job->request->constraints, false))
			return false;
	return true;
}

/* Asks one cleaner, updates its statistics, and returns the bytes that reached the block heap. */
static uint64_t ask(struct reclaim *reclaim, struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t reported, given;
	bool before;

	(void)block_heap_watch(reclaim->blocks, target->lowest, target->highest);
	trace_event(&reclaim->trace, TRACE_ASKED, cleaner->name, target->bytes >> BLOCK_SHIFT, target->may_write);
	before = platform_set_cleaning(true);
	reported = cleaner->clean(cleaner, target);
	(void)platform_set_cleaning(before);
	given = block_heap_watch(reclaim->blocks, target->lowest, target->highest) << BLOCK_SHIFT;
	given = MIN(reported, given); /* other tasks free memory meanwhile, too */
	trace_event(&reclaim->trace, TRACE_ANSWERED, cleaner->name, given >> BLOCK_SHIFT, reported >> BLOCK_SHIFT);
	atomic_fetch_add_explicit(&reclaim->statistics.cleaned_bytes, given, memory_order_relaxed);

	spinlock_lock(&reclaim->cleaners.lock);
	cleaner->calls++;
	cleaner->asked_bytes += target->bytes;
	cleaner->reported_bytes += reported;
	cleaner->given_bytes += given;
	cleaner->last_asked_bytes = target->bytes;
	cleaner->last_given_bytes = given;
	spinlock_unlock(&reclaim->cleaners.lock);
	return given;
}

/*
 * The place of the next unmovable block: a block that is cleaned for no place of its own had better
 * lie there.
 */
static struct phys_addr next_place(struct reclaim *reclaim)
{
	const struct run_request request = { .blocks = 1, .owner = &reclaim->metadata->owner, .placed = true, .later = true };
	struct window place;

	return window_find(reclaim->blocks, &request, &place) ? place.start : (struct phys_addr){ 0 };
}

/* The first block of the request's place that is in use, or the next place. */
static struct phys_addr wanted_block(struct reclaim_job *job)
{
	struct window *place = &job->place;

	for (; place->blocks > 0; place->start.value += BLOCK_BYTES, place->blocks--) {
		const struct window block = { .start = place->start, .blocks = 1 };

		if (block_heap_free_within(job->reclaim->blocks, block.start, window_last_byte(&block)) == 0)
			return block.start;
	}
	return next_place(job->reclaim);
}

/*
 * A cleaner that gives all that it is asked for is asked again. The request takes what the cleaner
 * gave before other requests have their turn.
 */
uint64_t reclaim_ask_cleaners(struct reclaim_job *job, const struct reclaim_question *question)
{
	struct cleaner_registry *registry = &job->reclaim->cleaners;
	struct cleaner *cleaner = cleaner_next(registry, NULL);
	struct reclaim_target target = question->target;
	const uint64_t gained = job->gained;
	uint64_t orders = registry->orders, blocks, given;

	target.may_write = job->may_write;
	target.under_way = &job->under_way;
	target.deadline_ns = job->deadline_ns;
	target.turn = &job->reclaim->lock;
	/* Two that empty their places by turns would do so into each other's without end. */
	target.urgency = job->urgency + target.exchange;
	while (cleaner && (blocks = question->missing(job, &target)) != 0 && cleaner->cost <= question->highest_cost &&
	       !reclaim_is_late(job)) {
		/*
		 * The request takes single blocks one by one. A window goes as a whole, and writes
		 * are started together.
		 */
		target.bytes = (question->together || cleaner->cost == CLEANER_DIRTY ? blocks : 1) << BLOCK_SHIFT;
		target.wanted = wanted_block(job);
		given = ask(job->reclaim, cleaner, &target);
		job->gained += given;
		if (given > 0 && reclaim_target_is_wanted(&target)) {
			job->passes = true;
			blocks = question->missing(job, &target);
			job->passes = false;
			/*
			 * An emptied place is taken first: the next place would be emptied into it.
			 */
			if (blocks == 0 && target.exchange)
				break;
			reclaim_pass_turn_on(job);
			if (target.unmovable)
				block_heap_isolate(job->reclaim->blocks, target.lowest,
						   (target.highest.value - target.lowest.value + 1) >> BLOCK_SHIFT);
		} else if (given < target.bytes) {
			cleaner = cleaner_next(registry, cleaner);
		}
		if (orders != registry->orders) { /* this one has another place, perhaps */
			orders = registry->orders;
			if (cleaner)
				cleaner_put(registry, cleaner);
			cleaner = cleaner_next(registry, NULL);
		}
	}
	if (cleaner)
		cleaner_put(registry, cleaner);
	return job->gained - gained;
}

uint64_t reclaim_ask_anywhere(struct reclaim_job *job, enum cleaner_cost highest_cost,
			      uint64_t (*missing)(struct reclaim_job *job, const struct reclaim_target *target))
{
	return reclaim_ask_cleaners(job, &(struct reclaim_question){
						 .target.highest = { UINT64_MAX },
						 .highest_cost = highest_cost,
						 .together = job->bytes != 0,
						 .missing = missing,
					 });
}

static uint64_t missing_of_drain(struct reclaim_job *job, const struct reclaim_target *target)
{
	(void)target;
	return reclaim_lacking(job->bytes, job->gained) >> BLOCK_SHIFT;
}

void reclaim_drain_turn(struct reclaim_job *job)
{
	if (enter(job) != STATUS_OK)
		return;
	(void)reclaim_ask_anywhere(job, CLEANER_HELD, missing_of_drain);
	leave(job);
}

/*
 * How many blocks the request lacks. If memory is there, and still it does not fit, other requests
 * were faster, or isolate it: then one more.
 */
static uint64_t missing_blocks(struct reclaim_job *job, bool there, bool anywhere)
{
	const struct block_constraints *constraints = &job->request->constraints;
	struct block_heap *heap = job->reclaim->blocks;

	if (reclaim_take_free(job))
		return 0;
	const uint64_t want = job->count - job->got;
	const uint64_t free = block_heap_free_within(heap, constraints->lowest, constraints->highest);
	const uint64_t lacking = reclaim_lacking(want, free);
	const uint64_t reserve = reclaim_lacking(MIN(want, free) + reclaim_leave_free(job),
						 atomic_load_explicit(&heap->free_blocks, memory_order_relaxed));
	if (lacking + reserve == 0)
		return there;
	return (there ? lacking : 0) + (anywhere ? reserve : 0);
}

/* Blocks at the request's addresses. */
static uint64_t missing_there(struct reclaim_job *job, const struct reclaim_target *target)
{
	return missing_blocks(job, true, block_heap_is_within(job->reclaim->blocks, target->lowest, target->highest));
}

/* Free blocks, at any address, that the request has to leave. */
static uint64_t missing_reserve(struct reclaim_job *job, const struct reclaim_target *target)
{
	(void)target;
	return missing_blocks(job, false, true);
}

static uint64_t round_of_blocks(struct reclaim_job *job)
{
	const struct block_constraints *constraints = &job->request->constraints;
	const struct phys_addr highest = { constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value };
	const struct reclaim_question there = {
		.target = { .lowest = constraints->lowest, .highest = highest },
		.highest_cost = CLEANER_HELD,
		.missing = missing_there,
	};
	const uint64_t before = job->gained;
	uint64_t gained;

	do {
		gained = reclaim_ask_cleaners(job, &there);
		if (!block_heap_is_within(job->reclaim->blocks, constraints->lowest, highest))
			gained += reclaim_ask_anywhere(job, CLEANER_HELD, missing_reserve);
	} while (!reclaim_take_free(job) && gained > 0 && !reclaim_is_late(job));
	return job->gained - before;
}

/*
 * Waits until memory was freed or written, or for a nap. No event tells when a window is clear: a
 * request that waits for that does not look at all its pages again at each write.
 *
 * Other requests have their turn meanwhile, and the blocks that this one has got so far: no request
 * that sleeps holds what another waits for, or what is in its own way. It wakes no sleeping request
 * by that, or two of them would wake each other without end; the next request with a turn finds the
 * blocks.
 */
static status_t wait_for_frees(struct reclaim_job *job, uint32_t frees)
{
	const uint64_t patient_ns = MIN(platform_now_ns() + PATIENT_NAP_NS, job->deadline_ns);
	struct reclaim *reclaim = job->reclaim;

	trace_event(&reclaim->trace, TRACE_WAIT, job->request->owner->name, job->count - job->got, job->request->blocks);
	reclaim_give_back(job);
	leave(job);
	if (platform_now_ns() >= job->complaint_ns) {
		job->complaint_ns = PLATFORM_FOREVER;
		oom_report(job, STATUS_OK);
	}
	while (job->is_patient && platform_now_ns() < patient_ns)
		reclaim_wait_for_frees(reclaim, atomic_load_explicit(&reclaim->frees, memory_order_acquire), patient_ns);
	reclaim_wait_for_frees(reclaim, frees, MIN(platform_now_ns() + NAP_NS, job->deadline_ns));
	return enter(job);
}

static status_t rounds(struct reclaim_job *job)
{
	const struct memory_request *request = job->request;
	const bool needs_window = request->blocks > 1 || request->constraints.alignment_bytes > BLOCK_BYTES;
	unsigned in_vain = 0;
	status_t status = STATUS_OK;

	while (status == STATUS_OK && !reclaim_take_free(job)) {
		const uint32_t frees = atomic_load_explicit(&job->reclaim->frees, memory_order_acquire);
		const uint32_t got = job->got;
		const bool wrote = job->may_write;
		const uint64_t gained = needs_window ? reclaim_round_of_runs(job) : round_of_blocks(job);

		if (job->got == job->count)
			break;
		if (request->wait == MEMORY_WAIT_NEVER)
			return STATUS_NO_MEMORY;
		if (reclaim_is_late(job))
			return STATUS_TIMEOUT;
		job->may_write = true;
		in_vain = job->got == got ? in_vain + 1 : 0;
		if ((wrote && (gained == 0 || job->is_patient)) || in_vain % ROUNDS_IN_ROW == ROUNDS_IN_ROW - 1)
			status = wait_for_frees(job, frees);
	}
	return status;
}

static void note_lateness(struct reclaim_job *job)
{
	struct reclaim *reclaim = job->reclaim;
	const uint64_t late_ns = reclaim_lacking(platform_now_ns(), job->deadline_ns);
	uint64_t most = atomic_load_explicit(&reclaim->statistics.late_ns_max, memory_order_relaxed);

	atomic_fetch_add_explicit(&reclaim->statistics.timeouts, 1, memory_order_relaxed);
	while (most < late_ns && !atomic_compare_exchange_weak_explicit(&reclaim->statistics.late_ns_max, &most, late_ns,
									memory_order_relaxed, memory_order_relaxed))
		;
}

status_t reclaim_run(struct reclaim_job *job)
{
	status_t status;

	/*
	 * No turn waits for I/O; so requests that must not wait for I/O wait in line, too, before
	 * all others.
	 */
	job->urgency = job->request->wait == MEMORY_WAIT_NEVER ? URGENCY_HIGH : URGENCY_NORMAL;
	job->deadline_ns = job->request->wait == MEMORY_WAIT_DEADLINE ? job->request->deadline_ns : PLATFORM_FOREVER;
	job->claims = true;
	claim(job, missing_in_all(job));
	job->complaint_ns = platform_now_ns() + COMPLAINT_NS;
	status = enter(job);
	if (status == STATUS_OK)
		status = rounds(job);
	claim(job, -missing_in_all(job));
	job->claims = job->placed = false;
	if (job->has_turn)
		leave(job);
	else if (reclaim_take_free(job)) /* not in its place: it has no turn */
		return STATUS_OK;
	if (status == STATUS_TIMEOUT)
		note_lateness(job);
	return status;
}
