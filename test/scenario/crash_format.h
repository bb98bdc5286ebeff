// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the scenario `crash` writes, so that a tool on the host (test/tools/crash_replay.c) can say
 * of any state of the disk whether something is lost. The disk, all zero at first:
 *
 *	page 0 ... CRASH_DATA_PAGES - 1     data
 *	then CRASH_PROMISES for each flusher  promises, used in turns
 *
 * A data page has eight slots of 512 bytes, each of which says page, slot and version and has
 * content derived from them. A write raises the page's version by one, and which slots it writes
 * follows from page and version alone. So the version tells what the whole page has to look like,
 * and a page that was torn or put together from several states is found.
 *
 * A promise tells for each data page a version whose write had returned before a flush was called
 * that has succeeded. It is written after the flush has returned, and past the cache. So whenever a
 * promise is on the disk, each page has to be there in the promised version or a newer one.
 */
#pragma once

#include "app/testbed/pattern.h"

#define CRASH_DATA_PAGES  1536u
#define CRASH_WRITERS     3u
#define CRASH_GROUP_PAGES 8u /* pages of one writer, between those of others: requests carry pages of several */
#define CRASH_FLUSHERS    3u
#define CRASH_PROMISES    64u
#define CRASH_DISK_PAGES  (CRASH_DATA_PAGES + CRASH_FLUSHERS * CRASH_PROMISES)
#define CRASH_MAGIC       0x4352415348454421ull

#define CRASH_SLOTS      8u
#define CRASH_SLOT_WORDS (PATTERN_PAGE_WORDS / CRASH_SLOTS)
#define CRASH_SLOT_BYTES (CRASH_SLOT_WORDS * 8)

enum {
	CRASH_WORD_MAGIC,
	CRASH_WORD_PLACE, /* number of the page * CRASH_SLOTS + slot */
	CRASH_WORD_VERSION,
	CRASH_HEADER_WORDS,
};

struct crash_promise {
	uint64_t magic;
	uint32_t flusher;
	uint32_t crc;    /* CRC-32C of the page, with 0 here */
	uint64_t number; /* counts the flusher's promises */
	uint16_t versions[CRASH_DATA_PAGES];
	uint8_t unused[PATTERN_PAGE_BYTES - 24 - 2 * CRASH_DATA_PAGES];
};

_Static_assert(sizeof(struct crash_promise) == PATTERN_PAGE_BYTES, "a promise is a page");

struct crash_slots {
	unsigned first, count;
};

static inline unsigned crash_writer(uint64_t number)
{
	return (unsigned)(number / CRASH_GROUP_PAGES % CRASH_WRITERS);
}

static inline uint64_t crash_promise_page(unsigned flusher, uint64_t number)
{
	return CRASH_DATA_PAGES + flusher * CRASH_PROMISES + number % CRASH_PROMISES;
}

/* What the write that makes this version writes: half of them the whole page, the others a part. */
static inline struct crash_slots crash_slots_written(uint64_t number, uint64_t version)
{
	const uint64_t dice = pattern_base(CRASH_MAGIC, number, version);
	struct crash_slots slots = { 0, CRASH_SLOTS };

	if (version != 0 && (dice & 1)) {
		slots.first = (unsigned)(dice >> 8) % CRASH_SLOTS;
		slots.count = 1 + (unsigned)(dice >> 16) % (CRASH_SLOTS - slots.first);
	}
	return slots;
}

/* The version that the slot has in a page of this version. */
static inline uint64_t crash_slot_version(uint64_t number, unsigned slot, uint64_t version)
{
	for (;; version--) {
		const struct crash_slots slots = crash_slots_written(number, version);

		if (slot - slots.first < slots.count)
			return version;
	}
}

/* A slot's word i, from CRASH_HEADER_WORDS on, is this + i * PATTERN_STEP. */
static inline uint64_t crash_slot_base(uint64_t number, unsigned slot, uint64_t version)
{
	return pattern_base(slot, number, version);
}

static inline void crash_slot_fill(uint64_t *words, uint64_t number, unsigned slot, uint64_t version)
{
	const uint64_t base = crash_slot_base(number, slot, version);

	for (unsigned i = CRASH_HEADER_WORDS; i < CRASH_SLOT_WORDS; i++)
		words[i] = base + i * PATTERN_STEP;
	words[CRASH_WORD_MAGIC] = CRASH_MAGIC;
	words[CRASH_WORD_PLACE] = number * CRASH_SLOTS + slot;
	words[CRASH_WORD_VERSION] = version;
}

/* Version 0 is all zero. */
static inline bool crash_slot_verify(const uint64_t *words, uint64_t number, unsigned slot, uint64_t version)
{
	const uint64_t base = crash_slot_base(number, slot, version);
	uint64_t difference = 0;

	if (version == 0) {
		for (unsigned i = 0; i < CRASH_SLOT_WORDS; i++)
			difference |= words[i];
		return difference == 0;
	}
	for (unsigned i = CRASH_HEADER_WORDS; i < CRASH_SLOT_WORDS; i++)
		difference |= words[i] ^ (base + i * PATTERN_STEP);
	difference |= words[CRASH_WORD_MAGIC] ^ CRASH_MAGIC;
	difference |= words[CRASH_WORD_PLACE] ^ (number * CRASH_SLOTS + slot);
	return (difference | (words[CRASH_WORD_VERSION] ^ version)) == 0;
}

/* Whether the page is whole, in a state that it once had; then *version is which. */
static inline bool crash_page_verify(const uint64_t *page, uint64_t number, uint64_t *version)
{
	*version = 0;
	for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
		const uint64_t slot_version = page[slot * CRASH_SLOT_WORDS + CRASH_WORD_VERSION];

		if (slot_version > UINT16_MAX)
			return false;
		if (slot_version > *version)
			*version = slot_version;
	}
	for (unsigned slot = 0; slot < CRASH_SLOTS; slot++) {
		if (!crash_slot_verify(page + slot * CRASH_SLOT_WORDS, number, slot,
				       crash_slot_version(number, slot, *version)))
			return false;
	}
	return true;
}
