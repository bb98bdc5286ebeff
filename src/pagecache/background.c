/* The background writer: writes what is old, and what is too much. */
#include "writeback.h"

/* Of all I/O objects, the share that the background writer uses for one volume at most: the others have to read. */
#define SHARE 2

#define NAP_NS NS_PER_S

/* How far it got with a volume. */
enum round {
	ROUND_DONE, /* nothing is to be written */
	ROUND_FULL, /* enough is on its way */
	ROUND_MORE,
};

static bool is_full(struct volume *volume)
{
	const uint32_t most = MAX(volume->pagecache->config.requests / SHARE, 1u);
	uint32_t writes = 0;

	spinlock_lock(&volume->lock);
	list_for_each (link, &volume->in_flight)
		writes++;
	spinlock_unlock(&volume->lock);
	return writes >= most;
}

static bool is_beyond_background(struct pagecache *pagecache)
{
	return atomic_load(&pagecache->dirty_pages) > pagecache->dirty_background_pages;
}

static enum round write_some(struct volume *volume)
{
	writeback_age(volume);
	if (is_full(volume))
		return ROUND_FULL;
	if (writeback_start(volume, &volume->aged) > 0)
		return ROUND_MORE;
	if (is_beyond_background(volume->pagecache) && writeback_start(volume, &volume->dirty) > 0)
		return ROUND_MORE;
	return ROUND_DONE;
}

static enum round write_some_of_all(struct pagecache *pagecache)
{
	enum round most = ROUND_DONE;

	mutex_lock(&pagecache->volumes_lock);
	list_for_each (link, &pagecache->volumes) {
		const enum round round = write_some(container_of(link, struct volume, link));

		most = MAX(most, round);
	}
	mutex_unlock(&pagecache->volumes_lock);
	return most;
}

void pagecache_writeback_run(struct pagecache *pagecache)
{
	const uint64_t nap_ns = MIN(NAP_NS, MAX(pagecache->config.dirty_age_ns / 4, NS_PER_MS));

	while (!atomic_load(&pagecache->stopping)) {
		const uint32_t kick = atomic_load(&pagecache->kick);
		const uint32_t progress = atomic_load(&pagecache->progress);
		const enum round round = write_some_of_all(pagecache);

		if (round == ROUND_FULL || (round == ROUND_DONE && is_beyond_background(pagecache)))
			(void)platform_wait(&pagecache->progress, progress, platform_now_ns() + nap_ns);
		else if (round == ROUND_DONE)
			(void)platform_wait(&pagecache->kick, kick, platform_now_ns() + nap_ns);
	}
}

void pagecache_stop(struct pagecache *pagecache)
{
	atomic_store(&pagecache->stopping, true);
	atomic_fetch_add(&pagecache->kick, 1);
	platform_wake(&pagecache->kick);
	atomic_fetch_add(&pagecache->progress, 1);
	platform_wake(&pagecache->progress);
}
