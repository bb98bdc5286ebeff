// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts of lines, through the 8259 pair. Devices may share a line: every handler of it runs
 * at each interrupt, and the line is open as long as it has one.
 */
#include "cpu.h"
#include "interrupt_internal.h"
#include "runtime/x86_64/pic.h"

static struct line {
	struct list handlers; /* [interrupt_lock] */
	enum interrupt_trigger trigger;
} lines[INTERRUPT_LINES];

static struct list *handlers_of(unsigned line)
{
	if (!lines[line].handlers.next)
		list_init(&lines[line].handlers);
	return &lines[line].handlers;
}

void interrupt_dispatch_line(struct cpu *cpu, unsigned line)
{
	struct list *handlers;

	spinlock_lock(&interrupt_lock);
	if (!pic_is_real(line)) {
		atomic_fetch_add_explicit(&cpu->spurious, 1, memory_order_relaxed);
		spinlock_unlock(&interrupt_lock);
		return;
	}
	handlers = handlers_of(line);
	if (list_is_empty(handlers)) {
		pic_mask(line);
		interrupt_unexpected(cpu, PIC_VECTOR_BASE + line, "line without a handler");
	}
	list_for_each (link, handlers) {
		struct interrupt *interrupt = container_of(link, struct interrupt, line_link);

		interrupt->handler(interrupt->context);
		atomic_fetch_add_explicit(&interrupt->count, 1, memory_order_relaxed);
	}
	pic_end(line);
	spinlock_unlock(&interrupt_lock);
}

status_t interrupt_attach_line(struct interrupt *interrupt, const char *name, unsigned line, enum interrupt_trigger trigger,
			       void (*handler)(void *context), void *context)
{
	status_t status = STATUS_OK;
	struct list *handlers;
	uint64_t state;

	if (interrupt->attached || line >= INTERRUPT_LINES || line == PIC_CASCADE)
		return STATUS_INVALID;
	interrupt_prepare(interrupt, name, handler, context);
	state = spinlock_lock_interrupts(&interrupt_lock);
	handlers = handlers_of(line);
	if (list_is_empty(handlers)) {
		lines[line].trigger = trigger;
		pic_set_level_triggered(line, trigger == INTERRUPT_LEVEL);
	} else if (lines[line].trigger != trigger) {
		status = STATUS_BUSY;
	}
	if (status == STATUS_OK) {
		interrupt->line = (int)line;
		interrupt->vector = (uint8_t)(PIC_VECTOR_BASE + line);
		interrupt->attached = true;
		list_insert_last(handlers, &interrupt->line_link);
		list_insert_last(&interrupts_attached, &interrupt->link);
		pic_unmask(line);
	}
	spinlock_unlock_interrupts(&interrupt_lock, state);
	return status;
}

void interrupt_close_line(struct interrupt *interrupt)
{
	unsigned line = (unsigned)interrupt->line;

	list_remove(&interrupt->line_link);
	if (list_is_empty(handlers_of(line)))
		pic_mask(line);
}
