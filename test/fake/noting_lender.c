// SPDX-License-Identifier: BSD-2-Clause
/* A lender of a few blocks, which it takes from the heap when they are wanted. */
#include "noting_lender.h"

enum note *note_of(struct guarantee_lender *self, struct phys_addr block)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);

	return &lender->notes[(block.value - lender->start) >> BLOCK_SHIFT];
}

static void note(struct guarantee_lender *self, struct phys_addr block, enum note before, enum note after)
{
	ck_assert_int_eq(*note_of(self, block), before);
	*note_of(self, block) = after;
}

/* Takes its blocks from the heap when they are wanted; above what is to be avoided. */
static bool noting_lend(struct guarantee_lender *self, const struct guarantee_wish *wish, struct phys_addr *start)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);
	const struct run_request request = {
		.blocks = 2,
		.constraints = { .lowest = { wish->avoid_last.value + 1 }, .alignment_bytes = PIECE_BYTES },
		.owner = &lender->owner,
	};

	lender->asked++;
	for (unsigned i = 0; i < lender->turns; i++)
		guarantee_turn(&lender->memory->guarantee);
	if (lender->work_ns > 0)
		host_clock_turn(lender->work_ns);
	if (lender->steals)
		lender->stolen = guarantee_piece_take(&lender->memory->guarantee, &lender->stolen_piece);
	lender->steals = false;
	if (lender->refuses || block_heap_alloc(&lender->memory->blocks, &request, start) != STATUS_OK)
		return false;
	for (unsigned i = 0; i < 2; i++)
		*note_of(self, (struct phys_addr){ start->value + i * BLOCK_BYTES }) = LENT;
	return true;
}

static unsigned noting_idle_percent(struct guarantee_lender *self, struct phys_addr block)
{
	ck_assert_int_eq(*note_of(self, block), LENT);
	return 0;
}

static void noting_take_back(struct guarantee_lender *self, struct phys_addr block)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);

	note(self, block, LENT, OWN);
	if (block.value % PIECE_BYTES == 0)
		memory_blocks_free(lender->memory, block);
}

static void noting_revoke(struct guarantee_lender *self, struct phys_addr block)
{
	note(self, block, LENT, REVOKED);
}

static void noting_settle(struct guarantee_lender *self, struct phys_addr block)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);

	note(self, block, REVOKED, FORGOTTEN);
	if (atomic_fetch_add(&lender->forgotten, 1) == 0 && lender->pauses)
		while (atomic_load(&lender->memory->guarantee.refill.came) ==
		       atomic_load(&lender->memory->guarantee.refill.left))
			platform_yield();
}

void noting_init(struct noting_lender *lender, struct machine *machine)
{
	*lender = (struct noting_lender){
		.lender = { noting_lend, noting_idle_percent, noting_take_back, noting_revoke, noting_settle },
		.memory = &machine->memory,
		.start = MACHINE_START,
	};
	owner_init(&lender->owner, "lender", true);
	guarantee_set_lender(&machine->memory.guarantee, &lender->lender);
}

void machine_with_guarantee(struct machine *machine, uint64_t blocks)
{
	const struct memory_config config = { .watermarks.atomic_percent = 100, .guarantee = pieces_config };

	machine_init_with(machine, MACHINE_START, blocks, &config);
}
