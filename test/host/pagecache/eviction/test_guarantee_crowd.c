// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guarantee and the page cache, with readers, writers, windows, handlers and the refill task at
 * once.
 */
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "fake/guarantee_fixture.h"
#include "heap/dma/dma.h"
#include "host/host_test.h"

static const struct device device = { .name = "camera", .dma_mask = UINT64_MAX };

static const struct dma_request piece_request = { .bytes = PIECE_BYTES, .segments_max = 1, .wait = MEMORY_WAIT_NEVER };

/* In a handler, perhaps: no lock, no wait; nor can the test framework be called. */
static void take_one(void *context)
{
	struct cache_machine *machine = context;
	struct dma_buffer *buffer;

	if (platform_may_sleep())
		abort();
	if (dma_alloc(memory_dma(&machine->memory), &device, &piece_request, &buffer) != STATUS_OK)
		return;
	memset(buffer->memory, 0xa5, buffer->bytes);
	dma_free(memory_dma(&machine->memory), buffer);
}

enum role {
	REFILL_TASK,
	BACKGROUND_WRITER,
	READER,
	SECOND_READER,
	WRITER,
	TAKER,
	RUN_TAKER, /* has pieces move out of its way */
	HANDLERS,  /* interrupts all others */
	ROLES,
};

#define CROWD_ROUNDS     300
#define CROWD_RUN_BLOCKS 8

struct crowd {
	struct cache_machine machine;
	struct owner run_owner;
	_Atomic unsigned running;
};

/* Anywhere, or not, if that takes too long. */
static void take_run(struct crowd *crowd, struct random *random)
{
	struct memory *memory = &crowd->machine.memory;
	const uint64_t first = memory->blocks.first_block + random_below(random, memory->blocks.count - CROWD_RUN_BLOCKS);
	const struct memory_request request = {
		.blocks = CROWD_RUN_BLOCKS,
		.constraints.lowest = { first << BLOCK_SHIFT },
		.constraints.highest = { ((first + CROWD_RUN_BLOCKS) << BLOCK_SHIFT) - 1 },
		.owner = &crowd->run_owner,
		.wait = MEMORY_WAIT_DEADLINE,
		.deadline_ns = platform_now_ns() + 10 * NS_PER_MS,
	};
	struct phys_addr run;

	if (memory_blocks_alloc(memory, &request, &run) != STATUS_OK)
		return;
	for (uint64_t at = 0; at < CROWD_RUN_BLOCKS * BLOCK_BYTES; at += PAGE_BYTES)
		*(uint64_t *)platform_virt((struct phys_addr){ run.value + at }) = 0x5a5a5a5a5a5a5a5a;
	platform_yield();
	memory_blocks_free(memory, run);
}

/* Readers compare with the first half of the disk, which no writer touches. */
static void crowd_work(struct crowd *crowd, enum role role, struct random *random)
{
	struct cache_machine *machine = &crowd->machine;
	struct phys_addr piece;

	switch (role) {
	case READER:
	case SECOND_READER:
		cache_machine_read(machine, random_below(random, DISK_BYTES / 2 - MIB), random_below(random, MIB));
		break;
	case WRITER:
		cache_machine_write(machine, random, DISK_BYTES / 2 + random_below(random, DISK_BYTES / 2 - MIB), 30000);
		break;
	case TAKER:
		if (guarantee_piece_take(&machine->memory.guarantee, &piece)) {
			memset(platform_virt(piece), 0x5a, PIECE_BYTES);
			platform_yield();
			guarantee_give(&machine->memory.guarantee, piece);
		}
		break;
	case RUN_TAKER:
		take_run(crowd, random);
		break;
	default:
		platform_run_on_all_cpus(take_one, machine);
	}
}

static void crowd_member(void *context, unsigned index)
{
	struct crowd *crowd = context;
	struct random random;

	random_seed(&random, index);
	if (index == REFILL_TASK) {
		guarantee_run(&crowd->machine.memory.guarantee);
	} else if (index == BACKGROUND_WRITER) {
		pagecache_writeback_run(&crowd->machine.pagecache);
	} else {
		for (unsigned i = 0; i < CROWD_ROUNDS; i++)
			crowd_work(crowd, (enum role)index, &random);
		if (atomic_fetch_sub(&crowd->running, 1) == 1) {
			worker_stop(&crowd->machine.memory.guarantee.worker);
			pagecache_stop(&crowd->machine.pagecache);
		}
	}
}

static void crowd_run(unsigned roles)
{
	static struct crowd crowd;

	cache_machine_init_guarantee(&crowd.machine, DISK_BYTES, true, &pieces_config);
	cache_machine_fill(&crowd.machine);
	owner_init(&crowd.run_owner, "runs", false);
	crowd.running = roles - 2;
	host_threads_run(roles, crowd_member, &crowd);
	ck_assert_uint_gt(guarantee_statistics(&crowd.machine.memory.guarantee).taken, 0);
	ck_assert_uint_gt(crowd.machine.memory.reclaim.statistics.windows, 0);
	cache_machine_fini(&crowd.machine);
}

START_TEST(threads_never_see_what_a_device_wrote)
{
	crowd_run(ROLES - 1);
}
END_TEST

/* The thread sanitizer does not know what a signal orders. */
START_TEST(nor_do_they_beside_handlers)
{
	crowd_run(ROLES);
}
END_TEST

HOST_TEST_MAIN("guarantee_crowd", threads_never_see_what_a_device_wrote, nor_do_they_beside_handlers)
