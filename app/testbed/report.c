// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text for people. Shares are computed in integers, since scenarios may run where no vector
 * registers are. A progress bar is redrawn on a terminal, and is a line for each tenth in a log.
 */
#include "report.h"

#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"

#define BAR_WIDTH 30
#define REDRAW_NS (200 * NS_PER_MS)

const char *format_share(char buffer[FORMAT_SHARE_BYTES], uint64_t part, uint64_t whole)
{
	return format_fixed(buffer, whole == 0 ? 0 : part, MAX(whole, 1), 4);
}

const char *format_hundredths(char buffer[FORMAT_SHARE_BYTES], uint64_t part, uint64_t whole)
{
	return format_fixed(buffer, whole == 0 ? 0 : part, MAX(whole, 1), 2);
}

uint64_t rate_bytes(uint64_t bytes, uint64_t ns)
{
	return ns < NS_PER_US ? 0 : bytes * (NS_PER_S / NS_PER_US) / (ns / NS_PER_US);
}

static void show(struct progress *progress, uint64_t done, const char *end)
{
	const uint64_t now = platform_now_ns();
	const uint64_t rate = rate_bytes(done, now - progress->start_ns);
	const uint64_t total = MAX(progress->total_bytes, 1);
	const uint64_t left_s = rate == 0 || done >= total ? 0 : (total - done + rate - 1) / rate;
	char bar[BAR_WIDTH + 1], bytes[FORMAT_BYTES_SIZE], speed[FORMAT_BYTES_SIZE];

	done = MIN(done, total);
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		bar[i] = done * BAR_WIDTH / total > i ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	print("%s%s [%s] %3llu%%  %s  %s/s  %llu s left%s", progress->interactive ? "\r" : "", progress->what, bar,
	      (unsigned long long)(done * 100 / total), format_bytes(bytes, done), format_bytes(speed, rate),
	      (unsigned long long)left_s, end);
	progress->shown_ns = now;
	progress->next_bytes = done + total / 10;
}

void progress_start(struct progress *progress, const char *what, uint64_t total_bytes, bool interactive)
{
	*progress = (struct progress){
		.what = what,
		.total_bytes = total_bytes,
		.start_ns = platform_now_ns(),
		.next_bytes = total_bytes / 10,
		.interactive = interactive,
	};
}

void progress_update(struct progress *progress, uint64_t done_bytes)
{
	if (progress->interactive) {
		if (platform_now_ns() - progress->shown_ns >= REDRAW_NS)
			show(progress, done_bytes, "   ");
	} else if (done_bytes >= progress->next_bytes) {
		show(progress, done_bytes, "\n");
	}
}

void progress_end(struct progress *progress, uint64_t done_bytes)
{
	progress->total_bytes = done_bytes;
	show(progress, done_bytes, "   \n");
}
