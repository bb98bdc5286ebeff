// SPDX-License-Identifier: BSD-2-Clause
#include "measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Without stdio, whose buffers come from malloc. */
uint64_t resident_bytes(void)
{
	char text[128] = { 0 };
	const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (file < 0 || read(file, text, sizeof(text) - 1) <= 0)
		fail("/proc/self/statm");
	close(file);

	const char *resident = strchr(text, ' ');
	return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void figure_print(const char *key, double value)
{
	printf("%s %.4f\n", key, value);
	fflush(stdout);
}

void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}
