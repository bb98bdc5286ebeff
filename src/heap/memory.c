// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine's memory put together: requests, drains, sources of blocks for heaps and caches, start
 * and end. A request first takes what is free; only one that does not fit enters reclaim
 * (reclaim.c). A change of `frees`, on which all waiting tasks sleep, tells them of each free.
 */
#include "memory.h"

#include "dma_state.h"
#include "failure_report.h"
#include "reclaim_internal.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/*
 * Metadata beyond half of what the descriptors take: what the objcaches of the general heap and
 * this file need at first.
 */
#define SEED_BYTES (768 * KIB)

#define DRAIN_PATIENCE_NS (5 * NS_PER_S) /* a drain ends when it has gained nothing for so long */

/* Requests -------------------------------------------------------------------------------------------------------------- */

bool memory_could_give(const struct memory *memory, const struct memory_request *request, uint32_t count)
{
	const uint64_t last_blocks = request->last_blocks, equal = last_blocks == 0 ? count : count - 1;
	const uint64_t all = memory->blocks.total_blocks;
	const uint64_t reserves = (request->below_min ? 0 : memory->config.min_bytes >> BLOCK_SHIFT) +
				  memory->guarantee.pieces * memory->guarantee.piece_blocks;
	const uint64_t most = all - MIN(reserves, all);

	return request->blocks <= most && request->blocks * equal + last_blocks <= most &&
	       block_heap_could_hold(&memory->blocks, &request->constraints, request->blocks, equal, last_blocks);
}

static status_t reclaim_what_is_missing(struct reclaim_job *job)
{
	struct memory *memory = job->memory;
	const struct memory_request *request = job->request;
	status_t status = STATUS_NO_MEMORY;

	if (!memory_could_give(memory, request, job->count))
		return STATUS_RANGE;
	atomic_fetch_add_explicit(&memory->statistics.reclaims, 1, memory_order_relaxed);
	trace_event(&memory->trace, TRACE_REQUEST, request->owner->name, job->count, request->blocks);
	if (platform_may_sleep())
		status = reclaim_run(job);
	if (status == STATUS_OK)
		trace_event(&memory->trace, TRACE_GIVEN, request->owner->name, job->count, request->blocks);
	else
		trace_event(&memory->trace, TRACE_FAILED, request->owner->name, job->count - job->got,
			    status == STATUS_TIMEOUT);
	return status;
}

status_t memory_blocks_alloc_many(struct memory *memory, const struct memory_request *request, uint32_t count,
				  struct phys_addr *runs)
{
	struct reclaim_job job = { .memory = memory, .request = request, .runs = runs, .count = count };
	status_t status;

	if (count == 0 || !request->owner || request->last_blocks > request->blocks ||
	    !block_constraints_allow(&request->constraints, request->blocks))
		return STATUS_INVALID;
	if (platform_is_cleaning())
		platform_panic("memory: %s asks for %llu blocks while it cleans memory", request->owner->name,
			       (unsigned long long)(count * request->blocks));
	atomic_fetch_add_explicit(&memory->statistics.requests, 1, memory_order_relaxed);
	job.placed = !request->owner->movable && request->blocks <= PLACED_BLOCKS_MAX && platform_may_sleep();
	if (reclaim_take_free(&job))
		return STATUS_OK;
	status = reclaim_what_is_missing(&job);
	if (status != STATUS_OK) {
		atomic_fetch_add_explicit(&memory->statistics.failures, 1, memory_order_relaxed);
		worker_kick(&memory->background);
		failure_report(&job, status);
		reclaim_give_back(&job);
		memory_notice(memory);
	}
	return status;
}

void memory_notice(struct memory *memory)
{
	atomic_fetch_add_explicit(&memory->frees, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&memory->waiters, memory_order_seq_cst) != 0)
		platform_wake(&memory->frees);
}

void memory_wait_for_frees(struct memory *memory, uint32_t seen, uint64_t deadline_ns)
{
	atomic_fetch_add_explicit(&memory->waiters, 1, memory_order_seq_cst);
	(void)platform_wait(&memory->frees, seen, deadline_ns);
	atomic_fetch_sub_explicit(&memory->waiters, 1, memory_order_relaxed);
}

void memory_blocks_free(struct memory *memory, struct phys_addr run)
{
	(void)block_heap_free(&memory->blocks, run);
	memory_notice(memory);
}

/* Draining ---------------------------------------------------------------------------------------------------------------- */

uint64_t memory_drain_until(struct memory *memory, uint64_t bytes, bool may_wait, uint64_t deadline_ns)
{
	uint64_t patience_ns = platform_now_ns() + DRAIN_PATIENCE_NS;
	struct reclaim_job drain = {
		.memory = memory,
		.bytes = align_up(MIN(bytes, memory_total_bytes(memory)), BLOCK_BYTES),
		.urgency = URGENCY_NORMAL,
		.deadline_ns = deadline_ns,
		.may_write = may_wait,
	};
	uint64_t now;

	do {
		const uint32_t frees = atomic_load_explicit(&memory->frees, memory_order_acquire);
		const uint64_t before = drain.gained;

		drain.under_way = false;
		reclaim_drain(&drain);
		now = platform_now_ns();
		if (drain.gained > before)
			patience_ns = now + DRAIN_PATIENCE_NS;
		if (drain.gained < drain.bytes && drain.under_way)
			memory_wait_for_frees(memory, frees, MIN(patience_ns, deadline_ns));
	} while (drain.gained < drain.bytes && drain.under_way && now < MIN(patience_ns, deadline_ns));
	return drain.gained;
}

uint64_t memory_drain(struct memory *memory, uint64_t bytes, bool may_wait)
{
	return memory_drain_until(memory, bytes, may_wait, PLATFORM_FOREVER);
}

/* Sources --------------------------------------------------------------------------------------------------------------- */

static status_t source_take(struct block_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment_bytes,
			    struct phys_addr *run)
{
	const struct memory_source *self = container_of(source, struct memory_source, blocks);
	struct memory_request request = self->request;

	request.blocks = blocks;
	request.owner = owner;
	request.constraints.alignment_bytes = alignment_bytes;
	return memory_blocks_alloc(self->memory, &request, run);
}

/* The take of caches: never reclaims, and takes nothing below low. */
static status_t cache_take(struct block_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment_bytes,
			   struct phys_addr *run)
{
	struct memory *memory = container_of(source, struct memory_source, blocks)->memory;
	const struct run_request request = {
		.blocks = blocks,
		.constraints.alignment_bytes = alignment_bytes,
		.owner = owner,
		.keep_blocks = divide_round_up(memory->config.low_bytes, BLOCK_BYTES) +
			       atomic_load_explicit(&memory->claimed_blocks, memory_order_relaxed),
	};

	return block_heap_alloc(&memory->blocks, &request, run);
}

static void source_give(struct block_source *source, struct phys_addr run)
{
	memory_blocks_free(container_of(source, struct memory_source, blocks)->memory, run);
}

void memory_source_init(struct memory_source *source, struct memory *memory, const struct block_constraints *constraints)
{
	*source = (struct memory_source){
		.blocks = { .heap = &memory->blocks, .take = source_take, .give = source_give },
		.memory = memory,
		.request = { .constraints = *constraints, .wait = MEMORY_WAIT_NEVER },
	};
}

status_t memory_objcache_init(struct memory *memory, struct objcache *cache, struct objcache_config config)
{
	config.source = &memory->kernel_source.blocks;
	config.bookkeeping = &memory->bookkeeping;
	config.cleaners = &memory->cleaners;
	return objcache_init(cache, &config);
}

/* Life ------------------------------------------------------------------------------------------------------------------ */

static uint64_t descriptors_bytes(const struct phys_range *ranges, uint32_t count)
{
	return align_up(block_heap_metadata_bytes(ranges, count), BOOKKEEPING_CHUNK_MIN);
}

static uint64_t seed_bytes(uint64_t descriptors)
{
	return align_up(descriptors / 2, BOOKKEEPING_CHUNK_MIN) + SEED_BYTES;
}

uint64_t memory_metadata_bytes(const struct phys_range *ranges, uint32_t count)
{
	const uint64_t descriptors = descriptors_bytes(ranges, count);

	return descriptors == 0 ? 0 : descriptors + seed_bytes(descriptors);
}

static void sources_init(struct memory *memory)
{
	const struct block_constraints anywhere = { 0 };

	memory_source_init(&memory->kernel_source, memory, &anywhere);
	memory->kernel_source.request.below_min = true;
	memory_source_init(&memory->large_source, memory, &anywhere);
	memory_source_init(&memory->cache_source, memory, &anywhere);
	memory->cache_source.blocks.take = cache_take;
}

status_t memory_init(struct memory *memory, const struct memory_config *config, const struct phys_range *ranges, uint32_t count,
		     void *metadata)
{
	const uint64_t descriptors = descriptors_bytes(ranges, count);
	status_t status;

	if (config->low_bytes < config->min_bytes || config->atomic_percent > 100 ||
	    (config->high_bytes != 0 && config->high_bytes < config->low_bytes))
		return STATUS_INVALID;
	memset(memory, 0, sizeof(*memory));
	memory->config = *config;
	/*
	 * Watermarks are whole blocks, as memory is taken: or some would be free above low that no
	 * cache may take.
	 */
	memory->config.min_bytes = align_up(config->min_bytes, BLOCK_BYTES);
	memory->config.low_bytes = align_up(config->low_bytes, BLOCK_BYTES);
	memory->config.high_bytes = align_up(MAX(config->high_bytes, config->low_bytes), BLOCK_BYTES);
	status = block_heap_init(&memory->blocks, ranges, count, metadata);
	if (status != STATUS_OK)
		return status;
	bookkeeping_init(&memory->bookkeeping, &memory->blocks, (char *)metadata + descriptors, seed_bytes(descriptors));
	cleaner_registry_init(&memory->cleaners);
	fair_mutex_init(&memory->reclaim_lock, "reclaim");
	spinlock_init(&memory->failure.lock, "failure report");
	status = trace_init(&memory->trace, &memory->bookkeeping, config->trace_events);
	if (status != STATUS_OK)
		return status;
	sources_init(memory);
	owned_heaps_init(&memory->owned);
	const struct general_heap_config general = {
		.name = "general",
		.retain_bytes = config->general_retain_bytes,
		.guard = config->guard,
		.source = &memory->kernel_source.blocks,
		.runs = &memory->large_source.blocks,
		.bookkeeping = &memory->bookkeeping,
		.cleaners = &memory->cleaners,
	};
	status = general_heap_init(&memory->general, &general);
	if (status == STATUS_OK)
		status = guarantee_init(&memory->guarantee, memory, &config->guarantee);
	dma_init(memory);
	if (status == STATUS_OK)
		memory->own_bytes = general_heap_used_bytes(&memory->general);
	return status;
}

status_t memory_fini(struct memory *memory)
{
	/*
	 * A DMA buffer shows: its record belongs to the guarantee, or is an object of the general
	 * heap.
	 */
	if (!guarantee_is_idle(&memory->guarantee) || general_heap_used_bytes(&memory->general) != memory->own_bytes)
		return STATUS_BUSY;
	dma_fini(memory);
	guarantee_fini(&memory->guarantee);
	return general_heap_fini(&memory->general);
}

struct heap *memory_general_heap(struct memory *memory)
{
	return &memory->general.caching.heap;
}

void memory_owned_heap_init(struct memory *memory, struct owned_heap *owned, const char *owner)
{
	owned_heap_init(owned, &memory->owned, &memory->general, owner);
}

bool memory_may_grow(struct memory *memory)
{
	const uint64_t claimed = atomic_load_explicit(&memory->claimed_blocks, memory_order_relaxed) << BLOCK_SHIFT;

	return memory_free_bytes(memory) > memory->config.low_bytes + claimed;
}

uint64_t memory_free_bytes(struct memory *memory)
{
	return block_heap_free_bytes(&memory->blocks);
}

uint64_t memory_total_bytes(struct memory *memory)
{
	return memory->blocks.total_blocks << BLOCK_SHIFT;
}

void memory_set_fault_injector(struct memory *memory, struct fault_injector *fault)
{
	atomic_store_explicit(&memory->blocks.fault, fault, memory_order_release);
	objcaches_detach(&memory->blocks); /* so that the injector sees each allocation */
}
