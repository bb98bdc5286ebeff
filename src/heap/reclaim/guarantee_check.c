// SPDX-License-Identifier: BSD-2-Clause
/*
 * The statistics of the guarantee and the lines that the monitor prints of it. Counts are copied
 * under the lock; the number of free pieces is derived from the others.
 */
#include "guarantee_internal.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

struct guarantee_statistics guarantee_statistics(struct guarantee *guarantee)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
	struct guarantee_statistics statistics = guarantee->counts;

	spinlock_unlock_interrupts(&guarantee->lock, interrupts);
	statistics.free = guarantee->pieces - MIN(guarantee->pieces, statistics.loaned + statistics.out);
	return statistics;
}

void guarantee_print(struct guarantee *guarantee)
{
	const struct guarantee_statistics statistics = guarantee_statistics(guarantee);
	char piece[FORMAT_BYTES_SIZE];

	print("guarantee: %u pieces of %s: %llu free, %llu loaned, %llu out, %llu not reserved; %llu objects taken, %llu "
	      "requests refused\n",
	      guarantee->pieces, format_bytes(piece, guarantee_piece_bytes(guarantee)), (unsigned long long)statistics.free,
	      (unsigned long long)statistics.loaned, (unsigned long long)statistics.out,
	      (unsigned long long)statistics.unreserved, (unsigned long long)statistics.taken,
	      (unsigned long long)statistics.refused);
	for (uint32_t i = 0; i < guarantee->pieces; i++) {
		const struct guarantee_account *account = &guarantee->accounts[i];
		const uint64_t interrupts = spinlock_lock_interrupts(&guarantee->lock);
		const char *name = account->device ? account->device->name : "a device that is gone";
		const uint32_t reserved = account->reserved, out = account->out;

		spinlock_unlock_interrupts(&guarantee->lock, interrupts);
		if (reserved > 0)
			print("    %-20s reserved %u pieces, has %u out\n", name, reserved, out);
	}
}
