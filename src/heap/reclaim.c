/*
 * Single blocks are asked for wherever the constraints allow; a run of blocks needs a window, which is fenced so that what the
 * cleaners free in it is taken by nobody else. The first round takes what is clean; later ones have dirty memory written, if
 * the request may wait. Waiting is done between rounds, when others have their turn.
 */
#include "reclaim_internal.h"

#include "background_cleaner.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"

/* A request that gained nothing sleeps until something is freed or written, or so long: nobody tells when a page is unpinned.
 */
#define NAP_NS         (10 * NS_PER_MS)
#define PATIENT_NAP_NS (2 * NS_PER_MS) /* until a window is looked at again that has something in the way */
#define COMPLAINT_NS   (10 * NS_PER_S) /* a request that waits this long is reported, once */
#define ROUNDS_IN_ROW  4               /* that gained memory, but nothing that the request could take */
#define JOINED_MAX     16              /* blocks for others that one round cleans */

static bool needs_window(const struct memory_request *request)
{
	return request->blocks > 1 || request->constraints.alignment_bytes > BLOCK_BYTES;
}

static uint64_t deadline_of(const struct memory_request *request)
{
	return request->wait == MEMORY_WAIT_DEADLINE ? request->deadline_ns : PLATFORM_FOREVER;
}

/* What lies below min serves kernel objects; where nothing may sleep, and nobody can reclaim, only a share of it. */
static uint64_t keep_below_min(const struct reclaim *reclaim)
{
	const struct memory_config *config = &reclaim->memory->config;

	if (!reclaim->request->below_min)
		return divide_round_up(config->min_bytes, BLOCK_BYTES);
	return platform_may_sleep() ? 0
				    : divide_round_up(config->min_bytes / 100 * (100 - config->atomic_percent), BLOCK_BYTES);
}

uint64_t reclaim_keep_blocks(const struct reclaim *reclaim)
{
	uint64_t keep = keep_below_min(reclaim);

	/* What somebody else is having cleaned is not ours; kernel objects take it all the same. */
	if (!reclaim->has_turn && !reclaim->request->below_min)
		keep += atomic_load_explicit(&reclaim->memory->claimed_blocks, memory_order_relaxed);
	return keep;
}

/* Others can be cleaned for as well: any block will do. */
static bool is_single(const struct reclaim *reclaim)
{
	const struct block_constraints *constraints = &reclaim->request->constraints;
	const struct block_heap *heap = &reclaim->memory->blocks;

	return !needs_window(reclaim->request) && constraints->lowest.value <= heap->first_block << BLOCK_SHIFT &&
	       (constraints->highest.value == 0 ||
		constraints->highest.value >= ((heap->first_block + heap->count) << BLOCK_SHIFT) - 1);
}

static void claim(struct reclaim *reclaim, uint64_t blocks)
{
	atomic_fetch_add_explicit(&reclaim->memory->claimed_blocks, blocks, memory_order_relaxed);
	if (is_single(reclaim))
		atomic_fetch_add_explicit(&reclaim->memory->single_blocks, blocks, memory_order_relaxed);
}

/* Nobody waits for I/O when it is his turn, so those who must not wait for it stand in line, too. */
static status_t enter(struct reclaim *reclaim)
{
	const status_t status = turns_enter(&reclaim->memory->turns, deadline_of(reclaim->request));

	reclaim->has_turn = status == STATUS_OK;
	return status;
}

static void leave(struct reclaim *reclaim)
{
	reclaim->has_turn = false;
	turns_leave(&reclaim->memory->turns);
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
		claim(reclaim, -request.blocks);
	if (memory_free_bytes(reclaim->memory) < reclaim->memory->config.low_bytes)
		memory_clean_kick(reclaim->memory);
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
	bool before;

	block_heap_watch(&memory->blocks, target->lowest, target->highest);
	trace_event(&memory->trace, TRACE_ASKED, cleaner->name, target->bytes >> BLOCK_SHIFT, target->may_write);
	before = platform_set_cleaning(true);
	cleaner->asked = true;
	claimed = cleaner->clean(cleaner, target);
	cleaner->asked = false;
	(void)platform_set_cleaning(before);
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

uint64_t reclaim_drain_round(struct memory *memory, const struct reclaim_target *target)
{
	struct cleaner *cleaner = NULL;
	uint64_t gained = 0;

	while (gained < target->bytes && platform_now_ns() < target->deadline_ns &&
	       (cleaner = cleaner_next(&memory->cleaners, cleaner))) {
		struct reclaim_target rest = *target;

		rest.bytes -= gained;
		gained += reclaim_ask(memory, cleaner, &rest);
	}
	if (cleaner)
		cleaner_put(&memory->cleaners, cleaner);
	return gained;
}

bool reclaim_nested(struct reclaim *reclaim)
{
	struct memory *memory = reclaim->memory;
	const struct reclaim_target target = {
		.bytes = reclaim->request->blocks << BLOCK_SHIFT,
		.highest = { UINT64_MAX },
		.deadline_ns = PLATFORM_FOREVER,
	};
	struct cleaner *cleaner = NULL;

	/* A cleaner that is asked here gets only what is free, should it need memory itself. */
	if (!turns_is_held(&memory->turns) || memory->nesting)
		return false;
	memory->nesting = true;
	while (reclaim->got < reclaim->count && (cleaner = cleaner_next(&memory->cleaners, cleaner))) {
		if (cleaner->cost > CLEANER_CLEAN)
			break;
		if (cleaner->asked)
			continue;
		(void)cleaner->clean(cleaner, &target);
		(void)reclaim_take_free(reclaim);
	}
	if (cleaner)
		cleaner_put(&memory->cleaners, cleaner);
	memory->nesting = false;
	return reclaim->got == reclaim->count;
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
					      .may_write = reclaim->may_write,
					      .under_way = &reclaim->under_way,
					      .deadline_ns = deadline_of(reclaim->request),
				      });
	}
	return gained;
}

/* Blocks that others stand in line for, of which this round cleans some, too. */
static uint64_t joined_blocks(const struct reclaim *reclaim)
{
	const uint64_t all = atomic_load_explicit(&reclaim->memory->single_blocks, memory_order_relaxed);

	return is_single(reclaim) ? MIN(reclaim_lacking(all, reclaim->count - reclaim->got), JOINED_MAX) : 0;
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
	want = reclaim->count - reclaim->got + joined_blocks(reclaim);
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

/* Whatever is freed meanwhile. */
static void nap(const struct reclaim *reclaim, uint64_t ns)
{
	struct memory *memory = reclaim->memory;
	const uint64_t end_ns = MIN(platform_now_ns() + ns, deadline_of(reclaim->request));

	while (platform_now_ns() < end_ns)
		memory_wait_for_frees(memory, atomic_load_explicit(&memory->frees, memory_order_acquire), end_ns);
}

/*
 * Until something was freed or written, or for a nap. What is in the way of a window is not freed: whoever waits for that does
 * not look at all its pages again at each write. Others have their turn meanwhile.
 */
static status_t wait_for_frees(struct reclaim *reclaim, uint32_t frees)
{
	struct memory *memory = reclaim->memory;

	trace_event(&memory->trace, TRACE_WAIT, reclaim->request->owner->name, reclaim->count - reclaim->got,
		    reclaim->request->blocks);
	leave(reclaim);
	if (reclaim->is_patient)
		nap(reclaim, PATIENT_NAP_NS);
	memory_wait_for_frees(memory, frees, MIN(platform_now_ns() + NAP_NS, deadline_of(reclaim->request)));
	return enter(reclaim);
}

/* One round; says whether it may gain more by another one at once. */
static bool round_gains(struct reclaim *reclaim)
{
	const bool wrote = reclaim->may_write;
	const uint64_t gained = needs_window(reclaim->request) ? reclaim_round_of_runs(reclaim) : round_of_blocks(reclaim);

	reclaim->may_write = reclaim->request->wait != MEMORY_WAIT_NEVER;
	return (gained != 0 && !reclaim->is_patient) || !wrote;
}

/* What follows a round that left something missing. */
static status_t after_round(struct reclaim *reclaim, uint32_t frees, bool gains)
{
	if (reclaim->request->wait == MEMORY_WAIT_NEVER)
		return STATUS_NO_MEMORY;
	if (reclaim_is_late(reclaim))
		return STATUS_TIMEOUT;
	return gains ? STATUS_OK : wait_for_frees(reclaim, frees);
}

static status_t rounds(struct reclaim *reclaim)
{
	const uint64_t complaint_ns = platform_now_ns() + COMPLAINT_NS;
	bool complained = false;
	unsigned in_vain = 0;
	status_t status = STATUS_OK;

	while (status == STATUS_OK && !reclaim_take_free(reclaim)) {
		const uint32_t frees = atomic_load_explicit(&reclaim->memory->frees, memory_order_acquire);
		const uint32_t got = reclaim->got;
		const bool gains = round_gains(reclaim);

		if (reclaim->got == reclaim->count)
			break;
		in_vain = reclaim->got == got ? in_vain + 1 : 0;
		status = after_round(reclaim, frees, gains && in_vain % ROUNDS_IN_ROW != ROUNDS_IN_ROW - 1);
		if (!complained && platform_now_ns() >= complaint_ns) {
			complained = true;
			complain(reclaim);
		}
	}
	return status;
}

static void note_lateness(struct reclaim *reclaim)
{
	struct memory *memory = reclaim->memory;
	const uint64_t late_ns = reclaim_lacking(platform_now_ns(), reclaim->request->deadline_ns);
	uint64_t most = atomic_load_explicit(&memory->late_ns_max, memory_order_relaxed);

	atomic_fetch_add_explicit(&memory->timeouts, 1, memory_order_relaxed);
	while (most < late_ns && !atomic_compare_exchange_weak_explicit(&memory->late_ns_max, &most, late_ns,
									memory_order_relaxed, memory_order_relaxed))
		;
}

status_t reclaim_run(struct reclaim *reclaim)
{
	const uint64_t blocks = reclaim->request->blocks;
	status_t status;

	claim(reclaim, (reclaim->count - reclaim->got) * blocks);
	reclaim->claims = true;
	status = enter(reclaim);
	if (status == STATUS_OK)
		status = rounds(reclaim);
	claim(reclaim, -((reclaim->count - reclaim->got) * blocks));
	if (reclaim->has_turn)
		leave(reclaim);
	if (status == STATUS_TIMEOUT)
		note_lateness(reclaim);
	return status;
}
