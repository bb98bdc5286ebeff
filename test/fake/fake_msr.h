// SPDX-License-Identifier: BSD-2-Clause
/*
 * Model-specific registers and CPUID as a test has them. A file of the kernel that is compiled with
 * this header before it (test.mk) reads and writes the test's.
 */
#pragma once

#include "runtime/x86_64/cpu_registers.h"

uint64_t fake_msr_read(uint32_t msr);
void fake_msr_write(uint32_t msr, uint64_t value);
struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);

#define msr_read(msr)         fake_msr_read(msr)
#define msr_write(msr, value) fake_msr_write(msr, value)
#define cpuid(leaf, subleaf)  fake_cpuid(leaf, subleaf)
