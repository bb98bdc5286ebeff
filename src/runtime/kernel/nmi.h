// SPDX-License-Identifier: BSD-2-Clause
/*
 * NMIs that the hardware raises. Port 0x61 of a PC says why: a system error on PCI (SERR#) or an
 * I/O channel check, which end in a panic. Others have no reason that can be read: the button for
 * that purpose, a service processor. They are a warning.
 */
#pragma once

struct cpu;
struct interrupt_frame;

/* In an NMI handler that nothing else has claimed. */
void nmi_handle(const struct interrupt_frame *frame);

/* What CPU_VECTOR_NMI does: prints what could not be printed in the NMI itself. */
void nmi_report(const struct cpu *cpu);
