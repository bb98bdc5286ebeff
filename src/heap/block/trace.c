// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ring of the last events of reclaim. Each entry has a state that says which event it holds and
 * whether a CPU still writes it. A writer claims its entry by one exchange of the state, a reader
 * compares the state before and after: so neither takes a lock, and no event is read in part.
 */
#include "trace.h"

#include "runtime/base/log.h"
#include "runtime/base/string.h"

static const struct {
	const char *name, *first, *second;
} kinds[TRACE_KINDS] = {
	[TRACE_REQUEST] = { "request", "runs", "blocks_each" },
	[TRACE_GIVEN] = { "given", "runs", "blocks_each" },
	[TRACE_FAILED] = { "failed", "runs_missing", "timeout" },
	[TRACE_ASKED] = { "asked", "blocks", "may_write" },
	[TRACE_ANSWERED] = { "answered", "blocks", "blocks_said" },
	[TRACE_WINDOW] = { "window", "first_block", "cost" },
	[TRACE_TAKEN] = { "window over", "first_block", "runs_taken" },
	[TRACE_WAIT] = { "wait", "runs_missing", "blocks_each" },
	[TRACE_BLOCK] = { "block", "block", "pages_moved" },
	[TRACE_STUCK] = { "stuck", "block", "pages_in_use" },
	[TRACE_RETURNED] = { "returned", "frames", "cpus" },
};

status_t trace_init(struct event_trace *trace, struct metadata_heap *metadata, uint64_t events)
{
	*trace = (struct event_trace){ 0 };
	if (events > TRACE_EVENTS_MAX || (events & (events - 1)) != 0)
		return STATUS_INVALID;
	for (uint64_t i = 0; i * TRACE_CHUNK_EVENTS < events; i++) {
		const uint64_t chunk = MIN(events, TRACE_CHUNK_EVENTS);

		trace->chunks[i] = metadata_heap_alloc(metadata, chunk * sizeof(struct trace_entry));
		if (!trace->chunks[i])
			return STATUS_NO_MEMORY;
	}
	trace->events = events;
	return STATUS_OK;
}

static struct trace_entry *entry_of(struct event_trace *trace, uint64_t number)
{
	const uint64_t place = number & (trace->events - 1);

	return &trace->chunks[place / TRACE_CHUNK_EVENTS][place % TRACE_CHUNK_EVENTS];
}

static uint64_t state_done(uint64_t number)
{
	return 2 * (number + 1);
}

/*
 * A writer releases each word after the state: a reader that sees a new word finds the state
 * changed when it looks at it again.
 */
void trace_event(struct event_trace *trace, enum trace_kind kind, const char *who, uint64_t first, uint64_t second)
{
	struct trace_record record = { .kind = kind, .cpu = platform_cpu(), .first = first, .second = second };
	uint64_t words[TRACE_WORDS], number, before;
	struct trace_entry *entry;

	if (trace->events == 0)
		return;
	number = atomic_fetch_add_explicit(&trace->next, 1, memory_order_relaxed);
	entry = entry_of(trace, number);
	before = atomic_load_explicit(&entry->state, memory_order_relaxed);
	if ((before & 1) != 0 || before > state_done(number) ||
	    !atomic_compare_exchange_strong_explicit(&entry->state, &before, state_done(number) - 1, memory_order_acquire,
						     memory_order_relaxed)) {
		atomic_fetch_add_explicit(&trace->lost, 1, memory_order_relaxed);
		return;
	}
	record.time_ns = platform_now_ns();
	for (unsigned i = 0; who && who[i] != '\0' && i < EVENT_NAME_BYTES - 1; i++)
		record.who[i] = who[i];
	memcpy(words, &record, sizeof(words));
	for (unsigned i = 0; i < TRACE_WORDS; i++)
		atomic_store_explicit(&entry->words[i], words[i], memory_order_release);
	atomic_store_explicit(&entry->state, state_done(number), memory_order_release);
}

bool trace_read(struct event_trace *trace, uint64_t number, struct trace_record *record)
{
	struct trace_entry *entry;
	uint64_t words[TRACE_WORDS];

	if (trace->events == 0)
		return false;
	entry = entry_of(trace, number);
	if (atomic_load_explicit(&entry->state, memory_order_acquire) != state_done(number))
		return false;
	for (unsigned i = 0; i < TRACE_WORDS; i++)
		words[i] = atomic_load_explicit(&entry->words[i], memory_order_acquire);
	memcpy(record, words, sizeof(words));
	return atomic_load_explicit(&entry->state, memory_order_relaxed) == state_done(number);
}

void trace_print(struct event_trace *trace, uint64_t count)
{
	const uint64_t next = atomic_load_explicit(&trace->next, memory_order_acquire);
	const uint64_t kept = MIN(MIN(count, trace->events), next);
	struct trace_record record;

	for (uint64_t number = next - kept; number < next; number++) {
		if (!trace_read(trace, number, &record))
			continue;
		print("%6llu.%06llu cpu %-2u %-11s %-23s %s %llu, %s %llu\n", (unsigned long long)(record.time_ns / NS_PER_S),
		      (unsigned long long)(record.time_ns % NS_PER_S / 1000), record.cpu, kinds[record.kind].name, record.who,
		      kinds[record.kind].first, (unsigned long long)record.first, kinds[record.kind].second,
		      (unsigned long long)record.second);
	}
	print("%llu events, %llu of them shown, %llu lost\n", (unsigned long long)next, (unsigned long long)kept,
	      (unsigned long long)atomic_load_explicit(&trace->lost, memory_order_relaxed));
}
