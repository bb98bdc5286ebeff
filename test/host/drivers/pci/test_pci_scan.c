// SPDX-License-Identifier: BSD-2-Clause
/*
 * The scan over machines made up at random, beside a model that looks at each address by itself:
 * several root buses, bridges whose numbers are right, wrong or loops, functions that are absent in
 * the ways that machines know, ranges that cannot be mapped.
 */
#include "host/host_test.h"

#include <stdio.h>

#include "drivers/pci/pci_internal.h"
#include "fake/fake_pci.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/inject.h"
#include "runtime/base/random.h"

#define ROUNDS        150
#define EXPRESS_AT    0x40
#define ARI_AT        (EXPRESS_AT + 40) /* the port passes on more than 8 functions */
#define ARI           (1u << 5)
#define EXPRESS_PORT  4
#define EXPRESS_OTHER 5

static void begin(void)
{
	fake_pci_begin();
	host_clock_set(HOST_CLOCK_ALONE);
	host_log_level(LOG_ERROR);
}

static struct pci_function *found_at(unsigned segment, unsigned bus, unsigned slot, unsigned number)
{
	list_for_each (link, &fake_pci_found) {
		struct pci_function *function = container_of(link, struct pci_function, link);

		if (function->segment == segment && function->bus == bus && function->slot == slot &&
		    function->number == number)
			return function;
	}
	return NULL;
}

static unsigned found_count(void)
{
	unsigned count = 0;

	list_for_each (link, &fake_pci_found)
		count++;
	return count;
}

static struct fake_function *bridge_at(unsigned bus, unsigned slot, unsigned secondary, unsigned subordinate)
{
	struct fake_function *bridge = fake_pci_function(0, bus, slot, 0, 0x8086, 0x1111);

	fake_pci_put(bridge, PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	fake_pci_put(bridge, PCI_REVISION, 4, 0x06040000);
	fake_pci_put(bridge, PCI_SECONDARY_BUS, 1, secondary);
	fake_pci_put(bridge, PCI_SUBORDINATE_BUS, 1, subordinate);
	return bridge;
}

static void express_put(struct fake_function *function, unsigned type)
{
	fake_pci_put(function, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
	fake_pci_put(function, PCI_CAPABILITIES, 1, EXPRESS_AT);
	fake_pci_put(function, EXPRESS_AT, 4, PCI_CAPABILITY_EXPRESS | type << 20);
}

/* The model ------------------------------------------------------------------------------------ */

struct model {
	unsigned above[PCI_BUSES]; /* address of the bridge + 1; 0: none */
	unsigned count;
};

static bool model_answers(const struct fake_function *fake)
{
	const uint32_t vendor = fake ? fake_pci_get(fake, PCI_VENDOR_ID, 2) : 0;

	return vendor != 0 && vendor != 1 && vendor != 0xffff;
}

static bool model_visible(const struct model *model, unsigned bus, unsigned slot, unsigned number)
{
	const struct fake_function *first = fake_pci_find(0, bus, slot, 0);
	const unsigned above = model->above[bus] - 1;

	if (!model_answers(fake_pci_find(0, bus, slot, number)))
		return false;
	if (number > 0 && !(model_answers(first) && (fake_pci_get(first, PCI_HEADER_TYPE, 1) & 0x80)))
		return false;
	if (model->above[bus] == 0 || slot == 0)
		return true;
	const struct fake_function *bridge = fake_pci_find(0, above >> 8, above >> 3 & 31, above & 7);
	const unsigned type = fake_pci_get(bridge, EXPRESS_AT, 4) >> 20 & 15;

	return !(fake_pci_get(bridge, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES) || (type != 4 && type != 6) ||
	       (fake_pci_get(bridge, ARI_AT, 2) & ARI);
}

static void model_bridge(struct model *model, unsigned last_bus, unsigned bus, unsigned address)
{
	const struct fake_function *fake = fake_pci_find(0, bus, address >> 3 & 31, address & 7);
	const unsigned secondary = fake_pci_get(fake, PCI_SECONDARY_BUS, 1);

	if ((fake_pci_get(fake, PCI_HEADER_TYPE, 1) & 0x7f) == 1 && secondary > bus && secondary <= last_bus &&
	    secondary <= fake_pci_get(fake, PCI_SUBORDINATE_BUS, 1) && model->above[secondary] == 0)
		model->above[secondary] = address + 1;
}

/* What the scan found is what the model sees, each once, with the bridge above it. */
static void model_compare(unsigned first_bus, unsigned last_bus)
{
	struct model model = { 0 };

	for (unsigned address = first_bus << 8; address < (last_bus + 1) << 8; address++) {
		const unsigned bus = address >> 8, slot = address >> 3 & 31, number = address & 7;
		const struct pci_function *function;

		if (!fake_pci_find(0, bus, slot, number))
			continue;
		function = found_at(0, bus, slot, number);
		ck_assert_int_eq(function != NULL, model_visible(&model, bus, slot, number));
		if (!function)
			continue;
		model.count++;
		ck_assert_uint_eq(
			model.above[bus],
			function->parent
				? (function->parent->bus << 8 | function->parent->slot << 3 | function->parent->number) + 1u
				: 0);
		model_bridge(&model, last_bus, bus, address);
	}
	ck_assert_uint_eq(model.count, found_count());
}

/* Random machines ------------------------------------------------------------------------------ */

static uint16_t random_vendor(struct random *random)
{
	static const uint16_t odd[] = { 0xffff, 0, 1, 0xfffe, 2 };
	const uint64_t pick = random_below(random, 20);

	return pick < ARRAY_LENGTH(odd) ? odd[pick] : (uint16_t)(random_below(random, 0xfff0) + 8);
}

static void random_function(struct random *random, unsigned bus, unsigned slot, unsigned number)
{
	struct fake_function *fake =
		fake_pci_function(0, bus, slot, number, random_vendor(random), (uint16_t)random_next(random));
	static const uint8_t types[] = { 0, 0, 0, 1, 1, 1, 2, 0x7f };

	fake_pci_put(fake, PCI_HEADER_TYPE, 1, types[random_below(random, 8)] | (random_below(random, 2) ? 0x80 : 0));
	fake_pci_put(fake, PCI_SECONDARY_BUS, 1, (uint32_t)(bus + random_below(random, random_below(random, 3) ? 4 : 256)));
	fake_pci_put(fake, PCI_SUBORDINATE_BUS, 1, random_below(random, 2) ? 255 : (uint32_t)random_next(random) & 255);
	if (random_below(random, 2))
		express_put(fake, (unsigned)random_below(random, 16));
	fake_pci_put(fake, ARI_AT, 2, random_below(random, 3) ? 0xffff & ~ARI : ARI);
}

static void random_machine(struct random *random)
{
	const unsigned buses = 1 + (unsigned)random_below(random, 40);

	for (unsigned i = 0; i < buses; i++) {
		const unsigned bus = (unsigned)random_below(random, random_below(random, 2) ? 8 : 256);

		for (unsigned slots = 1 + (unsigned)random_below(random, 5); slots > 0; slots--) {
			const unsigned slot = random_below(random, 3) ? 0 : (unsigned)random_below(random, PCI_SLOTS);

			for (unsigned number = 0; number < PCI_FUNCTIONS; number++) {
				if (!fake_pci_find(0, bus, slot, number) && random_below(random, 3) == 0)
					random_function(random, bus, slot, number);
			}
		}
	}
}

START_TEST(test_random_machines)
{
	struct random random;

	random_seed(&random, 13);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const bool ecam = random_below(&random, 2);

		begin();
		if (ecam)
			fake_pci_host(0, 0, 255, true);
		random_machine(&random);
		(void)!pci_functions_find(&fake_pci_found, &fake_pci_heap);
		model_compare(0, 255);
	}
}
END_TEST

/* Every address has a function, and each bridge leads somewhere else. */
START_TEST(test_full_machine)
{
	struct random random;

	begin();
	random_seed(&random, 14);
	for (unsigned bus = 0; bus < PCI_BUSES; bus += 5) {
		for (unsigned i = 0; i < PCI_SLOTS * PCI_FUNCTIONS; i++)
			random_function(&random, bus, i >> 3, i & 7);
	}
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	ck_assert_uint_gt(found_count(), 1024);
	model_compare(0, 255);
}
END_TEST

/* Ranges --------------------------------------------------------------------------------------- */

START_TEST(test_root_buses_without_bridge)
{
	begin();
	fake_pci_function(0, 0, 0, 0, 0x8086, 1);
	fake_pci_function(0, 0x80, 3, 0, 0x8086, 2);
	fake_pci_function(0, 0xff, 31, 0, 0x8086, 3);
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	ck_assert_uint_eq(found_count(), 3);
	ck_assert_str_eq(found_at(0, 0xff, 31, 0)->name, "ff:1f.0");
}
END_TEST

START_TEST(test_several_segments)
{
	for (unsigned order = 0; order < 2; order++) {
		begin();
		fake_pci_host(order, 0, order ? 127 : 255, true);
		fake_pci_host(!order, 0, order ? 255 : 127, true);
		fake_pci_function(0, 4, 0, 0, 0x8086, 1);
		fake_pci_function(1, 4, 0, 0, 0x8086, 2);
		fake_pci_function(1, 0x80, 0, 0, 0x8086, 3); /* beyond the range */
		ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
		ck_assert_uint_eq(found_count(), 2);
		ck_assert_str_eq(found_at(1, 4, 0, 0)->name, "0001:04:00.0");
		ck_assert(found_at(0, 4, 0, 0)->config != NULL && found_at(1, 4, 0, 0)->config != NULL);
	}
}
END_TEST

/* Tables that name one place twice, or none for another segment: each function is seen once. */
START_TEST(test_ranges_that_collide)
{
	static const uint64_t places[] = { 0, 0xe0000000, 0xe0000000, 0xf0000000, 0xe0000000 + MIB, 0xe0000000 };

	for (unsigned way = 0; way < ARRAY_LENGTH(places); way++) {
		char output[1024] = "";

		begin();
		fake_pci_host(0, 0, 255, true);
		fake_pci_host(way < 4, 0, way == 2 ? 3 : 255, true);
		fake_pci_move_ecam(places[way]);
		fake_pci_function(0, 0, 1, 0, 0x8086, 1);
		fake_pci_function(0, 4, 1, 0, 0x8086, 1);
		fake_pci_function(1, 4, 1, 0, 0x8086, 2);
		host_log_level(LOG_WARN);
		host_output_capture(output, sizeof(output));
		ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
		host_output_capture(NULL, 0);
		ck_assert_int_eq(strstr(output, "cannot be at") != NULL, way != 3 && way != 5);
		ck_assert_uint_eq(found_count(), way == 3 ? 3 : 2);
		ck_assert_int_eq(found_at(1, 4, 1, 0) != NULL, way == 3);
	}
}
END_TEST

/* Ranges that overlap, cannot be mapped, answer nothing or say nothing: each function once. */
START_TEST(test_odd_ranges)
{
	for (unsigned way = 0; way < 5; way++) {
		begin();
		if (way == 0)
			fake_pci_host(0, 0, 255, false);
		if (way == 1 || way == 4)
			fake_pci_host(0, 0, 255, true);
		if (way == 1)
			fake_pci_hide_ecam(true);
		if (way == 2)
			fake_pci_host(0, 0, 31, true); /* the rest by ports */
		if (way == 3)
			fake_pci_host(0, 200, 100, true);
		if (way == 4)
			fake_pci_host(0, 0, 127, true); /* again */
		fake_pci_function(0, 0, 1, 0, 0x8086, 1);
		fake_pci_function(0, 64, 1, 0, 0x8086, 1);
		ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
		ck_assert_uint_eq(found_count(), 2);
		ck_assert_int_eq(found_at(0, 0, 1, 0)->config != NULL, way == 2 || way == 4);
		ck_assert_int_eq(found_at(0, 64, 1, 0)->config != NULL, way == 4);
	}
}
END_TEST

/* A table may name a segment's ranges in any order; none is taken for another one. */
START_TEST(test_ranges_in_any_order)
{
	static const unsigned buses[] = { 0, 127, 128, 200, 255 };

	begin();
	fake_pci_host(0, 128, 199, true);
	fake_pci_host(0, 200, 255, true);
	fake_pci_host(0, 0, 127, true);
	for (unsigned i = 0; i < ARRAY_LENGTH(buses); i++)
		fake_pci_function(0, buses[i], 0, 0, 0x8086, 1);
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	ck_assert_uint_eq(found_count(), ARRAY_LENGTH(buses));
	for (unsigned i = 0; i < ARRAY_LENGTH(buses); i++)
		ck_assert(found_at(0, buses[i], 0, 0)->config != NULL);
}
END_TEST

/* A device that answers in each slot is seen once behind a port of PCI Express without ARI. */
START_TEST(test_one_slot_behind_a_port)
{
	for (unsigned way = 0; way < 64; way++) {
		const unsigned type = way & 15;
		const bool ari = way & 16, express = way & 32;
		struct fake_function *port;

		begin();
		port = bridge_at(0, 1, 1, 1);
		if (express)
			express_put(port, type);
		fake_pci_put(port, ARI_AT, 2, ari ? ARI : 0);
		for (unsigned slot = 0; slot < PCI_SLOTS; slot++)
			fake_pci_function(0, 1, slot, 0, 0x144d, 0xa808);
		ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
		ck_assert_uint_eq(found_count(), 1 + (express && !ari && (type == 4 || type == 6) ? 1 : PCI_SLOTS));
	}
}
END_TEST

START_TEST(test_empty_machine)
{
	begin();
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_UNSUPPORTED);
	ck_assert_uint_le(fake_pci_reads(), 3 * PCI_BUSES * PCI_SLOTS);
}
END_TEST

/* A chain through all buses, and a bridge that leads back. */
START_TEST(test_deep_chain)
{
	unsigned depth = 0;

	begin();
	for (unsigned bus = 0; bus < 255; bus++)
		bridge_at(bus, 0, bus + 1, 255);
	bridge_at(255, 0, 0, 255);
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	for (const struct pci_function *bridge = found_at(0, 255, 0, 0); bridge->parent; bridge = bridge->parent)
		depth++;
	ck_assert_uint_eq(depth, 255);
}
END_TEST

/* Not ready ------------------------------------------------------------------------------------ */

static uint32_t answer_late(struct fake_function *self, unsigned offset, uint32_t value)
{
	return offset == PCI_VENDOR_ID && platform_now_ns() < self->due_ns ? 0xffff0001 : value;
}

/* The one that is late is waited for; those that never come cost a second together. */
START_TEST(test_functions_that_are_not_ready)
{
	uint64_t start_ns;

	begin();
	fake_pci_host(0, 0, 255, true);
	start_ns = platform_now_ns();
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct fake_function *fake = fake_pci_function(0, 1, slot, 0, 0x8086, 1);

		fake->answer = answer_late;
		fake->due_ns = slot == 0 ? start_ns + NS_PER_S / 2 : UINT64_MAX;
	}
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	ck_assert_uint_eq(found_count(), 1);
	ck_assert_ptr_nonnull(found_at(0, 1, 0, 0));
	ck_assert_uint_ge(platform_now_ns() - start_ns, NS_PER_S);
	ck_assert_uint_le(platform_now_ns() - start_ns, NS_PER_S + NS_PER_S / 10);
}
END_TEST

/* Firmware's lie ------------------------------------------------------------------------------- */

START_TEST(test_bridges_that_firmware_closed)
{
	const unsigned open = PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER;
	struct fake_function *outer, *inner;

	begin();
	inject_begin("inject=bridges-off");
	outer = bridge_at(0, 1, 1, 2);
	inner = bridge_at(1, 0, 2, 2);
	fake_pci_put(outer, PCI_COMMAND, 2, open | PCI_COMMAND_IO);
	fake_pci_put(inner, PCI_COMMAND, 2, open);
	fake_pci_function(0, 2, 0, 0, 0x8086, 1);
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	ck_assert_uint_eq(fake_pci_get(outer, PCI_COMMAND, 2), PCI_COMMAND_IO);
	ck_assert_uint_eq(fake_pci_get(inner, PCI_COMMAND, 2), 0);
	pci_bridges_open(found_at(0, 2, 0, 0));
	ck_assert_uint_eq(fake_pci_get(outer, PCI_COMMAND, 2), open | PCI_COMMAND_IO);
	ck_assert_uint_eq(fake_pci_get(inner, PCI_COMMAND, 2), open);
}
END_TEST

HOST_TEST_MAIN("pci_scan", test_random_machines, test_full_machine, test_root_buses_without_bridge, test_several_segments,
	       test_ranges_that_collide, test_odd_ranges, test_ranges_in_any_order, test_one_slot_behind_a_port,
	       test_empty_machine, test_deep_chain, test_functions_that_are_not_ready, test_bridges_that_firmware_closed)
