// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers of the local APIC, through memory or MSRs: one flag, found at the start, chooses the
 * way, and all else is the same. The timer counts to a value of the time-stamp counter where the
 * CPU can, and counts down where it cannot.
 */
#include "apic.h"

#include "runtime/base/log.h"

#include "cpu_registers.h"
#include "tsc_deadline.h"

#define BASE_ENABLED     (1ull << 11)
#define BASE_X2          (1ull << 10)
#define BASE_ADDRESS     0xffffffffff000ull
#define FEATURE_X2       (1u << 21) /* CPUID 1, ECX */
#define FEATURE_DEADLINE (1u << 24)
#define FEATURE_GUEST    (1u << 31)
#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */

/* Registers: offsets in memory; as MSRs, MSR_X2APIC_BASE + offset / 16. */
enum apic_register {
	APIC_ID = 0x20,
	APIC_TASK_PRIORITY = 0x80,
	APIC_END = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ERRORS = 0x280,
	APIC_COMMAND = 0x300,
	APIC_COMMAND_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
	APIC_SELF = 0x3f0, /* x2APIC only */
};

#define SPURIOUS_ENABLE     (1u << 8)
#define LVT_MASKED          (1u << 16)
#define LVT_NMI             (4u << 8)
#define LVT_EXTERNAL        (7u << 8)
#define LVT_TIMER_DEADLINE  (2u << 17)
#define DIVIDE_BY_1         0xb
#define COMMAND_NMI         (4u << 8)
#define COMMAND_INIT        (5u << 8)
#define COMMAND_STARTUP     (6u << 8)
#define COMMAND_PENDING     (1u << 12)
#define COMMAND_ASSERT      (1u << 14)
#define COMMAND_TO_SELF     (1u << 18)
#define XAPIC_ID_MAX        254u /* 255: all */
#define PENDING_SPINS_LIMIT 10000000u

static volatile uint32_t *mapped;
static bool x2;
static bool deadline_mode;

bool apic_is_on(void)
{
	return msr_read(MSR_APIC_BASE) & BASE_ENABLED;
}

bool apic_is_x2(void)
{
	return (msr_read(MSR_APIC_BASE) & (BASE_ENABLED | BASE_X2)) == (BASE_ENABLED | BASE_X2);
}

struct phys_addr apic_base(void)
{
	return (struct phys_addr){ msr_read(MSR_APIC_BASE) & BASE_ADDRESS };
}

static uint32_t apic_read(enum apic_register index)
{
	if (x2)
		return (uint32_t)msr_read(MSR_X2APIC_BASE + index / 16);
	return mapped[index / 4];
}

static void apic_write(enum apic_register index, uint32_t value)
{
	if (x2)
		msr_write(MSR_X2APIC_BASE + index / 16, value);
	else
		mapped[index / 4] = value;
}

/* The CPU tells it after a CPUID that follows a write of 0. */
static uint32_t microcode_revision(void)
{
	msr_write(MSR_MICROCODE, 0);
	(void)cpuid(1, 0);
	return (uint32_t)(msr_read(MSR_MICROCODE) >> 32);
}

/* A guest's CPU has the host's errata and not its microcode; the host's timer is what it gets. */
static bool deadline_is_reliable(void)
{
	const struct cpuid features = cpuid(1, 0);
	const uint32_t needed = cpuid(0, 0).ebx == VENDOR_INTEL_EBX ? tsc_deadline_microcode(features.eax) : 0;

	if (!(features.ecx & FEATURE_DEADLINE))
		return false;
	if (needed == 0 || features.ecx & FEATURE_GUEST || microcode_revision() >= needed)
		return true;
	log_info("interrupt: this CPU's deadline timer is not reliable before microcode 0x%x; it counts instead", needed);
	return false;
}

bool apic_has_x2(void)
{
	return cpuid(1, 0).ecx & FEATURE_X2;
}

/* The way from x2APIC mode to the other one leads through off, and back through the other one. */
void apic_set_mode(bool wanted_x2)
{
	const uint64_t off = msr_read(MSR_APIC_BASE) & ~(BASE_ENABLED | BASE_X2);

	if (!wanted_x2 && apic_is_x2())
		msr_write(MSR_APIC_BASE, off);
	if (!apic_is_x2())
		msr_write(MSR_APIC_BASE, off | BASE_ENABLED);
	if (wanted_x2)
		msr_write(MSR_APIC_BASE, off | BASE_ENABLED | BASE_X2);
}

void apic_init(volatile void *registers)
{
	mapped = registers;
	x2 = apic_is_x2();
	deadline_mode = deadline_is_reliable();
}

void apic_init_cpu(const struct apic_vectors *vectors, bool wire)
{
	if (!apic_is_on() || x2 != apic_is_x2()) /* as this CPU comes out of INIT, or as firmware left it */
		apic_set_mode(x2);
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | vectors->spurious);
	apic_write(APIC_TASK_PRIORITY, 0);
	apic_write(APIC_LVT_LINT0, wire ? LVT_EXTERNAL : LVT_EXTERNAL | LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_take_errors();
	apic_write(APIC_LVT_ERROR, vectors->error);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, vectors->timer | (deadline_mode ? LVT_TIMER_DEADLINE : 0));
	__asm__ volatile("mfence" : : : "memory"); /* orders the mode against later writes of the deadline */
}

uint32_t apic_id(void)
{
	uint32_t id = apic_read(APIC_ID);

	return x2 ? id : id >> 24;
}

uint32_t apic_id_max(void)
{
	return x2 ? UINT32_MAX - 1 : XAPIC_ID_MAX;
}

void apic_end(void)
{
	apic_write(APIC_END, 0);
}

uint32_t apic_take_errors(void)
{
	apic_write(APIC_ERRORS, 0); /* latches what was gathered */
	return apic_read(APIC_ERRORS);
}

static void command_wait(void)
{
	for (unsigned spins = 0; spins < PENDING_SPINS_LIMIT && (apic_read(APIC_COMMAND) & COMMAND_PENDING); spins++)
		__builtin_ia32_pause();
}

static void command(uint32_t id, uint32_t value)
{
	if (x2) {
		/*
		 * Writing an MSR of the x2APIC does not wait for earlier stores, which the other
		 * CPU must see.
		 */
		__asm__ volatile("mfence; lfence" : : : "memory");
		msr_write(MSR_X2APIC_BASE + APIC_COMMAND / 16, (uint64_t)id << 32 | value);
		return;
	}
	command_wait();
	apic_write(APIC_COMMAND_HIGH, id << 24);
	apic_write(APIC_COMMAND, value);
	command_wait();
}

void apic_send(uint32_t id, uint8_t vector)
{
	command(id, COMMAND_ASSERT | vector);
}

void apic_send_self(uint8_t vector)
{
	if (x2)
		msr_write(MSR_X2APIC_BASE + APIC_SELF / 16, vector);
	else
		mapped[APIC_COMMAND / 4] = COMMAND_ASSERT | COMMAND_TO_SELF | vector;
}

void apic_send_nmi(uint32_t id)
{
	command(id, COMMAND_ASSERT | COMMAND_NMI);
}

void apic_send_init(uint32_t id)
{
	command(id, COMMAND_ASSERT | COMMAND_INIT);
}

void apic_send_startup(uint32_t id, struct phys_addr page)
{
	command(id, COMMAND_ASSERT | COMMAND_STARTUP | (uint32_t)(page.value >> PAGE_SHIFT));
}

bool apic_timer_has_deadline(void)
{
	return deadline_mode;
}

void apic_timer_arm_deadline(uint64_t tsc)
{
	msr_write(MSR_TSC_DEADLINE, tsc);
}

void apic_timer_arm_count(uint32_t count)
{
	apic_write(APIC_TIMER_INITIAL, count);
}

uint32_t apic_timer_count(void)
{
	return apic_read(APIC_TIMER_CURRENT);
}
