// SPDX-License-Identifier: BSD-2-Clause
/*
 * Saves and loads vector registers with the best instruction that the CPU has: XSAVEOPT, XSAVE or
 * FXSAVE. The first CPU finds out which; the size of a state follows from what it turned on.
 */
#include "fpu.h"

#include "cpu_registers.h"
#include "runtime/base/string.h"

#define FEATURE_XSAVE      (1u << 26) /* CPUID 1, ECX */
#define FEATURE_XSAVEOPT   (1u << 0)  /* CPUID 0xd.1, EAX */
#define FEATURE_GUEST      (1u << 31) /* CPUID 1, ECX */
#define LEAF_XSAVE         0xd
#define LEAF_HYPERVISOR    0x40000000u
#define HYPERVISOR_TCG_EBX 0x54474354u /* "TCGT" */
#define FXSAVE_BYTES       512
#define XSAVE_LEGACY_BYTES 576
#define STATE_VECTORS      7u     /* x87, SSE, AVX */
#define CONTROL_WORD       0x37f  /* all x87 exceptions masked, as the ABI wants it */
#define MXCSR_DEFAULT      0x1f80 /* the same for SSE */
#define MXCSR_OFFSET       24

static bool has_xsave;
static bool has_xsaveopt;
static uint32_t components; /* of the XSAVE state */
static size_t state_bytes = FXSAVE_BYTES;

static void xcr0_write(uint32_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"(value), "d"(0));
}

/*
 * QEMU's own CPU takes CR4.OSXSAVE for reserved where XSAVE has no extensions (an Opteron_G5), and
 * then never ends the instruction that sets it.
 */
static bool emulator_lacks_xsave(uint32_t features)
{
	return features & FEATURE_GUEST && cpuid(LEAF_HYPERVISOR, 0).ebx == HYPERVISOR_TCG_EBX &&
	       cpuid_if_present(LEAF_XSAVE, 1).eax == 0;
}

static void detect(void)
{
	const uint32_t features = cpuid(1, 0).ecx;

	has_xsave = features & FEATURE_XSAVE && !emulator_lacks_xsave(features);
	if (!has_xsave)
		return;
	components = cpuid(LEAF_XSAVE, 0).eax & STATE_VECTORS;
	has_xsaveopt = cpuid(LEAF_XSAVE, 1).eax & FEATURE_XSAVEOPT;
}

void fpu_forbid(void)
{
	cr0_write(cr0_read() | CR0_TASK_SWITCHED);
}

void fpu_allow(void)
{
	__asm__ volatile("clts" : : : "memory");
}

void fpu_init_cpu(void)
{
	bool first = components == 0 && !has_xsave;

	if (first)
		detect();
	cr0_write((cr0_read() & ~(CR0_EMULATION | CR0_TASK_SWITCHED)) | CR0_MONITOR_COPROCESSOR | CR0_NUMERIC_ERROR);
	cr4_write(cr4_read() | CR4_FXSAVE | CR4_VECTOR_EXCEPTIONS | (has_xsave ? CR4_XSAVE : 0));
	if (has_xsave) {
		xcr0_write(components);
		if (first)
			state_bytes = MAX(cpuid(LEAF_XSAVE, 0).ebx, XSAVE_LEGACY_BYTES); /* for what XCR0 enables now */
	}
	fpu_forbid();
}

size_t fpu_state_bytes(void)
{
	return state_bytes;
}

void fpu_state_init(void *state)
{
	uint16_t control = CONTROL_WORD;
	uint32_t mxcsr = MXCSR_DEFAULT;

	/*
	 * With XSAVE, a header of zeros means that all components have their initial values; MXCSR
	 * is read all the same.
	 */
	memset(state, 0, state_bytes);
	memcpy(state, &control, sizeof(control));
	memcpy((char *)state + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
}

void fpu_save(void *state)
{
	if (has_xsaveopt)
		__asm__ volatile("xsaveopt64 (%0)" : : "r"(state), "a"(components), "d"(0) : "memory");
	else if (has_xsave)
		__asm__ volatile("xsave64 (%0)" : : "r"(state), "a"(components), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
	fpu_forbid();
}

void fpu_load(const void *state)
{
	fpu_allow();
	if (has_xsave)
		__asm__ volatile("xrstor64 (%0)" : : "r"(state), "a"(components), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(state) : "memory");
}
