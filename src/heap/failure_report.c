#include "failure_report.h"

#include "dma_state.h"
#include "holders.h"
#include "reclaim.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define PAUSE_NS NS_PER_S

/* Of memory->failure: whoever takes it from NONE to NOTED fills it, whoever takes it from LEFT to NOTED prints it. */
enum failure_state {
	FAILURE_NONE,
	FAILURE_NOTED,
	FAILURE_LEFT,
};

static bool change_state(struct memory *memory, uint32_t before, uint32_t after)
{
	return atomic_compare_exchange_strong(&memory->failure.state, &before, after);
}

/* Who is in the way between these addresses: holders of blocks, then of what cleaners cannot give. */
static void print_between(struct memory *memory, struct phys_addr lowest, struct phys_addr highest)
{
	struct holder holders[HOLDERS_MAX];
	const unsigned count = holders_within(&memory->blocks, lowest, highest, holders);
	struct cleaner *cleaner = NULL;

	for (unsigned i = 0; i < count; i++)
		log_warn("memory:     %-24s holds %llu blocks there%s", holders[i].name, (unsigned long long)holders[i].blocks,
			 holders[i].movable ? ", movable" : "");
	dma_explain(memory, lowest, highest);
	while ((cleaner = cleaner_next(&memory->cleaners, cleaner)))
		if (cleaner->explain)
			cleaner->explain(cleaner, lowest, highest);
}

static void print_best_window(struct memory *memory, const struct memory_failure *failure)
{
	struct stretch best;
	char bytes[FORMAT_BYTES_SIZE];

	if (!holders_best_window(&memory->blocks, failure->blocks, &failure->constraints, &best)) {
		log_warn("memory:   there are no %llu adjacent blocks at these addresses", (unsigned long long)failure->blocks);
		return;
	}
	const struct phys_addr last = { best.start.value + (failure->blocks << BLOCK_SHIFT) - 1 };
	log_warn("memory:   the best window, %s from 0x%llx on, has %llu blocks that cannot be moved",
		 format_bytes(bytes, failure->blocks << BLOCK_SHIFT), (unsigned long long)best.start.value,
		 (unsigned long long)best.fixed_blocks);
	print_between(memory, best.start, last);
}

static void print_failure(struct memory *memory)
{
	const struct memory_failure *failure = &memory->failure;
	const struct block_constraints *constraints = &failure->constraints;
	char bytes[FORMAT_BYTES_SIZE];

	log_warn("memory: %s %s %u of %u runs of %s (addresses 0x%llx to 0x%llx): %s", failure->owner,
		 failure->status == STATUS_OK ? "waits for" : "did not get", failure->missing, failure->count,
		 format_bytes(bytes, failure->blocks << BLOCK_SHIFT), (unsigned long long)constraints->lowest.value,
		 (unsigned long long)(constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value),
		 failure->status == STATUS_OK ? "not to be had yet" : status_text(failure->status));
	memory_report(memory);
	print_best_window(memory, failure);
	atomic_store(&memory->failure.state, FAILURE_NONE);
}

static void note(const struct reclaim *reclaim, status_t status)
{
	const struct memory_request *request = reclaim->request;
	struct memory_failure *failure = &reclaim->memory->failure;

	format_text(failure->owner, sizeof(failure->owner), "%s",
		    request->owner ? request->owner->name : "somebody without an owner");
	failure->missing = reclaim->count - reclaim->got;
	failure->count = reclaim->count;
	failure->blocks = request->blocks;
	failure->constraints = request->constraints;
	failure->status = status;
}

static bool is_due(struct memory_failure *failure)
{
	const uint64_t now = platform_now_ns();
	uint64_t last = atomic_load_explicit(&failure->reported_ns, memory_order_relaxed);

	return (last == 0 || now - last >= PAUSE_NS) &&
	       atomic_compare_exchange_strong_explicit(&failure->reported_ns, &last, now, memory_order_relaxed,
						       memory_order_relaxed);
}

static void wake_task(struct memory *memory)
{
	atomic_fetch_add(&memory->failure.kick, 1);
	platform_wake(&memory->failure.kick);
}

static void print_what_is_left(struct memory *memory)
{
	if (change_state(memory, FAILURE_LEFT, FAILURE_NOTED))
		print_failure(memory);
}

void failure_report(const struct reclaim *reclaim, status_t status)
{
	struct memory *memory = reclaim->memory;

	if (is_due(&memory->failure) && change_state(memory, FAILURE_NONE, FAILURE_NOTED)) {
		note(reclaim, status);
		atomic_store(&memory->failure.state, FAILURE_LEFT);
		wake_task(memory);
	}
	if (!atomic_load(&memory->failure.has_task) && platform_may_sleep())
		print_what_is_left(memory);
}

void failure_report_run(struct memory *memory)
{
	atomic_store(&memory->failure.has_task, true);
	while (!atomic_load(&memory->failure.stopping)) {
		const uint32_t kick = atomic_load(&memory->failure.kick);

		print_what_is_left(memory);
		if (!atomic_load(&memory->failure.stopping))
			(void)platform_wait(&memory->failure.kick, kick, PLATFORM_FOREVER);
	}
	atomic_store(&memory->failure.has_task, false);
	print_what_is_left(memory);
}

void failure_report_stop(struct memory *memory)
{
	atomic_store(&memory->failure.stopping, true);
	wake_task(memory);
}
