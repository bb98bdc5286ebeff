// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guarded memory of platform.h: one range at a time, whose large pages are split at the start so
 * that single pages can be hidden. The report of a fault asks here what lies at the address.
 */
#include "guarded_memory.h"

#include <stdatomic.h>

#include "runtime/base/assert.h"
#include "runtime/base/format.h"
#include "runtime/base/platform.h"
#include "runtime/x86_64/paging.h"
#include "symbols.h"

static const struct platform_guarded *_Atomic guarded; /* NULL: none */

status_t platform_guard(const struct platform_guarded *range)
{
	status_t status;

	if (atomic_load(&guarded))
		return STATUS_BUSY;
	status = paging_split((uintptr_t)range->start, range->bytes);
	if (status == STATUS_OK)
		atomic_store(&guarded, range);
	return status;
}

void platform_unguard(const struct platform_guarded *range)
{
	assert(atomic_load(&guarded) == range);
	platform_show(range->start, range->bytes);
	atomic_store(&guarded, NULL);
}

void platform_hide(void *start, uint64_t bytes)
{
	paging_hide((uintptr_t)start, bytes);
}

void platform_show(void *start, uint64_t bytes)
{
	paging_show((uintptr_t)start, bytes);
}

bool guarded_memory_explain(uint64_t address, char *text, size_t size)
{
	const struct platform_guarded *range = atomic_load(&guarded);

	if (!range || address - (uintptr_t)range->start >= range->bytes)
		return false;
	range->explain(range, (const void *)address, text, size);
	return true;
}

/* A return address may lie just behind the function that made the call. */
const char *platform_code_name(char *text, size_t size, const void *code)
{
	const uint64_t address = (uintptr_t)code;
	uint64_t offset = 0;
	const char *name = symbols_find(address - 1, &offset);

	if (name)
		format_text(text, size, "%s+0x%llx", name, (unsigned long long)offset + 1);
	else
		format_text(text, size, "%p", code);
	return text;
}
