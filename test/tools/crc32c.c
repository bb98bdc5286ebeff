// SPDX-License-Identifier: BSD-2-Clause
/*
 * crc32c FILE: prints the CRC-32C of the file as the image's checksum scenario does, 8 hexadecimal
 * digits.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/crc32.h"

int main(int argc, char **argv)
{
	static unsigned char buffer[1 << 20];
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	uint32_t crc = 0;
	size_t bytes;

	if (!file) {
		fprintf(stderr, "usage: crc32c FILE\n");
		return EXIT_FAILURE;
	}
	while ((bytes = fread(buffer, 1, sizeof(buffer), file)) > 0)
		crc = crc32c_update(crc, buffer, bytes);
	if (ferror(file)) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	fclose(file);
	printf("%08x\n", crc);
	return EXIT_SUCCESS;
}
