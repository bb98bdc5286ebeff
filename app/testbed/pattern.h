// SPDX-License-Identifier: BSD-2-Clause
/*
 * The test pattern: every 4 KB page carries its own number, a version and content derived from
 * both, so that each read can be verified on its own, wherever it came from. The same in the image
 * and in the tools on the host.
 *
 *   word 0      PATTERN_MAGIC ^ seed
 *   word 1      number of the page on its volume
 *   word 2      version: 0 as made, raised by one whenever a writer writes the page anew
 *   word i > 2  base + i * PATTERN_STEP, where base is mixed from seed, number and version
 *
 * Derived words cost an addition each, so filling and verifying run at the speed of memory, under
 * emulation, too. A page with another page's content, an older version's, or a mixture of two
 * fails.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PATTERN_PAGE_BYTES 4096u
#define PATTERN_PAGE_WORDS (PATTERN_PAGE_BYTES / 8)
#define PATTERN_MAGIC      0x5745495250414745ull /* "WEIRPAGE" */
#define PATTERN_STEP       0x9e3779b97f4a7c15ull

/* The seeds of the disks that `make run` makes. */
#define PATTERN_SEED_DATA      1
#define PATTERN_SEED_DIGITIZER 2
#define PATTERN_SEED_SLOW      3

enum {
	PATTERN_WORD_MAGIC,
	PATTERN_WORD_NUMBER,
	PATTERN_WORD_VERSION,
	PATTERN_HEADER_WORDS,
};

/* SplitMix64's finalizer (Steele, Lea, Flood 2014) over what identifies the page. */
static inline uint64_t pattern_base(uint64_t seed, uint64_t number, uint64_t version)
{
	uint64_t x = seed + number * PATTERN_STEP + version * 0xd1342543de82ef95ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Only what names the page; the rest of it stays, so the page does not verify. */
static inline void pattern_stamp(uint64_t *page, uint64_t seed, uint64_t number, uint64_t version)
{
	page[PATTERN_WORD_MAGIC] = PATTERN_MAGIC ^ seed;
	page[PATTERN_WORD_NUMBER] = number;
	page[PATTERN_WORD_VERSION] = version;
}

static inline void pattern_fill(uint64_t *page, uint64_t seed, uint64_t number, uint64_t version)
{
	uint64_t word = pattern_base(seed, number, version);

	for (unsigned i = 0; i < PATTERN_PAGE_WORDS; i++, word += PATTERN_STEP)
		page[i] = word;
	pattern_stamp(page, seed, number, version);
}

/*
 * The seed that the page names; whether it is a page of the pattern at all is for pattern_verify to
 * say.
 */
static inline uint64_t pattern_seed(const uint64_t *page)
{
	return page[PATTERN_WORD_MAGIC] ^ PATTERN_MAGIC;
}

/*
 * Whether `page` says that it is page `number`: a look at one line of it, where time is measured.
 */
static inline bool pattern_names(const uint64_t *page, uint64_t seed, uint64_t number)
{
	return pattern_seed(page) == seed && page[PATTERN_WORD_NUMBER] == number;
}

/*
 * Whether `page` is page `number` of the stream `seed`, whole and in one version, whichever that
 * is.
 */
static inline bool pattern_verify(const uint64_t *page, uint64_t seed, uint64_t number)
{
	uint64_t word = pattern_base(seed, number, page[PATTERN_WORD_VERSION]) + PATTERN_HEADER_WORDS * PATTERN_STEP;
	uint64_t difference = (page[PATTERN_WORD_MAGIC] ^ PATTERN_MAGIC ^ seed) | (page[PATTERN_WORD_NUMBER] ^ number);
	unsigned i = PATTERN_HEADER_WORDS;

	for (; i % 4 != 0; i++, word += PATTERN_STEP)
		difference |= page[i] ^ word;
	for (; i < PATTERN_PAGE_WORDS; i += 4, word += 4 * PATTERN_STEP) {
		difference |= page[i] ^ word;
		difference |= page[i + 1] ^ (word + PATTERN_STEP);
		difference |= page[i + 2] ^ (word + 2 * PATTERN_STEP);
		difference |= page[i + 3] ^ (word + 3 * PATTERN_STEP);
	}
	return difference == 0;
}

static inline bool pattern_verify_version(const uint64_t *page, uint64_t seed, uint64_t number, uint64_t version)
{
	return page[PATTERN_WORD_VERSION] == version && pattern_verify(page, seed, number);
}
