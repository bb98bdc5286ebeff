#include "guarantee_fixture.h"

const struct guarantee_config pieces_config = { .bytes = PIECES * PIECE_BYTES, .piece_bytes = PIECE_BYTES };

struct guarantee_statistics guarantee_statistics_of(struct guarantee *guarantee)
{
	struct guarantee_statistics statistics;

	guarantee_statistics(guarantee, &statistics);
	return statistics;
}
