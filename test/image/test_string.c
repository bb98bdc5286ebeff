// SPDX-License-Identifier: BSD-2-Clause
/* The image's own memory and text functions, against the obvious way to do the same. */
#include "image_test.h"

#include "runtime/base/random.h"
#include "runtime/base/string.h"

#define BYTES  256
#define ROUNDS 20000

static void noise(struct random *random, uint8_t *memory)
{
	for (size_t i = 0; i < BYTES; i++)
		memory[i] = (uint8_t)random_next(random);
}

static size_t differences(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < bytes; i++)
		count += a[i] != b[i];
	return count;
}

IMAGE_TEST(string_copies_also_onto_itself)
{
	uint8_t memory[BYTES], before[BYTES], expected[BYTES];
	struct random random;

	random_seed(&random, 7);
	noise(&random, memory);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const size_t bytes = random_below(&random, BYTES);
		const size_t from = random_below(&random, BYTES - bytes), to = random_below(&random, BYTES - bytes);

		for (size_t i = 0; i < BYTES; i++)
			before[i] = memory[i];
		for (size_t i = 0; i < BYTES; i++)
			expected[i] = i >= to && i < to + bytes ? before[i - to + from] : before[i];
		require(memmove(memory + to, memory + from, bytes) == memory + to);
		require(differences(memory, expected, BYTES) == 0);
	}
	memcpy(expected, before, BYTES);
	expect_equal(differences(expected, before, BYTES), 0);
}

IMAGE_TEST(string_fills)
{
	uint8_t memory[BYTES];
	struct random random;

	random_seed(&random, 8);
	for (unsigned round = 0; round < ROUNDS / 10; round++) {
		const size_t bytes = random_below(&random, BYTES), at = random_below(&random, BYTES - bytes);
		size_t wrong = 0;

		for (size_t i = 0; i < BYTES; i++)
			memory[i] = 1;
		memset(memory + at, 0xa5, bytes);
		for (size_t i = 0; i < BYTES; i++)
			wrong += memory[i] != (i >= at && i < at + bytes ? 0xa5 : 1);
		require(wrong == 0);
	}
}

static int order(const char *a, const char *b, size_t limit)
{
	return strncmp(a, b, limit);
}

IMAGE_TEST(string_compares)
{
	uint8_t a[BYTES], b[BYTES];
	const char a_text[] = "weir";
	struct random random;

	random_seed(&random, 9);
	noise(&random, a);
	for (size_t place = 0; place < BYTES; place++) {
		memcpy(b, a, BYTES);
		require(memcmp(a, b, BYTES) == 0);
		b[place] ^= 0x80;
		require((memcmp(a, b, BYTES) < 0) == (a[place] < b[place]));
		require(memcmp(a, b, place) == 0);
	}
	expect(order("weir", "weir", 9) == 0 && order("weir", "weird", 9) < 0 && order("weir", "wei", 9) > 0);
	expect(order("\x80", "a", 9) > 0);
	expect(order("weird", "weir", 4) == 0 && order("weird", "weir", 5) > 0 && order("a", "b", 0) == 0);
	expect(strcmp(a_text, "weir") == 0 && strcmp(a_text, "weird") < 0);
	expect(strlen("") == 0 && strlen("weir") == 4 && strnlen("weir", 2) == 2 && strnlen("weir", 9) == 4);
	expect(*strchr("weir", 'i') == 'i' && strchr("weir", 'x') == NULL && *strchr("weir", 0) == 0);
}
