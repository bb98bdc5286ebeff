// SPDX-License-Identifier: BSD-2-Clause
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/crc32.h"
#include "runtime/base/format.h"

#define BUFFER_BYTES 4096

static void *buffer_setup(void)
{
	return memset(malloc(BUFFER_BYTES), 0x5a, BUFFER_BYTES);
}

static void crc32c_page(void *context, uint64_t operations)
{
	uint32_t crc = 0;

	while (operations-- > 0)
		crc = crc32c_update(crc, context, BUFFER_BYTES);
	bench_use(crc);
}

static void format_line(void *context, uint64_t operations)
{
	while (operations-- > 0)
		bench_use(format_text(context, BUFFER_BYTES, "%s: block %lu, %u of %u", "nvme0n1", operations, 17u, 512u));
}

const struct bench benches[] = {
	{ .name = "crc32c of 4 KB", .setup = buffer_setup, .run = crc32c_page, .teardown = free },
	{ .name = "format a log line", .setup = buffer_setup, .run = format_line, .teardown = free },
	{ 0 },
};
