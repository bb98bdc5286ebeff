// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access to device registers in memory. Each is one load or store of exactly that width, in program
 * order; memory that was written before a register write is visible to the device when it sees that
 * write.
 *
 * Memory of a device that is mapped write-combining is written like any memory, best in order and
 * in whole multiples of 64 bytes; reading it is slow. The CPU holds such writes back: before a
 * register write that tells the device of them comes write_combining_flush().
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/types.h"

/*
 * On the host there is no device: a fake one answers (test/fake/drivers/fake_bus.c).
 */
#ifdef REGISTERS_FAKED
#define REGISTER_ACCESS(bits)                                                                                                  \
	uint##bits##_t register_read##bits(const volatile void *base, size_t offset);                                          \
	void register_write##bits(volatile void *base, size_t offset, uint##bits##_t value);
#else
#define REGISTER_ACCESS(bits)                                                                                                  \
	static inline uint##bits##_t register_read##bits(const volatile void *base, size_t offset)                             \
	{                                                                                                                      \
		uint##bits##_t value = *(const volatile uint##bits##_t *)((const volatile char *)base + offset);               \
                                                                                                                               \
		atomic_thread_fence(memory_order_acquire);                                                                     \
		return value;                                                                                                  \
	}                                                                                                                      \
	static inline void register_write##bits(volatile void *base, size_t offset, uint##bits##_t value)                      \
	{                                                                                                                      \
		atomic_thread_fence(memory_order_release);                                                                     \
		*(volatile uint##bits##_t *)((volatile char *)base + offset) = value;                                          \
	}

#endif

REGISTER_ACCESS(8)
REGISTER_ACCESS(16)
REGISTER_ACCESS(32)
REGISTER_ACCESS(64)

#undef REGISTER_ACCESS

/*
 * What this CPU has written to write-combining memory before goes out before anything that it
 * writes from now on.
 */
static inline void write_combining_flush(void)
{
	__asm__ volatile("sfence" : : : "memory");
}
