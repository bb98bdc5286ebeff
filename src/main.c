// SPDX-License-Identifier: BSD-2-Clause
/*
 * The wiring: brings the machine up in the order in which one part needs another, hands each its share of config.h, and starts
 * the app. Nothing else reads config.h.
 */
#include "config.h"

#include "app/app.h"
#include "drivers/driver.h"
#include "heap/background_cleaner.h"
#include "heap/failure_report.h"
#include "heap/memory.h"
#include "runtime/base/bits.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/config_value.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/string.h"
#include "runtime/base/version.h"
#include "runtime/kernel/address_space.h"
#include "runtime/kernel/boot_heap.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/clock_wall.h"
#include "runtime/kernel/console.h"
#include "runtime/kernel/holds_command.h"
#include "runtime/kernel/interrupt.h"
#include "runtime/kernel/log_command.h"
#include "runtime/kernel/log_disk.h"
#include "runtime/kernel/monitor.h"
#include "runtime/kernel/power.h"
#include "runtime/kernel/start.h"
#include "runtime/kernel/task.h"
#include "runtime/x86_64/descriptors.h"
#include "runtime/x86_64/paging.h"
#include "volumes.h"

static const struct kernel_config kernel_config = {
	.cpus_max = KERNEL_CPUS_MAX,
	.slice_ns = NS_PER_MS * (KERNEL_SLICE_MS),
	.watchdog_ns = NS_PER_MS * (KERNEL_WATCHDOG_MS),
	.first_task_stack_bytes = KERNEL_MAIN_STACK_BYTES,
};

static struct memory_config memory_config = {
	.min_bytes = MEMORY_MIN_BYTES,
	.low_bytes = MEMORY_LOW_BYTES,
	.high_bytes = MEMORY_HIGH_BYTES,
	.atomic_percent = MEMORY_ATOMIC_PERCENT,
	.general_retain_bytes = GENERAL_HEAP_RETAIN_BYTES,
	.guard = {
		.one_in = HEAP_GUARD_ONE_IN,
		.interval_ns = NS_PER_MS * (HEAP_GUARD_INTERVAL_MS),
		.bytes = HEAP_GUARD_BYTES,
	},
	.dma_retain_bytes = DMA_RETAIN_BYTES,
	.guarantee = {
		.bytes = DMA_GUARANTEE_BYTES,
		.piece_bytes = DMA_GUARANTEE_PIECE_BYTES,
		.highest = { (DMA_GUARANTEE_ADDRESS_BITS) == 64 ? 0 : (1ull << ((DMA_GUARANTEE_ADDRESS_BITS) % 64)) - 1 },
	},
	.trace_events = MEMORY_TRACE_EVENTS,
};

#define GUARANTEE_SHARE 8 /* of the memory, at most */

static const struct pagecache_config pagecache_config = {
	.dirty_background_percent = PAGECACHE_DIRTY_BACKGROUND_PERCENT,
	.dirty_max_percent = PAGECACHE_DIRTY_MAX_PERCENT,
	.dirty_age_ns = NS_PER_MS * (PAGECACHE_DIRTY_AGE_MS),
	.move_percent = PAGECACHE_MOVE_PERCENT,
	.requests = PAGECACHE_REQUESTS,
	.retry_ns = NS_PER_MS * (PAGECACHE_RETRY_MS),
	.readahead_bytes = PAGECACHE_READAHEAD_BYTES,
	.lookaside_frames = PAGECACHE_LOOKASIDE_FRAMES,
	.nodes = PAGECACHE_NODES,
	.migration_blocks = ((PAGECACHE_MIGRATION_BYTES) + BLOCK_BYTES - 1) / BLOCK_BYTES,
	.frame_wait_ns = NS_PER_MS * (PAGECACHE_FRAME_WAIT_MS),
	.flush_wait_ns = NS_PER_MS * (POWER_OFF_FLUSH_MS),
};

static const struct volume_config volume_config = {
	.preference = PAGECACHE_PREFERENCE,
	.keep_bytes = PAGECACHE_KEEP_BYTES,
	.retain_bytes = PAGECACHE_RETAIN_BYTES,
};

static struct memory memory;
static struct pagecache pagecache;
static struct volumes volumes;
static struct block_device_table block_devices;
static struct command_table commands;

/* config ------------------------------------------------------------------------------------------------------------------- */

#define CONFIG_AS_WRITTEN(...) #__VA_ARGS__
#define CONFIG_TEXT_OF(value, written)                                                                                         \
	_Generic((value), char * : (value), float : (written), double : (written), default : NULL)

static struct config_value config_values[] = {
#define CONFIG_VALUE(value, origin)                                                                                            \
	{                                                                                                                      \
		.name = #value,                                                                                                \
		.text = CONFIG_TEXT_OF(value, CONFIG_AS_WRITTEN(value)),                                                       \
		.number = (unsigned long long)CONFIG_NUMBER(value),                                                            \
		.is_negative = CONFIG_NUMBER(value) < 0,                                                                       \
		.from = (origin),                                                                                              \
	},
#define CONFIG_TEXT(value, origin) { .name = #value, .text = CONFIG_AS_WRITTEN(value), .from = (origin) },
#include "config_values.h"
};

static struct config_table config_table = {
	.values = config_values,
	.count = ARRAY_LENGTH(config_values),
	.version = weir_version,
};

/* The limits that config.h spells as numbers. */
_Static_assert(PLATFORM_CPUS_MAX == 64, "KERNEL_CPUS_MAX");
_Static_assert(STACK_BYTES_MAX == 252 << 10, "KERNEL_MAIN_STACK_BYTES");
_Static_assert(LOOKASIDE_FRAMES == 8, "PAGECACHE_LOOKASIDE_FRAMES");
_Static_assert(MIGRATION_BLOCKS_MAX == (32 << 20) / BLOCK_BYTES, "PAGECACHE_MIGRATION_BYTES");
_Static_assert(PAGE_NODE_MAX == 16777215, "PAGECACHE_NODES");

/* What may take that share of the memory at most, so that a machine that boots has some left to work with. */
static const struct config_share config_shares[] = {
	{ "MEMORY_MIN_BYTES", MEMORY_MIN_BYTES, 1, 4 },
	{ "MEMORY_LOW_BYTES", MEMORY_LOW_BYTES, 1, 4 },
	{ "MEMORY_HIGH_BYTES", MEMORY_HIGH_BYTES, 1, 2 },
	{ "GENERAL_HEAP_RETAIN_BYTES", GENERAL_HEAP_RETAIN_BYTES, 1, 8 },
	{ "HEAP_GUARD_BYTES", HEAP_GUARD_BYTES, 1, 8 },
	{ "DMA_RETAIN_BYTES", DMA_RETAIN_BYTES, 1, 8 },
	{ "PAGECACHE_RETAIN_BYTES", PAGECACHE_RETAIN_BYTES, 1, 8 },
	{ "PAGECACHE_KEEP_BYTES", PAGECACHE_KEEP_BYTES, 1, 8 },
	{ "PAGECACHE_MIGRATION_BYTES", PAGECACHE_MIGRATION_BYTES, 1, 8 },
	{ "PAGECACHE_NODES", PAGECACHE_NODES, sizeof(struct node *), 16 },
	{ "PAGECACHE_REQUESTS", PAGECACHE_REQUESTS, 7 * KIB, 16 },
};

/* Memory ------------------------------------------------------------------------------------------------------------------- */

#define MEMORY_RANGES_MAX 64

/* Metadata of the block heap: from the fragments, or else cut off the end of the largest range. */
static void *metadata_take(struct phys_range *ranges, size_t count)
{
	const uint64_t bytes = memory_metadata_bytes(ranges, (uint32_t)count);
	void *metadata = heap_alloc(boot_heap(), bytes, PAGE_BYTES);
	struct phys_range *largest = ranges;

	if (metadata)
		return metadata;
	for (size_t i = 1; i < count; i++)
		if (ranges[i].bytes > largest->bytes)
			largest = &ranges[i];
	largest->bytes -= MIN(largest->bytes, align_up(bytes, BLOCK_BYTES));
	return platform_virt((struct phys_addr){ largest->start.value + largest->bytes });
}

static uint64_t ranges_bytes(const struct phys_range *ranges, size_t count)
{
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all += ranges[i].bytes;
	return all;
}

/* Watermarks that config.h leaves open follow the size of the memory. */
static void watermarks_choose(struct memory_config *config, uint64_t all)
{
	if (config->min_bytes == 0)
		config->min_bytes =
			MIN(MIN(MAX(all / 512, 8 * MIB), 64 * MIB), config->low_bytes == 0 ? all : config->low_bytes);
	if (config->low_bytes == 0)
		config->low_bytes = MAX(MIN(MAX(all / 128, 32 * MIB), 256 * MIB), config->min_bytes);
	if (config->high_bytes == 0)
		config->high_bytes = config->low_bytes + MAX(config->min_bytes / 4, 4 * MIB);
}

static uint64_t guarantee_bytes(const char *command_line, uint64_t all)
{
	const uint64_t wanted = options_get_number(command_line, "guarantee", memory_config.guarantee.bytes);

	const uint64_t given = align_down(MIN(wanted, all / GUARANTEE_SHARE), memory_config.guarantee.piece_bytes);

	if (wanted > given)
		log_warn("memory: the DMA guarantee is %llu bytes instead of %llu: whole pieces, in an eighth of the memory",
			 (unsigned long long)given, (unsigned long long)wanted);
	return given;
}

/* Refuses what is too much for the machine, and chooses what config.h and the command line leave open. */
static void memory_configure(const char *command_line, uint64_t all)
{
	const char *origin = options_get(command_line, "guarantee", (char[2]){ 0 }, 2) ? "command line" : "this machine";
	const struct memory_config built = memory_config;

	for (size_t i = 0; i < ARRAY_LENGTH(config_shares); i++)
		config_share_check(&config_shares[i], all);
	memory_config.guarantee.bytes = guarantee_bytes(command_line, all);
	if (memory_config.guarantee.bytes != built.guarantee.bytes)
		config_value_set(&config_table, "DMA_GUARANTEE_BYTES", memory_config.guarantee.bytes, origin);
	watermarks_choose(&memory_config, all);
	if (memory_config.min_bytes != built.min_bytes)
		config_value_set(&config_table, "MEMORY_MIN_BYTES", memory_config.min_bytes, "this machine");
	if (memory_config.low_bytes != built.low_bytes)
		config_value_set(&config_table, "MEMORY_LOW_BYTES", memory_config.low_bytes, "this machine");
	if (memory_config.high_bytes != built.high_bytes)
		config_value_set(&config_table, "MEMORY_HIGH_BYTES", memory_config.high_bytes, "this machine");
}

static void memory_start(const char *command_line)
{
	static struct phys_range ranges[MEMORY_RANGES_MAX];
	const size_t count = boot_heap_take_blocks(ranges, MEMORY_RANGES_MAX);

	memory_configure(command_line, ranges_bytes(ranges, count));
	if (count == 0 ||
	    memory_init(&memory, &memory_config, ranges, (uint32_t)count, metadata_take(ranges, count)) != STATUS_OK)
		platform_panic("there is too little memory: no whole 2 MB block is left for the heap");
	boot_heap_set_parent(memory_general_heap(&memory));
}

static uint64_t ram_bytes(const struct boot_info *boot)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < boot->memory_ranges; i++)
		if (boot->memory[i].type <= BOOT_MEMORY_ACPI)
			bytes += boot->memory[i].range.bytes;
	return bytes;
}

/* Tasks of the memory runtime --------------------------------------------------------------------------------------------- */

static void writeback_task(void *context)
{
	pagecache_writeback_run(context);
}

static void guarantee_task(void *context)
{
	guarantee_run(context);
}

static void cleaner_task(void *context)
{
	memory_clean_run(context);
}

static void report_task(void *context)
{
	failure_report_run(context);
}

/* Runs as long as the machine does. */
static void start(const char *name, enum task_priority priority, void (*run)(void *context), void *context)
{
	const struct task_options options = { .name = name, .priority = priority, .cpu = -1 };

	if (task_spawn(&options, run, context, NULL) != STATUS_OK)
		platform_panic("the task \"%s\" cannot start", name);
}

/*
 * The guarantee's task has high priority, so that memory which a handler took is replaced before
 * ordinary work goes on. So has the cleaner: requests of high priority wait for the end of its
 * turn, and tasks that only read files must not delay that.
 */
static void tasks_start(void)
{
	start("writeback", TASK_NORMAL, writeback_task, &pagecache);
	if (memory_config.guarantee.bytes > 0)
		start("guarantee", TASK_HIGH, guarantee_task, &memory.guarantee);
	start("cleaner", TASK_HIGH, cleaner_task, &memory);
	start("reports", TASK_NORMAL, report_task, &memory);
}

static void pagecache_start(const char *command_line)
{
	const status_t status = pagecache_init(&pagecache, &memory, &pagecache_config);

	if (status != STATUS_OK)
		platform_panic("the page cache cannot start: %s", status_text(status));
	tasks_start();
	volumes_start(&volumes, &pagecache, &block_devices, &volume_config, PAGECACHE_VOLUMES, command_line);
}

/* The log ---------------------------------------------------------------------------------------------------------------- */

/* log=VOLUME: what fails is logged, and costs the log alone. */
static void log_start(const char *command_line)
{
	static char name[VOLUME_NAME_BYTES];
	struct volume *volume;

	if (!options_get(command_line, "log", name, sizeof(name)))
		return;
	volume = volume_find(&pagecache, name);
	if (!volume) {
		log_error("log=%s: there is no volume of that name", name);
		return;
	}
	(void)!log_disk_start(&(struct log_disk_config){
		.name = name,
		.device = volume->device,
		.start_bytes = volume->start_bytes,
		.bytes = volume->bytes,
		.heap = memory_general_heap(&memory),
		.commands = &commands,
	});
}

/* Start -------------------------------------------------------------------------------------------------------------------- */

static bool lines_wanted(const char *command_line)
{
	char text[8];

	return options_get(command_line, "interrupts", text, sizeof(text)) && strcmp(text, "line") == 0;
}

static void drivers_begin(const char *command_line)
{
	static struct driver_environment environment = {
		.memory = &memory,
		.block_devices = &block_devices,
		.commands = &commands,
		.io_timeout_ns = NS_PER_MS * (DRIVER_IO_TIMEOUT_MS),
	};
	status_t status;

	environment.no_message_interrupts = lines_wanted(command_line);
	block_device_table_init(&block_devices);
	status = drivers_start(&environment);
	if (status != STATUS_OK)
		log_error("drivers: %s", status_text(status));
}

static void in_use_log(const char *text)
{
	log_debug("memory: %s", text);
}

/*
 * Before the power goes: dirty pages are made durable, then the devices are told. Drivers, the page
 * cache and the program live to the end, so their memory is no leak, and only loglevel=debug lists
 * it. What a driver left behind is one.
 */
static void power_off_prepare(void)
{
	const status_t status = pagecache_flush_until(&pagecache, platform_now_ns() + NS_PER_MS * (POWER_OFF_FLUSH_MS));

	if (status != STATUS_OK)
		log_error("not all that was written has reached the disks: %s", status_text(status));
	log_disk_finish();
	drivers_stop();
	owned_heaps_write(&memory.owned, OWNED_LEFT, site_tally_log_error);
	log_debug("memory: %llu bytes of the general heap are in use",
		  (unsigned long long)general_heap_used_bytes(&memory.general));
	memory_leaks_write(&memory, in_use_log);
}

static void commands_start(void)
{
	memory_commands_register(&memory, &commands);
	pagecache_commands_register(&pagecache, &commands);
	volumes_commands_register(&volumes, &commands);
	task_commands_register(&commands);
	interrupt_commands_register(&commands);
	holds_commands_register(&commands);
	clock_wall_commands_register(&commands);
	power_commands_register(&commands);
	monitor_commands_register(&commands);
	log_commands_register(&commands);
	config_commands_register(&config_table, &commands);
}

static void first_task(void *context)
{
	static struct app_environment environment;
	const struct boot_info *boot = context;

	if (console_start() != STATUS_OK)
		log_warn("console: no input");
	command_table_init(&commands);
	drivers_begin(boot->command_line);
	pagecache_start(boot->command_line);
	power_set_off_hook(power_off_prepare);
	commands_start();
	log_start(boot->command_line);
	environment = (struct app_environment){
		.memory = &memory,
		.pagecache = &pagecache,
		.block_devices = &block_devices,
		.commands = &commands,
		.command_line = boot->command_line,
		.ram_bytes = ram_bytes(boot),
		.boot_ns = clock_ns_from_ticks(__builtin_ia32_rdtsc() - boot->exit_boot_services_tsc),
		.version = weir_version,
	};
	app_main(&environment);
}

static void log_level_from(const char *command_line)
{
	enum log_level level;
	char text[16];

	if (!options_get(command_line, "loglevel", text, sizeof(text)))
		return;
	if (console_parse_log_level(text, &level) == STATUS_OK)
		console_set_log_level(level);
	else
		log_warn("loglevel=%s: it is one of error, warn, info and debug", text);
}

_Noreturn void kernel_main(const struct boot_info *boot)
{
	kernel_early_init();
	console_init(boot);
	log_level_from(boot->command_line);
	console_set_serial_colours(options_get_number(boot->command_line, "colour", 0) != 0);
	log_info("Weir %s", weir_version);
	log_info("command line (%s): %s", boot->command_line_source, boot->command_line);
	config_table.command_line = boot->command_line;
	descriptors_init();
	boot_heap_init(boot);
	paging_init(boot, boot_heap());
	memory_start(boot->command_line);
	log_info("memory: %llu MB, of which %llu MB in blocks", (unsigned long long)(ram_bytes(boot) / MIB),
		 (unsigned long long)(memory_total_bytes(&memory) / MIB));
	kernel_start(&kernel_config, boot, boot_heap(), first_task, (void *)boot);
}
