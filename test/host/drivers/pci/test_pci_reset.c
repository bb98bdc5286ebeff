// SPDX-License-Identifier: BSD-2-Clause
/* A function is reset, as its specification has it, and comes back as it was. */
#include "host/host_test.h"

#include "drivers/pci/pci_internal.h"
#include "fake/pci_device.h"
#include "runtime/base/bits.h"

#define EXPRESS_AT   0x40
#define ADVANCED_AT  0x80
#define READINESS_AT 0x100
#define RESET_NS     (100 * NS_PER_MS)

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
		ck_assert_uint_eq(fake_pci_get(self, PCI_COMMAND, 2) & (PCI_DEVICE_MASTER | PCI_COMMAND_IO), 0);
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
	pci_devices_begin();
	reset_at_ns = 0;
	ready_after_ns = 0;
	id_meanwhile = UINT32_MAX;
	*fake = pci_device_make(1, PCI_DEVICE_NETWORK);
	pci_device_bar(*fake, 0, 0xc0000000, MIB, 0);
	fake_pci_put(*fake, PCI_INTERRUPT_LINE, 1, 11);
	(*fake)->answer = answer_reset;
	(*fake)->written = written_reset;
	(*fake)->due_ns = RESET_NS;
	fake_pci_put(*fake, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
	fake_pci_put(*fake, PCI_CAPABILITIES, 1, EXPRESS_AT);
	fake_pci_put(*fake, EXPRESS_AT, 2, PCI_CAPABILITY_EXPRESS | ADVANCED_AT << 8);
	fake_pci_put(*fake, EXPRESS_AT + 4, 4, way == 1 ? 1u << 28 : 0);
	fake_pci_put(*fake, ADVANCED_AT, 4, 0x13 | (way == 2 ? 3u << 24 : 0));
	pci_devices_find((struct phys_range){ 0 });
	return pci_device_function(*fake);
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
		ck_assert_uint_eq(fake_pci_get(fake, PCI_COMMAND, 2) & PCI_DEVICE_MASTER, 0);
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

HOST_TEST_MAIN("pci_reset", test_reset_waits, test_reset_lets_transactions_end, test_reset_that_does_not_end,
	       test_reset_of_quick_functions)
