// SPDX-License-Identifier: BSD-2-Clause
/*
 * A donor to the guarantee that only notes what it is told: which of its blocks are loaned, taken
 * for a request, and forgotten.
 */
#pragma once

#include "fake/guarantee_fixture.h"
#include "fake/heap_fixture.h"
#include "host/host_test.h"

#define DONOR_BLOCKS 64

enum note {
	OWN,
	LOANED,
	REVOKED,
	FORGOTTEN,
};

struct noting_donor {
	struct guarantee_donor base;
	struct memory *memory;
	struct owner owner;
	uint64_t start;
	unsigned turns;   /* that it takes to loan a piece */
	uint64_t work_ns; /* likewise, on a clock that is turned by hand */
	bool refuses;
	bool steals; /* takes the oldest loan, once */
	bool stolen;
	struct phys_addr stolen_piece;
	unsigned asked;
	bool pauses; /* at the first block that it forgets, until a task waits for the refill mutex */
	_Atomic unsigned forgotten;
	enum note notes[DONOR_BLOCKS];
};

/* What it has noted of a block. */
enum note *note_of(struct guarantee_donor *self, struct phys_addr block);

/* Makes it the donor of the machine. */
void noting_init(struct noting_donor *donor, struct machine *machine);

/* A machine of so many blocks, with a guarantee of PIECES pieces. */
void machine_with_guarantee(struct machine *machine, uint64_t blocks);
