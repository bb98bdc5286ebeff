// SPDX-License-Identifier: BSD-2-Clause
/*
 * One round after the other: take, read by DMA, verify, print, free, refill. The time that counts
 * is from the first request to the last buffer, with the task at high priority, as a driver with
 * data coming in would have it.
 */
#include "rounds.h"

#include "clear.h"
#include "heap/memory.h"
#include "pattern.h"
#include "report.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/kernel/task.h"

static struct heap *general_heap(const struct rounds *rounds)
{
	return memory_general_heap(rounds->trial->environment->memory);
}

status_t rounds_init(struct rounds *rounds, struct trial *trial, const char *what, const struct device *device,
		     const struct dma_request *request, uint64_t count, uint64_t loops)
{
	status_t status;

	*rounds = (struct rounds){ .trial = trial, .what = what, .loops = MAX(loops, 1) };
	rounds->us = heap_alloc(general_heap(rounds), rounds->loops * sizeof(*rounds->us), 0);
	status = buffers_init(&rounds->buffers, trial->environment->memory, device, request, count);
	if (status == STATUS_OK && rounds->us)
		return STATUS_OK;
	print("There is no memory for the lists of %llu buffers.\n", (unsigned long long)count);
	rounds_fini(rounds);
	return STATUS_NO_MEMORY;
}

void rounds_fini(struct rounds *rounds)
{
	buffers_fini(&rounds->buffers);
	heap_free(general_heap(rounds), rounds->us);
	rounds->us = NULL;
}

static void fail(struct rounds *rounds, const char *what, status_t status)
{
	rounds->failures++;
	trial_fail(rounds->trial, what, status);
}

/*
 * Takes the memory and counts what that cost. A task with data coming in runs before those that
 * read files.
 */
static uint64_t take(struct rounds *rounds, struct balance *balance)
{
	struct ledger ledger;
	status_t status;

	ledger_open(&ledger, rounds->trial->environment);
	task_set_priority(TASK_HIGH);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_take(&rounds->buffers, TRIAL_TAKE_NS);
	const uint64_t us = (platform_now_ns() - before_ns) / NS_PER_US;
	task_set_priority(TASK_NORMAL);
	ledger_close(&ledger, balance);
	if (status != STATUS_OK)
		fail(rounds, "taking DMA memory", status);
	books_add(&rounds->books, buffers_bytes(&rounds->buffers), balance);
	books_add(&rounds->trial->books, buffers_bytes(&rounds->buffers), balance);
	return us;
}

static void note_time(struct rounds *rounds, uint64_t us, const struct balance *balance)
{
	rounds->us[rounds->done++] = us;
	if (us < rounds->max_us)
		return;
	rounds->max_us = us;
	(void)balance_format_givers(rounds->slowest, balance);
}

static void print_loop(const struct rounds *rounds, uint64_t us, const struct balance *balance, uint64_t dma_ns)
{
	const uint64_t gained = buffers_bytes(&rounds->buffers);
	char got[FORMAT_BYTES_SIZE], rate[FORMAT_BYTES_SIZE], lost[FORMAT_BYTES_SIZE], evicted[FORMAT_BYTES_SIZE];
	char givers[BALANCE_GIVERS_BYTES];

	print("%s, loop %2llu/%llu: %s in %llu us; cache lost %s (evicted %s, copied %llu pages); DMA %s/s; from: %s\n",
	      rounds->what, (unsigned long long)rounds->done, (unsigned long long)rounds->loops, format_bytes(got, gained),
	      (unsigned long long)us, format_bytes(lost, (uint64_t)MAX(balance->lost_bytes, 0)),
	      format_bytes(evicted, balance->evicted_bytes), (unsigned long long)balance->moved_pages,
	      format_bytes(rate, rate_bytes(gained, dma_ns)), balance_format_givers(givers, balance));
}

static void measure_zeroing(struct rounds *rounds)
{
	const uint64_t bytes = buffers_bytes(&rounds->buffers);
	char text[FORMAT_BYTES_SIZE];
	const char *method;

	rounds->zero_us = clear_measure_ns(&rounds->buffers, bytes, &method) / NS_PER_US;
	print("Zeroing %s takes %llu us here, with %s.\n", format_bytes(text, bytes), (unsigned long long)rounds->zero_us,
	      method);
}

static void run_loop(struct rounds *rounds)
{
	struct buffers *buffers = &rounds->buffers;
	struct balance balance;
	status_t status;
	const uint64_t us = take(rounds, &balance);

	note_time(rounds, us, &balance);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_read(buffers, rounds->trial->disks.digitizer);
	const uint64_t dma_ns = platform_now_ns() - before_ns;
	if (status != STATUS_OK)
		fail(rounds, "reading by DMA", status);
	else
		rounds->trial->bad_pages += buffers_verify(buffers, PATTERN_SEED_DIGITIZER);
	print_loop(rounds, us, &balance, dma_ns);
	if (rounds->zero_us == 0 && buffers->taken == buffers->count)
		measure_zeroing(rounds);
	buffers_free(buffers);
	trial_refill(rounds->trial);
}

void rounds_run(struct rounds *rounds)
{
	while (scenario_goes_on(rounds->done, &rounds->loops))
		run_loop(rounds);
	sort_numbers(rounds->us, rounds->done);
	rounds->p50_us = rounds->us[rounds->done / 2];
}

const char *rounds_format(char buffer[ROUNDS_TEXT_BYTES], const struct rounds *rounds)
{
	char per_zero[FORMAT_SHARE_BYTES];

	format_text(buffer, ROUNDS_TEXT_BYTES,
		    "loops=%llu alloc_us_p50=%llu alloc_us_max=%llu zero_us=%llu alloc_per_zero=%s slowest=\"%s\"",
		    (unsigned long long)rounds->done, (unsigned long long)rounds->p50_us, (unsigned long long)rounds->max_us,
		    (unsigned long long)rounds->zero_us, format_share(per_zero, rounds->p50_us, rounds->zero_us),
		    rounds->slowest);
	return buffer;
}
