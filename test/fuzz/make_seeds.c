// SPDX-License-Identifier: BSD-2-Clause
/*
 * make_seeds DIRECTORY COUNT: inputs to begin with, the same ones every time. Every string of bytes
 * is an input of our targets; here are short and long ones, some of large and some of small
 * numbers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/random.h"

static const size_t lengths[] = { 12, 40, 120, 400, 1200 };

static void seed_write(const char *directory, unsigned number)
{
	const size_t length = lengths[number % (sizeof(lengths) / sizeof(lengths[0]))];
	const uint64_t limit = number % 3 == 0 ? 256 : number % 3 == 1 ? 64 : 8;
	char name[4096];
	struct random random;
	FILE *file;

	random_seed(&random, number + 1);
	snprintf(name, sizeof(name), "%s/seed%02u", directory, number);
	file = fopen(name, "wb");
	if (!file) {
		perror(name);
		exit(1);
	}
	for (size_t i = 0; i < length; i++)
		fputc((int)random_below(&random, random_below(&random, 4) == 0 ? 256 : limit), file);
	if (fclose(file) != 0) {
		perror(name);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: make_seeds DIRECTORY COUNT\n");
		return 2;
	}
	for (unsigned i = 0; i < (unsigned)strtoul(argv[2], NULL, 10); i++)
		seed_write(argv[1], i);
	return 0;
}
