// SPDX-License-Identifier: BSD-2-Clause
/*
 * All threads at once over a small hot set, in which each page tells which it is, of which version,
 * and whether it is whole.
 */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/map.h"

#define HOT_PAGES   1500
#define PAGE_WORDS  (PAGE_BYTES / sizeof(uint64_t))
#define READ_PAGES  6 /* that one read asks for at most */
#define ROUNDS      200
#define OTHER_BYTES (60 * BLOCK_BYTES)

enum role {
	BACKGROUND_WRITER,
	WRITER_EVEN, /* pages of even numbers */
	WRITER_ODD,
	READER,
	MAPPER,
	DRAIN,
	FLUSHER,
	SCANNER, /* of another volume, which takes blocks of the first one, and dirties some of its own */
	ROLES,
};

struct crowd {
	struct cache_machine machine;
	struct fake_block other_disk;
	struct volume other;
	_Atomic unsigned running;             /* but for the background writer */
	_Atomic uint64_t versions[HOT_PAGES]; /* that a write has acknowledged */
};

static uint64_t word_of(uint64_t number, uint64_t version, size_t i)
{
	return (number * 0x9e3779b97f4a7c15ull + version) * (2 * i + 1);
}

static void page_fill(uint64_t *words, uint64_t number, uint64_t version)
{
	words[0] = number;
	words[1] = version;
	for (size_t i = 2; i < PAGE_WORDS; i++)
		words[i] = word_of(number, version, i);
}

/* Neither foreign, nor torn, nor older than what had been acknowledged. */
static void page_check(const uint64_t *words, uint64_t number, uint64_t version)
{
	ck_assert_msg(words[0] == number, "page %llu is page %llu", (unsigned long long)number, (unsigned long long)words[0]);
	ck_assert_msg(words[1] >= version, "page %llu lost a write", (unsigned long long)number);
	for (size_t i = 2; i < PAGE_WORDS; i++)
		ck_assert_msg(words[i] == word_of(number, words[1], i), "page %llu is torn", (unsigned long long)number);
}

static void write_one(struct crowd *crowd, struct random *random, uint64_t odd)
{
	const uint64_t number = random_below(random, HOT_PAGES / 2) * 2 + odd;
	const uint64_t version = atomic_load(&crowd->versions[number]) + 1;
	uint64_t words[PAGE_WORDS];

	page_fill(words, number, version);
	ck_assert_int_eq(node_write(&crowd->machine.volume.node, number * PAGE_BYTES, words, PAGE_BYTES), STATUS_OK);
	atomic_store(&crowd->versions[number], version);
}

static uint64_t choose_run(struct random *random, uint64_t *count)
{
	*count = 1 + random_below(random, READ_PAGES);
	return random_below(random, HOT_PAGES - *count);
}

static void note_versions(struct crowd *crowd, uint64_t first, uint64_t count, uint64_t *versions)
{
	for (uint64_t i = 0; i < count; i++)
		versions[i] = atomic_load(&crowd->versions[first + i]);
}

static void read_some(struct crowd *crowd, struct random *random)
{
	uint64_t words[READ_PAGES * PAGE_WORDS], versions[READ_PAGES], count;
	const uint64_t first = choose_run(random, &count);

	note_versions(crowd, first, count, versions);
	ck_assert_int_eq(node_read(&crowd->machine.volume.node, first * PAGE_BYTES, words, count * PAGE_BYTES), STATUS_OK);
	for (uint64_t i = 0; i < count; i++)
		page_check(words + i * PAGE_WORDS, first + i, versions[i]);
}

static void map_some(struct crowd *crowd, struct random *random)
{
	uint64_t versions[READ_PAGES], count;
	const uint64_t first = choose_run(random, &count);
	struct mapping *mapping;

	note_versions(crowd, first, count, versions);
	ck_assert_int_eq(node_map(&crowd->machine.volume.node, first * PAGE_BYTES, count * PAGE_BYTES, MAP_READ, &mapping),
			 STATUS_OK);
	ck_assert_uint_eq(mapping->page_count, count);
	for (uint64_t i = 0; i < count; i++)
		page_check(platform_virt(page_address(mapping->pages[i])), first + i, versions[i]);
	node_unmap(mapping);
}

static void drain_some(struct crowd *crowd, struct random *random)
{
	switch (random_below(random, 8)) {
	case 0:
		(void)memory_drain(&crowd->machine.memory, (1 + random_below(random, 4)) * BLOCK_BYTES, true);
		break;
	case 1:
		(void)memory_drain(&crowd->machine.memory, BLOCK_BYTES, false);
		break;
	case 2:
		if (random_below(random, 32) == 0)
			(void)volume_drop(&crowd->machine.volume);
		break;
	default:
		(void)node_evict_page(&crowd->machine.volume.node, random_below(random, HOT_PAGES));
	}
}

/* Those of the other volume hold their addresses, as the fixture has them on its disk. */
static void scan_some(struct crowd *crowd, struct random *random)
{
	uint64_t words[PAGE_WORDS];
	const uint64_t offset = random_below(random, OTHER_BYTES / PAGE_BYTES) * PAGE_BYTES;

	ck_assert_int_eq(node_read(&crowd->other.node, offset, words, sizeof(words)), STATUS_OK);
	for (size_t i = 0; i < PAGE_WORDS; i++)
		ck_assert_uint_eq(words[i], offset + i * sizeof(uint64_t));
	if (random_below(random, 2) == 0)
		ck_assert_int_eq(node_write(&crowd->other.node, offset, words, sizeof(words)), STATUS_OK);
}

static void do_one(struct crowd *crowd, enum role role, struct random *random)
{
	struct volume *volume = &crowd->machine.volume;

	switch (role) {
	case READER:
		read_some(crowd, random);
		break;
	case MAPPER:
		map_some(crowd, random);
		break;
	case DRAIN:
		drain_some(crowd, random);
		break;
	case FLUSHER:
		if (random_below(random, 8) == 0)
			ck_assert_int_eq(random_below(random, 2) ? volume_flush(volume) : node_flush(&volume->node), STATUS_OK);
		break;
	case SCANNER:
		for (unsigned i = 0; i < 3; i++)
			scan_some(crowd, random);
		break;
	default:
		write_one(crowd, random, role == WRITER_ODD);
	}
}

static void play(void *context, unsigned index)
{
	struct crowd *crowd = context;
	struct random random;

	if (index == BACKGROUND_WRITER) {
		pagecache_writeback_run(&crowd->machine.pagecache);
		return;
	}
	random_seed(&random, index);
	for (unsigned i = 0; i < ROUNDS; i++)
		do_one(crowd, (enum role)index, &random);
	if (atomic_fetch_sub(&crowd->running, 1) == 1)
		pagecache_stop(&crowd->machine.pagecache);
}

static void crowd_init(struct crowd *crowd)
{
	const struct volume_config config = { .preference = 50, .keep_bytes = BLOCK_BYTES };
	struct pagecache_config pagecache_config = cache_machine_config;
	struct cache_machine *machine = &crowd->machine;

	pagecache_config.dirty_background_percent = 2;
	pagecache_config.dirty_max_percent = 6;
	pagecache_config.dirty_age_ns = 20 * NS_PER_MS;
	pagecache_config.readahead_bytes = 16 * PAGE_BYTES;
	cache_machine_init_config(machine, 8 * BLOCK_BYTES, true, &pagecache_config);
	machine->disk.shuffled = true;
	for (uint64_t number = 0; number < HOT_PAGES; number++)
		page_fill((uint64_t *)(void *)(machine->disk.data + number * PAGE_BYTES), number, 0);
	fake_block_init(&crowd->other_disk, OTHER_BYTES, true);
	for (uint64_t i = 0; i < OTHER_BYTES; i += sizeof(i))
		memcpy(crowd->other_disk.data + i, &i, sizeof(i));
	ck_assert_int_eq(
		volume_attach(&crowd->other, &machine->pagecache, &crowd->other_disk.device, "other", 0, OTHER_BYTES, &config),
		STATUS_OK);
	atomic_store(&crowd->running, ROLES - 1);
}

START_TEST(threads_see_whole_pages_of_their_own_and_no_older_ones)
{
	static struct crowd crowd;
	struct cache_machine *machine = &crowd.machine;

	crowd_init(&crowd);
	host_threads_run(ROLES, play, &crowd);
	ck_assert(pagecache_is_valid(&machine->pagecache));
	ck_assert_int_eq(volume_flush(&machine->volume), STATUS_OK);
	for (uint64_t number = 0; number < HOT_PAGES; number++) {
		const uint64_t *words = (const uint64_t *)(const void *)(machine->disk.data + number * PAGE_BYTES);

		ck_assert_uint_eq(words[1], atomic_load(&crowd.versions[number]));
		page_check(words, number, words[1]);
	}
	memcpy(machine->model, machine->disk.data, HOT_PAGES * PAGE_BYTES);
	ck_assert_int_eq(volume_detach(&crowd.other, false), STATUS_OK);
	fake_block_fini(&crowd.other_disk);
	cache_machine_fini(machine);
}
END_TEST

HOST_TEST_MAIN("hot pages", threads_see_whole_pages_of_their_own_and_no_older_ones)
