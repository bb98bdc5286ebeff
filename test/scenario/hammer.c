// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap under all that may happen to it at once: on every CPU two tasks and an interrupt handler
 * allocate, check, resize and free objects of all sizes, most of them another CPU's, from the
 * general heap and from objcaches with constructors; other tasks drain all of that all the time.
 * Waves of filling and emptying let blocks run dry. Every few seconds all stops, and every
 * invariant of every heap is checked.
 *
 * Options: seconds=60, round_ms=2000 (between two checks).
 */
#include "hammer.h"

#include "heap/memory.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"
#include "app/scenario.h"

#define SECONDS_DEFAULT  60
#define ROUND_MS_DEFAULT 2000
#define PHASE_NS         (150 * NS_PER_MS)
#define PATIENCE_NS      (60 * NS_PER_S) /* until a handler that is told to stop has done so */
#define POLL_NS          (5 * NS_PER_MS)
#define CPUS_MAX         PLATFORM_CPUS_MAX
#define TASKS_PER_CPU    2
#define WORKERS          (TASKS_PER_CPU * CPUS_MAX)
#define DRAINERS         2
#define STEPS_OF_A_TURN  64 /* of a task, before it lets others run */
#define DRAIN_BYTES_MAX  (64 * MIB)

struct drainer {
	struct hammer *hammer;
	struct random random;
	uint64_t drained_bytes;
};

struct run {
	struct scenario *scenario;
	struct hammer hammer;
	unsigned cpus;
	struct hammer_worker workers[WORKERS];
	struct hammer_worker handlers[CPUS_MAX];
	struct drainer drainers[DRAINERS];
	struct task *tasks[WORKERS + DRAINERS];
	unsigned task_count;
	uint64_t used_bytes_before;
	uint64_t rounds;
};

static const struct {
	const char *name;
	size_t object_bytes;
	uint32_t reserve_objects;
} cache_kinds[HAMMER_CACHES] = {
	{ "hammer-48", 48, 0 },       { "hammer-208", 208, 0 },     { "hammer-1552", 1552, 0 },
	{ "hammer-8192", 8192, 100 }, { "hammer-49152", 49152, 0 }, /* these two without magazines */
};

/* Tasks ---------------------------------------------------------------------------------------- */

static void worker_run(void *context)
{
	struct hammer_worker *worker = context;

	while (!atomic_load_explicit(&worker->hammer->stop, memory_order_relaxed)) {
		for (unsigned i = 0; i < STEPS_OF_A_TURN; i++)
			hammer_step(worker);
		task_yield();
	}
}

static uint64_t drain_something(struct drainer *drainer)
{
	struct hammer *hammer = drainer->hammer;
	const uint64_t bytes = BLOCK_BYTES + random_below(&drainer->random, DRAIN_BYTES_MAX);
	struct hammer_cache *from = &hammer->caches[random_below(&drainer->random, HAMMER_CACHES)];

	switch (random_below(&drainer->random, 4)) {
	case 0:
		return memory_drain(hammer->memory, bytes, false);
	case 1:
		return caching_heap_drain(&hammer->heap->caching, bytes, 0);
	case 2:
		objcaches_detach(&hammer->memory->blocks);
		return 0;
	default:
		return caching_heap_drain(&from->cache.caching, bytes, 0);
	}
}

static void drainer_run(void *context)
{
	struct drainer *drainer = context;

	while (!atomic_load_explicit(&drainer->hammer->stop, memory_order_relaxed)) {
		drainer->drained_bytes += drain_something(drainer);
		task_yield();
	}
}

static void handler_start_here(void *context)
{
	hammer_handler_start(context);
}

/* Rounds --------------------------------------------------------------------------------------- */

static status_t spawn(struct run *run, const char *name, int cpu, void (*function)(void *context), void *context)
{
	const struct task_options options = { .name = name, .priority = TASK_NORMAL, .cpu = cpu };
	const status_t status = task_spawn(&options, function, context, &run->tasks[run->task_count]);

	run->task_count += status == STATUS_OK;
	return status;
}

static status_t handler_spawn(struct run *run, unsigned cpu)
{
	const struct task_options options = { .name = "hammer handler", .priority = TASK_HIGH, .cpu = (int)cpu };
	struct task *task;
	const status_t status = task_spawn(&options, handler_start_here, &run->handlers[cpu], &task);

	atomic_store(&run->handlers[cpu].done, status != STATUS_OK);
	if (status == STATUS_OK)
		task_join(task);
	return status;
}

static status_t round_begin(struct run *run)
{
	status_t status = STATUS_OK;

	atomic_store(&run->hammer.stop, false);
	run->task_count = 0;
	for (unsigned cpu = 0; cpu < run->cpus; cpu++)
		atomic_store(&run->handlers[cpu].done, true);
	for (unsigned i = 0; i < DRAINERS && status == STATUS_OK; i++)
		status = spawn(run, "hammer drain", -1, drainer_run, &run->drainers[i]);
	for (unsigned i = 0; i < run->cpus * TASKS_PER_CPU && status == STATUS_OK; i++)
		status = spawn(run, "hammer", (int)(i % run->cpus), worker_run, &run->workers[i]);
	for (unsigned cpu = 0; cpu < run->cpus && status == STATUS_OK; cpu++)
		status = handler_spawn(run, cpu);
	return status;
}

/* STATUS_TIMEOUT: a handler does not come to its end. */
static status_t round_end(struct run *run)
{
	const uint64_t deadline_ns = platform_now_ns() + PATIENCE_NS;

	atomic_store(&run->hammer.stop, true);
	for (unsigned i = 0; i < run->task_count; i++)
		task_join(run->tasks[i]);
	for (unsigned cpu = 0; cpu < run->cpus; cpu++) {
		while (!atomic_load_explicit(&run->handlers[cpu].done, memory_order_acquire)) {
			if (platform_now_ns() > deadline_ns)
				return STATUS_TIMEOUT;
			task_sleep(POLL_NS);
		}
	}
	return STATUS_OK;
}

/* No task or handler uses the heap now. */
static void walk(struct run *run)
{
	struct block_heap *heap = &run->hammer.memory->blocks;

	list_for_each (link, &heap->caches)
		if (!objcache_is_valid(container_of(link, struct objcache, link)))
			hammer_violation(&run->hammer, "an objcache is not valid", container_of(link, struct objcache, link));
	if (!general_heap_is_valid(run->hammer.heap))
		hammer_violation(&run->hammer, "the general heap is not valid", run->hammer.heap);
	if (!block_heap_is_valid(heap))
		hammer_violation(&run->hammer, "the block heap is not valid", heap);
}

static status_t round_run(struct run *run, uint64_t round_ns)
{
	const uint64_t end_ns = platform_now_ns() + round_ns;
	const status_t began = round_begin(run);

	while (began == STATUS_OK && platform_now_ns() < end_ns) {
		task_sleep(PHASE_NS);
		atomic_store(&run->hammer.phase, (atomic_load(&run->hammer.phase) + 1) % HAMMER_PHASES);
	}
	const status_t ended = round_end(run);

	if (ended == STATUS_OK)
		walk(run);
	run->rounds++;
	return began == STATUS_OK ? ended : began;
}

/* Beginning and end ---------------------------------------------------------------------------- */

static void worker_init(struct run *run, struct hammer_worker *worker, unsigned number)
{
	worker->hammer = &run->hammer;
	random_seed(&worker->random, number + 1);
	hammer_handler_init(worker);
}

static void workers_init(struct run *run)
{
	for (unsigned i = 0; i < WORKERS; i++)
		worker_init(run, &run->workers[i], i);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		worker_init(run, &run->handlers[i], WORKERS + i);
	for (unsigned i = 0; i < DRAINERS; i++) {
		run->drainers[i].hammer = &run->hammer;
		random_seed(&run->drainers[i].random, WORKERS + CPUS_MAX + i + 1);
	}
}

static status_t caches_init(struct run *run, unsigned *count)
{
	status_t status = STATUS_OK;

	for (*count = 0; *count < HAMMER_CACHES && status == STATUS_OK; *count += status == STATUS_OK) {
		struct hammer_cache *from = &run->hammer.caches[*count];
		const struct objcache_config config = {
			.name = cache_kinds[*count].name,
			.object_bytes = cache_kinds[*count].object_bytes,
			.reserve_objects = cache_kinds[*count].reserve_objects,
			.construct = hammer_construct,
			.destroy = hammer_destroy,
			.context = from,
		};

		from->hammer = &run->hammer;
		status = memory_objcache_init(run->hammer.memory, &from->cache, config);
	}
	return status;
}

static void caches_fini(struct run *run, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct hammer_cache *from = &run->hammer.caches[i];

		if (objcache_fini(&from->cache) != STATUS_OK)
			hammer_violation(&run->hammer, "an objcache has lost objects", from);
		else if (atomic_load(&from->constructed) != atomic_load(&from->destroyed))
			hammer_violation(&run->hammer, "not every constructed object was destroyed", from);
	}
}

static void leaks_check(struct run *run)
{
	for (unsigned i = 0; i < HAMMER_SLOTS; i++)
		hammer_slot_clear(&run->hammer, &run->hammer.slots[i]);
	if (general_heap_used_bytes(run->hammer.heap) != run->used_bytes_before)
		hammer_violation(&run->hammer, "the general heap has lost objects", run->hammer.heap);
}

static status_t judge(struct run *run)
{
	const uint64_t violations = atomic_load(&run->hammer.violations);
	uint64_t operations = 0, in_handlers = 0, refused = 0, drained_bytes = 0;

	for (unsigned i = 0; i < run->cpus * TASKS_PER_CPU; i++) {
		operations += run->workers[i].operations;
		refused += run->workers[i].refused;
	}
	for (unsigned cpu = 0; cpu < run->cpus; cpu++) {
		in_handlers += run->handlers[cpu].operations;
		refused += run->handlers[cpu].refused;
	}
	for (unsigned i = 0; i < DRAINERS; i++)
		drained_bytes += run->drainers[i].drained_bytes;
	scenario_result(run->scenario,
			"violations=%llu operations=%llu drained_bytes=%llu in_handlers=%llu refused=%llu cpus=%u checks=%llu",
			(unsigned long long)violations, (unsigned long long)(operations + in_handlers),
			(unsigned long long)drained_bytes, (unsigned long long)in_handlers, (unsigned long long)refused,
			run->cpus, (unsigned long long)run->rounds);
	return violations == 0 && operations > 0 && in_handlers > 0 && drained_bytes > 0 ? STATUS_OK : STATUS_CORRUPT;
}

SCENARIO(hammer, "tasks and handlers of all CPUs at the heap, beside drains: seconds=60 round_ms=2000")
{
	static struct run run;
	const uint64_t seconds = options_get_number(scenario->options, "seconds", SECONDS_DEFAULT);
	const uint64_t round_ns = options_get_number(scenario->options, "round_ms", ROUND_MS_DEFAULT) * NS_PER_MS;
	const uint64_t end_ns = platform_now_ns() + seconds * NS_PER_S;
	unsigned caches;
	status_t status;

	run = (struct run){ .scenario = scenario, .cpus = platform_cpu_count() };
	run.hammer.memory = scenario->environment->memory;
	run.hammer.heap = &run.hammer.memory->general;
	run.used_bytes_before = general_heap_used_bytes(run.hammer.heap);
	workers_init(&run);
	status = caches_init(&run, &caches);
	while (status == STATUS_OK && platform_now_ns() < end_ns && !scenario_is_cancelled())
		status = round_run(&run, round_ns);
	if (status == STATUS_TIMEOUT) {
		print("FAILED: a handler does not come to its end\n");
		return status; /* it may still be at what would be freed */
	}
	leaks_check(&run);
	caches_fini(&run, caches);
	const status_t judged = judge(&run);
	return status == STATUS_OK ? judged : status;
}
