// SPDX-License-Identifier: BSD-2-Clause
/*
 * Follows the chain of frame pointers. Each link is looked up in the page tables before it is
 * read, and has to lie above the one before: so a broken chain ends, and a loop cannot be long.
 */
#include "backtrace.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/interrupt_frame.h"
#include "runtime/x86_64/paging.h"

#include "symbols.h"

/* What a function leaves at its frame pointer. */
struct frame {
	uint64_t caller_frame;
	uint64_t return_address;
};

static bool word_is_readable(uint64_t address)
{
	return address != 0 && is_aligned(address, sizeof(uint64_t)) && paging_translate(address, NULL, NULL);
}

size_t backtrace_collect(uint64_t frame_pointer, uint64_t *addresses, size_t max)
{
	size_t count = 0;

	while (count < max && word_is_readable(frame_pointer) && word_is_readable(frame_pointer + sizeof(uint64_t))) {
		const struct frame *frame = (const struct frame *)(uintptr_t)frame_pointer;
		if (frame->return_address == 0)
			break;
		addresses[count++] = frame->return_address;
		/* A chain that does not lead to other stacks climbs; so a loop cannot be long. */
		if (frame->caller_frame == frame_pointer)
			break;
		frame_pointer = frame->caller_frame;
	}
	return count;
}

static void address_print(uint64_t address, uint64_t looked_up)
{
	uint64_t offset = 0;
	const char *name = symbols_find(looked_up, &offset);

	if (name)
		print("    0x%016llx %s+0x%llx\n", (unsigned long long)address, name,
		      (unsigned long long)(offset + address - looked_up));
	else
		print("    0x%016llx\n", (unsigned long long)address);
}

void backtrace_print(uint64_t first, uint64_t frame_pointer)
{
	uint64_t addresses[BACKTRACE_FRAMES_MAX];
	size_t count = backtrace_collect(frame_pointer, addresses, ARRAY_LENGTH(addresses));

	if (first)
		address_print(first, first);
	for (size_t i = 0; i < count; i++)
		address_print(addresses[i], addresses[i] - 1);
}

void backtrace_print_interrupted(const struct interrupt_frame *frame)
{
	if (!symbols_find(frame->rip, NULL) && word_is_readable(frame->rsp)) {
		uint64_t caller = *(const uint64_t *)(uintptr_t)frame->rsp;

		address_print(frame->rip, frame->rip);
		backtrace_print(caller, frame->rbp);
		return;
	}
	backtrace_print(frame->rip, frame->rbp);
}
