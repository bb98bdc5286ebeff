// SPDX-License-Identifier: BSD-2-Clause
/*
 * A graph of at most LOCK_CLASSES classes, as a bit for each edge. A CPU that adds an edge sets its
 * bit first and searches a way back after that; of two that add edges of one cycle at the same
 * time, the later one finds it.
 */
#ifdef WEIR_DEBUG
#include "lock_order.h"

#include <stdatomic.h>

#include "platform.h"
#include "string.h"

#define LOCK_CLASSES 256 /* class 0 is none, the last one all that came too late */
#define NAME_BYTES   24
#define HELD_MAX     32 /* spinlocks of one CPU */
#define MUTEXES_MAX  256
#define WORD_BITS    64

struct lock_class {
	_Atomic uint32_t state;                           /* FREE, BUSY, KNOWN */
	char name[NAME_BYTES];                            /* [I] once KNOWN */
	_Atomic uint64_t after[LOCK_CLASSES / WORD_BITS]; /* classes that are taken while one of this is held */
	const void *_Atomic site[LOCK_CLASSES];           /* where for the first time */
};

enum { FREE, BUSY, KNOWN };

/* Mutexes that are held, by any task. */
struct held_mutex {
	const void *_Atomic task; /* NULL: free */
	_Atomic uint16_t class;
};

static struct lock_class classes[LOCK_CLASSES];
static struct held_mutex mutexes[MUTEXES_MAX];
static _Atomic uint32_t mutexes_top; /* entries from here on were never used */
static struct {
	uint32_t count;
	uint16_t classes[HELD_MAX];
} held[PLATFORM_CPUS_MAX];

static bool is_named(const struct lock_class *class, const char *name)
{
	return strncmp(class->name, name, NAME_BYTES - 1) == 0;
}

/*
 * Names a free class. With interrupts off, so that nothing on this CPU comes in between and waits
 * for the name.
 */
static bool class_claim(struct lock_class *class, const char *name)
{
	const uint64_t interrupts = platform_interrupts_save();
	uint32_t state = FREE;
	const bool claimed = atomic_compare_exchange_strong(&class->state, &state, BUSY);

	if (claimed) {
		memcpy(class->name, name, strnlen(name, NAME_BYTES - 1));
		atomic_store(&class->state, KNOWN);
	}
	platform_interrupts_restore(interrupts);
	return claimed;
}

/* The class of that name, a new one if need be. */
static uint16_t class_find(const char *name)
{
	for (uint16_t i = 1; i < LOCK_CLASSES - 1; i++) {
		struct lock_class *class = &classes[i];

		if (class_claim(class, name))
			return i;
		while (atomic_load(&class->state) == BUSY)
			platform_cpu_relax();
		if (is_named(class, name))
			return i;
	}
	return LOCK_CLASSES - 1;
}

static uint16_t class_of(struct lock_mark *mark, const char *name)
{
	uint16_t class = atomic_load_explicit(&mark->lock_class, memory_order_relaxed);

	if (class == 0) {
		class = class_find(name);
		atomic_store_explicit(&mark->lock_class, class, memory_order_relaxed);
	}
	return class;
}

static bool has_edge(unsigned from, unsigned to)
{
	return atomic_load_explicit(&classes[from].after[to / WORD_BITS], memory_order_relaxed) >> to % WORD_BITS & 1;
}

/* The class behind `from` on a way to `to`, or 0: there is none. Each class is looked at once. */
static unsigned way_find(unsigned from, unsigned to)
{
	uint8_t first[LOCK_CLASSES] = { 0 }; /* the class behind `from` by which it was reached; 0: not reached */
	uint8_t queue[LOCK_CLASSES];
	unsigned count = 0;

	queue[count++] = (uint8_t)from;
	for (unsigned next = 0; next < count; next++) {
		const unsigned at = queue[next];

		for (unsigned other = 1; other < LOCK_CLASSES - 1; other++) {
			if (first[other] != 0 || other == from || !has_edge(at, other))
				continue;
			first[other] = at == from ? (uint8_t)other : first[at];
			if (other == to)
				return first[other];
			queue[count++] = (uint8_t)other;
		}
	}
	return 0;
}

static void edge_add(unsigned from, unsigned to, const void *site)
{
	const uint64_t bit = 1ull << to % WORD_BITS;
	unsigned way;

	if (from == to || from == LOCK_CLASSES - 1 || to == LOCK_CLASSES - 1 || has_edge(from, to))
		return;
	if (atomic_fetch_or(&classes[from].after[to / WORD_BITS], bit) & bit)
		return;
	atomic_store(&classes[from].site[to], site);
	way = way_find(to, from);
	if (way != 0)
		platform_panic(
			"lock order: \"%s\" is taken while \"%s\" is held, at %p; but \"%s\" while \"%s\" is held, at %p",
			classes[to].name, classes[from].name, site, classes[way].name, classes[to].name,
			atomic_load(&classes[to].site[way]));
}

void lock_order_wait(struct lock_mark *mark, const char *name, const void *task)
{
	const uint16_t class = class_of(mark, name);
	const void *self = task ? task : platform_in_handler() ? NULL : platform_task(), *site = __builtin_return_address(0);
	const uint32_t top = self ? atomic_load_explicit(&mutexes_top, memory_order_relaxed) : 0;

	for (uint32_t i = 0; i < top; i++)
		if (atomic_load_explicit(&mutexes[i].task, memory_order_relaxed) == self)
			edge_add(mutexes[i].class, class, site);
	if (task) /* a task that may sleep holds no spinlock */
		return;
	for (uint32_t i = 0; i < held[platform_cpu()].count; i++)
		edge_add(held[platform_cpu()].classes[i], class, site);
}

static void mutex_begin(uint16_t class, const void *task)
{
	for (uint32_t i = 0; i < MUTEXES_MAX; i++) {
		const void *none = NULL;
		uint32_t top = atomic_load(&mutexes_top);

		if (!atomic_compare_exchange_strong(&mutexes[i].task, &none, task))
			continue;
		mutexes[i].class = class;
		while (top <= i && !atomic_compare_exchange_weak(&mutexes_top, &top, i + 1))
			;
		return;
	}
}

void lock_order_begin(struct lock_mark *mark, const char *name, const void *task)
{
	const uint16_t class = class_of(mark, name);
	const unsigned cpu = platform_cpu();

	if (task)
		mutex_begin(class, task);
	else if (held[cpu].count < HELD_MAX)
		held[cpu].classes[held[cpu].count++] = class;
}

void lock_order_end(struct lock_mark *mark, const void *task)
{
	const uint16_t class = atomic_load_explicit(&mark->lock_class, memory_order_relaxed);
	const uint32_t top = atomic_load(&mutexes_top);
	const unsigned cpu = platform_cpu();

	for (uint32_t i = 0; task && i < top; i++) {
		if (atomic_load(&mutexes[i].task) == task && mutexes[i].class == class) {
			atomic_store(&mutexes[i].task, NULL);
			return;
		}
	}
	for (uint32_t i = held[cpu].count; !task && i-- > 0;) {
		if (held[cpu].classes[i] != class)
			continue;
		/*
		 * A handler may come in between: what it takes lies behind, and has gone when it
		 * ends.
		 */
		for (; i + 1 < held[cpu].count; i++)
			held[cpu].classes[i] = held[cpu].classes[i + 1];
		held[cpu].count--;
		return;
	}
}
#endif
