// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap beside a list of what it has given: a block heap, a general heap and some objcaches on a
 * small machine of their own, whose source of blocks fails when it is told to. Every object is
 * noted with its size and a stamp, which is looked at again before the object is freed. What is not
 * as it must be ends in an assert.
 */
#pragma once

#include "heap/object/general_heap.h"
#include "host/platform_host.h"

#define HEAP_MODEL_BLOCKS  48
#define HEAP_MODEL_OBJECTS 6000
#define HEAP_MODEL_CACHES  4

/* What the objcaches are. */
struct heap_model_kind {
	const char *name;
	size_t object_bytes, alignment;
	uint32_t reserve_objects;
	uint64_t retain_bytes;
	bool constructs;
};
extern const struct heap_model_kind heap_model_kinds[HEAP_MODEL_CACHES];
#define HEAP_MODEL_RESERVED 2 /* the one with a reserve */

/* One of the objcaches. */
struct heap_model_cache {
	struct objcache cache;
	uint64_t given;       /* objects so far */
	uint64_t live;        /* of them not freed */
	uint64_t constructed; /* and not destroyed */
	uint32_t reserved;    /* objects beyond the reserve that it began with */
};

struct heap_model_object {
	unsigned char *memory;
	size_t bytes;                  /* that were asked for */
	size_t alignment;              /* the same */
	struct heap_model_cache *from; /* NULL: the general heap */
	uint64_t stamp;
};

struct heap_model {
	struct block_heap blocks;
	struct metadata_heap metadata;
	struct block_source source;
	struct fault_injector injector;
	uint64_t fail_bits;   /* the next takes of the source: bit 0 says whether the next one fails, and goes to the end */
	uint64_t inject_bits; /* the same for the injector, while it is set */
	uint64_t failed;      /* takes that were made to fail */
	struct general_heap general;
	struct heap_model_cache caches[HEAP_MODEL_CACHES];
	struct heap_model_object objects[HEAP_MODEL_OBJECTS];
	unsigned count;
	uint64_t stamps; /* so far */
};

struct heap_model_setup {
	uint64_t blocks;     /* 1 to HEAP_MODEL_BLOCKS */
	uint64_t seed_bytes; /* of the metadata heap */
	bool powers_only;
};

/* The word at the end of an object that its constructor writes. */
#define HEAP_MODEL_BUILT 0x6275696c74ull

static inline uint64_t *heap_model_built_word(const struct heap_model_cache *from, void *object)
{
	return (uint64_t *)object + from->cache.config.object_bytes / sizeof(uint64_t) - 1;
}

static inline bool heap_model_is_built(const struct heap_model_cache *from, void *object)
{
	return *heap_model_built_word(from, object) == (HEAP_MODEL_BUILT ^ (uintptr_t)object);
}

/* Gives the object a stamp of its own. */
void heap_model_stamp(struct heap_model *model, struct heap_model_object *object);

/* False: there was no memory to begin with, and nothing is left to end. */
bool heap_model_init(struct heap_model *model, const struct heap_model_setup *setup);

/* Walks, checks and frees everything; nothing may be left. */
void heap_model_fini(struct heap_model *model);

enum heap_model_way {
	HEAP_MODEL_PLAIN,
	HEAP_MODEL_ZEROED,
	HEAP_MODEL_ARRAY,
	HEAP_MODEL_INTERFACE, /* struct heap's */
	HEAP_MODEL_WAYS,
};

/* Each does one operation and compares. Objects are named by any number. */
void heap_model_alloc(struct heap_model *model, size_t bytes, size_t alignment, enum heap_model_way way);
void heap_model_alloc_wrong(struct heap_model *model, unsigned kind, uint64_t number);
void heap_model_alloc_from(struct heap_model *model, unsigned cache, bool held);
void heap_model_resize(struct heap_model *model, unsigned object, size_t bytes, size_t alignment);
void heap_model_free(struct heap_model *model, unsigned object);
void heap_model_drain(struct heap_model *model, unsigned which, uint64_t bytes, uint64_t retain, uint64_t lowest,
		      uint64_t highest);
void heap_model_grow(struct heap_model *model, unsigned cache);
void heap_model_reserve(struct heap_model *model, uint32_t objects); /* 0: back to what it was */
void heap_model_inject(struct heap_model *model, uint64_t bits);     /* 0: no injector */

/* What the counts say is what was noted. */
void heap_model_check_counts(struct heap_model *model);

/* The object's content, or its first `bytes`, which have been copied to `memory`. */
void heap_model_check_bytes(const struct heap_model_object *object, const unsigned char *memory, size_t bytes);
void heap_model_check_content(const struct heap_model_object *object);
void heap_model_check_valid(struct heap_model *model);
