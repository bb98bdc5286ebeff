/* A flush is a small state machine, so that one task can have the flushes of all volumes go on at once. */
#include "flush.h"

#include "volume.h"
#include "volume_report.h"
#include "writeback.h"

/* Claiming: [D] is held in all of it --------------------------------------------------------------------------------------- */

static void turn_if_due(struct node *node, enum dirty_kind kind, uint64_t since)
{
	if (!dirty_has_left(&node->dirty.sets[kind], since))
		dirty_turn(&node->dirty, kind, ++node->volume->clock, platform_now_ns());
}

static bool claim_of_node(struct io *io, struct node *node, void *context)
{
	struct flush *flush = context;

	if (writeback_claim_ready_locked(io, node))
		return true;
	if (flush->stage == FLUSH_BUSY) {
		turn_if_due(node, DIRTY_BUSY, flush->since);
		flush->waits = flush->waits || !dirty_has_left(&node->dirty.sets[DIRTY_BUSY], flush->since);
		return false;
	}
	/* Before the first write begins: what fails meanwhile is for the next flush. */
	turn_if_due(node, DIRTY_FAILED, flush->since);
	for (enum dirty_kind kind = DIRTY_WAITING; kind <= DIRTY_FAILED; kind++) {
		turn_if_due(node, kind, flush->since);
		if (!dirty_has_left(&node->dirty.sets[kind], flush->since))
			return writeback_claim_old_locked(io, node, kind);
	}
	return false;
}

static bool claim_of_all(struct flush *flush, struct io *io)
{
	if (flush->node)
		return claim_of_node(io, flush->node, flush);
	return writeback_each_node_locked(flush->volume, io, claim_of_node, flush);
}

static bool claim(struct volume *volume, struct io *io, void *context)
{
	struct flush *flush = context;

	if (claim_of_all(flush, io))
		return true;
	if (flush->stage == FLUSH_CLAIM) {
		flush->stage = FLUSH_BUSY;
		flush->since = ++volume->clock;
	}
	flush->waits = false;
	if (claim_of_all(flush, io))
		return true;
	if (!flush->waits) {
		flush->stage = FLUSH_WRITES;
		flush->number = volume->next_write;
	}
	return false;
}

/* Stages ------------------------------------------------------------------------------------------------------------------- */

static void begin(struct flush *flush)
{
	struct volume *volume = flush->volume;

	if (flush->durable)
		written_settle(volume);
	spinlock_lock(&volume->lock);
	flush->stage = FLUSH_CLAIM;
	flush->since = ++volume->clock;
	flush->losses = volume->written.losses;
	spinlock_unlock(&volume->lock);
}

void flush_begin(struct flush *flush, struct volume *volume, struct node *node, bool durable)
{
	if (durable)
		atomic_fetch_add_explicit(&volume->counts.flushes, 1, memory_order_relaxed);
	*flush = (struct flush){ .volume = volume, .node = node, .durable = durable && volume->device->write_cache };
	begin(flush);
}

/* What is dirty and could not be written, or was lost, is told by every flush. [D] is held. */
static status_t status_locked(const struct flush *flush)
{
	struct volume *volume = flush->volume;

	if (atomic_load(flush->node ? &flush->node->failed_pages : &volume->counts.failed_pages) > 0)
		return atomic_load(&volume->write_status);
	return flush->durable && written_has_lost_locked(volume, flush->node) ? STATUS_IO_ERROR : STATUS_OK;
}

/* True: all that was dirty has been written, or has failed. */
static bool writes_have_ended(struct flush *flush)
{
	struct volume *volume = flush->volume;
	enum writeback started = WRITEBACK_NOTHING;
	bool ended;

	while (flush->stage < FLUSH_WRITES && (started = writeback_start(volume, claim, flush, 0)) == WRITEBACK_STARTED)
		;
	flush->starved = started == WRITEBACK_STARVED;
	if (flush->stage < FLUSH_WRITES)
		return false;
	spinlock_lock(&volume->lock);
	ended = flush->stage == FLUSH_DEVICE || !writeback_is_before_locked(volume, flush->node, flush->number);
	if (ended && flush->stage == FLUSH_WRITES) {
		flush->stage = FLUSH_DEVICE;
		flush->number = volume->written.begun + 1;
		flush->failed = status_locked(flush);
	}
	spinlock_unlock(&volume->lock);
	return ended;
}

enum device_flush {
	DEVICE_WAIT,
	DEVICE_BEGIN,
	DEVICE_LOST,
	DEVICE_DONE, /* well, or not: flush->status */
};

static enum device_flush look_at_device(struct flush *flush)
{
	struct volume *volume = flush->volume;
	const struct written *written = &volume->written;
	enum device_flush result = DEVICE_WAIT;

	spinlock_lock(&volume->lock);
	flush->status = flush->failed != STATUS_OK ? flush->failed : status_locked(flush);
	if (flush->durable && (written->losses != flush->losses || written_is_lost_locked(volume, written->losses))) {
		/* A device flush that failed is told. After another loss, a reset, what is cached is written once more. */
		if (written->status != STATUS_OK)
			flush->status = written->status;
		else if (flush->status == STATUS_OK)
			flush->status = STATUS_IO_ERROR;
		result = flush->again || written->status != STATUS_OK ? DEVICE_DONE : DEVICE_LOST;
	} else if (!flush->durable || written->good >= flush->number) {
		result = DEVICE_DONE;
	} else if (written_flush_begin_locked(volume)) {
		result = DEVICE_BEGIN;
	}
	spinlock_unlock(&volume->lock);
	return result;
}

bool flush_step(struct flush *flush)
{
	struct volume *volume = flush->volume;

	while (writes_have_ended(flush)) {
		switch (look_at_device(flush)) {
		case DEVICE_WAIT:
			return false;
		case DEVICE_DONE:
			if (flush->durable && flush->status != STATUS_OK)
				written_settle(volume); /* what is cached is written again in the background, too */
			return true;
		case DEVICE_BEGIN:
			volume->device->submit(volume->device, &volume->written.request);
			break;
		case DEVICE_LOST:
			flush->again = true;
			begin(flush);
		}
	}
	return false;
}

status_t flush_wait(struct volume *volume, struct node *node, bool durable, uint64_t deadline_ns)
{
	struct pagecache *pagecache = volume->pagecache;
	struct flush flush;

	flush_begin(&flush, volume, node, durable);
	for (;;) {
		const uint32_t returned = atomic_load(&pagecache->requests_returned);
		const uint32_t progress = atomic_load(&volume->progress), others = atomic_load(&pagecache->progress);

		if (flush_step(&flush))
			return flush.status;
		if (platform_now_ns() >= deadline_ns)
			return STATUS_TIMEOUT;
		if (flush.starved)
			(void)platform_wait(&pagecache->requests_returned, returned, deadline_ns);
		else if (flush.stage == FLUSH_DEVICE) /* perhaps for another volume's */
			(void)platform_wait(&pagecache->progress, others, deadline_ns);
		else
			(void)platform_wait(&volume->progress, progress, deadline_ns);
	}
}

/* All volumes -------------------------------------------------------------------------------------------------------------- */

/*
 * Begins flushes where there is none of this call or a later one, and takes them on. True: all are over. *starved: one waits
 * for an I/O object. Calls at the same time take on the same flushes; none holds the lock while it waits.
 */
static bool step_all(struct pagecache *pagecache, uint64_t call, bool *starved)
{
	struct volume *volume = NULL;
	bool over = true;

	*starved = false;
	mutex_lock(&pagecache->flush_lock);
	while ((volume = volume_next(pagecache, volume)) != NULL) {
		struct flush *flush = &volume->flush_all;

		if (volume->flush_all_number < call) {
			volume->flush_all_number = atomic_load(&pagecache->flushes);
			flush_begin(flush, volume, NULL, true);
			volume->flush_all_over = false;
		}
		if (!volume->flush_all_over)
			volume->flush_all_over = flush_step(flush);
		over = over && volume->flush_all_over;
		*starved = *starved || (!volume->flush_all_over && flush->starved);
	}
	mutex_unlock(&pagecache->flush_lock);
	return over;
}

static status_t results(struct pagecache *pagecache, uint64_t call)
{
	struct volume *volume = NULL;
	status_t result = STATUS_OK;

	mutex_lock(&pagecache->flush_lock);
	while ((volume = volume_next(pagecache, volume)) != NULL) {
		const status_t status = volume->flush_all_over ? volume->flush_all.status : STATUS_TIMEOUT;

		if (volume->flush_all_number < call)
			continue; /* it was attached meanwhile */
		if (status != STATUS_OK)
			volume_report_unflushed(volume, status);
		if (result == STATUS_OK)
			result = status;
	}
	mutex_unlock(&pagecache->flush_lock);
	return result;
}

status_t pagecache_flush_until(struct pagecache *pagecache, uint64_t deadline_ns)
{
	const uint64_t call = atomic_fetch_add(&pagecache->flushes, 1) + 1;

	for (;;) {
		const uint32_t returned = atomic_load(&pagecache->requests_returned);
		const uint32_t progress = atomic_load(&pagecache->progress);
		bool starved;

		if (step_all(pagecache, call, &starved) || platform_now_ns() >= deadline_ns)
			break;
		if (starved)
			(void)platform_wait(&pagecache->requests_returned, returned, deadline_ns);
		else
			(void)platform_wait(&pagecache->progress, progress, deadline_ns);
	}
	return results(pagecache, call);
}

status_t pagecache_flush(struct pagecache *pagecache)
{
	return pagecache_flush_until(pagecache, PLATFORM_FOREVER);
}
