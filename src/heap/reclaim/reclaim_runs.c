// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs of blocks: a window is chosen, isolated, emptied by the cleaners and taken; then the next
 * best one. The isolation keeps what was emptied so far for this request until the whole window is
 * free.
 */
#include "heap/block/window.h"
#include "reclaim_internal.h"

#define WINDOW_TRIES 8 /* windows that fail in one round */

/*
 * What is in the way of a window is mostly gone soon. So a request that may wait does so before it
 * empties a window that costs twice as much as one with something in the way, and more by about
 * 2000 pages that have to be read again: for so long, up to ten times as long for ten times as many
 * pages, and for a quarter of the time to its deadline at most. If it waited in vain, no request
 * does so again soon.
 */
#define PATIENCE_FACTOR 2
#define PATIENCE_COST   1000u
#define PATIENCE_NS     (200 * NS_PER_MS)
#define PATIENCE_OVER   (5 * NS_PER_S)

static uint64_t missing_in_window(struct reclaim_job *job, const struct reclaim_target *window)
{
	return ((window->highest.value - window->lowest.value + 1) >> BLOCK_SHIFT) -
	       block_heap_free_within(job->reclaim->blocks, window->lowest, window->highest);
}

/*
 * The window is free: the blocks that lack now are free ones elsewhere that the request has to
 * leave.
 */
static uint64_t missing_to_keep(struct reclaim_job *job, const struct reclaim_target *target)
{
	const uint64_t all = atomic_load_explicit(&job->reclaim->blocks->free_blocks, memory_order_relaxed);

	(void)target;
	return reclaim_lacking(reclaim_run_blocks(job) + reclaim_leave_free(job), all);
}

/* Empties one window and takes it, or counts the blocks in its way. */
static uint64_t window_take(struct reclaim_job *job, const struct run_request *request, const struct window *window)
{
	const struct reclaim_question question = {
		.target = { .lowest = window->start,
			    .highest = window_last_byte(window),
			    .unmovable = &job->unmovable,
			    .exchange = request->placed },
		.highest_cost = request->placed ? CLEANER_CLEAN : CLEANER_HELD,
		.together = true,
		.missing = missing_in_window,
	};
	const struct block_constraints inside = { .lowest = question.target.lowest, .highest = question.target.highest };
	const uint32_t got = job->got;
	uint64_t gained;

	job->unmovable = 0;
	atomic_fetch_add_explicit(&job->reclaim->statistics.windows, 1, memory_order_relaxed);
	trace_event(&job->reclaim->trace, TRACE_WINDOW, job->request->owner->name, window->start.value >> BLOCK_SHIFT,
		    window->cost);
	block_heap_isolate(job->reclaim->blocks, window->start, window->blocks);
	gained = reclaim_ask_cleaners(job, &question);
	if (missing_in_window(job, &question.target) == 0) {
		gained += reclaim_ask_anywhere(job, CLEANER_HELD, missing_to_keep);
		(void)reclaim_take_one(job, &inside, true);
	}
	trace_event(&job->reclaim->trace, TRACE_TAKEN, job->request->owner->name, window->start.value >> BLOCK_SHIFT,
		    job->got - got);
	/*
	 * If something came in the way of a window that is nearly empty, its cleaners find it the
	 * next time; but exclude a window that gave nothing.
	 */
	if (job->unmovable == 0 && job->got == got && gained == 0)
		window_exclude(job->reclaim->blocks, window);
	block_heap_isolate(job->reclaim->blocks, window->start, 0);
	return gained;
}

bool reclaim_take_place(struct reclaim_job *job, const struct run_request *request)
{
	struct block_heap *heap = job->reclaim->blocks;
	const uint32_t got = job->got;
	struct window place = { 0 };

	for (unsigned tries = 0; !job->displaced && job->got == got; tries++) {
		job->displaced = tries == WINDOW_TRIES || !window_find(heap, request, &place);
		if (job->displaced)
			place.blocks = 0;
		job->place = place;
		if (missing_to_keep(job, NULL) > 0)
			break;
		if (!job->displaced)
			(void)window_take(job, request, &place);
	}
	window_exclude_none(heap);
	if (job->displaced)
		(void)reclaim_take_one(job, &request->constraints, false);
	if (job->got > got && job->got < job->count)
		reclaim_pass_turn_on(job);
	return job->got > got;
}

static uint64_t missing_everything(struct reclaim_job *job, const struct reclaim_target *target)
{
	(void)target;
	return job->reclaim->blocks->total_blocks;
}

/* The sum of the free blocks and those that the request has got. */
static uint64_t blocks_won(const struct reclaim_job *job)
{
	return atomic_load_explicit(&job->reclaim->blocks->free_blocks, memory_order_relaxed) + job->got * job->request->blocks;
}

/* For a window that costs so much more; ten times as long at most. */
static uint64_t patience_ns(const struct reclaim_job *job, uint64_t now, uint64_t more)
{
	return MIN(reclaim_lacking(job->deadline_ns, now) / 4, MIN(more / PATIENCE_COST, 10u) * PATIENCE_NS);
}

/* Whether the request still waits for a cheaper window; the time begins with the first call. */
static bool has_patience(struct reclaim_job *job, uint64_t more)
{
	const uint64_t now = platform_now_ns();
	struct reclaim *reclaim = job->reclaim;

	if (job->request->wait == MEMORY_WAIT_NEVER || now < reclaim->patience_again_ns)
		return false;
	if (job->patience_end_ns == 0)
		job->patience_end_ns = now + patience_ns(job, now, more);
	if (now < job->patience_end_ns)
		return true;
	/* A wait that a near deadline cut short says nothing about others. */
	if (patience_ns(job, now, more) >= PATIENCE_NS)
		reclaim->patience_again_ns = now + PATIENCE_OVER;
	return false;
}

/* What the blocks cost that the window still has. */
static uint64_t cost_left(const struct reclaim_job *job, const struct window *window)
{
	const uint64_t free = block_heap_free_within(job->reclaim->blocks, window->start, window_last_byte(window));

	return window->cost / window->blocks * (window->blocks - free);
}

/* `cheapest`: the lowest cost left of the windows that had something in the way in this round. */
static bool costs_too_much(struct reclaim_job *job, uint64_t cheapest, const struct window *window)
{
	return window->cost / PATIENCE_FACTOR > cheapest && window->cost - cheapest >= PATIENCE_COST &&
	       has_patience(job, window->cost - cheapest);
}

/*
 * Whether all runs have been taken. Unpacked runs take free memory first, then the cheapest window;
 * packed ones only the window next to those before.
 */
static bool has_all(struct reclaim_job *job, const struct run_request *request)
{
	return request->packed ? job->got == job->count : reclaim_take_free(job);
}

/*
 * If the runs that were taken where it cost least leave no window for the last ones, all are given
 * back and packed, from the top of memory down: as many equal runs as fit at all fit so.
 *
 * Memory that was freed in one window may have been taken in another: the guarantee moves its
 * pieces out of the way, and back when the next window is tried. So a round has gained no more than
 * there is in the end; otherwise it would go on like that without end.
 */
uint64_t reclaim_round_of_runs(struct reclaim_job *job)
{
	struct block_heap *heap = job->reclaim->blocks;
	const uint64_t won_before = blocks_won(job);
	struct run_request request = { .constraints = job->request->constraints, .owner = job->request->owner };
	bool asked_for_empty = false;
	uint64_t gained = 0, cheapest = UINT64_MAX;
	struct window window;

	job->is_patient = false;
	for (unsigned failures = 0; failures < WINDOW_TRIES && !has_all(job, &request) && !reclaim_is_late(job);) {
		request.blocks = reclaim_run_blocks(job);
		if (job->placed && !job->displaced && !request.packed) {
			/*
			 * A place is emptied into what is free: so much has to be free first, or
			 * written, if there is time.
			 */
			const uint64_t more = reclaim_ask_anywhere(job, CLEANER_HELD, missing_to_keep);

			gained += more;
			if (more == 0 && missing_to_keep(job, NULL) > 0) {
				if (has_patience(job, PATIENCE_COST))
					break;
				job->displaced = true;
			}
		} else if (window_find(heap, &request, &window)) {
			const uint32_t got = job->got;

			job->is_patient = !request.packed && costs_too_much(job, cheapest, &window);
			if (job->is_patient)
				break;
			gained += window_take(job, &request, &window);
			if (job->got > got)
				continue;
			if (window.cost == 0)
				break; /* the reserve is the trouble, not the window */
			cheapest = job->unmovable > 0 ? MIN(cheapest, cost_left(job, &window)) : cheapest;
			failures++;
		} else if (!asked_for_empty) {
			/* Empty blocks of objcaches may be all that lies between movable ones. */
			asked_for_empty = true;
			gained += reclaim_ask_anywhere(job, CLEANER_FREE, missing_everything);
		} else if (job->got > 0 && !request.packed) {
			reclaim_give_back(job);
			request.packed = true;
			failures = 0;
		} else {
			break;
		}
	}
	window_exclude_none(heap);
	return MIN(gained, reclaim_lacking(blocks_won(job), won_before) << BLOCK_SHIFT);
}
