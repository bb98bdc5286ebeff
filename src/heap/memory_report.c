/* Who holds the memory, and who was asked for it. Snapshots are taken under the locks and printed without. */
#include "reclaim.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

#define REPORT_PAUSE_NS NS_PER_S
#define OWNERS_SHOWN    32

struct holder {
	const char *name;
	uint64_t blocks;
	bool movable;
};

/* The owners with most blocks, most first; returns how many. */
static unsigned holders_get(struct block_heap *heap, struct holder holders[OWNERS_SHOWN])
{
	unsigned count = 0;

	spinlock_lock(&heap->lock);
	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);
		unsigned place = count;

		while (place > 0 && holders[place - 1].blocks < owner->blocks) {
			if (place < OWNERS_SHOWN)
				holders[place] = holders[place - 1];
			place--;
		}
		if (place == OWNERS_SHOWN)
			continue;
		holders[place] = (struct holder){ owner->name, owner->blocks, owner->movable };
		count += count < OWNERS_SHOWN;
	}
	spinlock_unlock(&heap->lock);
	return count;
}

void memory_report(struct memory *memory)
{
	struct holder holders[OWNERS_SHOWN];
	const unsigned count = holders_get(&memory->blocks, holders);
	char total[FORMAT_BYTES_SIZE], part[FORMAT_BYTES_SIZE];
	struct cleaner *cleaner = NULL;

	log_warn("memory: %s of %s free", format_bytes(part, memory_free_bytes(memory)),
		 format_bytes(total, memory_total_bytes(memory)));
	for (unsigned i = 0; i < count; i++)
		log_warn("memory:   %-24s holds %s%s", holders[i].name, format_bytes(part, holders[i].blocks << BLOCK_SHIFT),
			 holders[i].movable ? ", movable" : "");
	while ((cleaner = cleaner_next(&memory->cleaners, cleaner)))
		log_warn("memory:   cleaner %-16s was last asked for %s, gave %s", cleaner->name,
			 format_bytes(total, cleaner->last_asked_bytes), format_bytes(part, cleaner->last_given_bytes));
}

void memory_print_owners(struct memory *memory)
{
	struct holder holders[OWNERS_SHOWN];
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

void memory_report_failure(const struct reclaim *reclaim, status_t status)
{
	const struct memory_request *request = reclaim->request;
	const struct block_constraints *constraints = &request->constraints;
	char bytes[FORMAT_BYTES_SIZE];

	if (!report_is_due(reclaim->memory))
		return;
	log_warn("memory: %s did not get %u of %u runs of %s (addresses 0x%llx to 0x%llx): %s", request->owner->name,
		 reclaim->count - reclaim->got, reclaim->count, format_bytes(bytes, request->blocks << BLOCK_SHIFT),
		 (unsigned long long)constraints->lowest.value,
		 (unsigned long long)(constraints->highest.value == 0 ? UINT64_MAX : constraints->highest.value),
		 status_text(status));
	if (platform_may_sleep())
		memory_report(reclaim->memory);
}
