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

#include "failure_report.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "window.h"

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
uint64_t reclaim_keep_blocks(const struct reclaim *reclaim)
{
	const uint64_t min = reclaim->memory->config.min_bytes,
		       share = min / 100 * (100 - reclaim->memory->config.atomic_percent);

	if (reclaim->request->below_min)
		return platform_may_sleep() ? 0 : divide_round_up(share, BLOCK_BYTES);
	/* Memory that is being cleaned for another request is not for this one. */
	return (min >> BLOCK_SHIFT) +
	       (reclaim->has_turn ? 0 : atomic_load_explicit(&reclaim->memory->claimed_blocks, memory_order_relaxed));
}

static uint64_t missing_in_all(const struct reclaim *reclaim)
{
	const uint32_t runs = reclaim->count - reclaim->got;

	return runs == 0 ? 0 : (runs - 1) * reclaim->request->blocks + memory_request_last_blocks(reclaim->request);
}

static void claim(struct reclaim *reclaim, uint64_t blocks)
{
	if (reclaim->claims)
		atomic_fetch_add_explicit(&reclaim->memory->claimed_blocks, blocks, memory_order_relaxed);
}

static status_t enter(struct reclaim *reclaim)
{
	const status_t status = fair_mutex_lock(&reclaim->memory->reclaim_lock, reclaim->urgency, reclaim->deadline_ns);

	reclaim->has_turn = status == STATUS_OK;
	return status;
}

static void leave(struct reclaim *reclaim)
{
	reclaim->has_turn = false;
	fair_mutex_unlock(&reclaim->memory->reclaim_lock);
}

/*
 * A request whose deadline has passed has to tidy up before it ends; so it gets its turn back
 * before others.
 */
void reclaim_pass_turn_on(struct reclaim *reclaim)
{
	struct fair_mutex *turn = &reclaim->memory->reclaim_lock;
	status_t status;

	if (!fair_mutex_is_wanted(turn, reclaim->urgency))
		return;
	status = fair_mutex_pass_on(turn, reclaim->urgency, reclaim->deadline_ns);
	if (status != STATUS_OK)
		status = fair_mutex_lock(turn, URGENCY_HIGH, PLATFORM_FOREVER);
	assert(status == STATUS_OK);
}

bool reclaim_take_one(struct reclaim *reclaim, const struct block_constraints *constraints, bool inside_fence)
{
	const struct run_request request = {
		.blocks = reclaim_run_blocks(reclaim),
		.constraints = *constraints,
		.owner = reclaim->request->owner,
		.keep_blocks = reclaim_keep_blocks(reclaim),
		.inside_fence = inside_fence,
		.placed = reclaim->placed && !reclaim->displaced && !inside_fence,
	};

	if (block_heap_alloc(&reclaim->memory->blocks, &request, &reclaim->runs[reclaim->got]) != STATUS_OK)
		return request.placed && reclaim->has_turn && !reclaim->passes && reclaim_take_place(reclaim, &request);
	reclaim->got++;
	reclaim->displaced = false;
	claim(reclaim, -request.blocks);
	if (memory_free_bytes(reclaim->memory) < reclaim->memory->config.low_bytes)
		worker_kick(&reclaim->memory->background);
	return true;
}

/* Claims the blocks again first, so that they are there when the request looks again. */
void reclaim_give_back(struct reclaim *reclaim)
{
	while (reclaim->got > 0) {
		reclaim->got--;
		claim(reclaim, reclaim_run_blocks(reclaim));
		(void)block_heap_free(&reclaim->memory->blocks, reclaim->runs[reclaim->got]);
	}
}

bool reclaim_take_free(struct reclaim *reclaim)
{
	while (reclaim->got < reclaim->count)
		if (!reclaim_take_one(reclaim, &reclaim->request->constraints, false))
			return false;
	return true;
}

/* Asks one cleaner, updates its statistics, and returns the bytes that reached the block heap. */
static uint64_t ask(struct memory *memory, struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t claimed, given;
	bool before;

	(void)block_heap_watch(&memory->blocks, target->lowest, target->highest);
	trace_event(&memory->trace, TRACE_ASKED, cleaner->name, target->bytes >> BLOCK_SHIFT, target->may_write);
	before = platform_set_cleaning(true);
	claimed = cleaner->clean(cleaner, target);
	(void)platform_set_cleaning(before);
	given = block_heap_watch(&memory->blocks, target->lowest, target->highest) << BLOCK_SHIFT;
	given = MIN(claimed, given); /* other tasks free memory meanwhile, too */
	trace_event(&memory->trace, TRACE_ANSWERED, cleaner->name, given >> BLOCK_SHIFT, claimed >> BLOCK_SHIFT);
	atomic_fetch_add_explicit(&memory->statistics.cleaned_bytes, given, memory_order_relaxed);

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

/*
 * The place of the next unmovable block: a block that is cleaned for no place of its own had better
 * lie there.
 */
static struct phys_addr next_place(struct memory *memory)
{
	const struct run_request request = {
		.blocks = 1,
		.owner = &memory->bookkeeping.owner,
		.placed = true,
		.later = true,
	};
	struct window place;

	return window_find(&memory->blocks, &request, &place) ? place.start : (struct phys_addr){ 0 };
}

/*
 * A cleaner that gives all that it is asked for is asked again. The request takes what the cleaner
 * gave before other requests have their turn.
 */
uint64_t reclaim_ask_cleaners(struct reclaim *reclaim, const struct reclaim_question *question)
{
	struct cleaner_registry *registry = &reclaim->memory->cleaners;
	struct cleaner *cleaner = cleaner_next(registry, NULL);
	struct reclaim_target target = question->target;
	const uint64_t gained = reclaim->gained;
	uint64_t orders = registry->orders, blocks, given;

	target.may_write = reclaim->may_write;
	target.under_way = &reclaim->under_way;
	target.deadline_ns = reclaim->deadline_ns;
	target.turn = &reclaim->memory->reclaim_lock;
	target.urgency = reclaim->urgency;
	while (cleaner && (blocks = question->missing(reclaim, &target)) != 0 && cleaner->cost <= question->highest_cost &&
	       !reclaim_is_late(reclaim)) {
		/*
		 * The request takes single blocks one by one. A window goes as a whole, and writes
		 * are started together.
		 */
		target.bytes = (question->together || cleaner->cost == CLEANER_DIRTY ? blocks : 1) << BLOCK_SHIFT;
		target.wanted = reclaim->place.value != 0 ? reclaim->place : next_place(reclaim->memory);
		given = ask(reclaim->memory, cleaner, &target);
		reclaim->gained += given;
		if (given > 0 && reclaim_target_is_wanted(&target)) {
			reclaim->passes = true;
			blocks = question->missing(reclaim, &target);
			reclaim->passes = false;
			/*
			 * An emptied place is taken first: the next place would be emptied into it.
			 */
			if (blocks == 0 && target.exchange)
				break;
			reclaim_pass_turn_on(reclaim);
			if (target.obstacles)
				block_heap_fence(&reclaim->memory->blocks, target.lowest,
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
	return reclaim->gained - gained;
}

uint64_t reclaim_ask_anywhere(struct reclaim *reclaim, enum cleaner_cost highest_cost,
			      uint64_t (*missing)(struct reclaim *reclaim, const struct reclaim_target *target))
{
	return reclaim_ask_cleaners(reclaim, &(struct reclaim_question){
						     .target.highest = { UINT64_MAX },
						     .highest_cost = highest_cost,
						     .together = reclaim->bytes != 0,
						     .missing = missing,
					     });
}

static uint64_t missing_of_drain(struct reclaim *reclaim, const struct reclaim_target *target)
{
	(void)target;
	return reclaim_lacking(reclaim->bytes, reclaim->gained) >> BLOCK_SHIFT;
}

void reclaim_drain(struct reclaim *reclaim)
{
	if (enter(reclaim) != STATUS_OK)
		return;
	(void)reclaim_ask_anywhere(reclaim, CLEANER_HELD, missing_of_drain);
	leave(reclaim);
}

/*
 * How many blocks the request lacks. If memory is there, and still it does not fit, other requests
 * were faster, or isolate it: then one more.
 */
static uint64_t missing_blocks(struct reclaim *reclaim, bool there, bool anywhere)
{
	const struct block_constraints *constraints = &reclaim->request->constraints;
	struct block_heap *heap = &reclaim->memory->blocks;

	if (reclaim_take_free(reclaim))
		return 0;
	const uint64_t want = reclaim->count - reclaim->got;
	const uint64_t free = block_heap_free_within(heap, constraints->lowest, constraints->highest);
	const uint64_t lacking = reclaim_lacking(want, free);
	const uint64_t reserve = reclaim_lacking(MIN(want, free) + reclaim_keep_blocks(reclaim),
						 atomic_load_explicit(&heap->free_blocks, memory_order_relaxed));
	if (lacking + reserve == 0)
		return there;
	return (there ? lacking : 0) + (anywhere ? reserve : 0);
}

/* Blocks at the request's addresses. */
static uint64_t missing_there(struct reclaim *reclaim, const struct reclaim_target *target)
{
	return missing_blocks(reclaim, true, block_heap_is_within(&reclaim->memory->blocks, target->lowest, target->highest));
}

/* Free blocks, at any address, that the request has to leave. */
static uint64_t missing_reserve(struct reclaim *reclaim, const struct reclaim_target *target)
{
	(void)target;
	return missing_blocks(reclaim, false, true);
}

static uint64_t round_of_blocks(struct reclaim *reclaim)
{
	const struct block_constraints *constraints = &reclaim->request->constraints;
	const struct phys_addr highest = { constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value };
	const struct reclaim_question there = {
		.target = { .lowest = constraints->lowest, .highest = highest },
		.highest_cost = CLEANER_HELD,
		.missing = missing_there,
	};
	const uint64_t before = reclaim->gained;
	uint64_t gained;

	do {
		gained = reclaim_ask_cleaners(reclaim, &there);
		if (!block_heap_is_within(&reclaim->memory->blocks, constraints->lowest, highest))
			gained += reclaim_ask_anywhere(reclaim, CLEANER_HELD, missing_reserve);
	} while (!reclaim_take_free(reclaim) && gained > 0 && !reclaim_is_late(reclaim));
	return reclaim->gained - before;
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
static status_t wait_for_frees(struct reclaim *reclaim, uint32_t frees)
{
	const uint64_t patient_ns = MIN(platform_now_ns() + PATIENT_NAP_NS, reclaim->deadline_ns);
	struct memory *memory = reclaim->memory;

	trace_event(&memory->trace, TRACE_WAIT, reclaim->request->owner->name, reclaim->count - reclaim->got,
		    reclaim->request->blocks);
	reclaim_give_back(reclaim);
	leave(reclaim);
	if (platform_now_ns() >= reclaim->complaint_ns) {
		reclaim->complaint_ns = PLATFORM_FOREVER;
		failure_report(reclaim, STATUS_OK);
	}
	while (reclaim->is_patient && platform_now_ns() < patient_ns)
		memory_wait_for_frees(memory, atomic_load_explicit(&memory->frees, memory_order_acquire), patient_ns);
	memory_wait_for_frees(memory, frees, MIN(platform_now_ns() + NAP_NS, reclaim->deadline_ns));
	return enter(reclaim);
}

static status_t rounds(struct reclaim *reclaim)
{
	const struct memory_request *request = reclaim->request;
	const bool needs_window = request->blocks > 1 || request->constraints.alignment_bytes > BLOCK_BYTES;
	unsigned in_vain = 0;
	status_t status = STATUS_OK;

	while (status == STATUS_OK && !reclaim_take_free(reclaim)) {
		const uint32_t frees = atomic_load_explicit(&reclaim->memory->frees, memory_order_acquire);
		const uint32_t got = reclaim->got;
		const bool wrote = reclaim->may_write;
		const uint64_t gained = needs_window ? reclaim_round_of_runs(reclaim) : round_of_blocks(reclaim);

		if (reclaim->got == reclaim->count)
			break;
		if (request->wait == MEMORY_WAIT_NEVER)
			return STATUS_NO_MEMORY;
		if (reclaim_is_late(reclaim))
			return STATUS_TIMEOUT;
		reclaim->may_write = true;
		in_vain = reclaim->got == got ? in_vain + 1 : 0;
		if ((wrote && (gained == 0 || reclaim->is_patient)) || in_vain % ROUNDS_IN_ROW == ROUNDS_IN_ROW - 1)
			status = wait_for_frees(reclaim, frees);
	}
	return status;
}

static void note_lateness(struct reclaim *reclaim)
{
	struct memory *memory = reclaim->memory;
	const uint64_t late_ns = reclaim_lacking(platform_now_ns(), reclaim->deadline_ns);
	uint64_t most = atomic_load_explicit(&memory->statistics.late_ns_max, memory_order_relaxed);

	atomic_fetch_add_explicit(&memory->statistics.timeouts, 1, memory_order_relaxed);
	while (most < late_ns && !atomic_compare_exchange_weak_explicit(&memory->statistics.late_ns_max, &most, late_ns,
									memory_order_relaxed, memory_order_relaxed))
		;
}

status_t reclaim_run(struct reclaim *reclaim)
{
	status_t status;

	/*
	 * No turn waits for I/O; so requests that must not wait for I/O wait in line, too, before
	 * all others.
	 */
	reclaim->urgency = reclaim->request->wait == MEMORY_WAIT_NEVER ? URGENCY_HIGH : URGENCY_NORMAL;
	reclaim->deadline_ns =
		reclaim->request->wait == MEMORY_WAIT_DEADLINE ? reclaim->request->deadline_ns : PLATFORM_FOREVER;
	reclaim->claims = true;
	claim(reclaim, missing_in_all(reclaim));
	reclaim->complaint_ns = platform_now_ns() + COMPLAINT_NS;
	status = enter(reclaim);
	if (status == STATUS_OK)
		status = rounds(reclaim);
	claim(reclaim, -missing_in_all(reclaim));
	reclaim->claims = reclaim->placed = false;
	if (reclaim->has_turn)
		leave(reclaim);
	else if (reclaim_take_free(reclaim)) /* not in its place: it has no turn */
		return STATUS_OK;
	if (status == STATUS_TIMEOUT)
		note_lateness(reclaim);
	return status;
}
