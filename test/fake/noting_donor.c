// SPDX-License-Identifier: BSD-2-Clause
/* A donor of a few blocks, which it takes from the heap when they are wanted. */
#include "noting_donor.h"

enum note *note_of(struct guarantee_donor *self, struct phys_addr block)
{
	struct noting_donor *donor = container_of(self, struct noting_donor, base);

	return &donor->notes[(block.value - donor->start) >> BLOCK_SHIFT];
}

static void note(struct guarantee_donor *self, struct phys_addr block, enum note before, enum note after)
{
	ck_assert_int_eq(*note_of(self, block), before);
	*note_of(self, block) = after;
}

/* Takes its blocks from the heap when they are wanted; above what is to be avoided. */
static bool noting_loan(struct guarantee_donor *self, const struct loan_request *wanted, struct phys_addr *start)
{
	struct noting_donor *donor = container_of(self, struct noting_donor, base);
	const struct run_request request = {
		.blocks = 2,
		.constraints = { .lowest = { wanted->avoid_last.value + 1 }, .alignment_bytes = PIECE_BYTES },
		.owner = &donor->owner,
	};

	donor->asked++;
	for (unsigned i = 0; i < donor->turns; i++)
		guarantee_turn(&donor->memory->guarantee);
	if (donor->work_ns > 0)
		host_clock_turn(donor->work_ns);
	if (donor->steals)
		donor->stolen = guarantee_piece_take(&donor->memory->guarantee, &donor->stolen_piece);
	donor->steals = false;
	if (donor->refuses || block_heap_alloc(&donor->memory->blocks, &request, start) != STATUS_OK)
		return false;
	for (unsigned i = 0; i < 2; i++)
		*note_of(self, (struct phys_addr){ start->value + i * BLOCK_BYTES }) = LOANED;
	return true;
}

static unsigned noting_idle_percent(struct guarantee_donor *self, struct phys_addr block)
{
	ck_assert_int_eq(*note_of(self, block), LOANED);
	return 0;
}

static void noting_recall(struct guarantee_donor *self, struct phys_addr block)
{
	struct noting_donor *donor = container_of(self, struct noting_donor, base);

	note(self, block, LOANED, OWN);
	if (block.value % PIECE_BYTES == 0)
		memory_blocks_free(donor->memory, block);
}

static void noting_revoke(struct guarantee_donor *self, struct phys_addr block)
{
	note(self, block, LOANED, REVOKED);
}

static void noting_reap(struct guarantee_donor *self, struct phys_addr block)
{
	struct noting_donor *donor = container_of(self, struct noting_donor, base);

	note(self, block, REVOKED, FORGOTTEN);
	if (atomic_fetch_add(&donor->forgotten, 1) == 0 && donor->pauses)
		while (atomic_load(&donor->memory->guarantee.refill.came) == atomic_load(&donor->memory->guarantee.refill.left))
			platform_yield();
}

void noting_init(struct noting_donor *donor, struct machine *machine)
{
	*donor = (struct noting_donor){
		.base = { noting_loan, noting_idle_percent, noting_recall, noting_revoke, noting_reap },
		.memory = &machine->memory,
		.start = MACHINE_START,
	};
	owner_init(&donor->owner, "donor", true);
	guarantee_set_donor(&machine->memory.guarantee, &donor->base);
}

void machine_with_guarantee(struct machine *machine, uint64_t blocks)
{
	const struct memory_config config = { .watermarks.atomic_percent = 100, .guarantee = pieces_config };

	machine_init_with(machine, MACHINE_START, blocks, &config);
}
