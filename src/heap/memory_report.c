/* Who holds the memory, and who was asked for it. Snapshots are taken under the locks and printed without. */
#include "dma_state.h"
#include "holders.h"
#include "reclaim.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define REPORT_PAUSE_NS NS_PER_S

static void report_cleaner(struct cleaner *cleaner)
{
	char asked[FORMAT_BYTES_SIZE], given[FORMAT_BYTES_SIZE], held[FORMAT_BYTES_SIZE];

	log_warn("memory:   cleaner %-16s was last asked for %s, gave %s, holds %s back", cleaner->name,
		 format_bytes(asked, cleaner->last_asked_bytes), format_bytes(given, cleaner->last_given_bytes),
		 format_bytes(held, cleaner->held_back ? cleaner->held_back(cleaner) : 0));
}

void memory_report(struct memory *memory)
{
	struct holder holders[HOLDERS_MAX];
	const unsigned count = holders_get(&memory->blocks, holders);
	char total[FORMAT_BYTES_SIZE], part[FORMAT_BYTES_SIZE];
	struct cleaner *cleaner = NULL;

	log_warn("memory: %s of %s free", format_bytes(part, memory_free_bytes(memory)),
		 format_bytes(total, memory_total_bytes(memory)));
	for (unsigned i = 0; i < count; i++)
		log_warn("memory:   %-24s holds %s%s", holders[i].name, format_bytes(part, holders[i].blocks << BLOCK_SHIFT),
			 holders[i].movable ? ", movable" : "");
	while ((cleaner = cleaner_next(&memory->cleaners, cleaner)))
		report_cleaner(cleaner);
}

void memory_print_owners(struct memory *memory)
{
	struct holder holders[HOLDERS_MAX];
	const unsigned count = holders_get(&memory->blocks, holders);
	char part[FORMAT_BYTES_SIZE];

	for (unsigned i = 0; i < count; i++)
		print("%-24s %9s%s\n", holders[i].name, format_bytes(part, holders[i].blocks << BLOCK_SHIFT),
		      holders[i].movable ? "  movable" : "");
	print("%-24s %9s\n", "free", format_bytes(part, memory_free_bytes(memory)));
}

static bool report_is_due(struct memory *memory)
{
	const uint64_t now = platform_now_ns();
	uint64_t last = atomic_load_explicit(&memory->report_ns, memory_order_relaxed);

	return (last == 0 || now - last >= REPORT_PAUSE_NS) &&
	       atomic_compare_exchange_strong_explicit(&memory->report_ns, &last, now, memory_order_relaxed,
						       memory_order_relaxed);
}

/* Who is in the way between these addresses: holders of blocks, then of what cleaners cannot give. */
static void report_between(struct memory *memory, struct phys_addr lowest, struct phys_addr highest)
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

static void report_best_window(struct memory *memory, const struct memory_request *request)
{
	struct stretch best;
	char bytes[FORMAT_BYTES_SIZE];

	if (!holders_best_window(&memory->blocks, request->blocks, &request->constraints, &best)) {
		log_warn("memory:   there are no %llu adjacent blocks at these addresses", (unsigned long long)request->blocks);
		return;
	}
	const struct phys_addr last = { best.start.value + (request->blocks << BLOCK_SHIFT) - 1 };
	log_warn("memory:   the best window, %s from 0x%llx on, has %llu blocks that cannot be moved",
		 format_bytes(bytes, request->blocks << BLOCK_SHIFT), (unsigned long long)best.start.value,
		 (unsigned long long)best.fixed_blocks);
	report_between(memory, best.start, last);
}

void memory_report_failure(const struct reclaim *reclaim, status_t status)
{
	const struct memory_request *request = reclaim->request;
	const struct block_constraints *constraints = &request->constraints;
	char bytes[FORMAT_BYTES_SIZE];

	if (!report_is_due(reclaim->memory))
		return;
	log_warn("memory: %s did not get %u of %u runs of %s (addresses 0x%llx to 0x%llx): %s",
		 request->owner ? request->owner->name : "somebody without an owner", reclaim->count - reclaim->got,
		 reclaim->count, format_bytes(bytes, request->blocks << BLOCK_SHIFT),
		 (unsigned long long)constraints->lowest.value,
		 (unsigned long long)(constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value),
		 status_text(status));
	if (!platform_may_sleep())
		return;
	memory_report(reclaim->memory);
	report_best_window(reclaim->memory, request);
}
