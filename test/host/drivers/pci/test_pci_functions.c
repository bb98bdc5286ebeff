// SPDX-License-Identifier: BSD-2-Clause
/* What is done with functions that were found: quieted, sized, reset, explained. */
#include "host/host_test.h"

#include "drivers/pci/pci_internal.h"
#include "fake/fake_pci.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define MASTER        (PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)
#define EXPRESS_AT    0x40
#define ADVANCED_AT   0x80
#define READINESS_AT  0x100
#define RESET_NS      (100 * NS_PER_MS)
#define CLASS_NETWORK 0x020000u
#define CLASS_DISPLAY 0x030000u

static void begin(void)
{
	fake_pci_begin();
	fake_pci_host(0, 0, 255, true);
	host_clock_set(HOST_CLOCK_ALONE);
	host_log_level(LOG_ERROR);
}

/* A running device in slot `slot`. */
static struct fake_function *device(unsigned slot, uint32_t class_code)
{
	struct fake_function *fake = fake_pci_function(0, 0, slot, 0, 0x8086, (uint16_t)(0x100 + slot));

	fake_pci_put(fake, PCI_REVISION, 4, class_code << 8);
	fake_pci_put(fake, PCI_COMMAND, 2, MASTER);
	return fake;
}

static void bar_put(struct fake_function *fake, unsigned index, uint64_t start, uint64_t bytes, unsigned flags)
{
	fake->bar_bytes[index] = bytes;
	fake_pci_put(fake, PCI_BAR0 + 4 * index, 4, (uint32_t)start | flags);
	if ((flags & 7) == 4)
		fake_pci_put(fake, PCI_BAR0 + 4 * index + 4, 4, (uint32_t)(start >> 32));
}

static struct pci_function *function_of(const struct fake_function *fake)
{
	list_for_each (link, &fake_pci_found) {
		struct pci_function *function = container_of(link, struct pci_function, link);

		if (function->bus == fake->bus && function->slot == fake->slot && function->number == fake->number)
			return function;
	}
	return NULL;
}

static void find(struct phys_range screen)
{
	ck_assert_int_eq(pci_functions_find(&fake_pci_found, &fake_pci_heap), STATUS_OK);
	pci_functions_quiet(&fake_pci_found, screen);
}

static bool is_master(const struct fake_function *fake)
{
	return fake_pci_get(fake, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER;
}

/* Quiet ---------------------------------------------------------------------------------------- */

START_TEST(test_endpoints_are_quieted)
{
	static const struct {
		uint32_t class_code;
		bool stays;
	} cases[] = {
		{ CLASS_NETWORK, false }, { 0x010802, false }, { 0x0c0330, true },  { 0x0c0300, true },
		{ 0x060000, true },       { 0x060100, true },  { 0x080600, true },  { CLASS_DISPLAY, false },
		{ 0x080501, false },      { 0x0c0500, false }, { 0x020700, false }, { 0x000000, false },
		{ 0xff0000, false },
	};
	struct fake_function *fakes[ARRAY_LENGTH(cases)];

	begin();
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++)
		fakes[i] = device(i, cases[i].class_code);
	fake_pci_put(fakes[5], PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	find((struct phys_range){ 0 });
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		ck_assert_int_eq(is_master(fakes[i]), cases[i].stays);
		ck_assert_uint_eq(fake_pci_get(fakes[i], PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
		ck_assert_uint_eq(fakes[i]->bar_writes, 0);
		ck_assert_uint_eq(fakes[i]->command_writes, !cases[i].stays);
	}
}
END_TEST

/* The display whose BAR the screen lies in, above 4 GB or below, and no other. */
START_TEST(test_console_is_left_alone)
{
	static const uint64_t screens[] = { 0xc0000000, 0xc0ffffff, 0x4000000000, 0x40ffffffff };

	for (unsigned i = 0; i < ARRAY_LENGTH(screens); i++) {
		struct fake_function *low, *high, *network;

		begin();
		low = device(1, CLASS_DISPLAY);
		bar_put(low, 0, 0xc0000000, 16 * MIB, 8);
		high = device(2, CLASS_DISPLAY);
		bar_put(high, 2, 0x4000000000, 4 * GIB, 12);
		network = device(3, CLASS_NETWORK);
		bar_put(network, 0, 0xd0000000, MIB, 0);
		find((struct phys_range){ { screens[i] }, 4 * MIB });
		ck_assert_int_eq(function_of(low)->shows_console, i < 2);
		ck_assert_int_eq(function_of(high)->shows_console, i >= 2);
		ck_assert_int_eq(is_master(low), i < 2);
		ck_assert_int_eq(is_master(high), i >= 2);
		ck_assert(!is_master(network));
		ck_assert_int_eq(pci_bars_size(function_of(i < 2 ? low : high)), STATUS_UNSUPPORTED);
		ck_assert_uint_eq(low->bar_writes + high->bar_writes, 0);
	}
}
END_TEST

/* Where the screen is in no display's BAR, each display may show it. */
START_TEST(test_console_of_unknown_owner)
{
	struct fake_function *first, *second, *network, *off;

	begin();
	first = device(1, CLASS_DISPLAY);
	second = device(2, 0x000100);
	bar_put(first, 0, 0xe0000000, MIB, 0);
	network = device(3, CLASS_NETWORK);
	bar_put(network, 0, 0xb0000000, MIB, 0);
	off = device(4, CLASS_DISPLAY);
	bar_put(off, 0, 0xb8000000, MIB, 0);
	fake_pci_put(off, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER); /* does not answer there */
	find((struct phys_range){ { 0xc0000000 }, MIB });
	ck_assert(function_of(first)->shows_console && function_of(second)->shows_console && function_of(off)->shows_console);
	ck_assert(!function_of(network)->shows_console && !is_master(network));
}
END_TEST

/* Ports have small numbers, which are no addresses of memory. */
START_TEST(test_console_is_in_no_ports)
{
	struct fake_function *ports, *other;

	begin();
	ports = device(1, CLASS_DISPLAY);
	bar_put(ports, 0, 0xc000, 32, 1);
	fake_pci_put(ports, PCI_COMMAND, 2, MASTER | PCI_COMMAND_IO);
	other = device(2, CLASS_DISPLAY);
	find((struct phys_range){ { 0xc0000000 }, MIB });
	ck_assert(function_of(ports)->shows_console && function_of(other)->shows_console);
}
END_TEST

/* Rights --------------------------------------------------------------------------------------- */

/* Of the command, only the bits that are meant change, whatever the others are. */
START_TEST(test_rights_change_alone)
{
	const unsigned all = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER;
	struct fake_function *fake;
	struct pci_function *function;

	begin();
	fake = device(1, CLASS_NETWORK);
	find((struct phys_range){ 0 });
	function = function_of(fake);
	for (unsigned command = 0; command < 0x800; command++) {
		fake_pci_put(fake, PCI_COMMAND, 2, command);
		pci_disable(function);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), (command & ~all) | PCI_COMMAND_LINE_DISABLE);
		fake_pci_put(fake, PCI_COMMAND, 2, command);
		pci_enable(function, PCI_MEMORY);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), command | PCI_COMMAND_MEMORY);
		fake_pci_put(fake, PCI_COMMAND, 2, command);
		pci_stop_dma(function);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), command & ~PCI_COMMAND_BUS_MASTER);
	}
}
END_TEST

static uint64_t reads_at_write;

static void written_note(struct fake_function *self, unsigned offset, uint32_t value)
{
	(void)self;
	(void)offset;
	(void)value;
	reads_at_write = fake_pci_reads();
}

/* The answer to a read pushes what the device wrote before it. */
START_TEST(test_dma_has_arrived)
{
	struct fake_function *fake;

	begin();
	fake = device(1, CLASS_NETWORK);
	find((struct phys_range){ 0 });
	fake->written = written_note;
	pci_stop_dma(function_of(fake));
	ck_assert_uint_gt(fake_pci_reads(), reads_at_write);
}
END_TEST

/* Sizes ---------------------------------------------------------------------------------------- */

START_TEST(test_bars_are_sized_at_bind)
{
	struct fake_function *fake;
	struct pci_function *function;

	begin();
	fake = device(1, CLASS_NETWORK);
	bar_put(fake, 0, 0xc0000000, 16 * KIB, 0);
	bar_put(fake, 1, 0xc000, 32, 1);
	bar_put(fake, 2, 0x7000000000, 64 * GIB, 12);
	bar_put(fake, 5, 0, MIB, 8); /* without an address */
	find((struct phys_range){ 0 });
	function = function_of(fake);
	ck_assert_uint_eq(function->bars[0].start, 0xc0000000);
	ck_assert_uint_eq(function->bars[2].start, 0x7000000000);
	ck_assert(function->bars[1].io && function->bars[2].wide && function->bars[2].prefetchable);
	for (unsigned i = 0; i < PCI_BARS; i++)
		ck_assert_uint_eq(function->bars[i].bytes, 0);
	ck_assert_uint_eq(fake->bar_writes, 0);
	ck_assert_int_eq(pci_bars_size(function), STATUS_OK);
	ck_assert_uint_eq(function->bars[0].bytes, 16 * KIB);
	ck_assert_uint_eq(function->bars[1].bytes, 32);
	ck_assert_uint_eq(function->bars[2].bytes, 64 * GIB);
	ck_assert_uint_eq(function->bars[5].bytes, MIB);
	ck_assert_uint_eq(function->bars[5].start, 0);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_BAR0, 4), 0xc0000000);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_BAR0 + 12, 4), 0x70);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	ck_assert_int_eq(pci_bars_size(function), STATUS_OK);
	ck_assert_uint_eq(fake->bar_writes, 12); /* once, two for each register */
}
END_TEST

/* While a register holds ones, the function answers to nothing. */
static void written_size(struct fake_function *self, unsigned offset, uint32_t value)
{
	(void)value;
	if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * PCI_BARS)
		ck_assert_uint_eq(fake_pci_get(self, PCI_COMMAND, 2) & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY), 0);
}

/* An I/O BAR may have 16 bits alone. */
static uint32_t answer_short_ports(struct fake_function *self, unsigned offset, uint32_t value)
{
	(void)self;
	return offset == PCI_BAR0 ? value & 0xffff : value;
}

START_TEST(test_odd_bars)
{
	struct fake_function *fake;
	struct pci_function *function;

	begin();
	fake = device(1, CLASS_NETWORK);
	fake->written = written_size;
	fake->answer = answer_short_ports;
	bar_put(fake, 0, 0xc000, 256, 1);
	bar_put(fake, 1, 0xc0001000, 16 * KIB, 0);        /* not where it could be */
	fake_pci_put(fake, PCI_BAR0 + 8, 4, 0xd0000000);  /* constant, so it has no size */
	bar_put(fake, 3, 0x8000000000, 8 * GIB, 12);      /* its lower half has no bits */
	fake_pci_put(fake, PCI_BAR0 + 20, 4, 0xe0000004); /* 64 bits, and there is no other half */
	fake_pci_put(fake, PCI_BAR0 + 24, 4, 0x12345678);
	fake_pci_put(fake, PCI_COMMAND, 2, MASTER | PCI_COMMAND_IO);
	find((struct phys_range){ 0 });
	function = function_of(fake);
	ck_assert_int_eq(pci_bars_size(function), STATUS_OK);
	ck_assert_uint_eq(function->bars[0].bytes, 256);
	ck_assert_uint_eq(function->bars[0].start, 0xc000);
	ck_assert_uint_eq(function->bars[1].bytes, 16 * KIB);
	ck_assert_uint_eq(function->bars[1].start, 0);
	ck_assert_uint_eq(function->bars[3].bytes, 8 * GIB);
	ck_assert_uint_eq(function->bars[3].start, 0x8000000000);
	ck_assert(!function->bars[5].wide);
	ck_assert_uint_eq(function->bars[5].start, 0xe0000000);
	ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
}
END_TEST

/* A bridge has two BARs, where devices have six; what follows are its numbers of buses. */
START_TEST(test_bridges_are_not_sized)
{
	for (unsigned type = 1; type <= 2; type++) {
		struct fake_function *fake;
		struct pci_function *bridge;

		begin();
		fake = device(1, 0x060400);
		fake_pci_put(fake, PCI_HEADER_TYPE, 1, type);
		bar_put(fake, 0, 0xc0000000, MIB, 0);
		bar_put(fake, 1, 0xc0100000, MIB, 0);
		fake_pci_put(fake, PCI_BAR0 + 8, 4, 0x00020100);
		find((struct phys_range){ 0 });
		bridge = function_of(fake);
		ck_assert_uint_eq(bridge->bars[0].start, type == 1 ? 0xc0000000 : 0);
		ck_assert_uint_eq(bridge->bars[1].start, type == 1 ? 0xc0100000 : 0);
		ck_assert_uint_eq(bridge->bars[2].start, 0);
		ck_assert_int_eq(pci_bars_size(bridge), STATUS_UNSUPPORTED);
		ck_assert_uint_eq(fake->bar_writes, 0);
	}
}
END_TEST

START_TEST(test_host_bridges_are_not_sized)
{
	struct fake_function *host, *other;

	begin();
	host = device(0, 0x060000);
	other = device(1, 0x068000); /* cards say so that stand behind an old bridge chip */
	find((struct phys_range){ 0 });
	ck_assert_int_eq(pci_bars_size(function_of(host)), STATUS_UNSUPPORTED);
	ck_assert_int_eq(pci_bars_size(function_of(other)), STATUS_OK);
	ck_assert_uint_eq(host->bar_writes, 0);
}
END_TEST

/* Reset ---------------------------------------------------------------------------------------- */

static uint64_t reset_at_ns, ready_after_ns;
static uint32_t id_meanwhile;

/* Reads before the function may be asked are what the specification forbids. */
static uint32_t answer_reset(struct fake_function *self, unsigned offset, uint32_t value)
{
	if (reset_at_ns == 0)
		return value;
	ck_assert_uint_ge(platform_now_ns() - reset_at_ns, self->due_ns);
	if (platform_now_ns() - reset_at_ns < ready_after_ns)
		return offset == PCI_VENDOR_ID ? id_meanwhile : UINT32_MAX;
	return value;
}

static void written_reset(struct fake_function *self, unsigned offset, uint32_t value)
{
	if ((offset == EXPRESS_AT + 8 && (value & 1u << 15)) || (offset == ADVANCED_AT + 4 && (value & 1))) {
		ck_assert_uint_eq(fake_pci_get(self, PCI_COMMAND, 2) & (MASTER | PCI_COMMAND_IO), 0);
		ck_assert_uint_eq(reset_at_ns, 0);
		reset_at_ns = platform_now_ns();
		memset(self->bytes + PCI_BAR0, 0, 4 * PCI_BARS);
		fake_pci_put(self, PCI_INTERRUPT_LINE, 1, 0);
	} else if (reset_at_ns != 0) {
		ck_assert_uint_ge(platform_now_ns() - reset_at_ns, ready_after_ns);
		ck_assert(offset == PCI_COMMAND || offset >= PCI_BAR0); /* the built-in self test is not started */
	}
}

/* A device with a way to be reset: 0: none; 1: PCI Express; 2: conventional. */
static struct pci_function *resettable(struct fake_function **fake, unsigned way)
{
	begin();
	reset_at_ns = 0;
	ready_after_ns = 0;
	id_meanwhile = UINT32_MAX;
	*fake = device(1, CLASS_NETWORK);
	bar_put(*fake, 0, 0xc0000000, MIB, 0);
	fake_pci_put(*fake, PCI_INTERRUPT_LINE, 1, 11);
	(*fake)->answer = answer_reset;
	(*fake)->written = written_reset;
	(*fake)->due_ns = RESET_NS;
	fake_pci_put(*fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
	fake_pci_put(*fake, PCI_CAPABILITIES, 1, EXPRESS_AT);
	fake_pci_put(*fake, EXPRESS_AT, 2, PCI_CAPABILITY_EXPRESS | ADVANCED_AT << 8);
	fake_pci_put(*fake, EXPRESS_AT + 4, 4, way == 1 ? 1u << 28 : 0);
	fake_pci_put(*fake, ADVANCED_AT, 4, 0x13 | (way == 2 ? 3u << 24 : 0));
	find((struct phys_range){ 0 });
	return function_of(*fake);
}

START_TEST(test_reset_waits)
{
	static const uint64_t after[] = { 0, 90 * NS_PER_MS, 5 * NS_PER_S, 59 * NS_PER_S };
	static const uint32_t ids[] = { UINT32_MAX, 0xffff0001, 0 };

	for (unsigned i = 0; i < ARRAY_LENGTH(after) * ARRAY_LENGTH(ids) * 2; i++) {
		struct fake_function *fake;
		struct pci_function *function = resettable(&fake, 1 + (i & 1));

		ready_after_ns = after[i / 2 % ARRAY_LENGTH(after)];
		id_meanwhile = ids[i / 2 / ARRAY_LENGTH(after)];
		ck_assert_int_eq(pci_reset(function), STATUS_OK);
		ck_assert_uint_ne(reset_at_ns, 0);
		ck_assert_uint_ge(platform_now_ns() - reset_at_ns, MAX(RESET_NS, ready_after_ns));
		ck_assert_uint_le(platform_now_ns() - reset_at_ns, MAX(RESET_NS, ready_after_ns) + 20 * NS_PER_MS);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_BAR0, 4), 0xc0000000);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_INTERRUPT_LINE, 1), 11);
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2) & MASTER, 0);
	}
}
END_TEST

static uint64_t pending_until_ns;

static uint32_t answer_pending(struct fake_function *self, unsigned offset, uint32_t value)
{
	const bool is_pending = platform_now_ns() < pending_until_ns;

	if (offset == EXPRESS_AT + 10 && is_pending)
		return value | 1u << 5;
	if (offset == ADVANCED_AT + 4 && is_pending)
		return value | 1u << 8;
	return answer_reset(self, offset, value);
}

/* What the device has under way may end before its reset, for 100 ms. */
START_TEST(test_reset_lets_transactions_end)
{
	static const uint64_t pending[] = { 0, 10 * NS_PER_MS, 99 * NS_PER_MS, NS_PER_S };

	for (unsigned i = 0; i < ARRAY_LENGTH(pending) * 2; i++) {
		struct fake_function *fake;
		struct pci_function *function = resettable(&fake, 1 + (i & 1));
		const uint64_t start_ns = platform_now_ns(), ns = MIN(pending[i / 2], 100 * NS_PER_MS);

		fake->answer = answer_pending;
		pending_until_ns = start_ns + pending[i / 2];
		ck_assert_int_eq(pci_reset(function), STATUS_OK);
		ck_assert_uint_ge(reset_at_ns - start_ns, ns);
		ck_assert_uint_le(reset_at_ns - start_ns, ns + 2 * NS_PER_MS);
	}
}
END_TEST

START_TEST(test_reset_that_does_not_end)
{
	struct fake_function *fake;
	struct pci_function *function = resettable(&fake, 1);
	char output[256] = "";

	host_output_capture(output, sizeof(output));
	ready_after_ns = UINT64_MAX;
	ck_assert_int_eq(pci_reset(function), STATUS_IO_ERROR);
	host_output_capture(NULL, 0);
	ck_assert_uint_ge(platform_now_ns() - reset_at_ns, 60 * NS_PER_S);
	ck_assert_uint_le(platform_now_ns() - reset_at_ns, 61 * NS_PER_S);
	ck_assert_ptr_nonnull(strstr(output, "does not come back from a reset"));
	function = resettable(&fake, 0);
	ck_assert_int_eq(pci_reset(function), STATUS_UNSUPPORTED);
	ck_assert_uint_eq(reset_at_ns, 0);
}
END_TEST

/* A function may say that it needs less: none, or so many ns; never more than 100 ms are left. */
START_TEST(test_reset_of_quick_functions)
{
	static const struct {
		uint32_t valid, flr;
		uint64_t ns;
	} cases[] = {
		{ 1u << 31, 5 | 3 << 9, 5 * 32768 },
		{ 1u << 31, 0x1ff | 7 << 9, RESET_NS },
		{ 0, 5 | 3 << 9, RESET_NS },
		{ 1u << 31, 0, 0 },
	};

	for (unsigned i = 0; i <= ARRAY_LENGTH(cases); i++) {
		struct fake_function *fake;
		struct pci_function *function = resettable(&fake, 1);

		if (i < ARRAY_LENGTH(cases)) {
			fake_pci_put(fake, READINESS_AT, 4, 0x00010022);
			fake_pci_put(fake, READINESS_AT + 4, 4, cases[i].valid);
			fake_pci_put(fake, READINESS_AT + 8, 4, cases[i].flr);
		} else {
			fake_pci_put(fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES | PCI_STATUS_READY);
		}
		fake->due_ns = i < ARRAY_LENGTH(cases) ? cases[i].ns : 0;
		ck_assert_int_eq(pci_reset(function), STATUS_OK);
		ck_assert_uint_le(platform_now_ns() - reset_at_ns, fake->due_ns + 20 * NS_PER_MS);
	}
}
END_TEST

/* Lists that the device wrote: loops, and offsets that lead anywhere. */
START_TEST(test_capability_lists_end)
{
	struct random random;

	begin();
	random_seed(&random, 15);
	struct fake_function *fake = device(1, CLASS_NETWORK);

	find((struct phys_range){ 0 });
	host_log_level(LOG_ERROR);
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0x34; i < PCI_CONFIG_BYTES; i++)
			fake->bytes[i] = (uint8_t)(random_below(&random, 4) ? random_next(&random) & 0xfc : 0x40);
		fake_pci_put(fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
		const unsigned plain = pci_capability_find(function_of(fake), (uint8_t)random_next(&random), 0);
		const unsigned extended = pci_extended_capability_find(function_of(fake), (uint16_t)random_next(&random));

		ck_assert(plain == 0 || (plain >= 0x40 && plain < 0x100));
		ck_assert(extended == 0 || (extended >= 0x100 && extended < PCI_CONFIG_BYTES));
	}
}
END_TEST

/* Where no driver is for what may have disks behind it, the log says so. */
START_TEST(test_storage)
{
	static const uint32_t storage[] = { 0x010802, 0x010601, 0x010400, 0x080501 },
			      other[] = { 0x020000, 0x080600, 0x060000 };

	begin();
	for (unsigned i = 0; i < ARRAY_LENGTH(storage); i++)
		device(i, storage[i]);
	for (unsigned i = 0; i < ARRAY_LENGTH(other); i++)
		device(16 + i, other[i]);
	find((struct phys_range){ 0 });
	list_for_each (link, &fake_pci_found) {
		const struct pci_function *function = container_of(link, struct pci_function, link);

		ck_assert_int_eq(pci_is_storage(function), function->slot < 16);
	}
}
END_TEST

/* The list leads through the places in this order, and perhaps back to one of them. */
static void list_put(struct fake_function *fake, const uint8_t *places, unsigned count, uint8_t back_to)
{
	fake_pci_put(fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
	fake_pci_put(fake, PCI_CAPABILITIES, 1, places[0]);
	for (unsigned i = 0; i < count; i++)
		fake_pci_put(fake, places[i], 2,
			     PCI_CAPABILITY_VENDOR | (uint32_t)(i + 1 < count ? places[i + 1] : back_to) << 8);
}

/* One that is asked for after the other is found once, in any order and in a loop. */
START_TEST(test_capabilities_one_by_one)
{
	static const uint8_t places[] = { 0xfc, 0x40, 0xa0, 0x44, 0x80 }, backs[] = { 0, 0xfc, 0x40, 0x44, 0x80 };

	begin();
	struct fake_function *fake = device(1, CLASS_NETWORK);

	find((struct phys_range){ 0 });
	for (unsigned i = 0; i < ARRAY_LENGTH(backs); i++) {
		unsigned at = 0;

		list_put(fake, places, ARRAY_LENGTH(places), backs[i]);
		for (unsigned j = 0; j < ARRAY_LENGTH(places); j++) {
			at = pci_capability_find(function_of(fake), PCI_CAPABILITY_VENDOR, at);
			ck_assert_uint_eq(at, places[j]);
		}
		ck_assert_uint_eq(pci_capability_find(function_of(fake), PCI_CAPABILITY_VENDOR, at), 0);
		ck_assert_uint_eq(pci_capability_find(function_of(fake), PCI_CAPABILITY_MSI, 0), 0);
		ck_assert_uint_eq(pci_capability_find(function_of(fake), PCI_CAPABILITY_VENDOR, 0x60), 0);
	}
}
END_TEST

/* Reasons -------------------------------------------------------------------------------------- */

static const char *reason(uint16_t vendor, uint16_t id, uint32_t class_code, uint8_t header, status_t status)
{
	static char text[PCI_REASON_BYTES];
	struct fake_function *fake;

	begin();
	fake = fake_pci_function(0, 0, 1, 0, vendor, id);
	fake_pci_put(fake, PCI_REVISION, 4, class_code << 8);
	fake_pci_put(fake, PCI_HEADER_TYPE, 1, header);
	find((struct phys_range){ 0 });
	function_of(fake)->driver_status = status;
	return pci_reason(function_of(fake), text);
}

START_TEST(test_reasons)
{
	const status_t none = STATUS_NOT_FOUND;

	ck_assert_str_eq(reason(0x8086, 0x2922, 0x010601, 0, none), "AHCI: no driver");
	ck_assert_str_eq(reason(0x8086, 0x10d3, CLASS_NETWORK, 0, none), "network: no driver");
	ck_assert_str_eq(reason(0x8086, 0x9a0b, 0x010400, 0, none), "VMD is on: switch the firmware to NVMe");
	ck_assert_str_eq(reason(0x8086, 0x201d, 0x088000, 0, none), "VMD is on: switch the firmware to NVMe");
	ck_assert_str_eq(reason(0x8086, 0x2822, 0x010400, 0, none),
			 "RAID mode is on, and may hide NVMe disks: switch the firmware to AHCI");
	ck_assert_str_eq(reason(0x1000, 0x005d, 0x010400, 0, none), "RAID: no driver");
	ck_assert_str_eq(reason(0x1af4, 0x1001, 0x010000, 0, STATUS_UNSUPPORTED), "legacy virtio: use disable-legacy=on");
	ck_assert_str_eq(reason(0x1af4, 0x1042, 0x010000, 0, STATUS_UNSUPPORTED), "its driver did not start: not supported");
	ck_assert_str_eq(reason(0x144d, 0xa808, 0x010802, 0, STATUS_GONE), "its driver was removed");
	ck_assert_str_eq(reason(0x8086, 0x1237, 0x060000, 0, none), "needs no driver");
	ck_assert_str_eq(reason(0x8086, 0x1234, 0x080600, 0, none), "needs no driver");
	ck_assert_str_eq(reason(0x8086, 0x5acc, 0x080501, 0, none), "SD card: no driver");
	ck_assert_str_eq(reason(0x8086, 0x3420, 0x060400, 1, none), "closed by firmware: what is behind it cannot be seen");
	ck_assert_str_eq(reason(0x1234, 0x5678, 0xff0000, 0, none), "this device: no driver");
}
END_TEST

HOST_TEST_MAIN("pci_functions", test_endpoints_are_quieted, test_console_is_left_alone, test_console_of_unknown_owner,
	       test_console_is_in_no_ports, test_rights_change_alone, test_dma_has_arrived, test_bars_are_sized_at_bind,
	       test_odd_bars, test_bridges_are_not_sized, test_host_bridges_are_not_sized, test_reset_waits,
	       test_reset_lets_transactions_end, test_reset_that_does_not_end, test_reset_of_quick_functions,
	       test_capability_lists_end, test_capabilities_one_by_one, test_storage, test_reasons)
