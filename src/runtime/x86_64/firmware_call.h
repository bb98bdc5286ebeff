// SPDX-License-Identifier: BSD-2-Clause
/*
 * The one runtime service of the firmware that is called after the start: ResetSystem, as the last
 * way to reset the machine or to switch it off. It runs with page tables of its own, which map the
 * lowest addresses one to one and allow all: ours have nothing of the firmware's memory. UEFI 2.10,
 * sections 2.3.4 (the state in which services are called) and 8.5.1.
 */
#pragma once

#include "runtime/base/types.h"

enum firmware_reset {
	FIRMWARE_RESET_COLD = 0,
	FIRMWARE_RESET_OFF = 2,
};

/*
 * At start-up: `service` is the address of ResetSystem. False: there is none, or it, or the image,
 * lies beyond the addresses that the tables reach.
 */
bool firmware_call_prepare(uint64_t service);

/*
 * Calls the service, which normally does not return. Interrupts off. Only the
 * first call does anything: a fault in the service must not lead to it again.
 * No memory, no locks.
 */
void firmware_reset(enum firmware_reset how);
