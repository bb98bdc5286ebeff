// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA memory is taken from an arena in order and not reused before the next test, so each piece
 * keeps poisoned neighbours.
 */
#include "fake_memory.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>

#include "fake_bus.h"
#include "heap/dma/dma.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define ARENA_START (4 * GIB)
#define ARENA_BYTES (64 * MIB)
#define GAP_BYTES   256
#define PIECES_MAX  256

struct piece {
	char *memory;
	uint64_t bytes;
	bool live, shared; /* shared: of the driver, for the device */
	bool given;        /* the device has its address */
};

static struct fake_bus *bus; /* the one that there is */
static struct host_arena *arena;
static struct piece pieces[PIECES_MAX];
static unsigned piece_count;
static uint64_t arena_used;
static unsigned long objects;

bool fake_memory_fails(void)
{
	return bus->fail_at > 0 && --bus->fail_at == 0;
}

static struct piece *piece_alloc(uint64_t bytes, uint64_t alignment, bool shared)
{
	const uint64_t start = align_up(arena_used + GAP_BYTES, MAX(alignment, 64));
	struct piece *piece = &pieces[piece_count];

	if (piece_count == PIECES_MAX || start + bytes + GAP_BYTES > ARENA_BYTES)
		return NULL;
	piece_count++;
	arena_used = start + bytes;
	*piece = (struct piece){ (char *)platform_virt(host_arena_range(arena).start) + start, bytes, true, shared, false };
	ASAN_UNPOISON_MEMORY_REGION(piece->memory, bytes);
	memset(piece->memory, 0, bytes);
	return piece;
}

static bool is_held(const struct piece *piece)
{
	if (!(bus->rights & PCI_BUS_MASTER) || bus->loose)
		return false;
	return !bus->device->holds || bus->device->holds(bus->device, piece->memory, piece->bytes);
}

static void piece_free(void *memory)
{
	for (unsigned i = 0; i < piece_count; i++) {
		if (pieces[i].memory != memory || !pieces[i].live)
			continue;
		if (pieces[i].shared && pieces[i].given && is_held(&pieces[i]))
			host_fail("DMA memory is freed that the device may still write to");
		pieces[i].live = false;
		ASAN_POISON_MEMORY_REGION(memory, pieces[i].bytes);
		return;
	}
	host_fail("DMA memory is freed that is not allocated");
}

status_t dma_coherent_alloc_at(struct dma *dma, const struct device *device, size_t bytes, size_t alignment,
			       struct dma_coherent *coherent, const char *site)
{
	struct piece *piece = fake_memory_fails() ? NULL : piece_alloc(bytes, alignment, true);

	(void)dma, (void)device, (void)site;
	if (bytes == 0 || bytes > MIB)
		return STATUS_INVALID;
	if (!piece)
		return STATUS_NO_MEMORY;
	*coherent = (struct dma_coherent){ piece->memory, { platform_phys(piece->memory).value }, (void *)piece };
	return STATUS_OK;
}

void dma_coherent_free(struct dma *dma, struct dma_coherent *coherent)
{
	(void)dma;
	if (coherent->memory)
		piece_free(coherent->memory);
	*coherent = (struct dma_coherent){ 0 };
}

/* A buffer of one segment and one piece, with its record in front of it, as it were. */
struct buffer {
	struct dma_buffer buffer;
	struct device_segment segment;
	struct phys_range piece;
};

status_t dma_alloc_at(struct dma *dma, const struct device *device, const struct dma_request *request,
		      struct dma_buffer **result, const char *site)
{
	struct piece *piece = fake_memory_fails() ? NULL : piece_alloc(request->bytes, request->alignment_bytes, true);
	struct buffer *buffer = calloc(1, sizeof(*buffer));

	(void)dma, (void)device, (void)site;
	if (!piece || !buffer) {
		free(buffer);
		return STATUS_NO_MEMORY;
	}
	buffer->piece = (struct phys_range){ platform_phys(piece->memory), request->bytes };
	buffer->segment = (struct device_segment){ { buffer->piece.start.value }, request->bytes };
	buffer->buffer = (struct dma_buffer){
		.memory = piece->memory,
		.bytes = request->bytes,
		.segments = &buffer->segment,
		.segment_count = 1,
		.pieces = &buffer->piece,
		.piece_count = 1,
	};
	*result = &buffer->buffer;
	return STATUS_OK;
}

void dma_free(struct dma *dma, struct dma_buffer *buffer)
{
	(void)dma;
	if (!buffer)
		return;
	piece_free(buffer->memory);
	free(container_of(buffer, struct buffer, buffer));
}

static struct piece *piece_at(uint64_t address, uint64_t bytes)
{
	for (unsigned i = 0; i < piece_count; i++) {
		const uint64_t start = platform_phys(pieces[i].memory).value;

		if (pieces[i].live && address >= start && address - start <= pieces[i].bytes &&
		    bytes <= pieces[i].bytes - (address - start))
			return &pieces[i];
	}
	return NULL;
}

void *fake_bus_memory(struct fake_bus *self, uint64_t address, uint64_t bytes)
{
	struct piece *piece = self->rights & PCI_BUS_MASTER ? piece_at(address, bytes) : NULL;

	return piece ? piece->memory + (address - platform_phys(piece->memory).value) : NULL;
}

void *fake_bus_reach(struct fake_bus *self, uint64_t address, uint64_t bytes)
{
	struct piece *piece = piece_at(address, bytes);

	if (!piece)
		host_fail("the driver sends its device to memory that is not its own");
	else
		piece->given = true;
	return fake_bus_memory(self, address, bytes);
}

void *fake_bus_piece(unsigned number, uint64_t *bytes)
{
	const unsigned i = piece_count > 0 ? number % piece_count : 0;

	if (piece_count == 0 || !pieces[i].live || !pieces[i].shared || !(bus->rights & PCI_BUS_MASTER))
		return NULL;
	*bytes = pieces[i].bytes;
	return pieces[i].memory;
}

struct phys_range fake_bus_alloc(uint64_t bytes)
{
	struct piece *piece = piece_alloc(bytes, PAGE_BYTES, false);

	if (!piece)
		host_fail("no memory for the test");
	return (struct phys_range){ platform_phys(piece->memory), bytes };
}

void fake_bus_free(struct phys_range range)
{
	piece_free(platform_virt(range.start));
}

static void *object_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	(void)heap;
	if (fake_memory_fails())
		return NULL;
	objects++;
	return aligned_alloc(MAX(alignment, 16), align_up(bytes, MAX(alignment, 16)));
}

static void object_free(struct heap *heap, void *memory)
{
	(void)heap;
	objects -= memory != NULL;
	free(memory);
}

struct heap fake_memory_begin(struct fake_bus *self)
{
	if (!arena) {
		arena = host_arena_create(ARENA_START, ARENA_BYTES);
		arena_used = ARENA_BYTES;
	}
	ASAN_POISON_MEMORY_REGION(platform_virt(host_arena_range(arena).start), arena_used);
	bus = self;
	piece_count = 0;
	arena_used = 0;
	objects = 0;
	return (struct heap){ "driver", object_alloc, object_free };
}

void fake_memory_check(bool of_test)
{
	if (objects > 0)
		host_fail("the driver has left objects behind");
	for (unsigned i = 0; i < piece_count; i++) {
		if (pieces[i].live && pieces[i].shared)
			host_fail("the driver has left DMA memory behind");
		if (pieces[i].live && of_test)
			host_fail("the test has left DMA memory behind");
	}
}
