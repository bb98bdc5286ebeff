// SPDX-License-Identifier: BSD-2-Clause
/*
 * What two actors do to the buffers of one device at once: every pair of operations, in every order
 * of their steps, from a state in which the device has one buffer of each kind. In any order,
 * no buffer is lost, and none is given twice.
 */
#include "fake/heap_fixture.h"
#include "fake/interleave.h"
#include "heap/dma/dma_quarantine.h"
#include "heap/dma/dma_state.h"
#include "host/host_test.h"

#define MACHINE_BLOCKS 64
#define PIECES         4
#define PIECE_BYTES    (2 * BLOCK_BYTES)

static const struct device device = { .name = "card", .dma_mask = UINT64_MAX };
static const struct device other = { .name = "other", .dma_mask = UINT64_MAX };
static const struct device third = { .name = "third", .dma_mask = UINT64_MAX };

static struct machine machine;
static struct memory *const memory = &machine.memory;

/* The buffers that a driver has; NULL: freed. */
static struct dma_buffer *object, *guaranteed, *piece;

static struct dma_buffer *take(const struct device *whose, uint64_t bytes, bool from_guarantee)
{
	const struct dma_request request = { .bytes = bytes };
	struct dma_buffer *buffer = NULL;
	struct dma_plan plan;
	status_t status = dma_plan_make(whose, &request, &plan);

	plan.site = "here";
	if (status == STATUS_OK && from_guarantee)
		status = dma_guaranteed_alloc(memory_dma(memory), &plan, &buffer);
	else if (status == STATUS_OK)
		status = dma_alloc(memory_dma(memory), whose, &request, &buffer);
	return status == STATUS_OK ? buffer : NULL;
}

static void drop(struct dma_buffer **buffer)
{
	struct dma_buffer *gone = *buffer;

	*buffer = NULL;
	dma_free(memory_dma(memory), gone);
}

/* Operations ----------------------------------------------------------------------------------- */

static void free_object(void *context)
{
	(void)context;
	drop(&object);
}

static void free_guaranteed(void *context)
{
	(void)context;
	drop(&guaranteed);
}

static void free_piece(void *context)
{
	(void)context;
	drop(&piece);
}

static void take_and_free(void *context)
{
	struct dma_buffer *mine = take(&other, 16 * KIB, true);

	(void)context;
	ck_assert_ptr_nonnull(mine);
	memset(mine->memory, 1, mine->bytes);
	dma_free(memory_dma(memory), mine);
}

static void quarantine(void *context)
{
	(void)context;
	(void)dma_quarantine(memory_dma(memory), &device);
}

static void quarantine_and_end(void *context)
{
	struct dma_buffer *mine = take(&third, 4096, true);

	(void)context;
	ck_assert_ptr_nonnull(mine);
	(void)dma_quarantine(memory_dma(memory), &third);
	dma_free(memory_dma(memory), mine);
	(void)dma_quarantine_end(memory_dma(memory), &third);
}

static void reports(void *context)
{
	(void)context;
	(void)dma_device_leaks(memory_dma(memory), &device);
	(void)dma_quarantine_bytes(memory_dma(memory), &device);
	dma_explain(&memory->dma.explainer, (struct phys_addr){ 0 }, (struct phys_addr){ UINT64_MAX });
}

static void end_reservation(void *context)
{
	(void)context;
	dma_guarantee_end(memory_dma(memory), &device);
}

static void refill(void *context)
{
	(void)context;
	(void)guarantee_refill(&memory->guarantee);
}

static void (*const operations[])(void *context) = {
	free_object,        free_guaranteed, free_piece,      take_and_free, quarantine,
	quarantine_and_end, reports,         end_reservation, refill,
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* Orders --------------------------------------------------------------------------------------- */

static void begin(void *context)
{
	(void)context;
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &device, 2 * PIECE_BYTES), STATUS_OK);
	object = take(&device, 4096, false);
	guaranteed = take(&device, 16 * KIB, true);
	piece = take(&device, PIECE_BYTES, true);
	ck_assert(object && guaranteed && piece);
}

/* The driver frees what it still has, the device is reset, and nothing is left. */
static void end(void *context)
{
	(void)context;
	ck_assert(memory_is_valid(memory));
	drop(&object);
	drop(&guaranteed);
	drop(&piece);
	(void)dma_quarantine_end(memory_dma(memory), &device);
	dma_guarantee_end(memory_dma(memory), &device);
	(void)guarantee_refill(&memory->guarantee);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, 0);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).unreserved, PIECES);
	ck_assert(list_is_empty(&memory->dma.buffers));
	ck_assert(list_is_empty(&memory->dma.clients));
	ck_assert(memory_is_valid(memory));
}

static void setup(void)
{
	const struct memory_config config = {
		.watermarks.atomic_percent = 100,
		.guarantee = { .bytes = PIECES * PIECE_BYTES, .piece_bytes = PIECE_BYTES },
	};

	host_log_level(LOG_ERROR);
	machine_init_with(&machine, MACHINE_START, MACHINE_BLOCKS, &config);
}

START_TEST(two_actors_in_every_order)
{
	uint64_t orders = 0;

	setup();
	for (unsigned i = 0; i < OPERATIONS; i++)
		for (unsigned j = i + 1; j < OPERATIONS; j++)
			orders += interleave(&(struct interleaving){
				.begin = begin,
				.actors = { operations[i], operations[j] },
				.end = end,
				.switches_max = 3,
			});
	ck_assert_uint_gt(orders, 1000);
}
END_TEST

/*
 * Two that need the client of a device, and a zone for its window, which no other device has: they
 * get the same ones.
 */
static struct device newcomer = { .name = "newcomer" };
static struct dma_zone *zones[2];
static struct dma_client *clients[2];
static unsigned round_number, actors;

static void begin_first(void *context)
{
	(void)context;
	newcomer.dma_mask = MACHINE_START + ++round_number;
	actors = 0;
}

static void need_both(void *context)
{
	const unsigned self = actors++;

	(void)context;
	ck_assert_ptr_nonnull(zones[self] = dma_zone_get(memory_dma(memory), &newcomer));
	ck_assert_ptr_nonnull(clients[self] = dma_client_get(memory_dma(memory), &newcomer));
}

static void end_first(void *context)
{
	unsigned count = 0;

	(void)context;
	list_for_each (link, &memory->dma.zones)
		count++;
	ck_assert_uint_eq(count, round_number);
	ck_assert_ptr_eq(zones[0], zones[1]);
	ck_assert_ptr_eq(clients[0], clients[1]);
	dma_client_put(memory_dma(memory), clients[0]);
	ck_assert(!list_is_empty(&memory->dma.clients));
	dma_client_put(memory_dma(memory), clients[1]);
	ck_assert(list_is_empty(&memory->dma.clients));
}

START_TEST(a_client_and_a_zone_are_made_once)
{
	setup();
	ck_assert_uint_gt(interleave(&(struct interleaving){
				  .begin = begin_first,
				  .actors = { need_both, need_both },
				  .end = end_first,
				  .switches_max = 2,
			  }),
			  20);
	machine_fini(&machine);
}
END_TEST

/*
 * The record of several pieces lies beside the first one, and is of that one's next holder as soon
 * as it is back.
 */
static void begin_pair(void *context)
{
	(void)context;
	ck_assert_ptr_nonnull(piece = take(&device, 2 * PIECE_BYTES, true));
}

static void take_and_overwrite(void *context)
{
	struct guarantee *guarantee = &memory->guarantee;
	struct phys_addr start;
	uint64_t interrupts = guarantee_lock(guarantee);
	void *record = guarantee_take_locked(guarantee, &other, PIECE_BYTES, true, &start);

	(void)context;
	ck_assert_ptr_nonnull(record);
	memset(record, 0, (PIECE_BYTES >> GUARANTEE_OBJECT_SHIFT) * GUARANTEE_RECORD_BYTES);
	guarantee_unlock(guarantee, interrupts);
	guarantee_give(guarantee, start);
}

static void end_pair(void *context)
{
	(void)context;
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, 0);
	ck_assert(memory_is_valid(memory));
}

START_TEST(a_record_goes_with_its_first_piece)
{
	setup();
	ck_assert_uint_gt(interleave(&(struct interleaving){
				  .begin = begin_pair,
				  .actors = { free_piece, take_and_overwrite },
				  .end = end_pair,
				  .switches_max = 2,
			  }),
			  3);
	machine_fini(&machine);
}
END_TEST

/*
 * A zone that is one too many goes again where its maker may not sleep, so no cleaner may be at
 * work on it: only those of zones in the list are registered. Actor 0 makes a zone; actor 1 has
 * made one for the same window, publishes it, and looks.
 */
static void begin_withheld(void *context)
{
	begin_first(context);
	ck_assert_ptr_nonnull(zones[1] = dma_zone_get(memory_dma(memory), &newcomer));
	list_remove(&zones[1]->link);
}

static void make_zone(void *context)
{
	(void)context;
	ck_assert_ptr_nonnull(zones[0] = dma_zone_get(memory_dma(memory), &newcomer));
}

/* Of this round. */
static bool is_in_list(const struct cleaner *cleaner)
{
	bool found = false;

	list_for_each (link, &memory->dma.zones)
		found |= cleaner == &container_of(link, struct dma_zone, link)->heap.group.cleaner;
	return found;
}

static void publish_and_look(void *context)
{
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	struct cleaner *cleaner = NULL;

	(void)context;
	if (list_is_empty(&memory->dma.zones))
		list_insert_last(&memory->dma.zones, &zones[1]->link);
	guarantee_unlock(&memory->guarantee, interrupts);
	while ((cleaner = cleaner_next(&memory->reclaim.cleaners, cleaner)))
		ck_assert(strncmp(cleaner->name, "dma-", 4) != 0 || cleaner == &zones[1]->heap.group.cleaner ||
			  is_in_list(cleaner));
}

static void end_withheld(void *context)
{
	(void)context;
	ck_assert(is_in_list(&zones[0]->heap.group.cleaner));
	ck_assert(!list_is_empty(&zones[0]->heap.group.cleaner.link));
	if (list_is_empty(&zones[1]->link))
		list_insert_last(&memory->dma.zones, &zones[1]->link);
	dma_fini(memory_dma(memory));
}

START_TEST(only_zones_in_the_list_are_cleaned)
{
	setup();
	ck_assert_uint_gt(interleave(&(struct interleaving){
				  .begin = begin_withheld,
				  .actors = { make_zone, publish_and_look },
				  .end = end_withheld,
				  .switches_max = 4,
			  }),
			  20);
	machine_fini(&machine);
}
END_TEST

static void free_twice(void *context)
{
	struct dma_buffer *mine = context;

	dma_free(memory_dma(memory), mine);
	dma_free(memory_dma(memory), mine);
}

/* The machine is of no use after that: the child has changed its memory. */
static void check_second_free(bool from_guarantee, bool quarantined)
{
	struct dma_buffer *mine;
	char message[200];

	setup();
	mine = take(&device, 4096, from_guarantee);
	ck_assert_ptr_nonnull(mine);
	if (quarantined)
		(void)dma_quarantine(memory_dma(memory), &device);
	ck_assert(host_panics(free_twice, mine, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "freed twice"));
}

START_TEST(a_second_free_is_found)
{
	check_second_free(true, false);
}
END_TEST

START_TEST(a_second_free_is_found_during_the_delay)
{
	check_second_free(false, true);
}
END_TEST

/*
 * A device that had all pieces once, one after the other, and has given them back, has nothing to
 * be put in quarantine.
 */
START_TEST(only_what_a_device_has_goes_into_quarantine)
{
	struct dma_buffer *pieces[PIECES], *large;
	const struct dma_request request = { .bytes = 2 * PIECE_BYTES, .segment_bytes_min = PIECE_BYTES };
	struct dma_plan plan;

	setup();
	for (unsigned i = 0; i < PIECES; i++)
		ck_assert_ptr_nonnull(pieces[i] = take(&device, PIECE_BYTES, true));
	for (unsigned i = 0; i < PIECES; i++)
		dma_free(memory_dma(memory), pieces[i]);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &device), 0);
	ck_assert_int_eq(dma_plan_make(&device, &request, &plan), STATUS_OK);
	plan.site = "here";
	ck_assert_int_eq(dma_guaranteed_alloc(memory_dma(memory), &plan, &large), STATUS_OK);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &device), 1);
	ck_assert_uint_eq(dma_quarantine(memory_dma(memory), &device), 2 * PIECE_BYTES);
	dma_free(memory_dma(memory), large);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, 2);
	ck_assert_uint_eq(dma_quarantine_end(memory_dma(memory), &device), 2 * PIECE_BYTES);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, 0);
	ck_assert(memory_is_valid(memory));
	machine_fini(&machine);
}
END_TEST

/*
 * Two of all that there is are free, and do not adjoin: they have to be mapped. Where that fails,
 * nothing has changed.
 */
static void check_refused_map(bool from_guarantee, uint64_t bytes, struct dma_buffer **all, unsigned count)
{
	struct dma_buffer *buffer;

	for (unsigned i = 0; i < 2; i++)
		drop(&all[i * 2]);
	buffer = take(&device, 2 * bytes, from_guarantee);
	ck_assert(buffer && dma_buffer_is_mapped(buffer));
	drop(&buffer);
	const uint64_t leaks = dma_device_leaks(memory_dma(memory), &device),
		       out = guarantee_statistics(&memory->guarantee).out;
	const uint64_t free_bytes = memory_free_bytes(memory);
	host_map_refuse(true);
	ck_assert_ptr_null(take(&device, 2 * bytes, from_guarantee));
	host_map_refuse(false);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &device), leaks);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, out);
	ck_assert_uint_eq(memory_free_bytes(memory), free_bytes);
	ck_assert(memory_is_valid(memory));
	for (unsigned i = 0; i < count; i++)
		drop(&all[i]);
}

START_TEST(what_cannot_be_mapped_goes_back)
{
	struct dma_buffer *all[MACHINE_BLOCKS], *warm;
	unsigned count = 0;

	setup();
	while ((all[count] = take(&device, PIECE_BYTES, true)))
		count++;
	ck_assert_uint_eq(count, PIECES);
	check_refused_map(true, PIECE_BYTES, all, count);
	machine_fini(&machine);
	machine_init(&machine, MACHINE_START, MACHINE_BLOCKS, 0, 0);
	warm = take(&device, 2 * BLOCK_BYTES, false); /* records of two pieces have room */
	for (count = 0; (all[count] = take(&device, BLOCK_BYTES, false));)
		count++;
	check_refused_map(false, BLOCK_BYTES, all, count);
	drop(&warm);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("dma_records", two_actors_in_every_order, a_client_and_a_zone_are_made_once, only_zones_in_the_list_are_cleaned,
	       a_record_goes_with_its_first_piece, a_second_free_is_found, a_second_free_is_found_during_the_delay,
	       only_what_a_device_has_goes_into_quarantine, what_cannot_be_mapped_goes_back)
