// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC of the running CPU: interrupts to other CPUs, the end of an interrupt, the timer.
 * Registers are reached in memory (xAPIC), or as MSRs in x2APIC mode, which is used where the
 * firmware left it on, and where CPUs have ids that messages in xAPIC mode do not reach. Intel SDM
 * volume 3, chapter 11.
 *
 * Each function may be called in any context; a message to another CPU is sent with interrupts off.
 * Nothing here takes a lock.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * Whether this CPU has one that is on, whether in x2APIC mode, and where its registers lie
 * otherwise.
 */
bool apic_is_on(void);
bool apic_is_x2(void);
struct phys_addr apic_base(void);

/* Turns this CPU's on, in x2APIC mode or not. Before apic_init, and in apic_init_cpu. */
bool apic_has_x2(void);
void apic_set_mode(bool x2);

/* Once: `registers` is where apic_base() is mapped, uncached; unused in x2APIC mode. */
void apic_init(volatile void *registers);

/*
 * On each CPU: sets it up with the vectors for its own interrupts. `wire`: LINT0 takes the
 * interrupts of the 8259 pair.
 */
struct apic_vectors {
	uint8_t timer;
	uint8_t error;
	uint8_t spurious; /* low four bits set */
};
void apic_init_cpu(const struct apic_vectors *vectors, bool wire);

uint32_t apic_id(void);

/* Ids that this mode can address run up to here. */
uint32_t apic_id_max(void);

/* Ends the interrupt that this CPU serves. */
void apic_end(void);

/* Error bits gathered since the last call, 0: none. */
uint32_t apic_take_errors(void);

void apic_send(uint32_t id, uint8_t vector);
void apic_send_self(uint8_t vector); /* also in an NMI handler: it leaves a half-written command alone */
void apic_send_nmi(uint32_t id);
void apic_send_init(uint32_t id);
void apic_send_startup(uint32_t id, struct phys_addr page); /* 4 KB-aligned, below 1 MB */

/*
 * The timer raises its vector once: in deadline mode when the time-stamp counter reaches a value,
 * else after a count of its own clock. 0 disarms.
 */
bool apic_timer_has_deadline(void);
void apic_timer_arm_deadline(uint64_t tsc);
void apic_timer_arm_count(uint32_t count);
uint32_t apic_timer_count(void); /* what is left */
