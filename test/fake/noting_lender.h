// SPDX-License-Identifier: BSD-2-Clause
/*
 * A lender to the guarantee that only notes what it is told: which of its blocks are lent, taken
 * for a request, and forgotten.
 */
#pragma once

#include "fake/guarantee_fixture.h"
#include "fake/heap_fixture.h"
#include "host/host_test.h"

#define LENDER_BLOCKS 64

enum note {
	OWN,
	LENT,
	REVOKED,
	FORGOTTEN,
};

struct noting_lender {
	struct guarantee_lender lender;
	struct memory *memory;
	struct owner owner;
	uint64_t start;
	unsigned turns;   /* that it takes to lend a piece */
	uint64_t work_ns; /* likewise, on a clock that is turned by hand */
	bool refuses;
	bool steals; /* takes the oldest loan, once */
	bool stolen;
	struct phys_addr stolen_piece;
	unsigned asked;
	bool pauses; /* at the first block that it forgets, until a task waits for the refill mutex */
	_Atomic unsigned forgotten;
	enum note notes[LENDER_BLOCKS];
};

/* What it has noted of a block. */
enum note *note_of(struct guarantee_lender *self, struct phys_addr block);

/* Makes it the lender of the machine. */
void noting_init(struct noting_lender *lender, struct machine *machine);

/* A machine of so many blocks, with a guarantee of PIECES pieces. */
void machine_with_guarantee(struct machine *machine, uint64_t blocks);
