// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waiting for writeback. A task that needs clean pages starts a write if it can, and sleeps until
 * one has ended: of its volume, or, if there was no I/O object, of any. The background writer
 * sleeps until a cursor or a writer has work for it.
 */
#include "writeback.h"

void writeback_progress(struct volume *volume)
{
	atomic_fetch_add(&volume->writeback.progress, 1);
	platform_wake(&volume->writeback.progress);
	atomic_fetch_add(&volume->pagecache->pages.progress, 1);
	platform_wake(&volume->pagecache->pages.progress);
	reclaim_notice(memory_reclaim(volume->pagecache->memory));
}

void writeback_wake(struct pagecache *pagecache)
{
	worker_kick(&pagecache->writeback.writer);
	atomic_fetch_add(&pagecache->pages.progress, 1);
	platform_wake(&pagecache->pages.progress);
}

void writeback_kick(struct pagecache *pagecache)
{
	if (!atomic_exchange(&pagecache->writeback.cursor_waits, true))
		writeback_wake(pagecache);
}

static bool is_writing(struct volume *volume)
{
	spinlock_lock(&volume->writeback.lock);
	const bool writing = volume->writeback.writes > 0 || volume->writeback.written.running;
	spinlock_unlock(&volume->writeback.lock);
	return writing;
}

bool writeback_make_progress(struct volume *volume, uint64_t deadline_ns)
{
	struct pagecache *pagecache = volume->pagecache;
	const uint32_t seen = atomic_load(&volume->writeback.progress), others = atomic_load(&pagecache->pages.progress);
	const enum writeback started = writeback_start_old(volume, DIRTY_WAITING, 0);

	if (started == WRITEBACK_STARVED)
		(void)platform_wait(&pagecache->pages.progress, others, deadline_ns);
	else if (started == WRITEBACK_STARTED || is_writing(volume))
		(void)platform_wait(&volume->writeback.progress, seen, deadline_ns);
	else
		return false;
	return true;
}

void writeback_settle(struct volume *volume)
{
	for (;;) {
		const uint32_t seen = atomic_load(&volume->writeback.progress);

		if (!is_writing(volume))
			return;
		(void)platform_wait(&volume->writeback.progress, seen, PLATFORM_FOREVER);
	}
}
