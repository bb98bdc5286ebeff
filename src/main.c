// SPDX-License-Identifier: BSD-2-Clause
/*
 * The wiring: brings the machine up in the order in which one part needs another, hands each its
 * share of config.h, and starts the app. Nothing else reads config.h.
 */
#include "config.h"

#include "app/app.h"
#include "drivers/driver.h"
#include "heap/memory.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/config_value.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/version.h"
#include "runtime/kernel/boot_heap.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/memory_map.h"
#include "runtime/console/console.h"
#include "runtime/console/monitor.h"
#include "runtime/kernel/power.h"
#include "runtime/kernel/stack.h"
#include "runtime/kernel/start.h"
#include "runtime/x86_64/descriptors.h"
#include "runtime/x86_64/entry_state.h"
#include "runtime/x86_64/paging.h"
#include "disk_volumes.h"
#include "log_volume.h"
#include "memory_start.h"
#include "services.h"

static const struct kernel_config kernel_config = {
	.cpus_max = KERNEL_CPUS_MAX,
	.slice_ns = NS_PER_MS * (KERNEL_SLICE_MS),
	.watchdog_ns = NS_PER_MS * (KERNEL_WATCHDOG_MS),
	.first_task_stack_bytes = KERNEL_MAIN_STACK_BYTES,
};

static struct memory_config memory_config = {
	.watermarks.min_bytes = MEMORY_MIN_BYTES,
	.watermarks.low_bytes = MEMORY_LOW_BYTES,
	.watermarks.high_bytes = MEMORY_HIGH_BYTES,
	.watermarks.atomic_percent = MEMORY_ATOMIC_PERCENT,
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

static const struct pagecache_config pagecache_config = {
	.dirty_background_percent = PAGECACHE_DIRTY_BACKGROUND_PERCENT,
	.dirty_max_percent = PAGECACHE_DIRTY_MAX_PERCENT,
	.dirty_age_ns = NS_PER_MS * (PAGECACHE_DIRTY_AGE_MS),
	.move_percent = PAGECACHE_MOVE_PERCENT,
	.requests = PAGECACHE_REQUESTS,
	.retry_ns = NS_PER_MS * (PAGECACHE_RETRY_MS),
	.readahead_bytes = PAGECACHE_READAHEAD_BYTES,
	.cpu_frames = PAGECACHE_LOOKASIDE_FRAMES,
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

/* config --------------------------------------------------------------------------------------- */

static struct config_value config_values[] = {
#include "config_values.h"
};

static struct config_table config_table = {
	.values = config_values,
	.count = ARRAY_LENGTH(config_values),
	.version = weir_version,
};

/* The limits that config.h spells as numbers. */
_Static_assert(PLATFORM_CPUS_MAX == 256, "KERNEL_CPUS_MAX");
_Static_assert(STACK_BYTES_MAX == 252 << 10, "KERNEL_MAIN_STACK_BYTES");
_Static_assert(CPU_FRAMES_MAX == 8, "PAGECACHE_LOOKASIDE_FRAMES");
_Static_assert(MIGRATION_BLOCKS_MAX == (32 << 20) / BLOCK_BYTES, "PAGECACHE_MIGRATION_BYTES");
_Static_assert(PAGE_NODE_MAX == 16777215, "PAGECACHE_NODES");

/*
 * What may take that share of the memory at most, so that a machine that boots has some left to
 * work with.
 */
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

static void pagecache_start(const char *command_line)
{
	const status_t status = pagecache_init(&pagecache, &memory, &pagecache_config);

	if (status != STATUS_OK)
		platform_panic("the page cache cannot start: %s", status_text(status));
	services_start(&memory, &pagecache);
	volumes_start(&volumes, &memory, &pagecache, &block_devices, &volume_config, PAGECACHE_VOLUMES, command_line);
}

static void drivers_begin(const struct boot_info *boot)
{
	static struct driver_environment environment = {
		.memory = &memory,
		.dma = &memory.dma,
		.block_devices = &block_devices,
		.commands = &commands,
		.io_timeout_ns = NS_PER_MS * (DRIVER_IO_TIMEOUT_MS),
	};
	status_t status;

	environment.no_message_interrupts = options_is(boot->command_line, "interrupts", "line");
	if (boot->framebuffer.format != BOOT_PIXEL_NONE)
		environment.screen = (struct phys_range){ boot->framebuffer.base, boot->framebuffer.bytes };
	block_device_table_init(&block_devices);
	status = drivers_start(&environment);
	if (status != STATUS_OK)
		log_error("drivers: %s", status_text(status));
}

static void commands_start(void)
{
	memory_commands_register(&memory, &commands);
	pagecache_commands_register(&pagecache, &commands);
	volumes_commands_register(&volumes, &commands);
	kernel_commands_register(&commands);
	config_commands_register(&config_table, &commands);
}

static void first_task(void *context)
{
	static struct app_environment environment;
	const struct boot_info *boot = context;

	if (console_start() != STATUS_OK)
		log_warn("console: no input");
	command_table_init(&commands);
	drivers_begin(boot);
	pagecache_start(boot->command_line);
	services_stop_at_power_off(NS_PER_MS * (POWER_OFF_FLUSH_MS));
	commands_start();
	log_on_volume_start(&memory, &pagecache, boot->command_line);
	environment = (struct app_environment){
		.memory = &memory,
		.pagecache = &pagecache,
		.block_devices = &block_devices,
		.commands = &commands,
		.command_line = boot->command_line,
		.ram_bytes = boot_info_ram_bytes(boot),
		.boot_ns = clock_ns_from_ticks(__builtin_ia32_rdtsc() - boot->exit_boot_services_tsc),
		.version = weir_version,
	};
	app_main(&environment);
}

_Noreturn void kernel_main(const struct boot_info *boot)
{
	kernel_early_init();
	console_init(boot);
	console_set_log_level_from(boot->command_line);
	monitor_set_page((unsigned)MIN(options_get_number(boot->command_line, "page", 0), 1000u));
	console_set_serial_colours(options_get_number(boot->command_line, "colour", 0) != 0);
	log_info("Weir %s", weir_version);
	log_info("command line (%s): %s", boot->command_line_source, boot->command_line);
	config_table.command_line = boot->command_line;
	entry_state_inject();
	descriptors_init();
	if (boot->exit_status != 0)
		platform_panic("the firmware does not let go of the machine (ExitBootServices: status 0x%llx)",
			       (unsigned long long)boot->exit_status);
	memory_map_init(boot);
	boot_heap_init(boot);
	paging_init(boot, boot_heap());
	boot_heap_add_usable(boot);
	memory_start(&memory, &memory_config,
		     &(struct memory_limits){ &config_table, config_shares, ARRAY_LENGTH(config_shares) }, boot->command_line);
	log_info("memory: %llu MB, of which %llu MB in blocks", (unsigned long long)(boot_info_ram_bytes(boot) / MIB),
		 (unsigned long long)(memory_total_bytes(&memory) / MIB));
	kernel_start(&kernel_config, boot, boot_heap(), first_task, (void *)boot);
}
