#include "turns.h"

#include "runtime/base/assert.h"

struct turn {
	struct list link;
	const void *task;
	_Atomic uint32_t given;
};

void turns_init(struct turns *turns, const char *name)
{
	spinlock_init(&turns->lock, name);
	atomic_init(&turns->holder, NULL);
	list_init(&turns->line);
	turns->name = name;
}

bool turns_is_held(const struct turns *turns)
{
	return atomic_load_explicit(&turns->holder, memory_order_relaxed) == platform_task();
}

/* True: nobody had the turn, and the caller has it now; else it stands in line. */
static bool line_up(struct turns *turns, struct turn *turn)
{
	bool entered;

	spinlock_lock(&turns->lock);
	entered = !atomic_load_explicit(&turns->holder, memory_order_relaxed);
	if (entered)
		atomic_store_explicit(&turns->holder, turn->task, memory_order_relaxed);
	else
		list_insert_last(&turns->line, &turn->link);
	spinlock_unlock(&turns->lock);
	return entered;
}

/* False: the turn was given meanwhile. */
static bool give_up(struct turns *turns, struct turn *turn)
{
	bool waiting;

	spinlock_lock(&turns->lock);
	waiting = atomic_load_explicit(&turn->given, memory_order_relaxed) == 0;
	if (waiting)
		list_remove(&turn->link);
	spinlock_unlock(&turns->lock);
	return waiting;
}

status_t turns_enter(struct turns *turns, uint64_t deadline_ns)
{
	struct turn turn = { .task = platform_task() };

	assert(platform_may_sleep());
	if (turns_is_held(turns))
		platform_panic("%s: its holder takes it twice", turns->name);
	if (line_up(turns, &turn))
		return STATUS_OK;
	while (atomic_load_explicit(&turn.given, memory_order_acquire) == 0)
		if (platform_wait(&turn.given, 0, deadline_ns) == STATUS_TIMEOUT && give_up(turns, &turn))
			return STATUS_TIMEOUT;
	return STATUS_OK;
}

void turns_leave(struct turns *turns)
{
	struct turn *next = NULL;
	struct list *first;

	assert(turns_is_held(turns));
	spinlock_lock(&turns->lock);
	first = list_take_first(&turns->line);
	if (first)
		next = container_of(first, struct turn, link);
	atomic_store_explicit(&turns->holder, next ? next->task : NULL, memory_order_relaxed);
	/* From then on it may be gone; a wake needs only the address. */
	if (next)
		atomic_store_explicit(&next->given, 1, memory_order_release);
	spinlock_unlock(&turns->lock);
	if (next)
		platform_wake(&next->given);
}
