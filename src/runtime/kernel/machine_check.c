// SPDX-License-Identifier: BSD-2-Clause
/*
 * The banks' registers. A hypervisor may have fewer banks than the CPU, or none. A bank's address
 * and misc registers may be missing, so they are read only where its status names them.
 */
#include "machine_check.h"

#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/base/string.h"
#include "runtime/x86_64/cpu_registers.h"

#define FEATURE_MACHINE_CHECK (1u << 7 | 1u << 14) /* CPUID 1, EDX: the exception, and the banks */

#define MSR_CAPABILITIES       0x179u
#define MSR_CONTROL            0x17bu
#define MSR_BANK_CONTROL(bank) (0x400u + 4 * (bank))
#define MSR_BANK_STATUS(bank)  (0x401u + 4 * (bank))
#define MSR_BANK_ADDRESS(bank) (0x402u + 4 * (bank))
#define MSR_BANK_MISC(bank)    (0x403u + 4 * (bank))
#define HAS_CONTROL            (1u << 8)
#define HAS_RECOVERY           (1u << 24) /* tells which uncorrected errors come without an exception */
#define STATUS_UNCORRECTED     (1ull << 61)
#define STATUS_MISC            (1ull << 59)
#define STATUS_ADDRESS         (1ull << 58)
#define STATUS_DAMAGED         (1ull << 57)
#define STATUS_SIGNALED        (1ull << 56)
#define BANKS_MAX              32u

#define LINE_BYTES   240
#define WARNINGS_MAX 32u /* a memory module that fails reports without an end */

static _Atomic unsigned warnings;

static unsigned bank_count(void)
{
	if ((cpuid(1, 0).edx & FEATURE_MACHINE_CHECK) != FEATURE_MACHINE_CHECK)
		return 0;
	return MIN((unsigned)(msr_read(MSR_CAPABILITIES) & 0xff), BANKS_MAX);
}

/* False: the bank holds no error. */
static bool bank_read(unsigned number, struct machine_check_bank *bank)
{
	*bank = (struct machine_check_bank){ .number = number, .status = msr_read(MSR_BANK_STATUS(number)) };
	if (!(bank->status & MACHINE_CHECK_VALID))
		return false;
	/* The other two exist where the status says so. */
	if (bank->status & STATUS_ADDRESS)
		bank->address = msr_read(MSR_BANK_ADDRESS(number));
	if (bank->status & STATUS_MISC)
		bank->misc = msr_read(MSR_BANK_MISC(number));
	return true;
}

static void warn(const struct machine_check_bank *bank, const char *when)
{
	const unsigned count = atomic_fetch_add(&warnings, 1);
	char line[LINE_BYTES];

	if (count >= WARNINGS_MAX)
		return;
	machine_check_describe(bank, line, sizeof(line));
	log_warn("machine check%s: CPU %u, %s", when, platform_cpu(), line);
	if (count == WARNINGS_MAX - 1)
		log_warn("machine check: further errors are not shown");
}

void machine_check_init_cpu(void)
{
	const unsigned banks = bank_count();
	struct machine_check_bank bank;

	if (banks > 0 && (msr_read(MSR_CAPABILITIES) & HAS_CONTROL))
		msr_write(MSR_CONTROL, UINT64_MAX);
	for (unsigned i = 0; i < banks; i++) {
		if (bank_read(i, &bank))
			warn(&bank, ", from before the start");
		msr_write(MSR_BANK_CONTROL(i), UINT64_MAX);
		msr_write(MSR_BANK_STATUS(i), 0);
	}
}

/*
 * Not so an uncorrected error that was found before anything used the data: in memory that is
 * scrubbed, say. Intel SDM volume 3, section 16.6.3: UCNA.
 */
static bool raises_exception(uint64_t status)
{
	if (!(status & STATUS_UNCORRECTED))
		return false;
	return !(msr_read(MSR_CAPABILITIES) & HAS_RECOVERY) || status & (STATUS_DAMAGED | STATUS_SIGNALED);
}

void machine_check_poll(void)
{
	const unsigned banks = bank_count();
	struct machine_check_bank bank;

	for (unsigned i = 0; i < banks; i++) {
		if (!bank_read(i, &bank) || raises_exception(bank.status))
			continue; /* it is on its way */
		msr_write(MSR_BANK_STATUS(i), 0);
		warn(&bank, "");
	}
}

unsigned machine_check_collect(char *text, size_t bytes)
{
	const unsigned banks = bank_count();
	struct machine_check_bank bank;
	unsigned count = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < banks; i++) {
		const size_t length = strlen(text);

		if (!bank_read(i, &bank) || length + 2 >= bytes)
			continue;
		text[length] = '\n';
		machine_check_describe(&bank, text + length + 1, bytes - length - 1);
		count++;
	}
	return count;
}
