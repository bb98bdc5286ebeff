/* Magazines, depot, drains and checks of objcaches, and what the general heap makes of them. */
#include "host/host_test.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "heap/objcache.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static const struct phys_addr anywhere = { 0 };

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct objcache cache;

static void setup_with(struct objcache_config config)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 128, 0, 0);
	ck_assert_int_eq(memory_objcache_init(memory, &cache, config), STATUS_OK);
}

static void setup(size_t object_bytes)
{
	setup_with((struct objcache_config){ .name = "things", .object_bytes = object_bytes });
}

static void teardown(void)
{
	ck_assert(objcache_is_valid(&cache));
	ck_assert_int_eq(objcache_fini(&cache), STATUS_OK);
	machine_fini(&machine);
}

static void expect_counts_fit(void)
{
	const struct objcache_counts counts = objcache_count(&cache);

	ck_assert_uint_eq(counts.allocs, counts.used + counts.frees);
	ck_assert_uint_le(counts.used + counts.cached, counts.objects);
}

/* The model: which slot has what, how large, and with what in it ---------------------------------------------------------- */

#define MODEL_SLOTS 4000

struct model {
	struct {
		uint32_t *memory;
		size_t bytes;
	} slots[MODEL_SLOTS];
	struct random random;
	uint64_t live;
};

static uint32_t mark_of(unsigned slot, size_t bytes)
{
	return (uint32_t)(slot * 2654435761u ^ bytes);
}

static void model_check(const struct model *model, unsigned slot)
{
	const uint32_t *words = model->slots[slot].memory;
	const size_t bytes = model->slots[slot].bytes;

	ck_assert_uint_eq(words[0], mark_of(slot, bytes));
	ck_assert_uint_eq(words[bytes / 4 - 1], mark_of(slot, bytes));
}

static void model_set(struct model *model, unsigned slot, void *object, size_t bytes)
{
	ck_assert_ptr_nonnull(object);
	model->slots[slot].memory = object;
	model->slots[slot].bytes = bytes;
	model->slots[slot].memory[0] = mark_of(slot, bytes);
	model->slots[slot].memory[bytes / 4 - 1] = mark_of(slot, bytes);
	model->live++;
}

static void *model_take(struct model *model, unsigned slot)
{
	void *object = model->slots[slot].memory;

	model_check(model, slot);
	model->slots[slot].memory = NULL;
	model->live--;
	return object;
}

static void drain_something(struct model *model)
{
	const uint64_t before = memory_free_bytes(memory);
	const uint64_t given = objcache_drain(&cache, random_below(&model->random, 8) * BLOCK_BYTES, 0, anywhere, anywhere);

	ck_assert_uint_ge(memory_free_bytes(memory), before + given);
}

START_TEST(a_million_operations_follow_the_model)
{
	static struct model model;

	setup(96);
	random_seed(&model.random, 11);
	for (unsigned step = 0; step < 1000000; step++) {
		/* Between a few objects and nearly all, so that blocks come and go. */
		const unsigned limit = step / 100000 % 2 ? MODEL_SLOTS / 20 : MODEL_SLOTS;
		const unsigned slot = (unsigned)random_below(&model.random, MODEL_SLOTS);

		if (model.slots[slot].memory)
			objcache_free(&cache, model_take(&model, slot));
		else if (slot < limit)
			model_set(&model, slot, objcache_alloc(&cache), 96);
		if (step % 10007 == 0)
			drain_something(&model);
		if (step % 50021 == 0) {
			ck_assert(objcache_is_valid(&cache));
			ck_assert_uint_eq(objcache_count(&cache).used, model.live);
			expect_counts_fit();
		}
	}
	for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
		if (model.slots[slot].memory)
			objcache_free(&cache, model_take(&model, slot));
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	teardown();
}
END_TEST

/* Mostly small, sometimes up to 2 MB and more. */
static size_t any_bytes(struct random *random)
{
	return align_up(4 + random_below(random, 1ull << (2 + random_below(random, random_below(random, 500) ? 11 : 20))), 4);
}

static void general_step(struct model *model, unsigned slot)
{
	struct general_heap *heap = &memory->general;
	const size_t bytes = any_bytes(&model->random);
	void *other;

	if (!model->slots[slot].memory) {
		model_set(model, slot, general_heap_alloc(heap, bytes, random_below(&model->random, 8) ? 0 : 64), bytes);
	} else if (random_below(&model->random, 8) == 0) {
		model_check(model, slot);
		const size_t before = model->slots[slot].bytes;
		const uint32_t first = model->slots[slot].memory[0];

		other = general_heap_resize(heap, model->slots[slot].memory, bytes, 0);
		ck_assert_ptr_nonnull(other);
		ck_assert_uint_eq(*(uint32_t *)other, first);
		if (bytes >= before)
			ck_assert_uint_eq(((uint32_t *)other)[before / 4 - 1], first);
		model->live--;
		model_set(model, slot, other, bytes);
	} else {
		general_heap_free(heap, model_take(model, slot));
	}
}

START_TEST(general_heap_follows_the_model)
{
	static struct model model;

	setup(64);
	random_seed(&model.random, 12);
	for (unsigned step = 0; step < 300000; step++) {
		general_step(&model, (unsigned)random_below(&model.random, MODEL_SLOTS / 4));
		if (step % 20011 == 0) {
			(void)memory_drain(memory, UINT64_MAX / 2, false);
			ck_assert(memory_is_valid(memory));
		}
	}
	for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
		if (model.slots[slot].memory)
			general_heap_free(&memory->general, model_take(&model, slot));
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	teardown();
}
END_TEST

/* Wrong frees ------------------------------------------------------------------------------------------------------------- */

struct twice {
	void *object;
	unsigned others; /* allocated afterwards */
};

/* As if two CPUs had looked at the state at the same time, and both had found the object allocated. */
static void free_twice_at_once(void *context)
{
	const struct twice *twice = context;
	const struct block *block = block_heap_find(&memory->blocks, platform_phys(twice->object));
	const uint64_t index = (platform_phys(twice->object).value % BLOCK_BYTES) / cache.config.object_bytes;

	objcache_free(&cache, twice->object);
	ck_assert_uint_eq(block->states[index], OBJECT_CACHED);
	memset(twice->object, 0xa5, cache.config.object_bytes);
	block->states[index] = OBJECT_ALLOCATED;
	objcache_free(&cache, twice->object);
	if (twice->others == 0)
		objcaches_flush(&cache, 1);
	for (unsigned i = 0; i < twice->others; i++)
		(void)objcache_alloc(&cache);
}

START_TEST(frees_at_once_are_found_when_the_object_moves_on)
{
	struct twice twice;
	char message[256];

	setup(4096);
	twice = (struct twice){ objcache_alloc(&cache), 0 };
	ck_assert(host_panics(free_twice_at_once, &twice, message, sizeof(message)));
	ck_assert_msg(strstr(message, "freed twice at once") != NULL, "%s", message);
	twice.others = 2000;
	ck_assert(host_panics(free_twice_at_once, &twice, message, sizeof(message)));
	ck_assert_msg(strstr(message, "freed twice at once") != NULL, "%s", message);
	objcache_free(&cache, twice.object);
	teardown();
}
END_TEST

static void free_again(void *object)
{
	objcache_free(&cache, object);
	objcache_free(&cache, object);
}

START_TEST(a_report_names_the_callers)
{
	void *object;
	char message[256];

	setup(96);
	object = objcache_alloc(&cache);
	ck_assert(host_panics(free_again, object, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "objcache things"));
	ck_assert_ptr_nonnull(strstr(message, "freed now by 0x"));
#ifdef WEIR_DEBUG
	ck_assert_ptr_nonnull(strstr(message, "allocated by 0x"));
	ck_assert_ptr_nonnull(strstr(message, "freed before by 0x"));
#endif
	objcache_free(&cache, object);
	teardown();
}
END_TEST

/* Objects that are constructed once --------------------------------------------------------------------------------------- */

static uint64_t constructed, destroyed;

static void construct(void *object, void *context)
{
	*(void **)object = context;
	constructed++;
}

static void destroy(void *object, void *context)
{
	ck_assert_ptr_eq(*(void **)object, context);
	destroyed++;
}

START_TEST(objects_stay_constructed)
{
	int context;
	void *objects[3000];

	setup_with((struct objcache_config){
		.name = "things", .object_bytes = 2048, .construct = construct, .destroy = destroy, .context = &context });
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
			objects[i] = objcache_alloc(&cache);
			ck_assert_ptr_eq(*(void **)objects[i], &context);
		}
		ck_assert_uint_eq(constructed - destroyed, objcache_count(&cache).objects);
		for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
			objcache_free(&cache, objects[i]);
	}
	teardown();
	ck_assert_uint_eq(constructed, destroyed);
	ck_assert_uint_gt(constructed, 0);
}
END_TEST

/* Placement --------------------------------------------------------------------------------------------------------------- */

#define CHURN_BLOCKS  40
#define CHURN_OBJECTS (CHURN_BLOCKS * 512)

/* Nine tenths go at random, and each of the rest is replaced twenty times: nearly all blocks become empty. */
START_TEST(churn_gives_blocks_back)
{
	static void *objects[CHURN_OBJECTS];
	struct random random;
	uint32_t live = CHURN_OBJECTS;

	setup(4096);
	random_seed(&random, 5);
	for (uint32_t i = 0; i < live; i++)
		objects[i] = objcache_alloc(&cache);
	while (live > CHURN_OBJECTS / 10) {
		const uint32_t i = (uint32_t)random_below(&random, live);

		objcache_free(&cache, objects[i]);
		objects[i] = objects[--live];
	}
	for (uint32_t step = 0; step < 20 * live; step++) {
		void **object = &objects[random_below(&random, live)];

		objcache_free(&cache, *object);
		*object = objcache_alloc(&cache);
	}
	(void)objcache_drain(&cache, UINT64_MAX, 0, anywhere, anywhere);
	ck_assert_uint_le(objcache_count(&cache).blocks, CHURN_BLOCKS / 10 + 3);
	for (uint32_t i = 0; i < live; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

/* Two in each of many blocks, side by side, where a block has more than one line of states to look through. */
START_TEST(the_few_free_objects_of_many_blocks_are_found)
{
	enum { BYTES = 24 * KIB, PER_BLOCK = BLOCK_BYTES / BYTES, BLOCKS = 32, ALL = BLOCKS * PER_BLOCK };
	static void *objects[ALL];

	setup(BYTES);
	for (unsigned i = 0; i < ALL; i++)
		objects[i] = objcache_alloc(&cache);
	for (unsigned i = 0; i < ALL; i++) {
		const uint64_t number = platform_phys(objects[i]).value % BLOCK_BYTES / BYTES;

		if (number != 70 && number != 71)
			continue;
		objcache_free(&cache, objects[i]);
		objects[i] = NULL;
	}
	objcaches_flush(&cache, 1);
	for (unsigned i = 0; i < ALL; i++)
		if (!objects[i])
			objects[i] = objcache_alloc(&cache);
	ck_assert_uint_eq(objcache_count(&cache).blocks, BLOCKS);
	for (unsigned i = 0; i < ALL; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

START_TEST(each_block_has_an_order_of_its_own)
{
	enum { PER_BLOCK = BLOCK_BYTES / 64 };
	static uint32_t orders[2][PER_BLOCK];
	static void *objects[2 * PER_BLOCK];
	unsigned same = 0;

	setup(64);
	for (unsigned i = 0; i < 2 * PER_BLOCK; i++) {
		objects[i] = objcache_alloc(&cache);
		orders[i / PER_BLOCK][i % PER_BLOCK] = (uint32_t)(platform_phys(objects[i]).value % BLOCK_BYTES / 64);
	}
	for (unsigned i = 0; i < PER_BLOCK; i++)
		same += orders[0][i] == orders[1][i];
	ck_assert_uint_lt(same, PER_BLOCK / 2);
	for (unsigned i = 0; i < 2 * PER_BLOCK; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

/* General heap ------------------------------------------------------------------------------------------------------------ */

#define POWERS         15 /* from 16 bytes to 256 KB */
#define MANY_BYTES     (18 * MIB)
#define ANY_MANY_BYTES (34 * MIB) /* so many that any size has blocks of its own */

static size_t usable_bytes(const void *object)
{
	return general_heap_usable_bytes(&memory->general, object);
}

/* Returns how many, in a chain; the newest one first. */
static uint64_t many_alloc(size_t bytes, uint64_t all_bytes, void **chain, uint64_t *usable)
{
	uint64_t count = 0;

	*chain = NULL;
	*usable = 0;
	for (; count * bytes < all_bytes; count++) {
		void **object = general_heap_alloc(&memory->general, bytes, 0);

		ck_assert_ptr_nonnull(object);
		*object = *chain;
		*chain = object;
		*usable += usable_bytes(object);
	}
	return count;
}

static void many_free(void **chain)
{
	while (chain) {
		void **next = *chain;

		general_heap_free(&memory->general, chain);
		chain = next;
	}
}

#define OWN_CLASSES 4 /* may have blocks of their own from the first object on: the machine has 128 blocks */

/* Other sizes than those of the test have them. */
static void own_classes_take(void **chains)
{
	uint64_t usable;

	for (unsigned i = 0; i < OWN_CLASSES; i++)
		(void)many_alloc(1100ull << i, 4 * MIB, &chains[i], &usable);
}

static void own_classes_give(void *const *chains)
{
	for (unsigned i = 0; i < OWN_CLASSES; i++)
		many_free(chains[i]);
}

static void expect_little_is_added(size_t bytes)
{
	uint64_t usable;
	void *chain;
	const uint64_t asked = many_alloc(bytes, ANY_MANY_BYTES, &chain, &usable) * bytes;

	ck_assert_uint_ge(usable_bytes(chain), bytes);
	ck_assert_uint_le(usable_bytes(chain), bytes + bytes / 8);
	ck_assert_uint_ge(usable, asked);
	ck_assert_uint_le(usable, asked + asked / 8 + 2 * BLOCK_BYTES);
	many_free(chain);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	ck_assert(memory_is_valid(memory));
}

START_TEST(little_is_added_to_what_was_asked_for)
{
	void *others[OWN_CLASSES];

	setup(64);
	own_classes_take(others);
	/* Just above each class of some doublings, where most is added. */
	for (size_t power = 128; power < 256 * KIB; power *= 32)
		for (size_t step = 0; step < 8; step++)
			expect_little_is_added(power + step * power / 8 + 1);
	own_classes_give(others);
	teardown();
}
END_TEST

static uint64_t class_blocks(void)
{
	uint64_t blocks = 0;

	for (unsigned class = 0; class < memory->general.classes; class ++)
		blocks += objcache_count(&memory->general.cache[class]).blocks;
	return blocks;
}

START_TEST(sizes_of_which_there_are_few_share_blocks)
{
	void *objects[200];
	unsigned count = 0;

	setup(64);
	for (size_t bytes = 16; bytes <= 256 * KIB; bytes += MAX(bytes / 9, 16ul)) {
		objects[count] = general_heap_alloc(&memory->general, bytes, 0);
		ck_assert_ptr_nonnull(objects[count]);
		count++;
	}
	ck_assert_uint_gt(count, 4 * POWERS);
	ck_assert_uint_le(class_blocks(), POWERS + OWN_CLASSES);
	while (count > 0)
		general_heap_free(&memory->general, objects[--count]);
	teardown();
}
END_TEST

START_TEST(a_size_shares_blocks_again_when_most_objects_are_gone)
{
	void *others[OWN_CLASSES];
	void *chain, *object;
	uint64_t usable;

	setup(64);
	own_classes_take(others);
	(void)many_alloc(550, MANY_BYTES, &chain, &usable);
	ck_assert_uint_gt(usable, MANY_BYTES / 550 * 576);
	ck_assert_uint_eq(usable_bytes(chain), 576);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	object = general_heap_alloc(&memory->general, 550, 0);
	ck_assert_uint_eq(usable_bytes(object), 576);
	many_free(chain);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	chain = general_heap_alloc(&memory->general, 550, 0);
	ck_assert_uint_eq(usable_bytes(chain), 1024);
	general_heap_free(&memory->general, chain);
	general_heap_free(&memory->general, object);
	own_classes_give(others);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	teardown();
}
END_TEST

START_TEST(general_heap_clears_multiplies_and_resizes)
{
	struct general_heap *heap = &memory->general;
	unsigned char *object, *other;

	setup(64);
	object = general_heap_alloc_zeroed(heap, 3000, 0);
	for (unsigned i = 0; i < 3000; i++)
		ck_assert_uint_eq(object[i], 0);
	memset(object, 7, 3000);
	ck_assert_ptr_eq(general_heap_resize(heap, object, 2900, 0), object);
	ck_assert_ptr_eq(general_heap_resize(heap, object, usable_bytes(object) / 2, 0), object);
	ck_assert_ptr_null(general_heap_resize(heap, object, 0, 0));
	ck_assert_ptr_null(general_heap_resize(heap, object, 100, 3));
	ck_assert_ptr_null(general_heap_resize(heap, object, SIZE_MAX / 2, 0));
	other = general_heap_resize(heap, object, 5 * BLOCK_BYTES, 0);
	ck_assert_ptr_ne(other, object);
	ck_assert_uint_eq(other[1500], 7);
	ck_assert_ptr_eq(general_heap_resize(heap, other, 4 * BLOCK_BYTES + 1, 0), other);
	other = general_heap_resize(heap, other, 20, 0);
	ck_assert_uint_eq(other[19], 7);
	general_heap_free(heap, other);
	other = general_heap_resize(heap, NULL, 20, 0);
	ck_assert_ptr_nonnull(other);
	general_heap_free(heap, other);

	ck_assert_ptr_null(general_heap_alloc_array(heap, SIZE_MAX / 8 + 2, 8, 0));
	ck_assert_ptr_null(general_heap_alloc_array(heap, 0, 8, 0));
	object = general_heap_alloc_array(heap, 100, 30, 4096);
	ck_assert_uint_eq(platform_phys(object).value % 4096, 0);
	general_heap_free(heap, object);
	teardown();
}
END_TEST

/* Threads ----------------------------------------------------------------------------------------------------------------- */

#define THREADS 4
#define MAILBOX 64

static _Atomic(uint32_t *) mailbox[MAILBOX];
static _Atomic unsigned running;

/* Objects are freed by whoever finds them in the box, so most of them by another CPU. */
static void exchange(unsigned index, struct random *random, unsigned steps)
{
	for (unsigned step = 0; step < steps; step++) {
		uint32_t *object = objcache_alloc(&cache);

		if (object) {
			object[0] = index;
			object[1] = ~index;
		}
		object = atomic_exchange(&mailbox[random_below(random, MAILBOX)], object);
		if (object) {
			ck_assert_uint_eq(object[0], ~object[1]);
			objcache_free(&cache, object);
		}
		/* Also where a signal that waits is taken under the thread sanitizer. */
		if (step % 64 == 0)
			platform_yield();
	}
}

static void mailbox_clear(void)
{
	for (unsigned i = 0; i < MAILBOX; i++) {
		objcache_free(&cache, mailbox[i]);
		mailbox[i] = NULL;
	}
}

static void drain_while_others_work(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, 70 + index);
	if (index != 0) {
		exchange(index, &random, 40000);
		atomic_fetch_sub(&running, 1);
		return;
	}
	while (atomic_load(&running) != 0) {
		expect_counts_fit();
		(void)objcache_drain(&cache, UINT64_MAX, 0, anywhere, anywhere);
		objcaches_flush(&cache, 1);
		platform_yield();
	}
}

START_TEST(threads_exchange_objects_while_others_drain)
{
	setup(512);
	running = THREADS - 1;
	host_threads_run(THREADS, drain_while_others_work, NULL);
	ck_assert(objcache_is_valid(&cache));
	mailbox_clear();
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	/* What idle CPUs have in their magazines goes, too. */
	(void)objcache_drain(&cache, UINT64_MAX, 0, anywhere, anywhere);
	ck_assert_uint_eq(objcache_count(&cache).cached, 0);
	ck_assert_uint_eq(objcache_count(&cache).blocks, 0);
	teardown();
}
END_TEST

/* So many that the size gets blocks of its own, and then none, so that it shares them again. */
static void size_comes_and_goes(void *context, unsigned index)
{
	(void)context;
	for (unsigned round = 0; index != 0 && round < 3; round++) {
		uint64_t usable;
		void *chain;

		(void)many_alloc(550 + 64 * (index % 2), MANY_BYTES, &chain, &usable);
		many_free(chain);
		platform_yield();
	}
	if (index != 0) {
		atomic_fetch_sub(&running, 1);
		return;
	}
	while (atomic_load(&running) != 0) {
		(void)memory_drain(memory, UINT64_MAX / 2, false);
		platform_yield();
	}
}

START_TEST(threads_share_sizes_that_come_and_go)
{
	void *others[OWN_CLASSES];

	setup(64);
	own_classes_take(others);
	running = THREADS - 1;
	host_threads_run(THREADS, size_comes_and_goes, NULL);
	own_classes_give(others);
	ck_assert(memory_is_valid(memory));
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	teardown();
}
END_TEST

/* Whoever is held must not be looked at: a lock that is taken twice is reported. */
static void others_hold(const struct objcache *one, bool hold)
{
	for (unsigned class = 0; class < memory->general.classes; class ++) {
		struct objcache *other = &memory->general.cache[class];

		if (other != one && hold)
			spinlock_lock(&other->lock);
		else if (other != one)
			spinlock_unlock(&other->lock);
	}
}

START_TEST(a_drain_looks_only_where_something_is)
{
	void *objects[5];

	setup(64);
	struct general_heap *heap = &memory->general;
	struct objcache *one = general_heap_cache(heap, MIB / 2, 0);

	for (unsigned i = 0; i < 5; i++)
		objects[i] = general_heap_alloc(heap, MIB / 2, 0);
	others_hold(one, true);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), 0);
	others_hold(one, false);
	for (unsigned i = 0; i < 4; i++)
		general_heap_free(heap, objects[i]);
	general_heap_settle(heap);
	ck_assert_uint_eq(atomic_load(&heap->group.free_bytes), 2 * BLOCK_BYTES - MIB / 2);
	others_hold(one, true);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, BLOCK_BYTES), 0);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), BLOCK_BYTES);
	others_hold(one, false);
	general_heap_free(heap, objects[4]);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), BLOCK_BYTES);
	others_hold(NULL, true);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), 0);
	others_hold(NULL, false);
	ck_assert(general_heap_is_valid(heap));
	teardown();
}
END_TEST

/* What a storm of interrupts does on each CPU, in the midst of whatever the CPU was doing. */
static void handler(void *context)
{
	_Atomic unsigned *handled = context;
	void *objects[8];

	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
		objects[i] = objcache_alloc(&cache);
	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
		if (objects[i])
			objcache_free(&cache, objects[i]);
	if (platform_in_handler())
		atomic_fetch_add(handled, 1);
}

static void storm(void *context, unsigned index)
{
	struct random random;

	random_seed(&random, 90 + index);
	if (index != 0) {
		exchange(index, &random, 60000);
		atomic_fetch_sub(&running, 1);
		return;
	}
	for (unsigned round = 0; atomic_load(&running) != 0; round++) {
		platform_run_on_all_cpus(handler, context);
		if (round % 16 == 0)
			(void)objcache_drain(&cache, BLOCK_BYTES, 0, anywhere, anywhere);
		platform_yield();
	}
}

START_TEST(threads_are_interrupted_by_handlers_that_allocate)
{
	_Atomic unsigned handled = 0;

	setup(256);
	running = THREADS - 1;
	host_threads_run(THREADS, storm, &handled);
	ck_assert_uint_gt(handled, 0);
	ck_assert(objcache_is_valid(&cache));
	mailbox_clear();
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	expect_counts_fit();
	teardown();
}
END_TEST

/* Thread 0 is as in the middle of an operation on its magazines; thread 1 interrupts it, and drains. */
static _Atomic int stage;

static void stage_wait(int wanted)
{
	while (atomic_load(&stage) != wanted)
		platform_yield();
}

static void be_busy(void)
{
	const unsigned cpu = platform_cpu();
	void *object = objcache_alloc(&cache);

	ck_assert_ptr_nonnull(object);
	platform_preempt_disable();
	const struct objcache_cpu_counts before = objcache_cpu_count(&cache, cpu);
	ck_assert_uint_gt(before.cached, 0);
	atomic_store(&stage, 1);
	stage_wait(2);
	const struct objcache_cpu_counts after = objcache_cpu_count(&cache, cpu);
	platform_preempt_enable();
	ck_assert_uint_eq(after.cached, before.cached);
	ck_assert_uint_eq(after.allocs, before.allocs);
	ck_assert_uint_eq(after.frees, before.frees);
	/* It empties them itself, next time. */
	objcache_free(&cache, object);
	ck_assert_uint_eq(objcache_cpu_count(&cache, cpu).cached, 1);
}

static void be_interrupted(void *context, unsigned index)
{
	if (index == 0) {
		be_busy();
		return;
	}
	stage_wait(1);
	platform_run_on_all_cpus(handler, context);
	objcaches_flush(&cache, 1);
	atomic_store(&stage, 2);
}

START_TEST(threads_leave_a_busy_cpu_alone)
{
	_Atomic unsigned handled = 0;

	setup(256);
	host_threads_run(2, be_interrupted, &handled);
	ck_assert_uint_ge(handled, 1);
	teardown();
}
END_TEST

/* Thread 0 is in the middle of something in the block heap when a handler frees a run. */
static _Atomic(void *) run_to_free;

static void free_run_in_handler(void *context)
{
	(void)context;
	if (platform_in_handler())
		general_heap_free(&memory->general, atomic_exchange(&run_to_free, NULL));
}

static void hold_block_heap(void *context, unsigned index)
{
	if (index == 0) {
		spinlock_lock(&memory->blocks.lock);
		atomic_store(&stage, 1);
		stage_wait(2);
		spinlock_unlock(&memory->blocks.lock);
		return;
	}
	stage_wait(1);
	platform_run_on_all_cpus(free_run_in_handler, context);
	atomic_store(&stage, 2);
}

static void free_general(void *object)
{
	general_heap_free(&memory->general, object);
}

START_TEST(threads_free_runs_in_handlers)
{
	char message[256];

	setup(64);
	const uint64_t before = memory_free_bytes(memory);

	for (unsigned i = 0; i < 2; i++) {
		void *run = general_heap_alloc(&memory->general, 5 * MIB, 0);

		ck_assert_ptr_nonnull(run);
		atomic_store(&run_to_free, run);
		atomic_store(&stage, 0);
		host_threads_run(2, hold_block_heap, NULL);
		ck_assert_ptr_null(atomic_load(&run_to_free));
		ck_assert_uint_eq(memory_free_bytes(memory), before - 6 * MIB);
		ck_assert(host_panics(free_general, run, message, sizeof(message)));
		ck_assert_ptr_nonnull(strstr(message, "is free already"));
		/* Tasks give it back. */
		if (i == 0)
			(void)caching_heap_drain(&memory->general.caching, BLOCK_BYTES, 0);
		else
			ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
		ck_assert_uint_eq(memory_free_bytes(memory), before);
	}
	teardown();
}
END_TEST

HOST_TEST_MAIN("heap_magazines", a_million_operations_follow_the_model, general_heap_follows_the_model,
	       frees_at_once_are_found_when_the_object_moves_on, a_report_names_the_callers, objects_stay_constructed,
	       churn_gives_blocks_back, the_few_free_objects_of_many_blocks_are_found, each_block_has_an_order_of_its_own,
	       little_is_added_to_what_was_asked_for, sizes_of_which_there_are_few_share_blocks,
	       a_size_shares_blocks_again_when_most_objects_are_gone, general_heap_clears_multiplies_and_resizes,
	       threads_share_sizes_that_come_and_go, threads_exchange_objects_while_others_drain,
	       threads_are_interrupted_by_handlers_that_allocate, threads_leave_a_busy_cpu_alone, threads_free_runs_in_handlers,
	       a_drain_looks_only_where_something_is)
