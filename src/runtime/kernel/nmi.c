// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reasons of NMIs. An NMI may have interrupted the console with its lock held, so only a panic
 * prints at once; else the CPU sends itself an ordinary interrupt that does.
 */
#include "nmi.h"

#include "cpu.h"
#include "panic.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/port.h"

/* Intel chipset data sheets: "NMI status and control register". */
#define PORT_REASONS 0x61
#define REASON_SERR  0x80u
#define REASON_IOCHK 0x40u
#define SERR_OFF     0x04u /* it raises no NMI, and the bit above says nothing */
#define IOCHK_OFF    0x08u /* the same */

static uint8_t reasons_read(void)
{
	const unsigned injected = (INJECTED("nmi-serr") ? REASON_SERR : 0) | (INJECTED("nmi-iochk") ? REASON_IOCHK : 0);

	if (INJECTED("no-nmi-port"))
		return 0xff;
	return (uint8_t)(port_read8(PORT_REASONS) | injected);
}

void nmi_handle(const struct interrupt_frame *frame)
{
	const uint8_t reasons = reasons_read();

	/* A machine without the port reads all ones, which is neither. */
	if ((reasons & (REASON_SERR | SERR_OFF)) == REASON_SERR)
		panic(frame, "NMI: a PCI device or the memory reports a system error, SERR# (port 0x61 reads 0x%x)", reasons);
	if ((reasons & (REASON_IOCHK | IOCHK_OFF)) == REASON_IOCHK)
		panic(frame, "NMI: a device reports an I/O channel check (port 0x61 reads 0x%x)", reasons);
	apic_send_self(CPU_VECTOR_NMI);
}

void nmi_report(const struct cpu *cpu)
{
	log_warn("interrupt: NMI on CPU %u without a reason (port 0x61 reads 0x%x): a button, or a service processor", cpu->id,
		 reasons_read());
}
